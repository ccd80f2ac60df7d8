/* Warnings about names in the rules that only the database knows. */
#include <string.h>

#include "conf/check_rules.h"

struct name_check {
    struct diagnostics *diagnostics;
    const struct conf_names *names;
    struct loader_path path; /* of the rule */
};

static void warn_if_unknown(const struct name_check *check, const char *key, enum conf_name what,
                            const struct node *node, const char *layer)
{
    static const char *const expected[] = {[CONF_NAME_LAYER] = "expected a layer with areas in the database",
                                           [CONF_NAME_AREA] = "expected an area of that layer in the database",
                                           [CONF_NAME_GROUP] = "expected a group with devices in the database",
                                           [CONF_NAME_TEAM] = "expected a team in the database",
                                           [CONF_NAME_VIEWED_TEAM] = "expected a person of this team, or of all teams"};
    static const char *const wrong[] = {[CONF_NAME_LAYER] = "is unknown: it has 0 areas",
                                        [CONF_NAME_AREA] = "is unknown",
                                        [CONF_NAME_GROUP] = "is unknown",
                                        [CONF_NAME_TEAM] = "is unknown",
                                        [CONF_NAME_VIEWED_TEAM] = "may be seen by no person"};
    if (!check->names->known(check->names->ctx, what, node->text, layer))
        diagnostics_warning(check->diagnostics, node->pos, loader_path_key(check->path.text, key).text, "%s %s (%s)",
                            quoted(node->text).text, wrong[what], expected[what]);
}

/* Checks a text, or each text of a list. */
static void warn_each_unknown(const struct name_check *check, const char *key, enum conf_name what,
                              const struct node *value, const char *layer)
{
    for (size_t i = 0; value && value->kind == NODE_LIST && i < value->n; i++)
        warn_if_unknown(check, key, what, value->items[i], layer);
    if (value && value->kind == NODE_TEXT)
        warn_if_unknown(check, key, what, value, layer);
}

static void warn_unknown_layers(const struct name_check *check, const struct conf_rule *rule, const struct node *value)
{
    for (size_t i = 0; i < rule->n_group_layers; i++) {
        const struct node *node = value;
        for (size_t k = 0; value->kind == NODE_LIST && k < value->n; k++)
            if (strcmp(value->items[k]->text, rule->group_layers[i]) == 0)
                node = value->items[k];
        warn_if_unknown(check, "incident.group_by", CONF_NAME_LAYER, node, NULL);
    }
}

void warn_names(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf,
                const struct conf_names *names)
{
    for (size_t i = 0; i < conf->n_rules; i++) {
        const struct conf_rule *rule = &conf->rules[i];
        const struct node *item = list->items[i], *match = node_value(item, "match");
        const struct node *area = node_value(match, "area"), *incident = node_value(item, "incident");
        const struct name_check check = {diagnostics, names, loader_path_item("rules", item, i)};
        warn_each_unknown(&check, "match.group", CONF_NAME_GROUP, node_value(match, "group"), NULL);
        warn_each_unknown(&check, "match.area.layer", CONF_NAME_LAYER, node_value(area, "layer"), NULL);
        warn_each_unknown(&check, "match.area.code", CONF_NAME_AREA, node_value(area, "code"), rule->match.area_layer);
        warn_each_unknown(&check, "incident.team", CONF_NAME_TEAM, node_value(incident, "team"), NULL);
        warn_each_unknown(&check, "incident.team", CONF_NAME_VIEWED_TEAM, node_value(incident, "team"), NULL);
        warn_unknown_layers(&check, rule, node_value(incident, "group_by"));
    }
}
