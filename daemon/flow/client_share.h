/*
 * How much of the journal each listed client uses for alerts that are not yet in the database. If several clients are
 * listed, none may use more than half of it, so that the others can still send when one floods during an outage.
 *
 * A client is charged for the bytes of its messages in the segments until they are in the database; when the segment is
 * removed does not matter, since stored segments give way. Everything else that is not stored reduces the space to be
 * halved: alerts from endpoints without CURVE, and everything that was there at the start or is applied again after a
 * rewind. So after a restart a client that had used its half gets at most half of what is left.
 *
 * Memory: about 1.2 kB for each client that has sent something since the start.
 */
#ifndef MOBEYE_FLOW_CLIENT_SHARE_H
#define MOBEYE_FLOW_CLIENT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct client_share; /* of one client; valid as long as its struct client_shares */

struct client_shares {
    struct client_share *list;
    uint64_t limit_bytes; /* for each client; UINT64_MAX: none */
};

void client_shares_free(struct client_shares *shares); /* leaves it empty */

/* The share of the client with this public key; created if it does not exist, with `name` for the log. */
struct client_share *client_share_of(struct client_shares *shares, const char *key, const char *name);

/* Releases what is stored by now and sets the limit. several: more than one client is listed. max_bytes: the size of
 * the journal; waiting_bytes: the part used by what is not stored, from any sender. */
void client_shares_update(struct client_shares *shares, bool several, uint64_t max_bytes, uint64_t waiting_bytes,
                          uint64_t stored_seq);

/* Whether this many more bytes are within the limit; false is logged, rate-limited. share NULL: not a listed client,
 * unlimited. */
bool client_share_allows(const struct client_shares *shares, struct client_share *share, uint64_t bytes,
                         int64_t mono_us);

/* Charges the client for a message in the journal whose last record has the number seq. No-op if share is NULL. */
void client_share_add(const struct client_shares *shares, struct client_share *share, uint64_t seq, uint64_t bytes);

#endif
