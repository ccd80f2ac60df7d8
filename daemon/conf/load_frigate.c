/* Loads the configuration of mobeye-frigate and checks what its table of keys cannot. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/array.h"
#include "base/mem.h"
#include "base/secret.h"
#include "conf/conf_frigate.h"
#include "conf/load.h"
#include "conf/loader.h"

struct frigate_check {
    struct diagnostics *diagnostics;
    const struct node *root;
    struct conf_frigate *conf;
    bool whole; /* also reads the files it names */
};

static void free_login(struct conf_frigate_login *login)
{
    free(login->user);
    free(login->password_file);
    free(login->ca_file);
    secret_free_text(&login->password);
}

void conf_frigate_free(struct conf_frigate **conf)
{
    struct conf_frigate *c = *conf;
    if (!c)
        return;
    for (size_t i = 0; i < c->n_cameras; i++) {
        free(c->cameras[i].name);
        free(c->cameras[i].device);
    }
    conf_free_texts(c->to, c->n_to);
    conf_free_texts(c->server_keys, c->n_server_keys);
    conf_free_texts(c->labels, c->n_labels);
    free_login(&c->mqtt.login);
    free_login(&c->api.login);
    free(c->cameras);
    free(c->name);
    free(c->mqtt.host);
    free(c->mqtt.topic_prefix);
    free(c->api.url);
    free(c->client_key);
    free(c->state);
    free(c->http_listen);
    free(c);
    *conf = NULL;
}

const struct conf_frigate_camera *conf_frigate_camera(const struct conf_frigate *conf, struct str name)
{
    for (size_t i = 0; i < conf->n_cameras; i++)
        if (str_is(name, conf->cameras[i].name))
            return &conf->cameras[i];
    return NULL;
}

static void check_password(const struct frigate_check *check, const char *section, struct conf_frigate_login *login)
{
    struct err err;
    struct loader_path path = loader_path_key(section, "password_file");
    struct source_pos pos = node_pos(check->root, section, "password_file");
    if (!diagnostics_out_of_reach(check->diagnostics, pos, path.text, login->password_file) &&
        secret_read_line(login->password_file, &login->password, &err) != 0)
        diagnostics_failure(check->diagnostics, pos, path.text, &err, "a file with the password");
}

static void check_login(const struct frigate_check *check, const char *section, struct conf_frigate_login *login)
{
    bool user = login->user != NULL, password = login->password_file != NULL;
    if (user != password)
        diagnostics_error(check->diagnostics, node_pos(check->root, section, user ? "user" : "password_file"),
                          loader_path_key(section, user ? "user" : "password_file").text,
                          "is set without %s (expected both or neither)", user ? "password_file" : "user");
    if (!check->whole)
        return;
    if (password)
        check_password(check, section, login);
    if (login->ca_file && access(login->ca_file, R_OK) != 0)
        diagnostics_error(check->diagnostics, node_pos(check->root, section, "ca_file"),
                          loader_path_key(section, "ca_file").text, "cannot be read: %s (expected a PEM file)",
                          strerror(errno));
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static void check_host(const struct frigate_check *check)
{
    struct in6_addr address;
    const char *host = check->conf->mqtt.host;
    bool port = host && strchr(host, ':') && inet_pton(AF_INET6, host, &address) != 1;
    if (host && strpbrk(host, " /[]@"))
        diagnostics_error(check->diagnostics, node_pos(check->root, "mqtt", "host"), "mqtt.host",
                          "%s is not a host (expected a name or an address, without port and scheme)",
                          quoted(host).text);
    else if (port)
        diagnostics_error(check->diagnostics, node_pos(check->root, "mqtt", "host"), "mqtt.host",
                          "%s is not a host (expected a name or an address, without port: that is mqtt.port)",
                          quoted(host).text);
}

static void check_mqtt(const struct frigate_check *check)
{
    struct conf_frigate *conf = check->conf;
    const char *prefix = conf->mqtt.topic_prefix;
    if (!conf->mqtt.given)
        return;
    if (prefix && (ends_with(prefix, "/events") || ends_with(prefix, "/available")))
        diagnostics_warning(check->diagnostics, node_pos(check->root, "mqtt", "topic_prefix"), "mqtt.topic_prefix",
                            "%s looks like a topic (expected topic_prefix of Frigate, such as frigate)",
                            quoted(prefix).text);
    if (prefix && (strpbrk(prefix, "+#") || *prefix == '/' || prefix[strlen(prefix) - 1] == '/'))
        diagnostics_error(check->diagnostics, node_pos(check->root, "mqtt", "topic_prefix"), "mqtt.topic_prefix",
                          "%s is not a topic prefix (expected a topic without + and #, and without / at either end)",
                          quoted(prefix).text);
    check_host(check);
    check_login(check, "mqtt", &conf->mqtt.login);
}

/* Whether the URL is http:// and names another machine. */
static bool is_plain_and_remote(const char *url)
{
    static const char *const loopback[] = {"127.", "localhost", "[::1]"};
    if (strncmp(url, "http://", 7) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
        if (strncmp(url + 7, loopback[i], strlen(loopback[i])) == 0)
            return false;
    return true;
}

static void check_api(const struct frigate_check *check)
{
    struct conf_frigate *conf = check->conf;
    size_t len = conf->api.url ? strlen(conf->api.url) : 0;
    while (len > 0 && conf->api.url[len - 1] == '/')
        conf->api.url[--len] = '\0';
    if (conf->api.login.user && conf->api.url && is_plain_and_remote(conf->api.url))
        diagnostics_warning(check->diagnostics, node_pos(check->root, "api", "url"), "api.url",
                            "the password is sent unencrypted (expected https://)");
    if (conf->api.url && ends_with(conf->api.url, "/api"))
        diagnostics_warning(check->diagnostics, node_pos(check->root, "api", "url"), "api.url",
                            "ends with /api (expected the address of Frigate, without /api)");
    check_login(check, "api", &conf->api.login);
}

/* A tcp:// address beyond this machine without CURVE: anyone on the way can read and send alerts. */
static void warn_of_plaintext(const struct frigate_check *check)
{
    const struct node *to = node_value(check->root, "to");
    for (size_t i = 0; i < check->conf->n_to; i++) {
        struct address address;
        bool listed = to && to->kind == NODE_LIST && to->n == check->conf->n_to;
        if (check->conf->n_server_keys > 0 || address_connect(check->conf->to[i], &address, NULL) != 0 ||
            address_is_loopback(&address) || strcmp(address.host, "localhost") == 0)
            continue;
        diagnostics_warning(check->diagnostics, listed ? to->items[i]->pos : node_pos(check->root, NULL, "to"), "to",
                            "%s is not a loopback address and not encrypted (expected server_key and client_key)",
                            quoted(check->conf->to[i]).text);
    }
}

static void check_client_key(const struct frigate_check *check)
{
    struct err err;
    char *secret = NULL;
    struct source_pos pos = node_pos(check->root, NULL, "client_key");
    const char *source = check->conf->client_key;
    if (!diagnostics_out_of_reach(check->diagnostics, pos, "client_key", source) &&
        conf_read_key(source, &secret, &err) != 0)
        diagnostics_failure(check->diagnostics, pos, "client_key", &err,
                            "the secret key file that mobeyectl keygen wrote");
    secret_free_text(&secret);
}

static void check_targets(const struct frigate_check *check)
{
    const struct conf_frigate *conf = check->conf;
    bool server = node_value(check->root, "server_key") != NULL, client = node_value(check->root, "client_key") != NULL;
    if (conf->n_to > CONF_FRIGATE_TARGETS_MAX)
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "to"), "to",
                          "has %zu addresses (expected 1 to %d)", conf->n_to, CONF_FRIGATE_TARGETS_MAX);
    if (server != client)
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, server ? "server_key" : "client_key"),
                          server ? "server_key" : "client_key", "is set without %s (expected both or neither)",
                          server ? "client_key" : "server_key");
    if (conf->n_server_keys > 1 && conf->n_server_keys != conf->n_to)
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "server_key"), "server_key",
                          "has %zu keys for %zu addresses (expected one, or one for each)", conf->n_server_keys,
                          conf->n_to);
    warn_of_plaintext(check);
    if (check->whole && conf->client_key)
        check_client_key(check);
}

/* An earlier camera of the file with the same device; NULL: none. */
static const struct conf_frigate_camera *twin_of(const struct conf_frigate *conf, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (conf->cameras[k].device && strcmp(conf->cameras[k].device, conf->cameras[i].device) == 0)
            return &conf->cameras[k];
    return NULL;
}

/* Alerts of both cameras would have the same place and the same incident. */
static void warn_of_shared_device(const struct frigate_check *check, size_t i, struct source_pos pos, const char *path)
{
    const struct conf_frigate *conf = check->conf;
    const char *device = conf->cameras[i].device;
    const struct conf_frigate_camera *twin = device ? twin_of(conf, i) : NULL;
    if (twin)
        diagnostics_warning(check->diagnostics, pos, path,
                            "device %s is also that of camera %s (expected a device for each camera)",
                            quoted(device).text, quoted(twin->name).text);
    if (device && conf->name && strcmp(device, conf->name) == 0)
        diagnostics_warning(check->diagnostics, pos, path,
                            "device %s is also that of the Frigate server (expected a different name)",
                            quoted(device).text);
}

/* A directory that does not exist may be created by systemd. */
static void check_state(const struct frigate_check *check)
{
    struct stat st;
    const char *path = check->conf->state;
    if (!path || !node_value(check->root, "state"))
        return;
    int why = stat(path, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (why == ENOTDIR)
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "state"), "state",
                          "%s: %s (expected a directory that mobeye-frigate can write)", path, strerror(why));
    else if (why != 0)
        diagnostics_warning(check->diagnostics, node_pos(check->root, NULL, "state"), "state",
                            "%s: %s (expected a directory that mobeye-frigate can write)", path, strerror(why));
}

static void check_cameras(const struct frigate_check *check)
{
    if (check->conf->name && strncmp(check->conf->name, ALERT_DC09_PREFIX, strlen(ALERT_DC09_PREFIX)) == 0)
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "name"), "name",
                          "%s begins with dc09: (expected the name of a server)", quoted(check->conf->name).text);
    const struct node *cameras = node_value(check->root, "cameras");
    for (size_t i = 0; i < check->conf->n_cameras; i++) {
        const struct conf_frigate_camera *camera = &check->conf->cameras[i];
        struct source_pos pos = cameras->items[2 * i + 1]->pos;
        struct loader_path path = loader_path_key("cameras", camera->name);
        warn_of_shared_device(check, i, pos, path.text);
        if (camera->device && strncmp(camera->device, ALERT_DC09_PREFIX, strlen(ALERT_DC09_PREFIX)) == 0)
            diagnostics_error(check->diagnostics, pos, path.text,
                              "device %s begins with dc09: (expected the ID of a camera)", quoted(camera->device).text);
    }
}

static void *load_tree(const struct loader_source *source, const struct node *root, struct str text,
                       struct diagnostics *diagnostics)
{
    static const struct source_pos top = {1, 1};
    (void)text;
    assert(root); /* a mapping, says conf/loader.h; for the analyzer */
    struct conf_frigate *conf = mem_zalloc(sizeof(*conf));
    const struct frigate_check check = {diagnostics, root, conf, source->whole};
    loader_map(diagnostics, SCHEMA_FRIGATE, "", top, root, (char *)conf);
    check_mqtt(&check);
    check_api(&check);
    check_targets(&check);
    check_cameras(&check);
    if (source->whole)
        check_state(&check);
    return conf;
}

static void free_tree(void *conf)
{
    conf_frigate_free(&(struct conf_frigate *){conf});
}

static const struct loader_program program = {SCHEMA_FRIGATE, "name, api and to", load_tree, free_tree};

struct conf_frigate *conf_frigate_parse(const char *file, struct str text, struct buf *out)
{
    return loader_parse(&program, &(struct loader_source){.file = file}, text, out);
}

struct conf_frigate *conf_frigate_load(const char *file, struct buf *out)
{
    return loader_load(&program, &(struct loader_source){.file = file, .whole = true}, out);
}
