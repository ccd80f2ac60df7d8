/*
 * Strict JSON as a sequence of events: what PostgreSQL's jsonb takes without loss, and the contract allows.
 *
 * Also refused, besides what is not JSON (RFC 8259): text with a fault of json_text.h, an outermost value that is not
 * an object, too many levels, numbers beyond json_text.h's bounds and, if names must be unique, an object that has a
 * member name twice.
 *
 * json_read.cpp is the only file that knows the parser (simdjson), and the only one in C++.
 */
#ifndef MOBEYE_INGEST_JSON_READ_H
#define MOBEYE_INGEST_JSON_READ_H

#include "base/buf.h"

enum json_type {
    JSON_NULL = 1,
    JSON_BOOLEAN = 2,
    JSON_NUMBER = 4,
    JSON_STRING = 8,
    JSON_OBJECT = 16,
    JSON_ARRAY = 32,
};

struct json_value {
    enum json_type type;
    bool boolean;
    double number;
    struct str string; /* without its escapes, or the digits of a number as they came; in the text or the reader, valid
                          until the next json_read() */
};

/* The outermost object gives no event. An object or array gives on_value(), what is in it, and on_close(). */
struct json_calls {
    void (*on_name)(void *ctx, struct str name);                 /* of the member whose value comes next */
    void (*on_value)(void *ctx, const struct json_value *value); /* of a member, or an element of an array */
    void (*on_close)(void *ctx);
};

struct json_limits {
    size_t bytes;    /* of a text: with unique_names at most ALERT_PAYLOAD_MAX */
    size_t at_once;  /* bytes of text for which memory is allocated beforehand; a longer text allocates */
    unsigned levels; /* the outermost object is level 1; every object and array within is one more */
    bool unique_names;
};

struct json_reader; /* memory for one text at a time, reused */

struct json_reader *json_reader_new(const struct json_limits *limits);
void json_reader_free(struct json_reader **reader); /* safe on NULL */

/* Reads a text of at most limits.bytes. NULL, or why it is refused (valid as long as the reader) and near which byte;
 * what precedes that byte has been passed to calls, the rest has not. Not to be called from its own calls. */
const char *json_read(struct json_reader *reader, struct str text, const struct json_calls *calls, void *ctx,
                      size_t *ret_offset);

/* The parser's version and the instruction set that it uses here: "simdjson 3.0.1 (haswell)". Static text. */
const char *json_library(void);

#endif
