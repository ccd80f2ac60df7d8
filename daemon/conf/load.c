#include "conf/load.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "conf/loader.h"

struct loader_path loader_path_key(const char *parent, const char *name)
{
    struct loader_path path;
    snprintf(path.text, sizeof(path.text), "%s%s%s", parent, *parent ? "." : "", name);
    return path;
}

/* Whether a name can be part of a path unchanged. */
static bool is_usable(const char *name)
{
    bool usable = *name && strlen(name) <= 64;
    for (const char *p = name; usable && *p; p++)
        usable = isalnum((unsigned char)*p) || strchr("_-", *p);
    return usable;
}

struct loader_path loader_path_item(const char *list, const struct node *item, size_t i)
{
    struct loader_path path;
    const struct node *name = node_value(item, "name");
    if (name && name->kind == NODE_TEXT && is_usable(name->text))
        return loader_path_key(list, name->text);
    snprintf(path.text, sizeof(path.text), "%s[%zu]", list, i + 1);
    return path;
}

/* Repeats only the part of an unknown key that could be a name: it may be a misplaced secret. */
static void unknown_key_error(struct diagnostics *diagnostics, const char *scope, const char *path,
                              const struct node *key)
{
    char name[33];
    struct buf allowed = {0};
    if (diagnostics->n == DIAGNOSTICS_MAX) {
        diagnostics_error(diagnostics, key->pos, path, "unknown key (expected a known one)");
        return;
    }
    size_t len = strspn(key->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1), key->text);
    const struct schema_key *meant = schema_meant(scope, name);
    const char *own = NULL;
    if (meant && !schema_in_scope(meant, scope, &own))
        own = meant->path;
    schema_names(scope, "or", &allowed);
    diagnostics_error(diagnostics, key->pos, loader_path_key(path, *name ? name : "?").text,
                      "unknown key%s%s%s (expected %.*s)", meant ? ", did you mean " : "", meant ? own : "",
                      meant ? "?" : "", (int)allowed.len, allowed.data);
    buf_free(&allowed);
}

static void item_error(const struct loader_target *list, const char *path, struct source_pos pos)
{
    struct buf names = {0};
    schema_names(schema_scope(list->key).text, "and", &names);
    diagnostics_error(list->diagnostics, pos, path, "is not a mapping (expected a mapping; keys: %.*s)", (int)names.len,
                      names.data);
    buf_free(&names);
}

/* Allocates the array of structs for n items. NULL: an error was reported. */
static char *new_items(const struct loader_target *target, struct source_pos pos, size_t n)
{
    const struct schema_key *key = target->key;
    if ((int64_t)n < key->min || (int64_t)n > key->max) {
        loader_error(target, pos, "has %zu items", n);
        return NULL;
    }
    char *items = mem_zalloc(n * key->item_size);
    *(char **)(target->base + key->offset) = items;
    *(size_t *)(target->base + key->second) = n;
    return items;
}

static void load_list(const struct loader_target *target, const struct node *list)
{
    const struct schema_key *key = target->key;
    size_t n = list->n;
    char *items = new_items(target, list->pos, n);
    if (!items)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct node *item = list->items[i];
        struct loader_path path = loader_path_item(target->path, item, i);
        if (item->kind == NODE_MAP)
            loader_map(target->diagnostics, schema_scope(key).text, path.text, item->pos, item,
                       items + i * key->item_size);
        else if (item->kind != NODE_REFUSED)
            item_error(target, path.text, item->pos);
    }
}

static void load_named(const struct loader_target *target, const struct node *map)
{
    const struct schema_key *key = target->key;
    char *items = new_items(target, map->pos, map->n / 2);
    if (!items)
        return;
    for (size_t i = 0; i < map->n; i += 2) {
        const struct node *name = map->items[i], *item = map->items[i + 1], *first = node_key(map, name->text);
        char *base = items + i / 2 * key->item_size;
        struct loader_path path =
            loader_path_key(target->path, is_usable(name->text) ? name->text : quoted(name->text).text);
        *(char **)base = mem_strdup(name->text);
        if (first != name)
            diagnostics_error(target->diagnostics, name->pos, path.text,
                              "duplicate key, first defined on line %zu (expected each key once)", first->pos.line);
        else if (item->kind == NODE_MAP)
            loader_map(target->diagnostics, schema_scope(key).text, path.text, item->pos, item, base);
        else if (item->kind != NODE_REFUSED)
            item_error(target, path.text, item->pos);
    }
}

static void load_key(const struct loader_target *target, const struct node *value)
{
    enum schema_type type = target->key->type;
    enum node_kind wanted = type == SCHEMA_LIST ? NODE_LIST : NODE_MAP;
    if (type != SCHEMA_SECTION && type != SCHEMA_LIST && type != SCHEMA_NAMED) {
        loader_set(target, value);
        return;
    }
    if (value->kind == NODE_REFUSED)
        return;
    if (value->kind != wanted) {
        loader_error(target, value->pos, "%s",
                     node_is_null(value)        ? "has no value"
                     : value->kind == NODE_TEXT ? "is text"
                     : value->kind == NODE_LIST ? "is a list"
                                                : "is a mapping");
    } else if (type == SCHEMA_LIST) {
        load_list(target, value);
    } else if (type == SCHEMA_NAMED) {
        load_named(target, value);
    } else {
        loader_set_present(target);
        loader_map(target->diagnostics, target->key->path, target->path, value->pos, value, target->base);
    }
}

/* Unsets every key of an optional section that is absent. */
static void unset_below(const struct loader_target *section)
{
    const struct schema_key *key;
    const char *name;
    for (size_t i = 0; (key = schema_key(i)); i++) {
        if (!schema_in_scope(key, section->key->path, &name))
            continue;
        const struct loader_target target = {section->diagnostics, key, section->path, section->base};
        if (key->type == SCHEMA_SECTION)
            unset_below(&target);
        else
            loader_unset(&target);
    }
}

/* pos: the position of the mapping that lacks the key. */
static void load_absent(const struct loader_target *target, struct source_pos pos)
{
    const struct schema_key *key = target->key;
    if (key->required) {
        loader_error(target, pos, "is missing");
    } else if (key->optional) {
        unset_below(target);
    } else if (key->type == SCHEMA_SECTION) {
        loader_map(target->diagnostics, key->path, target->path, pos, NULL, target->base);
    } else if (key->fallback) {
        char text[64];
        snprintf(text, sizeof(text), "%s", key->fallback);
        loader_set(target, &(struct node){.kind = NODE_TEXT, .pos = pos, .plain = true, .text = text});
    } else {
        loader_unset(target);
    }
}

/* Loads the keys that the mapping has, then those that it lacks. */
void loader_map(struct diagnostics *diagnostics, const char *scope, const char *path, struct source_pos pos,
                const struct node *map, char *base)
{
    const struct schema_key *key;
    const char *name;
    for (size_t i = 0; map && i + 1 < map->n; i += 2) {
        const struct node *word = map->items[i];
        const struct node *first = node_key(map, word->text);
        key = schema_find(scope, word->text);
        struct loader_path full = loader_path_key(path, key ? word->text : "");
        if (!key)
            unknown_key_error(diagnostics, scope, path, word);
        else if (first != word)
            diagnostics_error(diagnostics, word->pos, full.text,
                              "duplicate key, first defined on line %zu (expected each key once)", first->pos.line);
        else
            load_key(&(struct loader_target){diagnostics, key, full.text, base}, map->items[i + 1]);
    }
    for (size_t i = 0; (key = schema_key(i)); i++) {
        if (!schema_in_scope(key, scope, &name) || node_key(map, name))
            continue;
        struct loader_path full = loader_path_key(path, name);
        load_absent(&(struct loader_target){diagnostics, key, full.text, base}, pos);
    }
}

/* Fills in the names of the rule and its team in the terms of each rule. */
static void name_terms(struct conf *conf)
{
    for (size_t i = 0; i < conf->n_rules; i++) {
        struct conf_rule *rule = &conf->rules[i];
        rule->terms.rule = str_from(rule->name);
        rule->terms.team = str_from(rule->team);
    }
}

/* Keeps the part of the file that determines what happens to alerts; the rest may be confidential. */
static void set_rules_text(struct conf *conf, const struct node *root, struct str text)
{
    struct buf kept = {0};
    struct str rules = node_text(root, "rules", text);
    buf_printf(&kept, "timezone: %s\n", conf->timezone);
    buf_append_str(&kept, rules);
    if (rules.len > 0)
        buf_printf(&kept, "\n");
    crypto_generichash(conf->rules_hash, sizeof(conf->rules_hash), (const unsigned char *)kept.data, kept.len, NULL, 0);
    conf->rules_text = mem_strndup(kept.data, kept.len);
    buf_free(&kept);
}

/* What conf_load_whole() adds to a source. */
struct daemon_source {
    const struct conf_names *names;
    conf_check_fn check;
    struct buf clients; /* diagnostics about the client list */
};

static void *load_tree(const struct loader_source *source, const struct node *root, struct str text,
                       struct diagnostics *diagnostics)
{
    static const struct source_pos top = {1, 1};
    struct daemon_source *more = source->ctx;
    struct conf *conf = mem_zalloc(sizeof(*conf));
    conf->file = mem_strdup(source->file);
    loader_map(diagnostics, "", "", top, root, (char *)conf);
    name_terms(conf);
    loader_check(diagnostics, root, conf, more->names);
    const struct node *conninfo = node_value(node_value(root, "database"), "conninfo");
    if (conninfo)
        conf->database.pos = conninfo->pos;
    if (!diagnostics->bad)
        set_rules_text(conf, root, text);
    bool good = !source->whole || loader_security(conf, diagnostics, &more->clients) == 0;
    if (more->check)
        more->check(conf, diagnostics);
    if (!good)
        conf_free(&conf);
    return conf;
}

static void free_tree(void *conf)
{
    conf_free(&(struct conf *){conf});
}

static const struct loader_program daemon_program = {SCHEMA_MOBEYED, "instance, database, journal and endpoints",
                                                     load_tree, free_tree};

struct conf *conf_parse(const char *file, const char *text, size_t len, struct buf *out)
{
    struct daemon_source more = {0};
    const struct loader_source source = {file, false, &more};
    return loader_parse(&daemon_program, &source, (struct str){text, len}, out);
}

static struct conf *load_file(const char *file, bool whole, const struct conf_names *names, conf_check_fn check,
                              struct buf *out)
{
    struct daemon_source more = {.names = names, .check = check};
    const struct loader_source source = {file, whole, &more};
    struct conf *conf = loader_load(&daemon_program, &source, out);
    buf_append_str(out, buf_str(&more.clients));
    buf_free(&more.clients);
    return conf;
}

struct conf *conf_load(const char *file, struct buf *out)
{
    return load_file(file, false, NULL, NULL, out);
}

struct conf *conf_load_whole(const char *file, const struct conf_names *names, conf_check_fn check, struct buf *out)
{
    return load_file(file, true, names, check, out);
}

static bool needs_restart(const struct schema_key *key)
{
    return key->restart && !*schema_file(key->path);
}

/* Keys that need a restart are texts: tests/unit/test_conf_docs.c checks that. */
static char **text_of(const struct conf *conf, const struct schema_key *key)
{
    return (char **)((char *)conf + key->offset);
}

void conf_keep_running(struct conf *running, struct conf *loaded)
{
    const struct schema_key *key;
    for (size_t i = 0; (key = schema_key(i)); i++) {
        if (!needs_restart(key))
            continue;
        char *kept = *text_of(running, key);
        *text_of(running, key) = *text_of(loaded, key);
        *text_of(loaded, key) = kept;
    }
}

bool conf_needs_restart(const struct conf *running, const struct conf *loaded, struct buf *out)
{
    const struct schema_key *key;
    bool differs = false;
    for (size_t i = 0; (key = schema_key(i)); i++) {
        if (!needs_restart(key))
            continue;
        const char *was = *text_of(running, key), *is = *text_of(loaded, key);
        if (was == is || (was && is && strcmp(was, is) == 0))
            continue;
        buf_printf(out, "%s: change requires a restart (running: %s, file: %s)\n", key->path, was ? was : "off",
                   is ? is : "off");
        differs = true;
    }
    return differs;
}
