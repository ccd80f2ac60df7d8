/*
 * The member names of one message, to find an object that has a name twice. The time is linear in the bytes of the
 * names, even for names chosen to collide: the hash has a random seed.
 */
#ifndef MOBEYE_INGEST_JSON_NAMES_H
#define MOBEYE_INGEST_JSON_NAMES_H

#include "model/alert.h"

/* No message has more names: each takes at least the 5 bytes of `"":0,`. */
#define JSON_NAMES_MAX (ALERT_PAYLOAD_MAX / 5 + 1)

struct json_names;

struct json_names *json_names_new(void);
void json_names_free(struct json_names **names); /* safe on NULL */

/* Forgets the names of the previous message. */
void json_names_clear(struct json_names *names);

/* false: `object` has this name already. Objects are numbered by the caller, 0 and up. The bytes must stay until
 * json_names_clear(). */
bool json_names_add(struct json_names *names, uint32_t object, struct str name);

#endif
