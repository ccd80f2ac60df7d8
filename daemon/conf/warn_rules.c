/* What is allowed in the rules, and most likely not meant. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/check_rules.h"
#include "conf/match_set.h"
#include "conf/value.h"

/* Mobeye devices say again every 4 hours that an input is still active. */
#define REPEAT_US INT64_C(14400000000)
#define BIT(kind) (1u << (kind))

/* What goes on until it is restored, cameras left aside: they repeat as they like. */
#define KINDS_REPEATED                                                                                                 \
    (BIT(KIND_UNKNOWN) | BIT(KIND_INTRUSION) | BIT(KIND_MOTION) | BIT(KIND_PANIC) | BIT(KIND_HOLDUP) |                 \
     BIT(KIND_TAMPER) | BIT(KIND_FIRE) | BIT(KIND_HEAT) | BIT(KIND_COLD) | BIT(KIND_WATER))

/* A rule that makes incidents, and where it stands. */
struct seat {
    struct diagnostics *diagnostics;
    const struct conf_rule *rule;
    const struct node *incident;
    const char *path;
};

__attribute__((format(printf, 4, 5))) static void warn(const struct seat *seat, const char *key,
                                                       const struct node *node, const char *fmt, ...)
{
    char what[512];
    char path[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    snprintf(path, sizeof(path), "incident.%s", key);
    diagnostics_warning(seat->diagnostics, node->pos, loader_path_key(seat->path, path).text, "%s", what);
}

/* The place of one of the words of group_by. */
static const struct node *grouping_node(const struct seat *seat, const char *word)
{
    const struct node *value = node_value(seat->incident, "group_by");
    for (size_t i = 0; value->kind == NODE_LIST && i < value->n; i++)
        if (strcmp(value->items[i]->text, word) == 0)
            return value->items[i];
    return value;
}

static void warn_constant(const struct seat *seat, const char *word, const char *match, const char *only)
{
    warn(seat, "group_by", grouping_node(seat, word), "%s never differs: %s is %s alone (without it)", word, match,
         quoted(only).text);
}

/* The word of a kind that is the only one; NULL: there are several, or unknown ones with words of their own. */
static const char *only_kind(const struct conf_match *match)
{
    for (unsigned kind = KIND_UNKNOWN + 1; kind < KIND_COUNT; kind++)
        if (match->kinds == BIT(kind))
            return alert_kind_word((enum alert_kind)kind);
    return NULL;
}

static void warn_constants(const struct seat *seat)
{
    const struct conf_rule *rule = seat->rule;
    const struct conf_match *match = &rule->match;
    if (rule->group_by & GROUP_KIND && only_kind(match))
        warn_constant(seat, "kind", "match.kind", only_kind(match));
    if (rule->group_by & GROUP_DEVICE && match_is_one_device(match))
        warn_constant(seat, "device", "match.device", match->devices[0]);
    if (rule->group_by & GROUP_ENDPOINT && match->n_endpoints == 1)
        warn_constant(seat, "endpoint", "match.endpoint", match->endpoints[0]);
    for (size_t i = 0; i < rule->n_group_layers; i++)
        if (match->area_layer && match->n_area_codes == 1 && strcmp(match->area_layer, rule->group_layers[i]) == 0)
            warn_constant(seat, match->area_layer, "match.area.code", match->area_codes[0]);
}

/* Any word is the name of a layer, so a misspelt one is too. */
static void warn_misspelt(const struct seat *seat)
{
    const struct schema_key *key = schema_find("rules[].incident", "group_by");
    for (size_t i = 0; i < seat->rule->n_group_layers; i++) {
        const char *layer = seat->rule->group_layers[i], *word;
        unsigned bit;
        for (unsigned k = 0; (word = key->word(k, &bit)); k++)
            if (schema_changes(layer, word) <= 2)
                warn(seat, "group_by", grouping_node(seat, layer),
                     "%s is taken for a layer of areas, did you mean %s? (one of the words, or a layer)",
                     quoted(layer).text, word);
    }
}

static void warn_times(const struct seat *seat)
{
    const struct incident_terms *terms = &seat->rule->terms;
    const struct conf_match *match = &seat->rule->match;
    bool of_cameras =
        match->n_labels || match->n_camera_zones || !isnan(match->score_min) || !isnan(match->score_below);
    const struct node *gap = node_value(seat->incident, "gap"), *max_age = node_value(seat->incident, "max_age");
    if (terms->gap_us <= REPEAT_US && match_kinds(match) & KINDS_REPEATED && !of_cameras)
        warn(seat, "gap", gap,
             "%s is no longer than the 4h after which devices repeat what goes on: each repeat makes a new incident "
             "(more, such as 4h30m)",
             quoted(gap->text).text);
    if (max_age && terms->max_age_us < terms->gap_us)
        warn(seat, "max_age", max_age, "%s is shorter than gap, which then never counts (no less than %s)",
             quoted(max_age->text).text, value_duration_text(terms->gap_us).text);
}

static void warn_moved_over(const struct seat *seat)
{
    const struct node *moved_over = node_value(seat->incident, "moved_over");
    if (moved_over && !(seat->rule->group_by & GROUP_DEVICE))
        warn(seat, "moved_over", moved_over,
             "%s is judged of one device only, and several may share an incident here (device in group_by)",
             quoted(moved_over->text).text);
}

static void warn_verify_by(const struct seat *seat)
{
    const struct incident_terms *terms = &seat->rule->terms;
    const struct node *verify_by = node_value(seat->incident, "verify_by"), *to = node_value(verify_by, "priority");
    if (verify_by && terms->category != CATEGORY_ALARM)
        warn(seat, "verify_by", verify_by, "has no effect: only alarms are verified (category: alarm)");
    if (to && terms->verify_priority >= terms->priority)
        warn(seat, "verify_by.priority", to,
             "%s is no more urgent than the priority of %d that it has (a lower number)", quoted(to->text).text,
             terms->priority);
}

/* The first rule before the i-th that matches all that it does; NULL: there is none. */
static const struct node *covering_rule(const struct node *list, const struct conf *conf, size_t i)
{
    const struct conf_match *match = &conf->rules[i].match;
    for (size_t k = 0; k < i; k++) {
        const struct conf_match *earlier = &conf->rules[k].match;
        if (!(match_kinds(match) & ~match_kinds(earlier)) && match_covers(conf, earlier, match))
            return list->items[k];
    }
    return NULL;
}

/* The same of several rules that share its kinds among them: the last that it takes. */
static const struct node *covering_rules(const struct node *list, const struct conf *conf, size_t i)
{
    const struct conf_match *match = &conf->rules[i].match;
    uint32_t left = match_kinds(match);
    for (size_t k = 0; k < i; k++) {
        const struct conf_match *earlier = &conf->rules[k].match;
        if (left & match_kinds(earlier) && match_covers(conf, earlier, match))
            left &= ~match_kinds(earlier);
        if (!left)
            return list->items[k];
    }
    return NULL;
}

static void warn_unreached(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf, size_t i)
{
    const struct node *one = covering_rule(list, conf, i), *last = one ? NULL : covering_rules(list, conf, i);
    struct loader_path path = loader_path_item("rules", list->items[i], i);
    if (one)
        diagnostics_warning(diagnostics, list->items[i]->pos, path.text,
                            "is never reached (the rule in line %zu matches all that it does)", one->pos.line);
    if (last)
        diagnostics_warning(diagnostics, list->items[i]->pos, path.text,
                            "is never reached (the rules up to line %zu match all that it does)", last->pos.line);
}

/* Whether what an unregistered device raises may match, drills and what is asked of cameras left aside, and makes no
 * alarm. */
static bool may_hide(const struct conf_rule *rule)
{
    const struct conf_match *match = &rule->match;
    bool of_cameras =
        match->n_labels || match->n_camera_zones || !isnan(match->score_min) || !isnan(match->score_below);
    return (!rule->makes_incident || rule->terms.category == CATEGORY_SERVICE) && match->registered != 1 &&
           match->n_groups == 0 && match->drill != 1 && (!match->phases || match->phases & (1u << PHASE_RAISE)) &&
           !of_cameras;
}

static bool makes_alarm(const struct conf_rule *rule)
{
    return rule->makes_incident && rule->terms.category == CATEGORY_ALARM;
}

/* Which of panic and holdup of unregistered devices the i-th rule keeps from an alarm that a later one would make; the
 * first such in *ret_later. */
static uint32_t hidden_kinds(const struct conf *conf, size_t i, size_t *ret_later)
{
    struct conf_match unregistered = conf->rules[i].match;
    uint32_t left = match_kinds(&unregistered) & (BIT(KIND_PANIC) | BIT(KIND_HOLDUP)), hidden = 0;
    unregistered.registered = 0;
    for (size_t k = 0; k < i; k++)
        if (makes_alarm(&conf->rules[k]) && match_covers(conf, &conf->rules[k].match, &unregistered))
            left &= ~match_kinds(&conf->rules[k].match);
    for (size_t k = i + 1; k < conf->n_rules; k++) {
        const struct conf_match *later = &conf->rules[k].match;
        uint32_t alarms = makes_alarm(&conf->rules[k]) && later->registered != 1 && later->n_groups == 0
                              ? left & match_kinds(later)
                              : 0;
        if (alarms && !hidden)
            *ret_later = k;
        hidden |= alarms;
    }
    return hidden;
}

static void warn_hidden(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf, size_t i)
{
    size_t later = 0;
    uint32_t hidden = may_hide(&conf->rules[i]) ? hidden_kinds(conf, i, &later) : 0;
    if (!hidden)
        return;
    struct loader_path path = loader_path_item("rules", list->items[i], i);
    diagnostics_warning(diagnostics, list->items[i]->pos, path.text,
                        "%s of unregistered devices never reach the alarm rule in line %zu (a rule for kind: [panic, "
                        "holdup] with category: alarm before this one)",
                        hidden == BIT(KIND_PANIC)    ? "panics"
                        : hidden == BIT(KIND_HOLDUP) ? "holdups"
                                                     : "panics and holdups",
                        list->items[later]->pos.line);
}

static void warn_unmatched(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf)
{
    static const struct source_pos top = {1, 1};
    static const struct conf_match all = {
        .registered = -1, .located = -1, .drill = -1, .score_min = NAN, .score_below = NAN};
    uint32_t kinds = 0;
    for (size_t i = 0; i < conf->n_rules; i++)
        if (match_covers(conf, &conf->rules[i].match, &all))
            kinds |= match_kinds(&conf->rules[i].match);
    if (conf->n_rules == 0)
        diagnostics_warning(diagnostics, list ? list->pos : top, "rules",
                            "there are none, every alert is stored only (a list of rules, the last without match)");
    else if (kinds != MATCH_KINDS_ALL)
        diagnostics_warning(diagnostics, list->items[conf->n_rules - 1]->pos, "rules",
                            "an alert may match no rule, it is then stored only (a last rule without match)");
}

void warn_rules(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf)
{
    static void (*const warnings[])(const struct seat *) = {warn_constants, warn_misspelt, warn_times, warn_moved_over,
                                                            warn_verify_by};
    for (size_t i = 0; i < conf->n_rules; i++) {
        struct loader_path path = loader_path_item("rules", list->items[i], i);
        const struct seat seat = {diagnostics, &conf->rules[i], node_value(list->items[i], "incident"), path.text};
        warn_unreached(diagnostics, list, conf, i);
        warn_hidden(diagnostics, list, conf, i);
        for (size_t k = 0; seat.incident && k < sizeof(warnings) / sizeof(warnings[0]); k++)
            warnings[k](&seat);
    }
    warn_unmatched(diagnostics, list, conf);
}
