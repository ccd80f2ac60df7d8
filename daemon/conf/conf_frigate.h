/*
 * The configuration of mobeye-frigate as plain structs. The meaning, type, range and default of every key are in the
 * table in conf/schema_frigate.c.
 */
#ifndef MOBEYE_CONF_CONF_FRIGATE_H
#define MOBEYE_CONF_CONF_FRIGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Where the package keeps the configuration. */
#define CONF_FRIGATE_FILE        "/etc/mobeye-frigate/mobeye-frigate.yaml"
#define CONF_FRIGATE_TARGETS_MAX 8

/* What Frigate knows about people; the bridge drops it unless `keep` has it. */
enum conf_frigate_keep { FRIGATE_KEEP_SUB_LABEL = 1u << 0, FRIGATE_KEEP_PLATE = 1u << 1 };

struct conf_frigate_camera {
    char *name;   /* in Frigate; must be the first member */
    char *device; /* NULL: NAME/CAMERA */
    int ignore;   /* -1 not given, 0 no, 1 yes */
};

/* A server and how to log in to it. */
struct conf_frigate_login {
    char *user;          /* NULL: no login */
    char *password_file; /* the source of the secret (base/secret.h) */
    char *ca_file;       /* NULL: the authorities of the system */
    char *password;      /* NULL after conf_frigate_parse(), or if none is configured */
};

struct conf_frigate {
    char *name;
    struct {
        bool given; /* otherwise events come only over HTTP */
        char *host;
        uint32_t port;
        char *topic_prefix;
        struct conf_frigate_login login;
    } mqtt;
    struct {
        char *url; /* without a slash at the end */
        struct conf_frigate_login login;
    } api;
    char **to;
    size_t n_to;
    char **server_keys; /* none, one, or one for each of `to` */
    size_t n_server_keys;
    char *client_key; /* the source of the secret key */
    char *state;
    struct conf_frigate_camera *cameras;
    size_t n_cameras;
    char **labels; /* none: all */
    size_t n_labels;
    uint32_t keep; /* bits of enum conf_frigate_keep */
    struct {
        bool given; /* otherwise no images are fetched */
        uint32_t height;
        int64_t retry_for_us;
    } images;
    char *http_listen; /* NULL: off */
};

/* As conf_load() does for mobeyed: appends one line for each diagnostic; NULL if there was an error. Also loads the
 * passwords that the file names, and checks that the client key and the certificates can be read. */
struct conf_frigate *conf_frigate_load(const char *file, struct buf *diagnostics);

/* The same from memory, without reading any other file. For tests and fuzzing. */
struct conf_frigate *conf_frigate_parse(const char *file, struct str text, struct buf *diagnostics);

void conf_frigate_free(struct conf_frigate **conf); /* safe on NULL; wipes the passwords */

/* The entry of a camera; NULL: it is not named in the file. */
const struct conf_frigate_camera *conf_frigate_camera(const struct conf_frigate *conf, struct str name);

#endif
