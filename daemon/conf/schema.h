/*
 * The table of every key that the configuration knows. The loader walks it; the reference, the sample and the man page
 * are checked against it.
 */
#ifndef MOBEYE_CONF_SCHEMA_H
#define MOBEYE_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What a key takes, and the member it is kept in. */
enum schema_type {
    SCHEMA_SECTION,  /* a mapping of further keys; no member, or a bool: it is there */
    SCHEMA_LIST,     /* a list of mappings; an array of structs */
    SCHEMA_TEXT,     /* min to max printable characters; char * */
    SCHEMA_ZONE,     /* char *, as the next ones */
    SCHEMA_CONNINFO, /* never repeated in a complaint */
    SCHEMA_PATH,
    SCHEMA_SECRET, /* where a secret is; never repeated in a complaint, as the next */
    SCHEMA_KEY,    /* a public key */
    SCHEMA_BIND,
    SCHEMA_CONNECT,
    SCHEMA_LISTEN,
    SCHEMA_TEXTS,    /* one text or a list of them; char ** */
    SCHEMA_GLOBS,    /* the same, of globs over device ids */
    SCHEMA_LAYER,    /* the name of a layer of areas; char * */
    SCHEMA_NETWORKS, /* one network or a list of them; struct conf_network * */
    SCHEMA_WORD,     /* one of words; an enum or a bool, or no member where only one word is possible */
    SCHEMA_WORDS,    /* one or a list of words; a bit for each */
    SCHEMA_DAYS,     /* the same, of days and spans of days */
    SCHEMA_GROUPING, /* the same, of words and layers: group_by and group_layers of struct conf_rule */
    SCHEMA_HOURS,    /* struct conf_hours */
    SCHEMA_BOOL,     /* int: -1 not given, 0, 1 */
    SCHEMA_NUMBER,   /* double; NAN: not given */
    SCHEMA_BOX,      /* double[4]: west south east north */
    SCHEMA_INT,      /* uint32_t */
    SCHEMA_DATE,     /* uint32_t: 20271231; 0: not given */
    SCHEMA_DURATION, /* int64_t, microseconds */
    SCHEMA_SIZE,     /* uint64_t, bytes */
    SCHEMA_DISTANCE, /* double, metres */
    SCHEMA_TYPES
};

struct schema_key {
    /* "section.key"; "list[].key" is a key of every item of a list. */
    const char *path;
    enum schema_type type;
    bool required;        /* of a key in an optional section: where the section is there */
    bool optional;        /* of a section: where it is not there, nothing below it has a value, a default either */
    bool restart;         /* changes only with a restart; else with a reload */
    int64_t min, max;     /* inclusive; characters, numbers, microseconds, bytes, metres or items. Both 0: no range */
    const char *fallback; /* the default, as one would write it; NULL: none, the key is off or not given */
    const char *unit;     /* of a number; NULL: the type says it */
    const char *(*word)(unsigned i, unsigned *ret_value); /* words[i], and what it stands for; NULL past the last */
    size_t offset, size; /* of the member in struct conf, or in the item's struct; size 0: no member */
    size_t beside;       /* offset of the member that says how many there are, or whether there is one */
    size_t item_size;    /* of SCHEMA_LIST: of an item's struct */
    const char *about;   /* one sentence */
};

/* The scope of the file of clients, beside "" of the configuration. */
#define SCHEMA_CLIENTS "client-list"

/* The i-th key; NULL past the last. Parents stand before their keys. */
const struct schema_key *schema_key(size_t i);

/* The key `name` of the mapping `scope` ("" is the configuration, "endpoints[]", "rules[].match"). NULL: there is none.
 */
const struct schema_key *schema_find(const char *scope, const char *name);

/* Whether the key stands directly in the scope; its own name behind the last dot is then in *ret_name. */
bool schema_in_scope(const struct schema_key *key, const char *scope, const char **ret_name);

/* The scope of the keys below a section or a list. */
struct schema_scope {
    char text[64];
};
struct schema_scope schema_scope(const struct schema_key *key);

/* Appends what is allowed: "a whole number of alerts, 1 to 20000". */
void schema_allowed(const struct schema_key *key, struct buf *out);

/* Appends "a, b or c": the names of the keys of a scope. */
void schema_names(const char *scope, const char *last, struct buf *out);

/* How many letters to change, add, drop or swap with a neighbour make b of a; 99: far too many. */
unsigned schema_changes(const char *a, const char *b);

/* The key of the scope that a misspelt name was meant to be, or one elsewhere of just that name; NULL: no idea. */
const struct schema_key *schema_meant(const char *scope, const char *name);

#endif
