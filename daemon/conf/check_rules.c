#include "conf/check_rules.h"

#include <string.h>

#include "base/nearest.h"

static bool endpoint_exists(const struct node *endpoints, const char *name)
{
    for (size_t i = 0; i < endpoints->n; i++) {
        const struct node *other = node_value(endpoints->items[i], "name");
        if (other && other->kind == NODE_TEXT && strcmp(other->text, name) == 0)
            return true;
    }
    return false;
}

static const char *endpoint_name(const void *ctx, size_t i)
{
    const struct conf *conf = ctx;
    if (i >= conf->n_endpoints)
        return NULL;
    return conf->endpoints[i].name ? conf->endpoints[i].name : "";
}

static void check_endpoint(struct diagnostics *diagnostics, const struct conf *conf, const struct node *endpoints,
                           const struct node *name, const char *path)
{
    struct buf names = {0};
    if (name->kind != NODE_TEXT || endpoint_exists(endpoints, name->text))
        return;
    for (size_t i = 0; i < conf->n_endpoints && names.len < 200; i++)
        if (conf->endpoints[i].name)
            buf_printf(&names, "%s%s", names.len ? ", " : "", conf->endpoints[i].name);
    const char *nearest = nearest_word(name->text, endpoint_name, conf);
    diagnostics_error(diagnostics, name->pos, loader_path_key(path, "match.endpoint").text,
                      "%s is not an endpoint%s%s%s (expected %.*s)", quoted(name->text).text,
                      nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "", (int)names.len,
                      names.len ? names.data : "");
    buf_free(&names);
}

static void check_endpoints(struct diagnostics *diagnostics, const struct conf *conf, const struct node *root,
                            const struct node *named, const char *path)
{
    /* A list that was rejected as a whole has not been loaded. */
    const struct node *endpoints = conf->endpoints ? node_value(root, "endpoints") : NULL;
    if (!named || !endpoints)
        return;
    if (named->kind != NODE_LIST)
        check_endpoint(diagnostics, conf, endpoints, named, path);
    for (size_t i = 0; named->kind == NODE_LIST && i < named->n; i++)
        check_endpoint(diagnostics, conf, endpoints, named->items[i], path);
}

/* A rule needs exactly one of action and incident. */
static void check_decision(struct diagnostics *diagnostics, const struct node *item, const char *path)
{
    const struct node *action = node_key(item, "action"), *incident = node_key(item, "incident");
    if (!action && !incident)
        diagnostics_error(diagnostics, item->pos, path, "has no effect (expected action: store, or an incident)");
    if (action && incident)
        diagnostics_error(diagnostics, incident->pos, loader_path_key(path, "incident").text,
                          "cannot be combined with action (expected action: store, or an incident)");
}

static void check_rule(struct diagnostics *diagnostics, const struct conf *conf, const struct node *root,
                       const struct node *list, size_t i)
{
    const struct node *item = list->items[i], *match = node_value(item, "match");
    const struct node *score = node_value(match, "score");
    const struct conf_match *loaded = &conf->rules[i].match;
    struct loader_path path = loader_path_item("rules", item, i);
    if (item->kind != NODE_MAP)
        return;
    loader_check_name(diagnostics, list, i, path.text);
    check_decision(diagnostics, item, path.text);
    check_endpoints(diagnostics, conf, root, node_value(match, "endpoint"), path.text);
    if (score && score->kind == NODE_MAP && score->n == 0)
        diagnostics_error(diagnostics, score->pos, loader_path_key(path.text, "match.score").text,
                          "is empty (expected min or below)");
    if (score && score->kind == NODE_MAP && loaded->score_min >= loaded->score_below)
        diagnostics_error(diagnostics, score->pos, loader_path_key(path.text, "match.score").text,
                          "matches no score (expected min lower than below)");
}

void check_rules(struct diagnostics *diagnostics, const struct node *root, const struct conf *conf,
                 const struct conf_names *names)
{
    const struct node *list = node_value(root, "rules");
    for (size_t i = 0; i < conf->n_rules; i++)
        check_rule(diagnostics, conf, root, list, i);
    if (diagnostics->bad)
        return;
    warn_rules(diagnostics, list, conf);
    if (names)
        warn_names(diagnostics, list, conf, names);
}
