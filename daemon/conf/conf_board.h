/*
 * The configuration of mobeye-board as plain structs. The meaning, type, range and default of every key are in the
 * table in conf/schema_board.c.
 */
#ifndef MOBEYE_CONF_CONF_BOARD_H
#define MOBEYE_CONF_CONF_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Where the package keeps the configuration. */
#define CONF_BOARD_FILE "/etc/mobeye-board/mobeye-board.yaml"

enum conf_board_language { BOARD_DUTCH, BOARD_ENGLISH };

struct conf_board {
    char *listen;            /* as written */
    const char *socket_path; /* within listen: of unix:PATH; NULL: an address of the loopback */
    char *origin;            /* NULL: the Host of the request */
    struct {
        char *conninfo;
        struct source_pos pos; /* of the conninfo, which only libpq can validate */
        uint32_t connections;
    } database;
    struct {
        char *header; /* NULL: fixed */
        char *fixed;  /* NULL: header */
        char **peers; /* a Unix socket only: users of this machine */
        size_t n_peers;
        uid_t *peer_uids;    /* n_peers of them; NULL after conf_board_parse() */
        char *secret_header; /* loopback only; NULL: none */
        char *secret_file;   /* the source of the secret (base/secret.h) */
        char *secret;        /* NULL after conf_board_parse(), or if it is not accessible */
    } identity;
    enum conf_board_language language;
    struct {
        char *url; /* NULL: no tiles */
        char *attribution;
    } tiles;
    char *http_listen; /* NULL: off */
};

/* As conf_load() does for mobeyed: appends one line for each diagnostic; NULL if there was an error. Also reads the
 * secret and looks up the peers. */
struct conf_board *conf_board_load(const char *file, struct buf *diagnostics);

/* The same from memory, without looking at anything else. For tests and fuzzing. */
struct conf_board *conf_board_parse(const char *file, struct str text, struct buf *diagnostics);

void conf_board_free(struct conf_board **conf); /* safe on NULL; wipes the secret */

#endif
