/* What only several keys together show. Nodes say where, the loaded configuration says what. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/address.h"
#include "conf/check_rules.h"
#include "conf/loader.h"

struct conf_check {
    struct diagnostics *diagnostics;
    struct conf *conf;
    const struct node *endpoints;   /* whose items go with conf's; NULL: there is none to check */
    bool security;                  /* the file has such a section, good or not */
    struct endpoint_address *bound; /* of each endpoint; an empty host where it binds nothing */
};

/* Where the value of a key of an item stands, or the item where it has none. */
static struct source_pos pos_of(const struct node *item, const char *key)
{
    const struct node *value = node_value(item, key);
    return value ? value->pos : item->pos;
}

static void check_pair(const struct conf_check *check, const struct node *item, const char *path)
{
    const struct node *bind = node_key(item, "bind"), *connect = node_key(item, "connect");
    if (!bind && !connect)
        diagnostics_error(check->diagnostics, item->pos, path, "has no address (bind or connect)");
    if (bind && connect)
        diagnostics_error(check->diagnostics, connect->pos, path, "has two addresses (bind or connect)");
}

static void check_collision(const struct conf_check *check, size_t i, const char *path)
{
    const struct node *item = check->endpoints->items[i];
    for (size_t other = 0; other < i; other++) {
        if (!*check->bound[other].host || !address_collides(&check->bound[other], &check->bound[i]))
            continue;
        diagnostics_error(check->diagnostics, pos_of(item, "bind"), loader_path_key(path, "bind").text,
                          "%s is taken by the endpoint in line %zu (an address of its own)",
                          quoted(check->conf->endpoints[i].address).text, check->endpoints->items[other]->pos.line);
        return;
    }
}

static void check_bind(const struct conf_check *check, size_t i, const char *path)
{
    const struct conf_endpoint *endpoint = &check->conf->endpoints[i];
    const struct node *item = check->endpoints->items[i];
    struct endpoint_address *address = &check->bound[i];
    if (!node_key(item, "bind") || node_key(item, "connect") || !endpoint->address ||
        address_bind(endpoint->address, address, NULL) != 0) {
        *address = (struct endpoint_address){0};
        return;
    }
    if (!address_is_loopback(address) && !endpoint->plaintext_allow && !endpoint->curve)
        diagnostics_error(
            check->diagnostics, pos_of(item, "bind"), loader_path_key(path, "bind").text,
            "%s is beyond loopback and not encrypted (an address of loopback, ipc://, %splaintext: allow)",
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
                          "%s is the name of another in line %zu (a name of its own)", quoted(name->text).text,
                          earlier->pos.line);
        return;
    }
}

static bool says(const struct node *item, const char *key, const char *word)
{
    const struct node *value = node_value(item, key);
    return value && value->kind == NODE_TEXT && strcmp(value->text, word) == 0;
}

static bool says_any(const struct node *item, const char *key)
{
    const struct node *value = node_value(item, key);
    return value && value->kind == NODE_TEXT;
}

/* Keys that mean something for one kind of endpoint only. A key of a kind that is itself wrong is not told again. */
static void check_owners(const struct conf_check *check, const struct node *item, const char *path)
{
    static const struct {
        const char *name, *socket, *other_socket, *format, *limiter;
    } owned[] = {
        {"topics", "sub", NULL, NULL, "belongs to another socket (socket: sub)"},
        {"connections", "tcp", NULL, NULL, "belongs to another socket (socket: tcp)"},
        {"idle", "tcp", NULL, NULL, "belongs to another socket (socket: tcp)"},
        {"check_time", "tcp", "router", NULL, "belongs to a socket that answers (socket: tcp or router)"},
        {"check_time", NULL, NULL, "sia-dc09", "belongs to another format (format: sia-dc09)"},
        {"require_encryption", NULL, NULL, "sia-dc09", "belongs to another format (format: sia-dc09)"},
        {"dc09_keys", NULL, NULL, "sia-dc09", "belongs to another format (format: sia-dc09)"},
    };
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        const struct node *key = node_key(item, owned[i].name);
        bool other_socket = owned[i].socket && says_any(item, "socket") && !says(item, "socket", owned[i].socket) &&
                            !(owned[i].other_socket && says(item, "socket", owned[i].other_socket));
        bool other_format = owned[i].format && says_any(item, "format") && !says(item, "format", owned[i].format);
        if (key && (other_socket || other_format))
            diagnostics_error(check->diagnostics, key->pos, loader_path_key(path, owned[i].name).text, "%s",
                              owned[i].limiter);
    }
}

/* Raw TCP waits at an address by number, and speaks one format. */
static void check_tcp(const struct conf_check *check, size_t i, const char *path)
{
    const struct node *item = check->endpoints->items[i];
    const struct node *connect = node_key(item, "connect"), *format = node_value(item, "format");
    const struct endpoint_address *bound = &check->bound[i];
    if (!says(item, "socket", "tcp"))
        return;
    if (connect)
        diagnostics_error(check->diagnostics, connect->pos, loader_path_key(path, "connect").text,
                          "a tcp socket goes nowhere, it waits (bind)");
    if (*bound->host && (bound->kind != ADDRESS_TCP || bound->name))
        diagnostics_error(check->diagnostics, pos_of(item, "bind"), loader_path_key(path, "bind").text,
                          "%s is for ZeroMQ only (tcp://HOST:PORT with an IPv4 address, [IPv6] or *)",
                          quoted(check->conf->endpoints[i].address).text);
    if (says(item, "format", "cloudevents"))
        diagnostics_error(check->diagnostics, format->pos, loader_path_key(path, "format").text,
                          "is not spoken over raw TCP (sia-dc09)");
}

/* What is said of who is at the other end of tcp://. */
static void check_peers(const struct conf_check *check, size_t i, const char *path)
{
    const struct node *item = check->endpoints->items[i];
    const struct node *server_key = node_key(item, "server_key"), *allow_from = node_key(item, "allow_from");
    const struct conf_endpoint *endpoint = &check->conf->endpoints[i];
    bool connects = node_key(item, "connect") != NULL;
    if (!endpoint->address)
        return;
    if (allow_from && strncmp(endpoint->address, "tcp://", 6) != 0)
        diagnostics_error(check->diagnostics, allow_from->pos, loader_path_key(path, "allow_from").text,
                          "belongs to another address (tcp://)");
    if (server_key && !(endpoint->curve && connects))
        diagnostics_error(check->diagnostics, server_key->pos, loader_path_key(path, "server_key").text,
                          "has no use here (connect to tcp://, a security section, and no plaintext: allow)");
    if (!server_key && endpoint->curve && connects)
        diagnostics_error(check->diagnostics, item->pos, loader_path_key(path, "server_key").text,
                          "is missing (the public key of who is there, or plaintext: allow)");
}

/* Whether the endpoint is one that security has speak CURVE. */
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
    check_owners(check, item, path.text);
    check_tcp(check, i, path.text);
    check_peers(check, i, path.text);
    endpoint->pos = pos_of(item, "server_key");
    endpoint->dc09_keys_pos = pos_of(item, "dc09_keys");
}

/* Both of its keys or none: CURVE without a list would let nobody in, or everybody. */
static void check_security(struct diagnostics *diagnostics, const struct node *root, struct conf *conf)
{
    const struct node *key = node_key(root, "security"), *section = node_value(root, "security");
    static const char *const names[] = {"server_key", "clients"};
    if (!key)
        return;
    for (size_t i = 0; section->kind == NODE_MAP && i < sizeof(names) / sizeof(names[0]); i++)
        if (!node_key(section, names[i]))
            diagnostics_error(diagnostics, section->pos, loader_path_key("security", names[i]).text, "is missing (%s)",
                              i == 0 ? "the file of the daemon's secret key" : "the file that lists who may send");
    conf->security.server_key_pos = pos_of(section, "server_key");
    conf->security.clients_pos = pos_of(section, "clients");
}

static void check_http(struct diagnostics *diagnostics, const struct node *root, const struct conf *conf)
{
    struct endpoint_address address;
    const struct node *listen = node_value(node_value(root, "http"), "listen");
    if (listen && conf->http_listen && address_listen(conf->http_listen, &address, NULL) == 0 &&
        !address_is_loopback(&address))
        diagnostics_warning(diagnostics, listen->pos, "http.listen",
                            "%s is beyond loopback: anybody who gets there may read it (an address of loopback)",
                            quoted(conf->http_listen).text);
}

/* The sample's bounds: what a daemon for Dutch patrols can be meant for. */
static const double NETHERLANDS[4] = {3.2, 50.7, 7.3, 53.6};

static bool meets_netherlands(double west, double south, double east, double north)
{
    return west < NETHERLANDS[2] && east > NETHERLANDS[0] && south < NETHERLANDS[3] && north > NETHERLANDS[1];
}

/* Every location would be flagged outside_bounds, and none used. */
static void check_bounds(struct diagnostics *diagnostics, const struct node *root, const struct conf *conf)
{
    const double *b = conf->bounds;
    if (conf->has_bounds && !meets_netherlands(b[0], b[1], b[2], b[3]) && meets_netherlands(b[1], b[0], b[3], b[2]))
        diagnostics_warning(
            diagnostics, node_value(root, "bounds")->pos, "bounds",
            "is far from the Netherlands, and with latitude and longitude the other way round it is there "
            "([west, south, east, north])");
}

void loader_check(struct diagnostics *diagnostics, const struct node *root, struct conf *conf,
                  const struct conf_names *names)
{
    struct conf_check check = {
        .diagnostics = diagnostics, .conf = conf, .security = node_key(root, "security") != NULL};
    /* A list that was refused as a whole has not been loaded. */
    if (conf->endpoints)
        check.endpoints = node_value(root, "endpoints");
    check.bound = mem_zalloc((conf->n_endpoints + 1) * sizeof(*check.bound));
    for (size_t i = 0; check.endpoints && i < check.endpoints->n; i++)
        check_endpoint(&check, i);
    check_security(diagnostics, root, conf);
    check_http(diagnostics, root, conf);
    check_bounds(diagnostics, root, conf);
    check_rules(diagnostics, root, conf, names);
    free(check.bound);
}
