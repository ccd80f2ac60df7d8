/*
 * How much of the journal waits for the database on behalf of each listed client: one of several may have no more than
 * half of it, so that the others still get in when it sends without measure during an outage.
 *
 * Counted is what a client's messages take in the segments. They are a client's until they are in the database; when
 * their segment goes does not matter, since what is stored makes room. What waits and is no listed client's leaves less
 * to halve: alerts from endpoints without CURVE, and all that was there at the start or waits again after a rewind. So
 * a client that has its half gets no more than half of what is left by being there when the daemon is restarted.
 *
 * Memory: some 1.2 kB for each client that has sent something since the start.
 */
#ifndef MOBEYE_FLOW_CLIENT_SHARE_H
#define MOBEYE_FLOW_CLIENT_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct client_share; /* one client's; lives as long as its shares */

struct client_shares {
    struct client_share *list;
    uint64_t limit_bytes; /* for each; UINT64_MAX: none */
};

void client_shares_free(struct client_shares *shares); /* leaves none */

/* The one of the client with this public key: found, or made where `name` takes it up. */
struct client_share *client_share_of(struct client_shares *shares, const char *key, const char *name);

/* Looks what is stored by now and sets the limit: several (more than one client is listed), max_bytes of the journal,
 * waiting_bytes of it taken by what is not stored, from any sender. */
void client_shares_update(struct client_shares *shares, bool several, uint64_t max_bytes, uint64_t waiting_bytes,
                          uint64_t stored_seq);

/* Whether so many bytes more are within the limit. share NULL: somebody who is on no list, and has none. false is
 * complained of in the log. */
bool client_share_allows(const struct client_shares *shares, struct client_share *share, uint64_t bytes,
                         int64_t mono_us);

/* The client's message is in the journal, its last record number seq. Nothing where share is NULL. */
void client_share_add(const struct client_shares *shares, struct client_share *share, uint64_t seq, uint64_t bytes);

#endif
