/* The files that the security section names: the daemon's secret key and the client list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "conf/load.h"
#include "conf/loader.h"
#include "conf/text.h"

/* A key and a line end, with room to spare: a longer file is certainly the wrong one. */
#define KEY_FILE_MAX 128

/* ---- the key ---- */

int conf_parse_key(const char *source, struct str text, char **ret, struct err *err)
{
    while (text.len > 0 && strchr(" \t\r\n", text.p[text.len - 1]) && text.p[text.len - 1])
        text.len--;
    if (text.len == 0)
        return err_set(err, "%s: is empty", source);
    char *key = mem_strndup(text.p, text.len);
    if (strlen(key) != text.len || text_check_key(key, err) != 0) {
        secret_free_text(&key);
        return err_set(err, "%s: does not contain a key", source);
    }
    *ret = key;
    return 0;
}

int conf_read_key(const char *source, char **ret, struct err *err)
{
    struct buf text = {0};
    int rc = secret_read(source, KEY_FILE_MAX, &text, err);
    if (rc == 0)
        rc = conf_parse_key(source, buf_str(&text), ret, err);
    secret_free(&text);
    return rc;
}

/* An unavailable credential is only a warning here, and an error when a socket is opened. */
static void load_key(const char *source, struct source_pos pos, const char *path, char **ret,
                     struct diagnostics *diagnostics)
{
    struct err err;
    if (!diagnostics_out_of_reach(diagnostics, pos, path, source) && conf_read_key(source, ret, &err) != 0) {
        /* One key in 85 begins like a path. */
        if (text_check_key(source, NULL) == 0 && access(source, F_OK) != 0)
            err_set(&err, "is not a file; it looks like the key itself");
        diagnostics_failure(diagnostics, pos, path, &err, "the secret key file that mobeyectl keygen wrote");
    }
}

static void load_keys(struct conf *conf, struct diagnostics *diagnostics)
{
    load_key(conf->security.server_key, conf->security.server_key_pos, "security.server_key", &conf->security.secret,
             diagnostics);
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        struct conf_endpoint *endpoint = &conf->endpoints[i];
        char path[128];
        snprintf(path, sizeof(path), "endpoints.%s.secret_key", endpoint->name ? endpoint->name : "");
        if (endpoint->curve && endpoint->secret_key)
            load_key(endpoint->secret_key, endpoint->secret_key_pos, path, &endpoint->own_secret, diagnostics);
        if (endpoint->curve)
            endpoint->secret = endpoint->secret_key ? endpoint->own_secret : conf->security.secret;
    }
}

/* ---- the clients ---- */

/* A value and its client. */
struct value {
    const struct node *node;
    const struct node *item;
    size_t i;
};

static int by_text(const void *left, const void *right)
{
    const struct value *a = left, *b = right;
    int order = strcmp(a->node->text, b->node->text);
    return order ? order : (a->i > b->i) - (a->i < b->i);
}

/* Reports values that more than one client has. */
static void check_unique(struct diagnostics *diagnostics, const struct node *list, const char *name, const char *what)
{
    struct value *values = mem_zalloc((list->n + 1) * sizeof(*values));
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct node *value = node_value(list->items[i], name);
        if (value && value->kind == NODE_TEXT)
            values[n++] = (struct value){.node = value, .item = list->items[i], .i = i};
    }
    qsort(values, n, sizeof(*values), by_text);
    for (size_t i = 1, first = 0; i < n; i++) {
        if (strcmp(values[i].node->text, values[first].node->text) != 0) {
            first = i;
            continue;
        }
        struct loader_path path = loader_path_item("clients", values[i].item, values[i].i);
        diagnostics_error(diagnostics, values[i].node->pos, loader_path_key(path.text, name).text,
                          "is already used on line %zu (expected a unique %s)", values[first].node->pos.line, what);
    }
    free(values);
}

static bool only_dc09(const struct conf_client *client)
{
    for (size_t i = 0; i < client->n_devices; i++)
        if (strncmp(client->devices[i], ALERT_DC09_PREFIX, sizeof(ALERT_DC09_PREFIX) - 1) != 0)
            return false;
    return true;
}

/* An alert is identified by source and id: a client that may use any source can use up the ids of another's alerts. */
static void warn_missing_sources(const struct conf *conf, const struct node *list, struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < conf->n_clients; i++) {
        const struct node *item = list->items[i];
        if (item->kind != NODE_MAP || node_key(item, "sources") || only_dc09(&conf->clients[i]))
            continue;
        struct loader_path path = loader_path_item("clients", item, i);
        diagnostics_warning(
            diagnostics, item->pos, loader_path_key(path.text, "sources").text,
            "is not set: the client may use the source of any sender (expected its own, such as \"/gateway-1/*\")");
    }
}

static void load_clients(struct conf *conf, const struct node *root, struct diagnostics *diagnostics)
{
    static const struct source_pos top = {1, 1};
    if (root->kind != NODE_MAP) {
        diagnostics_error(diagnostics, root->pos, "file", "is not a client list (expected clients: and a list)");
        return;
    }
    loader_map(diagnostics, SCHEMA_CLIENTS, "", top, root, (char *)conf);
    const struct node *list = node_value(root, "clients");
    if (!list || list->kind != NODE_LIST)
        return;
    check_unique(diagnostics, list, "name", "name");
    check_unique(diagnostics, list, "key", "key");
    if (!diagnostics->bad)
        warn_missing_sources(conf, list, diagnostics);
    if (list->n == 0)
        diagnostics_warning(diagnostics, list->pos, "clients",
                            "is empty: no client may send over CURVE (expected at least one client)");
}

static int by_key(const void *left, const void *right)
{
    const struct conf_client *a = left, *b = right;
    return strcmp(a->key, b->key);
}

int conf_parse_clients(struct conf *conf, const char *file, const char *text, size_t len, struct buf *out)
{
    static const struct source_pos top = {1, 1};
    struct diagnostics diagnostics = {0};
    struct node *root = tree_parse(text, len, &diagnostics);
    if (root)
        load_clients(conf, root, &diagnostics);
    else if (!diagnostics.bad)
        diagnostics_error(&diagnostics, top, "file", "is empty (expected clients: and a list)");
    if (!diagnostics.bad && conf->n_clients > 0)
        qsort(conf->clients, conf->n_clients, sizeof(*conf->clients), by_key);
    int rc = diagnostics.bad ? -1 : 0;
    diagnostics_write(&diagnostics, file, out);
    diagnostics_free(&diagnostics);
    node_free(&root);
    return rc;
}

/* The list is not secret, but anyone who can write to it can admit clients. */
static int read_clients(const char *file, struct buf *ret, struct err *err)
{
    struct stat st;
    struct err why;
    if (loader_read(file, ret, &why) != 0)
        return err_set(err, "%s: %s", file, why.text);
    if (stat(file, &st) != 0)
        return err_set(err, "%s: %s", file, strerror(errno));
    if (st.st_mode & S_IWOTH)
        return err_set(err, "%s: mode %04o lets every user write to it", file, (unsigned)(st.st_mode & 07777));
    return 0;
}

static bool is_listed(const struct conf *conf, const char *key)
{
    for (size_t i = 0; i < conf->n_clients; i++)
        if (strcmp(conf->clients[i].key, key) == 0)
            return true;
    return false;
}

/* The client list also applies to servers that the daemon connects to. */
static void warn_of_unregistered(const struct conf *conf, struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        const struct conf_endpoint *endpoint = &conf->endpoints[i];
        if (endpoint->server_key && endpoint->name && !is_listed(conf, endpoint->server_key))
            diagnostics_warning(
                diagnostics, endpoint->pos, loader_path_key("endpoints", endpoint->name).text,
                "its messages will not be accepted: no client in %s has its server_key (expected one with it)",
                conf->security.clients);
    }
}

int loader_security(struct conf *conf, struct diagnostics *diagnostics, struct buf *out)
{
    struct err err;
    struct buf text = {0};
    int rc = 0;
    if (conf->security.server_key)
        load_keys(conf, diagnostics);
    if (conf->security.clients && read_clients(conf->security.clients, &text, &err) != 0)
        diagnostics_failure(diagnostics, conf->security.clients_pos, "security.clients", &err, "a YAML file");
    else if (conf->security.clients)
        rc = conf_parse_clients(conf, conf->security.clients, text.data, text.len, out);
    if (rc == 0 && !diagnostics->bad)
        warn_of_unregistered(conf, diagnostics);
    buf_free(&text);
    return rc;
}
