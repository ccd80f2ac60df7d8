/* Names in the rules that only the database knows. */
#include <string.h>

#include "conf/check_rules.h"

struct asked {
    struct diagnostics *diagnostics;
    const struct conf_names *names;
    struct loader_path path; /* of the rule */
};

static void ask(const struct asked *asked, const char *key, enum conf_name what, const struct node *node,
                const char *layer)
{
    static const char *const where[] = {[CONF_NAME_LAYER] = "no area of the database is in that layer",
                                        [CONF_NAME_AREA] = "that layer of the database has no such area",
                                        [CONF_NAME_GROUP] = "no device of the database is in that group",
                                        [CONF_NAME_TEAM] = "the database has no such team"};
    if (!asked->names->known(asked->names->ctx, what, node->text, layer))
        diagnostics_warning(asked->diagnostics, node->pos, loader_path_key(asked->path.text, key).text,
                            "%s is unknown (%s)", quoted(node->text).text, where[what]);
}

/* A text, each of a list of texts, or nothing. */
static void ask_each(const struct asked *asked, const char *key, enum conf_name what, const struct node *value,
                     const char *layer)
{
    for (size_t i = 0; value && value->kind == NODE_LIST && i < value->n; i++)
        ask(asked, key, what, value->items[i], layer);
    if (value && value->kind == NODE_TEXT)
        ask(asked, key, what, value, layer);
}

static void ask_grouping(const struct asked *asked, const struct conf_rule *rule, const struct node *value)
{
    for (size_t i = 0; i < rule->n_group_layers; i++) {
        const struct node *node = value;
        for (size_t k = 0; value->kind == NODE_LIST && k < value->n; k++)
            if (strcmp(value->items[k]->text, rule->group_layers[i]) == 0)
                node = value->items[k];
        ask(asked, "incident.group_by", CONF_NAME_LAYER, node, NULL);
    }
}

void warn_names(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf,
                const struct conf_names *names)
{
    for (size_t i = 0; i < conf->n_rules; i++) {
        const struct conf_rule *rule = &conf->rules[i];
        const struct node *item = list->items[i], *match = node_value(item, "match");
        const struct node *area = node_value(match, "area"), *incident = node_value(item, "incident");
        const struct asked asked = {diagnostics, names, loader_path_item("rules", item, i)};
        ask_each(&asked, "match.group", CONF_NAME_GROUP, node_value(match, "group"), NULL);
        ask_each(&asked, "match.area.layer", CONF_NAME_LAYER, node_value(area, "layer"), NULL);
        ask_each(&asked, "match.area.code", CONF_NAME_AREA, node_value(area, "code"), rule->match.area_layer);
        ask_each(&asked, "incident.team", CONF_NAME_TEAM, node_value(incident, "team"), NULL);
        ask_grouping(&asked, rule, node_value(incident, "group_by"));
    }
}
