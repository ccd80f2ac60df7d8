/* Warnings about rules that are valid but probably not what was meant. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/nearest.h"
#include "conf/check_rules.h"
#include "conf/match_set.h"
#include "conf/value.h"

/* Mobeye devices report again every 4 hours that an input is still active. */
#define REPEAT_US INT64_C(14400000000)
#define BIT(kind) (1u << (kind))

/* Kinds that stay active until they are restored. Cameras repeat at intervals of their own. */
#define KINDS_REPEATED                                                                                                 \
    (BIT(KIND_UNKNOWN) | BIT(KIND_INTRUSION) | BIT(KIND_MOTION) | BIT(KIND_PANIC) | BIT(KIND_HOLDUP) |                 \
     BIT(KIND_TAMPER) | BIT(KIND_FIRE) | BIT(KIND_HEAT) | BIT(KIND_COLD) | BIT(KIND_WATER))

/* A rule that creates incidents, with its node and path. */
struct incident_rule {
    struct diagnostics *diagnostics;
    const struct conf_rule *rule;
    const struct node *incident;
    const char *path;
};

__attribute__((format(printf, 4, 5))) static void warn(const struct incident_rule *checked, const char *key,
                                                       const struct node *node, const char *fmt, ...)
{
    char what[512];
    char path[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    snprintf(path, sizeof(path), "incident.%s", key);
    diagnostics_warning(checked->diagnostics, node->pos, loader_path_key(checked->path, path).text, "%s", what);
}

/* The node of one of the words of group_by. */
static const struct node *grouping_node(const struct incident_rule *checked, const char *word)
{
    const struct node *value = node_value(checked->incident, "group_by");
    for (size_t i = 0; value->kind == NODE_LIST && i < value->n; i++)
        if (strcmp(value->items[i]->text, word) == 0)
            return value->items[i];
    return value;
}

static void warn_constant(const struct incident_rule *checked, const char *word, const char *match, const char *only)
{
    warn(checked, "group_by", grouping_node(checked, word),
         "%s has no effect: %s is always %s (expected group_by without %s)", word, match, quoted(only).text, word);
}

/* The word of the only kind that matches; NULL if several match, or KIND_UNKNOWN does, which stands for many words. */
static const char *only_kind(const struct conf_match *match)
{
    for (unsigned kind = KIND_UNKNOWN + 1; kind < KIND_COUNT; kind++)
        if (match->kinds == BIT(kind))
            return alert_kind_word((enum alert_kind)kind);
    return NULL;
}

static void warn_constants(const struct incident_rule *checked)
{
    const struct conf_rule *rule = checked->rule;
    const struct conf_match *match = &rule->match;
    if (rule->group_by & GROUP_KIND && only_kind(match))
        warn_constant(checked, "kind", "match.kind", only_kind(match));
    if (rule->group_by & GROUP_DEVICE && match_is_one_device(match))
        warn_constant(checked, "device", "match.device", match->devices[0]);
    if (rule->group_by & GROUP_ENDPOINT && match->n_endpoints == 1)
        warn_constant(checked, "endpoint", "match.endpoint", match->endpoints[0]);
    for (size_t i = 0; i < rule->n_group_layers; i++)
        if (match->area_layer && match->n_area_codes == 1 && strcmp(match->area_layer, rule->group_layers[i]) == 0)
            warn_constant(checked, match->area_layer, "match.area.code", match->area_codes[0]);
}

/* Any word can be a layer name, even a misspelt one. */
static void warn_misspelt(const struct incident_rule *checked)
{
    const struct schema_key *key = schema_find("rules[].incident", "group_by");
    for (size_t i = 0; i < checked->rule->n_group_layers; i++) {
        const char *layer = checked->rule->group_layers[i], *word;
        unsigned bit;
        for (unsigned k = 0; (word = key->word(k, &bit)); k++)
            if (word_distance(layer, word) < WORDS_DIFFER)
                warn(checked, "group_by", grouping_node(checked, layer),
                     "%s is read as a layer name, did you mean %s? (expected a layer or one of the words)",
                     quoted(layer).text, word);
    }
}

static void warn_times(const struct incident_rule *checked)
{
    const struct incident_terms *terms = &checked->rule->terms;
    const struct conf_match *match = &checked->rule->match;
    bool of_cameras = match->n_labels || match->n_camera_zones || match->image == 1 || !isnan(match->score_min) ||
                      !isnan(match->score_below);
    const struct node *gap = node_value(checked->incident, "gap"), *max_age = node_value(checked->incident, "max_age");
    if (terms->gap_us <= REPEAT_US && match_kinds(match) & KINDS_REPEATED && !of_cameras)
        warn(
            checked, "gap", gap,
            "%s is not longer than 4h, after which devices repeat an active condition: each repeat creates an incident "
            "(expected more, such as 4h30m)",
            quoted(gap->text).text);
    if (max_age && terms->max_age_us < terms->gap_us)
        warn(checked, "max_age", max_age, "%s is shorter than gap, which then has no effect (expected at least %s)",
             quoted(max_age->text).text, value_duration_text(terms->gap_us).text);
}

static void warn_moved_over(const struct incident_rule *checked)
{
    const struct node *moved_over = node_value(checked->incident, "moved_over");
    if (moved_over && !(checked->rule->group_by & GROUP_DEVICE))
        warn(checked, "moved_over", moved_over,
             "%s applies to a single device, but here several may share an incident (expected device in group_by)",
             quoted(moved_over->text).text);
}

static void warn_verify_by(const struct incident_rule *checked)
{
    const struct incident_terms *terms = &checked->rule->terms;
    const struct node *verify_by = node_value(checked->incident, "verify_by"), *to = node_value(verify_by, "priority");
    if (verify_by && terms->category != CATEGORY_ALARM)
        warn(checked, "verify_by", verify_by, "has no effect: only alarms are verified (expected category: alarm)");
    else if (verify_by && checked->rule->group_by & GROUP_INPUT)
        warn(checked, "verify_by", verify_by,
             "a second input verifies nothing, since group_by makes it an incident of its own; a second device does "
             "(expected group_by without input)");
    if (to && terms->verify_priority >= terms->priority)
        warn(checked, "verify_by.priority", to,
             "%s is not more urgent than the rule's priority %d (expected a lower number)", quoted(to->text).text,
             terms->priority);
}

/* The first rule before the i-th that matches everything the i-th does; NULL if there is none. */
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

/* The same for several rules that together match all its kinds: the last of them that is needed. */
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
                            "is never reached: the rule on line %zu matches all its alerts (expected before that rule)",
                            one->pos.line);
    if (last)
        diagnostics_warning(diagnostics, list->items[i]->pos, path.text,
                            "is never reached: the rules up to line %zu match all its alerts (expected before them)",
                            last->pos.line);
}

/* Whether the rule may match a raise from an unregistered device without creating an alarm. Rules for drills and with
 * camera conditions are ignored. */
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

/* The kinds among panic and holdup for which the i-th rule keeps unregistered devices from an alarm that a later rule
 * would create; *ret_later is the first such rule. */
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
                        "%s of unregistered devices never reach the alarm rule on line %zu (expected a rule for kind: "
                        "[panic, holdup] with category: alarm before this one)",
                        hidden == BIT(KIND_PANIC)    ? "panics"
                        : hidden == BIT(KIND_HOLDUP) ? "holdups"
                                                     : "panics and holdups",
                        list->items[later]->pos.line);
}

/* The kinds whose alerts are all matched by some rule, whether or not an alert is a drill, or has an image, a location
 * or a registered device: for each of these conditions, two rules may each match one half. */
static uint32_t matched_kinds(const struct conf *conf)
{
    uint32_t matched = MATCH_KINDS_ALL;
    for (int half = 0; half < 16; half++) {
        const struct conf_match some = {.registered = half & 1,
                                        .located = half >> 1 & 1,
                                        .drill = half >> 2 & 1,
                                        .image = half >> 3,
                                        .score_min = NAN,
                                        .score_below = NAN};
        uint32_t kinds = 0;
        for (size_t i = 0; i < conf->n_rules; i++)
            if (match_covers(conf, &conf->rules[i].match, &some))
                kinds |= match_kinds(&conf->rules[i].match);
        matched &= kinds;
    }
    return matched;
}

static void warn_unmatched(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf)
{
    static const struct source_pos top = {1, 1};
    if (conf->n_rules == 0)
        diagnostics_warning(
            diagnostics, list ? list->pos : top, "rules",
            "none defined: every alert is only stored (expected a list of rules, the last without match)");
    else if (matched_kinds(conf) != MATCH_KINDS_ALL)
        diagnostics_warning(diagnostics, list->items[conf->n_rules - 1]->pos, "rules",
                            "alerts that match no rule are only stored (expected a last rule without match)");
}

void warn_rules(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf)
{
    static void (*const warnings[])(const struct incident_rule *) = {warn_constants, warn_misspelt, warn_times,
                                                                     warn_moved_over, warn_verify_by};
    for (size_t i = 0; i < conf->n_rules; i++) {
        struct loader_path path = loader_path_item("rules", list->items[i], i);
        const struct incident_rule checked = {diagnostics, &conf->rules[i], node_value(list->items[i], "incident"),
                                              path.text};
        warn_unreached(diagnostics, list, conf, i);
        warn_hidden(diagnostics, list, conf, i);
        for (size_t k = 0; checked.incident && k < ARRAY_LEN(warnings); k++)
            warnings[k](&checked);
    }
    warn_unmatched(diagnostics, list, conf);
}
