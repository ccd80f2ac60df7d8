/* The reference, the man page and the samples match the table of keys: every key, and no other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf_board.h"
#include "conf/conf_frigate.h"
#include "conf/diagnostics.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "conf/tree.h"

static bool loads_frigate(const char *file, struct str text, struct buf *diagnostics)
{
    struct conf_frigate *conf = conf_frigate_parse(file, text, diagnostics);
    bool good = conf != NULL;
    conf_frigate_free(&conf);
    return good;
}

static bool loads_board(const char *file, struct str text, struct buf *diagnostics)
{
    struct conf_board *conf = conf_board_parse(file, text, diagnostics);
    bool good = conf != NULL;
    conf_board_free(&conf);
    return good;
}

#define SAMPLE    MOBEYE_SOURCE "/config/mobeyed.yaml"
#define CLIENTS   MOBEYE_SOURCE "/config/clients.yaml"
#define REFERENCE MOBEYE_SOURCE "/config/README.md"
#define MAN       MOBEYE_SOURCE "/config/man/mobeyed.yaml.5"

/* The other programs that have a configuration: the scope of its keys, its man page and its sample, and whether that
 * loads. They read it at start only, so that their rows of the reference do not say when a change takes effect. */
static const struct {
    const char *scope, *man, *sample;
    bool (*loads)(const char *file, struct str text, struct buf *diagnostics);
} others[] = {
    {SCHEMA_FRIGATE, MOBEYE_SOURCE "/config/man/mobeye-frigate.8", MOBEYE_SOURCE "/config/mobeye-frigate.yaml",
     loads_frigate},
    {SCHEMA_BOARD, MOBEYE_SOURCE "/config/man/mobeye-board.8", MOBEYE_SOURCE "/config/mobeye-board.yaml", loads_board},
};
#define N_OTHERS (sizeof(others) / sizeof(others[0]))

/* Whether a key is described in the man page of mobeyed.yaml. */
static bool is_of_mobeyed(const struct schema_key *key)
{
    const char *file = schema_file(key->path);
    return strcmp(file, SCHEMA_MOBEYED) == 0 || strcmp(file, SCHEMA_CLIENTS) == 0;
}

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

/* The name in the documents: a key without the scope of its file. */
static const char *shown(const struct schema_key *key)
{
    size_t len = strlen(schema_file(key->path));
    return len > 0 ? key->path + len + 1 : key->path;
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
    if (key->type == SCHEMA_SECTION && is_of_mobeyed(key))
        buf_printf(&row, " |");
    else if (is_of_mobeyed(key))
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

/* The man page at `page` describes a key: that of its own program. */
static bool is_of_page(const struct schema_key *key, const char *page)
{
    for (size_t i = 0; i < N_OTHERS; i++)
        if (strcmp(others[i].scope, schema_file(key->path)) == 0)
            return strcmp(page, others[i].man) == 0;
    return strcmp(page, MAN) == 0;
}

static void expect_keys_on_page(const char *page)
{
    const struct schema_key *key;
    char *text = read_text(page);
    for (size_t i = 0; (key = schema_key(i)); i++) {
        char expected[128] = "";
        if (!is_of_page(key, page))
            continue;
        char *item = man_item(text, shown(key));
        cr_expect_not_null(item, "%s lacks %s", page, key->path);
        if (!item)
            continue;
        if (key->fallback)
            snprintf(expected, sizeof(expected), "Default: %s.", key->fallback);
        else if (key->required)
            snprintf(expected, sizeof(expected), "Required.");
        cr_expect_not_null(strstr(item, expected), "%s, %s: lacks \"%s\"", page, key->path, expected);
        cr_expect_eq(key->restart, strstr(item, "needs a restart") != NULL, "%s, %s", page, key->path);
        free(item);
    }
    free(text);
}

Test(conf_docs, the_man_pages_have_every_key_with_its_default)
{
    expect_keys_on_page(MAN);
    for (size_t i = 0; i < N_OTHERS; i++)
        expect_keys_on_page(others[i].man);
}

static void expect_no_other_keys_on_page(const char *page)
{
    const struct schema_key *key;
    char *text = read_text(page);
    for (char *at = text; (at = strstr(at, "\n.It Cm ")); at++) {
        char path[128] = "";
        sscanf(at + 8, "%127s", path);
        bool known = false;
        for (size_t i = 0; (key = schema_key(i)); i++)
            known = known || (is_of_page(key, page) && strcmp(shown(key), path) == 0);
        cr_expect(known, "%s explains %s, which is not a key", page, path);
    }
    free(text);
}

Test(conf_docs, the_man_pages_have_no_other_keys)
{
    expect_no_other_keys_on_page(MAN);
    for (size_t i = 0; i < N_OTHERS; i++)
        expect_no_other_keys_on_page(others[i].man);
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

Test(conf_docs, the_samples_of_the_other_programs_load_as_shipped_and_with_all_set)
{
    for (size_t i = 0; i < N_OTHERS; i++) {
        struct buf diagnostics = {0};
        char *shipped = read_text(others[i].sample), *all = all_set(others[i].sample);
        cr_expect(others[i].loads("shipped", str_from(shipped), &diagnostics));
        cr_expect(others[i].loads("all set", str_from(all), &diagnostics));
        cr_expect_eq(diagnostics.len, 0, "%.*s", (int)diagnostics.len, diagnostics.len ? diagnostics.data : "");
        buf_free(&diagnostics);
        free(shipped);
        free(all);
    }
}

#define KEYS_MAX 256

/* Anyone who starts from the sample is told what is odd about the first alerts. */
static bool differs_on_purpose(const struct schema_key *key)
{
    return strcmp(key->path, "endpoints[].reply_flags") == 0;
}

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
        if (key->fallback && value->kind == NODE_TEXT && !differs_on_purpose(key))
            cr_expect_str_eq(value->text, key->fallback, "%s", key->path);
        if (key->type == SCHEMA_SECTION)
            walk(value, schema_scope(key).text, seen);
        for (size_t k = 0; key->type == SCHEMA_LIST && k < value->n; k++)
            walk(value->items[k], schema_scope(key).text, seen);
        for (size_t k = 1; key->type == SCHEMA_NAMED && k < value->n; k += 2)
            walk(value->items[k], schema_scope(key).text, seen);
    }
}

/* Cannot be in a file together with what the sample has: shown there as a comment. */
static bool is_alternative(const struct schema_key *key)
{
    return strncmp(key->path, SCHEMA_BOARD ".identity.secret", strlen(SCHEMA_BOARD ".identity.secret")) == 0 ||
           strcmp(key->path, SCHEMA_BOARD ".identity.fixed") == 0;
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
    for (size_t i = 0; i < N_OTHERS; i++) {
        char *other = all_set(others[i].sample);
        struct node *tree = tree_parse(other, strlen(other), &diagnostics);
        cr_assert_not_null(tree);
        walk(tree, others[i].scope, seen);
        node_free(&tree);
        free(other);
    }
    for (size_t i = 0; (key = schema_key(i)); i++) {
        cr_assert_lt(i, KEYS_MAX);
        cr_expect(seen[i] || is_alternative(key), "the samples lack %s", key->path);
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
        bool parent = !strpbrk(shown(key), ".");
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
