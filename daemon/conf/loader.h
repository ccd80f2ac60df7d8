/*
 * One loading of one file, as its parts see it: load.c walks the table, types.c turns nodes into members, check.c
 * looks across keys.
 */
#ifndef MOBEYE_CONF_LOADER_H
#define MOBEYE_CONF_LOADER_H

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/diagnostics.h"
#include "conf/schema.h"
#include "conf/tree.h"

/* "endpoints.cameras.socket": the key as a complaint names it. */
struct loader_path {
    char text[256];
};

struct loader_path loader_path_key(const char *parent, const char *name);

/* Of the i-th item of a list: by its name where it has a usable one, else by its number, which counts from 1. */
struct loader_path loader_path_item(const char *list, const struct node *item, size_t i);

/* A key, where it stands, and the struct that its member is in. */
struct loader_place {
    struct diagnostics *diagnostics;
    const struct schema_key *key;
    const char *path;
    char *base;
};

/* Complains about a value: "what is wrong (what is allowed)". */
void loader_error(const struct loader_place *place, struct source_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks the value and puts it into the member; a bad one leaves it as not given. Not for sections and lists. */
void loader_set(const struct loader_place *place, const struct node *value);

/* Marks a section that has a member as being there. */
void loader_there(const struct loader_place *place);

/* Marks the member as not given. */
void loader_unset(const struct loader_place *place);

/* Loads the keys of one mapping into the struct at base. scope: which keys those are; path: how a complaint names the
 * mapping; mark: where it is. map is NULL where there is no mapping at all. */
void loader_map(struct diagnostics *diagnostics, const char *scope, const char *path, struct source_pos pos,
                const struct node *map, char *base);

/* Appends the file; one that is larger than is allowed has a byte more than that. -1 with errno. */
int loader_read(const char *file, struct buf *ret);
#define LOADER_FILE_MAX ((size_t)1 << 20)

/* Reads what conf names for security into it: the server's key and the clients. Complaints about the file itself go to
 * diagnostics, lines about that of the clients are appended to out. -1 where there was an error. */
int loader_security(struct conf *conf, struct diagnostics *diagnostics, struct buf *out);

/* Complains where the i-th item of a list has the name of an earlier one. */
void loader_check_name(struct diagnostics *diagnostics, const struct node *list, size_t i, const char *path);

/* What only several keys together show. conf is what was loaded from root, whether or not there were errors; it gets
 * the places that are told about later. names: as for conf_load_whole(). */
void loader_check(struct diagnostics *diagnostics, const struct node *root, struct conf *conf,
                  const struct conf_names *names);

#endif
