/*
 * YAML text as a tree of nodes with their positions in the file.
 *
 * A subset of YAML on purpose: one document, mappings with text keys, no anchors, aliases, tags or merge keys, limited
 * depth and width. Anything else is reported and becomes NODE_REFUSED, so that the rest of the file can still be
 * checked.
 */
#ifndef MOBEYE_CONF_TREE_H
#define MOBEYE_CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "conf/diagnostics.h"

enum {
    TREE_DEPTH_MAX = 16,
    TREE_KEYS_MAX = 256,   /* in one mapping */
    TREE_ITEMS_MAX = 4096, /* in one list */
};

enum node_kind {
    NODE_TEXT,
    NODE_LIST,
    NODE_MAP,
    NODE_REFUSED, /* an error has been reported */
};

struct node {
    enum node_kind kind;
    struct source_pos pos;
    size_t from, until;  /* offsets in characters: of its start, and after its last content */
    bool plain;          /* text without quotes */
    char *text;          /* NODE_TEXT: never NULL, contains no NUL */
    struct node **items; /* list: its items; map: key, value, key, value, ... */
    size_t n;            /* number of items; for a map twice the number of keys */
};

/* NULL: an error was reported, or the text contains only white space and comments. Keys may occur more than once. */
struct node *tree_parse(const char *text, size_t len, struct diagnostics *diagnostics);
void node_free(struct node **node);

/* The first value of the key, or the node of the key itself. NULL if the map lacks the key or is NULL. */
const struct node *node_value(const struct node *map, const char *key);
const struct node *node_key(const struct node *map, const char *key);

/* The position of a value in a section of root (NULL: in root itself), or of what should hold it. */
struct source_pos node_pos(const struct node *root, const char *section, const char *key);

/* The part of the parsed text from a key to the end of its value: with the comments inside and at the end of its last
 * line, without those before and after. Empty if the map lacks the key. */
struct str node_text(const struct node *map, const char *key, struct str text);

/* Whether the node has no value in YAML: nothing, ~ or null. */
bool node_is_null(const struct node *node);

#endif
