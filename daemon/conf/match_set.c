#include "conf/match_set.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "base/array.h"

uint32_t match_kinds(const struct conf_match *match)
{
    return match->kinds ? match->kinds : MATCH_KINDS_ALL;
}

bool match_is_one_device(const struct conf_match *match)
{
    return match->n_devices == 1 && !strpbrk(match->devices[0], "*?[\\");
}

static bool bits_cover(uint32_t wide, uint32_t narrow, uint32_t all)
{
    return !wide || ((narrow ? narrow : all) & ~wide) == 0;
}

static bool has_text(char *const *texts, size_t n, const char *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(texts[i], wanted) == 0)
            return true;
    return false;
}

/* An empty list matches everything. */
static bool texts_cover(char *const *wide, size_t n_wide, char *const *narrow, size_t n_narrow)
{
    if (n_wide == 0)
        return true;
    for (size_t i = 0; i < n_narrow; i++)
        if (!has_text(wide, n_wide, narrow[i]))
            return false;
    return n_narrow > 0;
}

static bool endpoints_cover(const struct conf *conf, const struct conf_match *wide, const struct conf_match *narrow)
{
    size_t named = 0;
    for (size_t i = 0; i < conf->n_endpoints; i++)
        named += has_text(wide->endpoints, wide->n_endpoints, conf->endpoints[i].name);
    return named == conf->n_endpoints ||
           texts_cover(wide->endpoints, wide->n_endpoints, narrow->endpoints, narrow->n_endpoints);
}

/* A glob whose only wildcard is * and which matches the text of another glob also matches everything that the other one
 * matches: none of its literal characters can have matched a wildcard. */
static bool glob_covers(const char *wide, const char *narrow)
{
    if (strcmp(wide, "*") == 0 || strcmp(wide, narrow) == 0)
        return true;
    bool simple = !strpbrk(wide, "?[\\") && !strpbrk(narrow, "[\\");
    return (simple || !strpbrk(narrow, "*?[\\")) && fnmatch(wide, narrow, 0) == 0;
}

static bool devices_cover(const struct conf_match *wide, const struct conf_match *narrow)
{
    bool all = wide->n_devices == 0 || has_text(wide->devices, wide->n_devices, "*");
    for (size_t i = 0; !all && i < narrow->n_devices; i++) {
        bool found = false;
        for (size_t k = 0; !found && k < wide->n_devices; k++)
            found = glob_covers(wide->devices[k], narrow->devices[i]);
        if (!found)
            return false;
    }
    return all || narrow->n_devices > 0;
}

static bool area_covers(const struct conf_match *wide, const struct conf_match *narrow)
{
    if (!wide->area_layer)
        return true;
    return narrow->area_layer && strcmp(wide->area_layer, narrow->area_layer) == 0 &&
           texts_cover(wide->area_codes, wide->n_area_codes, narrow->area_codes, narrow->n_area_codes);
}

/* A device in a group is registered, and an alert in an area has a location. */
static bool flags_cover(const struct conf_match *wide, const struct conf_match *narrow)
{
    int registered = narrow->n_groups > 0 ? 1 : narrow->registered;
    int located = narrow->area_layer ? 1 : narrow->located;
    return (wide->registered < 0 || wide->registered == registered) &&
           (wide->located < 0 || wide->located == located) && (wide->drill < 0 || wide->drill == narrow->drill) &&
           (wide->image < 0 || wide->image == narrow->image);
}

/* Scores are never below 0. */
static double score_from(const struct conf_match *match)
{
    return isnan(match->score_min) ? 0 : match->score_min;
}

static double score_until(const struct conf_match *match)
{
    return isnan(match->score_below) ? INFINITY : match->score_below;
}

static bool has_score(const struct conf_match *match)
{
    return !isnan(match->score_min) || !isnan(match->score_below);
}

static bool score_covers(const struct conf_match *wide, const struct conf_match *narrow)
{
    return !has_score(wide) ||
           (has_score(narrow) && score_from(narrow) >= score_from(wide) && score_until(narrow) <= score_until(wide));
}

/* On each day the result can only change at these minutes. */
static bool time_covers(const struct conf_match *wide, const struct conf_match *narrow)
{
    const int edges[] = {0, wide->hours.from_min, wide->hours.until_min, narrow->hours.from_min,
                         narrow->hours.until_min};
    if (!wide->has_hours && !wide->days)
        return true;
    for (int day = 0; day < 7; day++)
        for (size_t i = 0; i < ARRAY_LEN(edges); i++)
            if (edges[i] < 24 * 60 && conf_time_matches(narrow, day, edges[i]) &&
                !conf_time_matches(wide, day, edges[i]))
                return false;
    return true;
}

bool match_covers(const struct conf *conf, const struct conf_match *wide, const struct conf_match *narrow)
{
    return bits_cover(wide->phases, narrow->phases, (1u << PHASE_COUNT) - 1) && flags_cover(wide, narrow) &&
           score_covers(wide, narrow) && area_covers(wide, narrow) && time_covers(wide, narrow) &&
           texts_cover(wide->groups, wide->n_groups, narrow->groups, narrow->n_groups) &&
           texts_cover(wide->labels, wide->n_labels, narrow->labels, narrow->n_labels) &&
           texts_cover(wide->camera_zones, wide->n_camera_zones, narrow->camera_zones, narrow->n_camera_zones) &&
           endpoints_cover(conf, wide, narrow) && devices_cover(wide, narrow);
}
