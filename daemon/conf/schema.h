/*
 * The table of every configuration key. The loader walks it; the reference, the samples and the man page are checked
 * against it.
 */
#ifndef MOBEYE_CONF_SCHEMA_H
#define MOBEYE_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The type of a key, and of the member that holds its value. */
enum schema_type {
    SCHEMA_SECTION,  /* a mapping of further keys; no member, or a bool: present */
    SCHEMA_LIST,     /* a list of mappings; an array of structs */
    SCHEMA_NAMED,    /* a mapping of names to mappings; an array of structs, whose first member is the name, char * */
    SCHEMA_TEXT,     /* min to max printable characters; char * */
    SCHEMA_ZONE,     /* char *, likewise the next ones */
    SCHEMA_CONNINFO, /* never repeated in a diagnostic */
    SCHEMA_PATH,
    SCHEMA_SECRET, /* the source of a secret; never repeated in a diagnostic, nor is the next */
    SCHEMA_KEY,    /* a public key */
    SCHEMA_BIND,
    SCHEMA_CONNECT,
    SCHEMA_CONNECTS, /* one address or a list of them; char ** */
    SCHEMA_KEYS,     /* one public key or a list of them; char ** */
    SCHEMA_LISTEN,
    SCHEMA_URL,      /* http:// or https://; never repeated in a diagnostic */
    SCHEMA_DEVICE,   /* a device ID, or the start of one */
    SCHEMA_TEXTS,    /* one text or a list of them; char ** */
    SCHEMA_GLOBS,    /* the same, of globs for device IDs */
    SCHEMA_LAYER,    /* a layer name; char * */
    SCHEMA_NETWORKS, /* one network or a list of them; struct network * */
    SCHEMA_WORD,     /* one of word(); an enum or a bool, or no member if there is only one word */
    SCHEMA_WORDS,    /* one word or a list of words; a bit for each */
    SCHEMA_DAYS,     /* the same, of days and ranges of days */
    SCHEMA_GROUPING, /* the same, of words and layer names: group_by and group_layers of struct conf_rule */
    SCHEMA_HOURS,    /* struct conf_hours */
    SCHEMA_BOOL,     /* int: -1 not given, 0, 1 */
    SCHEMA_NUMBER,   /* double; NAN: not given */
    SCHEMA_BOX,      /* double[4]: west south east north */
    SCHEMA_INT,      /* uint32_t */
    SCHEMA_DATE,     /* uint32_t: 20271231; 0: not given */
    SCHEMA_DURATION, /* int64_t, microseconds */
    SCHEMA_STEPS,    /* one duration or an ascending list of them; int64_t[OVERDUE_STEPS], 0 after the last */
    SCHEMA_SIZE,     /* uint64_t, bytes */
    SCHEMA_DISTANCE, /* double, metres */
    SCHEMA_TYPES
};

struct schema_key {
    /* "section.key"; "list[].key" is a key of each item of a list. */
    const char *path;
    enum schema_type type;
    bool required;    /* within an optional section: only if the section is present */
    bool optional;    /* of a section: if absent, its keys have no value, not even a default */
    bool restart;     /* a change takes effect after a restart; else after a reload */
    int64_t min, max; /* inclusive, in characters, numbers, microseconds, bytes, metres or items; both 0: no range */
    const char *fallback; /* the default, as in a file; NULL: none, the key is off or not given */
    const char *unit;     /* of a number; NULL: none, or part of the value */
    const char *(*word)(unsigned i, unsigned *ret_value); /* the i-th word and its value; NULL after the last */
    size_t offset, size; /* of the member in struct conf or in the item's struct; size 0: no member */
    size_t second;       /* offset of a second member: the number of values, or whether there is one */
    size_t item_size;    /* SCHEMA_LIST, SCHEMA_NAMED: size of an item's struct */
    const char *about;   /* the purpose of the key, for the reference */
};

/* Scopes of the files: the configuration of mobeyed, its client list, and the configurations of mobeye-frigate and
 * mobeye-board. */
#define SCHEMA_MOBEYED ""
#define SCHEMA_CLIENTS "client-list"
#define SCHEMA_FRIGATE "mobeye-frigate"
#define SCHEMA_BOARD   "mobeye-board"

/* The keys of one file, or a part of them. */
struct schema_table {
    const struct schema_key *keys;
    size_t n;
};
extern const struct schema_table schema_frigate; /* schema_frigate.c */
extern const struct schema_table schema_board;   /* schema_board.c */

/* The i-th key of all files; NULL after the last. Sections come before their keys. */
const struct schema_key *schema_key(size_t i);

/* The scope of the file that a path or a scope belongs to. */
const char *schema_file(const char *path);

/* The key `name` of the mapping `scope` (such as "", "endpoints[]" or "rules[].match"); NULL if there is none. */
const struct schema_key *schema_find(const char *scope, const char *name);

/* Whether the key is directly in the scope. *ret_name is its name without the scope. */
bool schema_in_scope(const struct schema_key *key, const char *scope, const char **ret_name);

/* The scope of the keys below a section, a list or a mapping of names. */
struct schema_scope {
    char text[64];
};
struct schema_scope schema_scope(const struct schema_key *key);

/* Appends what the key accepts: "1 to 20000 alerts". */
void schema_expected(const struct schema_key *key, struct buf *out);

/* Appends "a, b or c": the names of the keys of a scope. */
void schema_names(const char *scope, const char *last, struct buf *out);

/* The key of the scope whose name is close to a misspelt one, or a key with exactly that name in another scope; NULL if
 * there is none. */
const struct schema_key *schema_meant(const char *scope, const char *name);

#endif
