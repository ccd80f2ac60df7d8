/* Checks across keys. The nodes give positions, the loaded configuration gives values. */
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/array.h"
#include "base/mem.h"
#include "conf/check_rules.h"
#include "conf/loader.h"
#include "conf/text.h"

struct conf_check {
    struct diagnostics *diagnostics;
    struct conf *conf;
    const struct node *endpoints; /* the list, item by item the same as in conf; NULL: nothing to check */
    bool security;                /* the file has a security section, valid or not */
    struct address *bound;        /* one for each endpoint; its host is empty if the endpoint does not bind */
};

static void check_pair(const struct conf_check *check, const struct node *item, const char *path)
{
    const struct node *bind = node_key(item, "bind"), *connect = node_key(item, "connect");
    if (!bind && !connect)
        diagnostics_error(check->diagnostics, item->pos, path, "has no address (expected bind or connect)");
    if (bind && connect)
        diagnostics_error(check->diagnostics, connect->pos, path,
                          "has two addresses (expected either bind or connect)");
}

static void check_collision(const struct conf_check *check, size_t i, const char *path)
{
    const struct node *item = check->endpoints->items[i];
    for (size_t other = 0; other < i; other++) {
        if (!*check->bound[other].host || !address_collides(&check->bound[other], &check->bound[i]))
            continue;
        diagnostics_error(check->diagnostics, node_pos(item, NULL, "bind"), loader_path_key(path, "bind").text,
                          "%s is already used by the endpoint on line %zu (expected a unique address)",
                          quoted(check->conf->endpoints[i].address).text, check->endpoints->items[other]->pos.line);
        return;
    }
}

static void check_bind(const struct conf_check *check, size_t i, const char *path)
{
    const struct conf_endpoint *endpoint = &check->conf->endpoints[i];
    const struct node *item = check->endpoints->items[i];
    struct address *address = &check->bound[i];
    if (!node_key(item, "bind") || node_key(item, "connect") || !endpoint->address ||
        address_bind(endpoint->address, address, NULL) != 0) {
        *address = (struct address){0};
        return;
    }
    if (!address_is_loopback(address) && !endpoint->plaintext_allow && !endpoint->curve)
        diagnostics_error(
            check->diagnostics, node_pos(item, NULL, "bind"), loader_path_key(path, "bind").text,
            "%s is not a loopback address and not encrypted (expected a loopback address, ipc://, %splaintext: allow)",
            quoted(endpoint->address).text, endpoint->socket == CONF_TCP ? "or " : "a security section, or ");
    check_collision(check, i, path);
}

void loader_check_name(struct diagnostics *diagnostics, const struct node *list, size_t i, const char *path)
{
    const struct node *name = node_value(list->items[i], "name");
    for (size_t other = 0; name && name->kind == NODE_TEXT && other < i; other++) {
        const struct node *earlier = node_value(list->items[other], "name");
        if (!earlier || earlier->kind != NODE_TEXT || strcmp(earlier->text, name->text) != 0)
            continue;
        diagnostics_error(diagnostics, name->pos, loader_path_key(path, "name").text,
                          "%s is already used on line %zu (expected a unique name)", quoted(name->text).text,
                          earlier->pos.line);
        return;
    }
}

static bool has_word(const struct node *item, const char *key, const char *word)
{
    const struct node *value = node_value(item, key);
    return value && value->kind == NODE_TEXT && strcmp(value->text, word) == 0;
}

/* Whether the key of the endpoint has one of the words that are allowed for it. */
static bool has_valid_word(const struct node *item, const char *key)
{
    const struct schema_key *schema = schema_find("endpoints[]", key);
    const char *word;
    unsigned value;
    for (unsigned i = 0; (word = schema->word(i, &value)); i++)
        if (has_word(item, key, word))
            return true;
    return false;
}

/* Keys that are valid for one kind of endpoint only. Not checked where socket or format is itself invalid. */
static void check_restricted_keys(const struct conf_check *check, const struct node *item, const char *path)
{
    static const struct {
        const char *name, *socket, *other_socket, *format, *message;
    } restricted[] = {
        {"topics", "sub", NULL, NULL, "is not allowed with this socket (expected socket: sub)"},
        {"connections", "tcp", NULL, NULL, "is not allowed with this socket (expected socket: tcp)"},
        {"idle", "tcp", NULL, NULL, "is not allowed with this socket (expected socket: tcp)"},
        {"reply_flags", "router", NULL, NULL, "is not allowed with this socket (expected socket: router)"},
        {"check_time", "tcp", "router", NULL, "is not allowed with this socket (expected socket: tcp or router)"},
        {"check_time", NULL, NULL, "sia-dc09", "is not allowed with this format (expected format: sia-dc09)"},
        {"require_encryption", NULL, NULL, "sia-dc09", "is not allowed with this format (expected format: sia-dc09)"},
        {"dc09_keys", NULL, NULL, "sia-dc09", "is not allowed with this format (expected format: sia-dc09)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(restricted); i++) {
        const struct node *key = node_key(item, restricted[i].name);
        bool other_socket = restricted[i].socket && has_valid_word(item, "socket") &&
                            !has_word(item, "socket", restricted[i].socket) &&
                            !(restricted[i].other_socket && has_word(item, "socket", restricted[i].other_socket));
        bool other_format =
            restricted[i].format && has_valid_word(item, "format") && !has_word(item, "format", restricted[i].format);
        if (key && (other_socket || other_format))
            diagnostics_error(check->diagnostics, key->pos, loader_path_key(path, restricted[i].name).text, "%s",
                              restricted[i].message);
    }
}

/* Raw TCP binds a numeric address and has one format. */
static void check_tcp(const struct conf_check *check, size_t i, const char *path)
{
    const struct node *item = check->endpoints->items[i];
    const struct node *connect = node_key(item, "connect"), *format = node_value(item, "format");
    const struct address *bound = &check->bound[i];
    if (!has_word(item, "socket", "tcp"))
        return;
    if (connect)
        diagnostics_error(check->diagnostics, connect->pos, loader_path_key(path, "connect").text,
                          "a tcp socket cannot connect (expected bind)");
    if (*bound->host && (bound->kind != ADDRESS_TCP || bound->name))
        diagnostics_error(check->diagnostics, node_pos(item, NULL, "bind"), loader_path_key(path, "bind").text,
                          "%s is valid for ZeroMQ only (expected tcp://HOST:PORT with an IPv4 address, [IPv6] or *)",
                          quoted(check->conf->endpoints[i].address).text);
    if (has_word(item, "format", "cloudevents"))
        diagnostics_error(check->diagnostics, format->pos, loader_path_key(path, "format").text,
                          "cloudevents is not available over raw TCP (expected sia-dc09)");
}

/* The keys about the peer of a tcp:// endpoint. */
static void check_peers(const struct conf_check *check, size_t i, const char *path)
{
    const struct node *item = check->endpoints->items[i];
    const struct node *server_key = node_key(item, "server_key"), *allow_from = node_key(item, "allow_from");
    const struct node *secret_key = node_key(item, "secret_key");
    const struct conf_endpoint *endpoint = &check->conf->endpoints[i];
    bool connects = node_key(item, "connect") != NULL;
    if (!endpoint->address)
        return;
    if (allow_from && strncmp(endpoint->address, "tcp://", 6) != 0)
        diagnostics_error(check->diagnostics, allow_from->pos, loader_path_key(path, "allow_from").text,
                          "is not allowed with this address (expected tcp://)");
    if (server_key && !(endpoint->curve && connects))
        diagnostics_error(
            check->diagnostics, server_key->pos, loader_path_key(path, "server_key").text,
            "is not allowed here (expected connect to tcp://, a security section and no plaintext: allow)");
    if (secret_key && !endpoint->curve)
        diagnostics_error(check->diagnostics, secret_key->pos, loader_path_key(path, "secret_key").text,
                          "is not allowed here (expected tcp://, a security section and no plaintext: allow)");
    if (!server_key && endpoint->curve && connects)
        diagnostics_error(check->diagnostics, item->pos, loader_path_key(path, "server_key").text,
                          "is missing (expected the public key of the server, or plaintext: allow)");
}

/* Whether the endpoint speaks CURVE because of the security section. */
static bool speaks_curve(const struct conf_check *check, const struct conf_endpoint *endpoint)
{
    return check->security && endpoint->socket != CONF_TCP && !endpoint->plaintext_allow && endpoint->address &&
           strncmp(endpoint->address, "tcp://", 6) == 0;
}

static void check_endpoint(const struct conf_check *check, size_t i)
{
    const struct node *item = check->endpoints->items[i];
    struct conf_endpoint *endpoint = &check->conf->endpoints[i];
    struct loader_path path = loader_path_item("endpoints", item, i);
    if (item->kind != NODE_MAP)
        return;
    endpoint->curve = speaks_curve(check, endpoint);
    loader_check_name(check->diagnostics, check->endpoints, i, path.text);
    check_pair(check, item, path.text);
    check_bind(check, i, path.text);
    check_restricted_keys(check, item, path.text);
    check_tcp(check, i, path.text);
    check_peers(check, i, path.text);
    endpoint->pos = node_pos(item, NULL, "server_key");
    endpoint->secret_key_pos = node_pos(item, NULL, "secret_key");
    endpoint->dc09_keys_pos = node_pos(item, NULL, "dc09_keys");
}

/* Both keys are required: CURVE without a client list would admit no client, or any client. */
static void check_security(struct diagnostics *diagnostics, const struct node *root, struct conf *conf)
{
    const struct node *key = node_key(root, "security"), *section = node_value(root, "security");
    static const char *const names[] = {"server_key", "clients"};
    if (!key)
        return;
    for (size_t i = 0; section->kind == NODE_MAP && i < ARRAY_LEN(names); i++)
        if (!node_key(section, names[i]))
            diagnostics_error(diagnostics, section->pos, loader_path_key("security", names[i]).text,
                              "is missing (expected %s)",
                              i == 0 ? "the file of the daemon's secret key" : "the file of the client list");
    conf->security.server_key_pos = node_pos(section, NULL, "server_key");
    conf->security.clients_pos = node_pos(section, NULL, "clients");
}

static void check_http(const struct conf_check *check, const struct node *root)
{
    struct address address;
    const char *text = check->conf->http_listen;
    const struct node *listen = node_value(node_value(root, "http"), "listen");
    if (!listen || !text || address_listen(text, &address, NULL) != 0)
        return;
    if (!address_is_loopback(&address))
        diagnostics_warning(
            check->diagnostics, listen->pos, "http.listen",
            "%s is not a loopback address: anyone who can connect can read it (expected a loopback address)",
            quoted(text).text);
    if (address.port == 0)
        diagnostics_warning(
            check->diagnostics, listen->pos, "http.listen",
            "%s: port 0 changes at every start, and neither mobeyectl nor Prometheus finds it (expected a port)",
            quoted(text).text);
    for (size_t i = 0; check->endpoints && i < check->endpoints->n; i++)
        if (*check->bound[i].host && address_collides(&check->bound[i], &address))
            diagnostics_error(check->diagnostics, listen->pos, "http.listen",
                              "%s is already used by the endpoint on line %zu (expected a unique address)",
                              quoted(text).text, check->endpoints->items[i]->pos.line);
}

/* The bounds of the sample: where the devices of Dutch patrols can be. */
static const double NETHERLANDS[4] = {3.2, 50.7, 7.3, 53.6};

static bool meets_netherlands(double west, double south, double east, double north)
{
    return west < NETHERLANDS[2] && east > NETHERLANDS[0] && south < NETHERLANDS[3] && north > NETHERLANDS[1];
}

/* With swapped coordinates every location would be flagged outside_bounds and none used. */
static void check_bounds(struct diagnostics *diagnostics, const struct node *root, const struct conf *conf)
{
    const double *b = conf->bounds;
    if (conf->has_bounds && !meets_netherlands(b[0], b[1], b[2], b[3]) && meets_netherlands(b[1], b[0], b[3], b[2]))
        diagnostics_warning(diagnostics, node_value(root, "bounds")->pos, "bounds",
                            "is far from the Netherlands; latitude and longitude seem to be swapped "
                            "(expected [west, south, east, north])");
}

void loader_check(struct diagnostics *diagnostics, const struct node *root, struct conf *conf,
                  const struct conf_names *names)
{
    struct conf_check check = {
        .diagnostics = diagnostics, .conf = conf, .security = node_key(root, "security") != NULL};
    /* A list that was rejected as a whole has not been loaded. */
    if (conf->endpoints)
        check.endpoints = node_value(root, "endpoints");
    check.bound = mem_zalloc((conf->n_endpoints + 1) * sizeof(*check.bound));
    for (size_t i = 0; check.endpoints && i < check.endpoints->n; i++)
        check_endpoint(&check, i);
    check_security(diagnostics, root, conf);
    check_http(&check, root);
    check_bounds(diagnostics, root, conf);
    check_rules(diagnostics, root, conf, names);
    free(check.bound);
}
