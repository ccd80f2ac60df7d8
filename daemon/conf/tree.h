/*
 * YAML text as a tree of nodes that know their place in the file.
 *
 * Narrower than YAML on purpose: one document, plain mappings with words for keys, no anchors, aliases, tags or merge
 * keys, bounded in depth and width. What is refused is complained about and becomes NODE_REFUSED, so that the rest of
 * the file can be checked all the same.
 */
#ifndef MOBEYE_CONF_TREE_H
#define MOBEYE_CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "conf/diagnostics.h"

enum {
    TREE_DEPTH_MAX = 16,
    TREE_KEYS_MAX = 256,   /* of one mapping */
    TREE_ITEMS_MAX = 4096, /* of one list */
};

enum node_kind {
    NODE_TEXT,
    NODE_LIST,
    NODE_MAP,
    NODE_REFUSED, /* already complained about */
};

struct node {
    enum node_kind kind;
    struct source_pos pos;
    size_t from, until;  /* characters of the text before it, and before what follows its last content */
    bool plain;          /* text that was written without quotes */
    char *text;          /* of NODE_TEXT, never NULL there; no NUL inside */
    struct node **items; /* of a list its items; of a map key, value, key, value, ... */
    size_t n;            /* items; of a map twice the number of keys */
};

/* NULL: complained about, or there is nothing but white space and comments. Keys may be double. */
struct node *tree_parse(const char *text, size_t len, struct diagnostics *diagnostics);
void node_free(struct node **node);

/* The first value of the key, or the key's own node. NULL where the map has no such key, and for a map that is NULL. */
const struct node *node_value(const struct node *map, const char *key);
const struct node *node_key(const struct node *map, const char *key);

/* The text that was parsed, from a key to the end of its value: with comments within and behind it in its last line,
 * without those before and after. Empty where the map has no such key. */
struct str node_text(const struct node *map, const char *key, struct str text);

/* Whether YAML takes it for "no value": nothing, ~ or null. */
bool node_is_null(const struct node *node);

#endif
