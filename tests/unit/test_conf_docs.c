/* The reference, the man page and the samples match the table of keys: every key, and no other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/diagnostics.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "conf/tree.h"

#define SAMPLE    MOBEYE_SOURCE "/config/mobeyed.yaml"
#define CLIENTS   MOBEYE_SOURCE "/config/clients.yaml"
#define REFERENCE MOBEYE_SOURCE "/config/README.md"
#define MAN       MOBEYE_SOURCE "/config/man/mobeyed.yaml.5"

static char *read_text(const char *path)
{
    struct buf text = {0};
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    for (size_t got = 1; got > 0; text.len += got)
        got = fread(buf_reserve(&text, 4096), 1, 4096, file);
    fclose(file);
    buf_printf(&text, "%c", '\0');
    return text.data;
}

/* The name in the documents: a key of the client list without its scope. */
static const char *shown(const struct schema_key *key)
{
    size_t len = sizeof(SCHEMA_CLIENTS ".") - 1;
    return strncmp(key->path, SCHEMA_CLIENTS ".", len) == 0 ? key->path + len : key->path;
}

/* The row of the reference expected for a key. free() it. */
static char *row_of(const struct schema_key *key)
{
    struct buf row = {0};
    buf_printf(&row, "| `%s` | ", shown(key));
    schema_expected(key, &row);
    if (key->type == SCHEMA_SECTION)
        buf_printf(&row, " | |");
    else if (key->fallback)
        buf_printf(&row, " | `%s` |", key->fallback);
    else
        buf_printf(&row, " | %s |", key->required ? "required" : "none");
    if (key->type == SCHEMA_SECTION)
        buf_printf(&row, " |");
    else
        buf_printf(&row, " %s |", key->restart ? "restart" : "reload");
    buf_printf(&row, " %s |\n%c", key->about, '\0');
    return row.data;
}

Test(conf_docs, the_reference_has_the_row_of_every_key)
{
    const struct schema_key *key;
    char *text = read_text(REFERENCE);
    for (size_t i = 0; (key = schema_key(i)); i++) {
        char *row = row_of(key);
        cr_expect_not_null(strstr(text, row), "config/README.md lacks this row:\n%s", row);
        free(row);
    }
    free(text);
}

Test(conf_docs, the_reference_has_no_other_rows)
{
    const struct schema_key *key;
    char *text = read_text(REFERENCE);
    for (char *at = text; (at = strstr(at, "\n| `")); at++) {
        char path[128] = "";
        sscanf(at + 4, "%127[^`]", path);
        bool known = false;
        for (size_t i = 0; (key = schema_key(i)); i++)
            known = known || strcmp(shown(key), path) == 0;
        cr_expect(known, "config/README.md explains %s, which is not a key", path);
    }
    free(text);
}

/* The entry of a key in the man page: the text from its .It to the next. free() it. */
static char *man_item(const char *text, const char *path)
{
    char head[128];
    snprintf(head, sizeof(head), "\n.It Cm %s\n", path);
    const char *at = strstr(text, head);
    if (!at)
        return NULL;
    const char *end = strstr(at + 1, "\n.It "), *list_end = strstr(at + 1, "\n.El");
    if (!end || (list_end && list_end < end))
        end = list_end;
    return end ? mem_strndup(at, (size_t)(end - at)) : mem_strdup(at);
}

Test(conf_docs, the_man_page_has_every_key_with_its_default)
{
    const struct schema_key *key;
    char *text = read_text(MAN);
    for (size_t i = 0; (key = schema_key(i)); i++) {
        char expected[128] = "";
        char *item = man_item(text, shown(key));
        cr_expect_not_null(item, "mobeyed.yaml.5 lacks %s", key->path);
        if (!item)
            continue;
        if (key->fallback)
            snprintf(expected, sizeof(expected), "Default: %s.", key->fallback);
        else if (key->required)
            snprintf(expected, sizeof(expected), "Required.");
        cr_expect_not_null(strstr(item, expected), "mobeyed.yaml.5, %s: lacks \"%s\"", key->path, expected);
        cr_expect_eq(key->restart, strstr(item, "needs a restart") != NULL, "mobeyed.yaml.5, %s", key->path);
        free(item);
    }
    free(text);
}

Test(conf_docs, the_man_page_has_no_other_keys)
{
    const struct schema_key *key;
    char *text = read_text(MAN);
    for (char *at = text; (at = strstr(at, "\n.It Cm ")); at++) {
        char path[128] = "";
        sscanf(at + 8, "%127s", path);
        bool known = false;
        for (size_t i = 0; (key = schema_key(i)); i++)
            known = known || strcmp(shown(key), path) == 0;
        cr_expect(known, "mobeyed.yaml.5 explains %s, which is not a key", path);
    }
    free(text);
}

static void expect_no_diagnostics(const char *what, struct conf *conf, struct buf *diagnostics)
{
    cr_expect_not_null(conf, "%s", what);
    cr_expect_eq(diagnostics->len, 0, "%s:\n%.*s", what, (int)diagnostics->len,
                 diagnostics->len ? diagnostics->data : "");
    conf_free(&conf);
    buf_free(diagnostics);
}

/* The sample with every setting enabled: each # that is not followed by a space is removed. free() it. */
static char *all_set(const char *file)
{
    char *text = read_text(file), *to = text;
    bool indent = true;
    for (const char *from = text; *from; from++) {
        bool off = indent && *from == '#' && from[1] != ' ' && from[1] != '\n';
        indent = *from == '\n' || (indent && *from == ' ');
        if (!off)
            *to++ = *from;
    }
    *to = '\0';
    return text;
}

Test(conf_docs, the_sample_loads_as_it_is_shipped)
{
    struct buf diagnostics = {0};
    struct conf *conf = conf_load(SAMPLE, &diagnostics);
    expect_no_diagnostics("as shipped", conf, &diagnostics);
}

/* Without its [], as the file instructs. free() it. */
static char *clients_with_all_set(void)
{
    char *text = all_set(CLIENTS), *empty = strstr(text, "clients: []");
    cr_assert_not_null(empty);
    memcpy(empty, "clients:   ", 11);
    return text;
}

Test(conf_docs, the_sample_of_clients_loads)
{
    struct buf diagnostics = {0};
    struct conf *conf = mem_zalloc(sizeof(*conf));
    char *text = clients_with_all_set();
    cr_expect_eq(conf_parse_clients(conf, "clients", text, strlen(text), &diagnostics), 0);
    cr_expect_eq(conf->n_clients, 2);
    expect_no_diagnostics("clients with all set", conf, &diagnostics);
    free(text);
    conf = mem_zalloc(sizeof(*conf));
    text = read_text(CLIENTS);
    cr_expect_eq(conf_parse_clients(conf, "clients", text, strlen(text), &diagnostics), 0, "as shipped");
    cr_expect_eq(conf->n_clients, 0);
    conf_free(&conf);
    buf_free(&diagnostics);
    free(text);
}

Test(conf_docs, the_sample_loads_with_all_set)
{
    struct buf diagnostics = {0};
    char *text = all_set(SAMPLE);
    struct conf *conf = conf_parse("sample", text, strlen(text), &diagnostics);
    expect_no_diagnostics("with all set", conf, &diagnostics);
    free(text);
}

#define KEYS_MAX 256

/* Marks the keys found in a mapping and below it. A value that is a default must equal the one in the table; lists have
 * no defaults. */
static void walk(const struct node *map, const char *scope, bool seen[KEYS_MAX])
{
    const struct schema_key *key;
    const char *name;
    for (size_t i = 0; (key = schema_key(i)); i++) {
        const struct node *value = schema_in_scope(key, scope, &name) ? node_value(map, name) : NULL;
        if (!value)
            continue;
        seen[i] = true;
        if (key->fallback && value->kind == NODE_TEXT)
            cr_expect_str_eq(value->text, key->fallback, "%s", key->path);
        if (key->type == SCHEMA_SECTION)
            walk(value, schema_scope(key).text, seen);
        for (size_t k = 0; key->type == SCHEMA_LIST && k < value->n; k++)
            walk(value->items[k], schema_scope(key).text, seen);
    }
}

Test(conf_docs, the_sample_has_every_key_with_its_default)
{
    const struct schema_key *key;
    bool seen[KEYS_MAX] = {false};
    struct diagnostics diagnostics = {0};
    char *text = all_set(SAMPLE), *clients = clients_with_all_set();
    struct node *root = tree_parse(text, strlen(text), &diagnostics);
    struct node *list = tree_parse(clients, strlen(clients), &diagnostics);
    cr_assert(root && list);
    walk(root, "", seen);
    walk(list, SCHEMA_CLIENTS, seen);
    for (size_t i = 0; (key = schema_key(i)); i++) {
        cr_assert_lt(i, KEYS_MAX);
        cr_expect(seen[i], "the samples lack %s", key->path);
    }
    node_free(&root);
    node_free(&list);
    free(clients);
    diagnostics_free(&diagnostics);
    free(text);
}

Test(conf_table, keys_that_need_a_restart_are_texts)
{
    const struct schema_key *key;
    for (size_t i = 0; (key = schema_key(i)); i++)
        if (key->restart)
            cr_expect(key->size == sizeof(char *) && !strchr(key->path, '['), "%s: conf_needs_restart()", key->path);
}

Test(conf_table, sections_come_before_their_keys_and_each_key_once)
{
    const struct schema_key *key, *other;
    for (size_t i = 0; (key = schema_key(i)); i++) {
        const char *dot = strrchr(key->path, '.');
        bool parent = !dot || strcmp(key->path, SCHEMA_CLIENTS ".clients") == 0; /* the root of another file */
        for (size_t k = 0; k < i && (other = schema_key(k)); k++) {
            cr_expect_str_neq(key->path, other->path);
            struct schema_scope scope = schema_scope(other);
            parent = parent || (strlen(scope.text) == (size_t)(dot - key->path) &&
                                strncmp(scope.text, key->path, strlen(scope.text)) == 0);
        }
        cr_expect(parent, "%s has no section before it", key->path);
        cr_expect_eq(key->about[strlen(key->about) - 1], '.', "%s: does not end with a full stop", key->path);
    }
}
