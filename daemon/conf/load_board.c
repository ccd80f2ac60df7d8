/* Loads the configuration of mobeye-board and checks what its table of keys cannot. */
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/array.h"
#include "base/mem.h"
#include "base/secret.h"
#include "conf/conf_board.h"
#include "conf/loader.h"

#define SECRET_SHORT    16
#define SOCKET_PATH_MAX 107
#define UNIX            "unix:"

struct board_check {
    struct diagnostics *diagnostics;
    const struct node *root;
    struct conf_board *conf;
    bool whole; /* also checks what the file refers to */
};

void conf_board_free(struct conf_board **conf)
{
    struct conf_board *c = *conf;
    if (!c)
        return;
    conf_free_texts(c->identity.peers, c->identity.n_peers);
    free(c->identity.peer_uids);
    free(c->identity.header);
    free(c->identity.fixed);
    free(c->identity.secret_header);
    free(c->identity.secret_file);
    secret_free_text(&c->identity.secret);
    free(c->listen);
    free(c->origin);
    free(c->database.conninfo);
    free(c->tiles.url);
    free(c->tiles.attribution);
    free(c->http_listen);
    free(c);
    *conf = NULL;
}

/* The map below these sections; NULL: there is none. */
static const struct node *section_of(const struct board_check *check, const char *section, const char *below)
{
    const struct node *map = section ? node_value(check->root, section) : check->root;
    return map && below ? node_value(map, below) : map;
}

/* ---- listen ---- */

static void check_listen(const struct board_check *check)
{
    static const char expected[] =
        "(expected unix:PATH with an absolute path of at most 107 bytes, or ADDRESS:PORT of the "
        "loopback interface, such as 127.0.0.1:8080)";
    struct conf_board *conf = check->conf;
    struct address address;
    struct err err;
    if (!conf->listen)
        return;
    if (strncmp(conf->listen, UNIX, strlen(UNIX)) == 0) {
        conf->socket_path = conf->listen + strlen(UNIX);
        if (*conf->socket_path != '/' || strlen(conf->socket_path) > SOCKET_PATH_MAX)
            diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "listen"), "listen",
                              "%s is not a socket %s", quoted(conf->listen).text, expected);
    } else if (address_listen(conf->listen, &address, &err) != 0) {
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "listen"), "listen", "%s %s %s",
                          quoted(conf->listen).text, err.text, expected);
    } else if (!address_is_loopback(&address)) {
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "listen"), "listen",
                          "%s can be reached from other machines %s", quoted(conf->listen).text, expected);
    }
}

/* The pages and the metrics cannot share an address. */
static void check_http(const struct board_check *check)
{
    const struct conf_board *conf = check->conf;
    struct address pages, metrics;
    if (conf->listen && conf->http_listen && address_listen(conf->listen, &pages, NULL) == 0 &&
        address_listen(conf->http_listen, &metrics, NULL) == 0 && address_collides(&pages, &metrics))
        diagnostics_error(check->diagnostics, node_pos(check->root, "http", "listen"), "http.listen",
                          "%s is already used by listen (expected a unique address)", quoted(conf->http_listen).text);
}

/* ---- identity ---- */

/* A header name by RFC 9110, but without _, so that it is distinguishable from X-Remote_User. */
static bool is_header_name(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '-')
            return false;
    return isalpha((unsigned char)*text);
}

/* A header that every browser sets by itself: the browser would choose the person or the secret. */
static bool is_of_browsers(const char *name)
{
    static const char *const headers[] = {"Accept",
                                          "Accept-Encoding",
                                          "Accept-Language",
                                          "Cache-Control",
                                          "Connection",
                                          "Content-Length",
                                          "Content-Type",
                                          "Cookie",
                                          "Host",
                                          "Last-Event-ID",
                                          "Origin",
                                          "Referer",
                                          "Transfer-Encoding",
                                          "User-Agent"};
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        if (strcasecmp(name, headers[i]) == 0)
            return true;
    return strncasecmp(name, "Sec-", 4) == 0;
}

static void check_header(const struct board_check *check, const char *section, const char *subject, const char *name)
{
    const struct node *map = section_of(check, "identity", section);
    if (name && map && !is_header_name(name))
        diagnostics_error(check->diagnostics, node_value(map, "header")->pos, subject,
                          "%s is not a header that is distinguishable from others (expected letters, digits and -)",
                          quoted(name).text);
    else if (name && map && is_of_browsers(name))
        diagnostics_error(check->diagnostics, node_value(map, "header")->pos, subject,
                          "%s is set by browsers (expected a header of the reverse proxy, such as X-Remote-User)",
                          quoted(name).text);
}

static void identity_error(const struct board_check *check, const char *key, const char *what)
{
    struct loader_path path = loader_path_key("identity", key ? key : "?");
    diagnostics_error(check->diagnostics, node_pos(check->root, "identity", key ? key : "?"),
                      key ? path.text : "identity", "%s", what);
}

/* Only the reverse proxy may say who the person is, so it must be distinguishable from every other peer on this
 * machine. */
static void check_proof(const struct board_check *check)
{
    const struct conf_board *conf = check->conf;
    const struct node *identity = section_of(check, "identity", NULL);
    bool peers = identity && node_key(identity, "peers"), secret = identity && node_key(identity, "secret");
    bool header = conf->identity.header, socket = conf->socket_path;
    if (header && socket && !peers)
        identity_error(check, "header",
                       "is trusted from every user of this machine (expected peers: the users that may connect)");
    if (header && !socket && !secret)
        identity_error(check, "header",
                       "is trusted from every user of this machine (expected secret: a header and a file)");
    if (secret && (socket || !header))
        identity_error(check, "secret",
                       socket ? "is for ADDRESS:PORT (expected peers, since listen is a Unix socket)"
                              : "is set without header (expected both)");
    if (peers && (!socket || !header))
        identity_error(check, "peers",
                       !socket ? "is for a Unix socket (expected secret, since listen is ADDRESS:PORT)"
                               : "is set without header (expected both)");
    if (conf->identity.fixed && socket)
        identity_error(check, "fixed", "is for a trial on ADDRESS:PORT (expected header and peers on a Unix socket)");
}

static void check_identity(const struct board_check *check)
{
    const struct conf_board *conf = check->conf;
    const struct node *identity = section_of(check, "identity", NULL);
    bool header = identity && node_key(identity, "header"), fixed = identity && node_key(identity, "fixed");
    if (header == fixed)
        identity_error(check, header ? "fixed" : NULL,
                       header ? "is set together with header (expected either header or fixed)"
                              : "does not identify the person (expected header or fixed)");
    check_header(check, NULL, "identity.header", conf->identity.header);
    check_header(check, "secret", "identity.secret.header", conf->identity.secret_header);
    if (conf->identity.header && conf->identity.secret_header &&
        strcasecmp(conf->identity.header, conf->identity.secret_header) == 0)
        identity_error(check, "secret", "has the header of the identity (expected a different header)");
    if (conf->listen)
        check_proof(check);
}

static void look_up_peers(const struct board_check *check)
{
    struct conf_board *conf = check->conf;
    const struct node *peers = node_value(section_of(check, "identity", NULL), "peers");
    conf->identity.peer_uids = mem_zalloc(conf->identity.n_peers * sizeof(uid_t));
    if (!peers)
        return;
    for (size_t i = 0; i < conf->identity.n_peers; i++) {
        const struct passwd *user = getpwnam(conf->identity.peers[i]);
        const struct node *item = peers->kind == NODE_LIST ? peers->items[i] : peers;
        if (user)
            conf->identity.peer_uids[i] = user->pw_uid;
        else
            diagnostics_error(
                check->diagnostics, item->pos, "identity.peers",
                "%s is not a user of this machine (expected the user of the reverse proxy, such as www-data)",
                quoted(conf->identity.peers[i]).text);
    }
}

static int read_secret(const char *source, char **ret, struct err *err)
{
    if (secret_read_line(source, ret, err) != 0)
        return -1;
    for (const char *p = *ret; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return err_set(err, "%s: the first line is not a secret of visible ASCII characters", source);
    return 0;
}

static void load_secret(const struct board_check *check)
{
    static const char subject[] = "identity.secret.file";
    struct err err;
    struct conf_board *conf = check->conf;
    const char *source = conf->identity.secret_file;
    struct source_pos pos = node_value(section_of(check, "identity", "secret"), "file")->pos;
    if (diagnostics_out_of_reach(check->diagnostics, pos, subject, source))
        return;
    if (read_secret(source, &conf->identity.secret, &err) != 0)
        diagnostics_failure(check->diagnostics, pos, subject, &err, "a file with the secret");
    else if (strlen(conf->identity.secret) < SECRET_SHORT)
        diagnostics_warning(check->diagnostics, pos, subject,
                            "the secret in %s can be guessed (expected at least %d characters)", source, SECRET_SHORT);
}

/* ---- origin and tiles ---- */

/* The length of SCHEME://HOST[:PORT] at the start of a URL; 0: it does not start like that. What passes can be used in
 * a header. */
static size_t origin_len(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    size_t host =
        scheme ? strspn(url + scheme, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") : 0;
    return host ? scheme + host : 0;
}

static void check_origin(const struct board_check *check)
{
    const char *origin = check->conf->origin;
    if (origin && origin_len(origin) != strlen(origin))
        diagnostics_error(check->diagnostics, node_pos(check->root, NULL, "origin"), "origin",
                          "%s is not an origin (expected https://HOST or https://HOST:PORT, without a path)",
                          quoted(origin).text);
}

static void check_tiles(const struct board_check *check)
{
    const char *url = check->conf->tiles.url;
    size_t len = url ? origin_len(url) : 0;
    if (url && (len == 0 || url[len] != '/' || !strstr(url, "{z}") || !strstr(url, "{x}") || !strstr(url, "{y}")))
        diagnostics_error(check->diagnostics, node_pos(check->root, "tiles", "url"), "tiles.url",
                          "%s is not a tile URL (expected https://HOST/... with {z}, {x} and {y})", quoted(url).text);
}

/* ---- the file ---- */

static void *load_tree(const struct loader_source *source, const struct node *root, struct str text,
                       struct diagnostics *diagnostics)
{
    static const struct source_pos top = {1, 1};
    (void)text;
    struct conf_board *conf = mem_zalloc(sizeof(*conf));
    const struct board_check check = {diagnostics, root, conf, source->whole};
    loader_map(diagnostics, SCHEMA_BOARD, "", top, root, (char *)conf);
    conf->database.pos = node_pos(root, "database", "conninfo");
    check_listen(&check);
    check_http(&check);
    check_identity(&check);
    check_origin(&check);
    check_tiles(&check);
    if (source->whole && conf->identity.n_peers > 0)
        look_up_peers(&check);
    if (source->whole && conf->identity.secret_header && conf->identity.secret_file)
        load_secret(&check);
    return conf;
}

static void free_tree(void *conf)
{
    conf_board_free(&(struct conf_board *){conf});
}

static const struct loader_program program = {SCHEMA_BOARD, "listen, database and identity", load_tree, free_tree};

struct conf_board *conf_board_parse(const char *file, struct str text, struct buf *out)
{
    return loader_parse(&program, &(struct loader_source){.file = file}, text, out);
}

struct conf_board *conf_board_load(const char *file, struct buf *out)
{
    return loader_load(&program, &(struct loader_source){.file = file, .whole = true}, out);
}
