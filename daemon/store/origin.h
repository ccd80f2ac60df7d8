/*
 * The origin of an alert: the endpoint that received it and the rule that was applied. Many alerts share one, so each
 * stores only its number; mobeye.alert_origin has the texts.
 */
#ifndef MOBEYE_STORE_ORIGIN_H
#define MOBEYE_STORE_ORIGIN_H

#include <libpq-fe.h>

#include "model/alert.h"
#include "store/pgtype.h"

enum { ORIGIN_RULES_BYTES = 16 };

/* The number: XXH3 (64 bits) over the hash of the rules (no bytes if NULL), the instance, the endpoint and the rule,
 * each seeded with the hash of those before it. Never change it: it is stored in the database. */
uint64_t origin_of(const struct alert *alert, struct str instance, const uint8_t *rules);

/* Adds a row for each origin; existing rows are left alone. Parameters: arrays of origin, endpoint and rule, then the
 * instance and the hash of the rules. */
enum { ORIGIN_ADD_PARAMS = 5 };
extern const char origin_add_sql[];
extern const Oid origin_add_types[ORIGIN_ADD_PARAMS];

/* The origins that the database has, as far as is known on this connection, sorted. {0} is empty. */
struct origin_cache {
    uint64_t *ids;
    size_t n, cap;
};

bool origin_cache_has(const struct origin_cache *cache, uint64_t id);
void origin_cache_add(struct origin_cache *cache, uint64_t id); /* does nothing if it has it already */
void origin_cache_clear(struct origin_cache *cache);            /* also frees its memory */

#endif
