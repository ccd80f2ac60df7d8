/*
 * Internal interface of the loader: loader_file.c reads and parses a file, load.c walks the table of keys, types.c
 * converts nodes to members, check_conf.c and check_rules.c check across keys.
 */
#ifndef MOBEYE_CONF_LOADER_H
#define MOBEYE_CONF_LOADER_H

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/diagnostics.h"
#include "conf/schema.h"
#include "conf/tree.h"

/* "endpoints.cameras.socket": a key as diagnostics name it. */
struct loader_path {
    char text[256];
};

struct loader_path loader_path_key(const char *parent, const char *name);

/* The path of the i-th item of a list: by name if the item has a usable one, else by number, counted from 1. */
struct loader_path loader_path_item(const char *list, const struct node *item, size_t i);

/* A key, its path in the file, and the struct that contains its member. */
struct loader_target {
    struct diagnostics *diagnostics;
    const struct schema_key *key;
    const char *path;
    char *base;
};

/* Reports an invalid value, followed by what the key expects. */
void loader_error(const struct loader_target *target, struct source_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Validates the value and stores it in the member; an invalid one leaves it unset. Not for sections and lists. */
void loader_set(const struct loader_target *target, const struct node *value);

/* Records that a section is present, if it has a member for that. */
void loader_set_present(const struct loader_target *target);

/* Records that the key was not given. */
void loader_unset(const struct loader_target *target);

/* Loads the keys of one mapping into the struct at base. scope: the scope of its keys; path, pos: its path and position
 * for diagnostics; map: NULL if the mapping is absent. */
void loader_map(struct diagnostics *diagnostics, const char *scope, const char *path, struct source_pos pos,
                const struct node *map, char *base);

/* Appends the contents of the file, of at most 1 MiB. -1 with err set: "cannot be read: ... (expected ...)". */
int loader_read(const char *file, struct buf *ret, struct err *err);

struct loader_source {
    const char *file; /* its name in diagnostics */
    bool whole;       /* files that it names are loaded too, such as secrets */
    void *ctx;        /* the loading program's */
};

/* The configuration of one program. */
struct loader_program {
    const char *scope;    /* of its file: SCHEMA_MOBEYED, ... */
    const char *required; /* the keys that every file must have: "listen, database and identity" */
    /* Returns the configuration, which is freed if an error was reported, or NULL. root is a mapping. */
    void *(*load)(const struct loader_source *source, const struct node *root, struct str text,
                  struct diagnostics *diagnostics);
    void (*free)(void *conf);
};

/* Parses the text, or the file that source names, loads it and appends all diagnostics to out. NULL: there was an
 * error. */
void *loader_parse(const struct loader_program *program, const struct loader_source *source, struct str text,
                   struct buf *out);
void *loader_load(const struct loader_program *program, const struct loader_source *source, struct buf *out);

/* Loads the files that conf names for security into it: the server's key and the client list. Diagnostics about the
 * configuration go to diagnostics; lines about the client list are appended to out. -1: the client list has an error.
 */
int loader_security(struct conf *conf, struct diagnostics *diagnostics, struct buf *out);

/* Reports an error if the i-th item of a list has the name of an earlier one. */
void loader_check_name(struct diagnostics *diagnostics, const struct node *list, size_t i, const char *path);

/* Checks across keys. conf was loaded from root, with or without errors; its source positions are filled in here.
 * names: as for conf_load_whole(). */
void loader_check(struct diagnostics *diagnostics, const struct node *root, struct conf *conf,
                  const struct conf_names *names);

#endif
