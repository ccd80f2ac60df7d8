/*
 * What follows on commits: raises whose incidents are to be verified, and what is to be announced. Bounded; what does
 * not fit is left out, but for raises, of which the latest are.
 */
#ifndef MOBEYE_STORE_FOLLOW_H
#define MOBEYE_STORE_FOLLOW_H

#include "store/incident_rows.h"

enum { FOLLOW_VERIFY_PARAMS = 5, FOLLOW_ANNOUNCE_PARAMS = 2 };

extern const char follow_verify_sql[], follow_announce_sql[];
extern const Oid follow_verify_types[FOLLOW_VERIFY_PARAMS], follow_announce_types[FOLLOW_ANNOUNCE_PARAMS];

/* Raises of a device in an incident: times of occurrence of the first and the last. */
struct follow_raise {
    uint64_t incident;
    int64_t from_us, until_us;
    uint8_t device_len;
    char device[ALERT_DEVICE_MAX];
};

enum { FOLLOW_RAISES_ONCE = 250 }; /* some ms for PostgreSQL */

struct follow {
    struct follow_raise *raises;
    size_t n_raises, cap_raises;
    struct follow_raise sent[FOLLOW_RAISES_ONCE]; /* encoded last: neither done nor failed yet */
    size_t n_sent;
    struct incident_change *hints;
    size_t n_hints, cap_hints, encoded_hints;
    bool verifies;  /* some rule has verify_by */
    double reach_m; /* the largest radius of those */
};

void follow_free(struct follow *follow);

/* A batch is committed: stored is parcel_stored() of it. */
void follow_batch(struct follow *follow, const struct batch *batch, const uint8_t *stored,
                  const struct incident_rows *rows);

/* To be announced. */
void follow_hint(struct follow *follow, uint64_t incident, enum incident_op op);

/* Append some of what is due to the bufs of values, which are empty; more may come until the next call says what
 * became of it. Raises are done, or due again; hints are done, or encoded again. */
void follow_encode_raises(struct follow *follow, struct buf values[FOLLOW_VERIFY_PARAMS]);
void follow_verified(struct follow *follow);
void follow_unverified(struct follow *follow);
void follow_encode_hints(struct follow *follow, struct buf values[FOLLOW_ANNOUNCE_PARAMS]);
void follow_announced(struct follow *follow);

#endif
