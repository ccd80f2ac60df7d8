/*
 * Strict JSON as a run of events: what PostgreSQL's jsonb takes without loss, and the contract allows.
 *
 * Refused beyond what is no JSON (RFC 8259): text with a fault of json_text.h, an outermost value that is no object, an
 * object that has a member name twice, more than JSON_LEVELS_MAX levels, numbers that json_number() refuses.
 */
#ifndef MOBEYE_INGEST_JSON_READ_H
#define MOBEYE_INGEST_JSON_READ_H

#include "base/buf.h"

/* The outermost object is level 1; every object and array within is one more. */
#define JSON_LEVELS_MAX 16

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
    struct str string; /* without its escapes; in the text or the reader, holds until the next json_read() */
};

/* The outermost object gives no event. An object or array gives value(), what is in it, and close(). */
struct json_calls {
    void (*name)(void *ctx, struct str name);                 /* of the member whose value comes next */
    void (*value)(void *ctx, const struct json_value *value); /* of a member, or an element of an array */
    void (*close)(void *ctx);
};

struct json_reader; /* memory for one text at a time, reused */

struct json_reader *json_reader_new(void);
void json_reader_free(struct json_reader **reader); /* safe on NULL */

/* Reads a text of at most ALERT_PAYLOAD_MAX bytes. NULL, or why it is refused (static text) and near which byte; what
 * comes before it has then been told to calls, the rest has not. */
const char *json_read(struct json_reader *reader, struct str text, const struct json_calls *calls, void *ctx,
                      size_t *ret_offset);

#endif
