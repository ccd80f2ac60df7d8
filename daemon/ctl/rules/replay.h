/*
 * What other rules would have made of the alerts that are stored.
 */
#ifndef MOBEYE_CTL_RULES_REPLAY_H
#define MOBEYE_CTL_RULES_REPLAY_H

#include <libpq-fe.h>

#include "base/err.h"
#include "conf/conf.h"
#include "ctl/rules/memory_store.h"

/* An incident as it is stored, as far as alerts of the time concern it. */
struct replay_incident {
    uint64_t id;
    char *reference, *device, *rule; /* texts for people */
    enum incident_category category;
    int priority;
    int64_t first_seen_us;
    int64_t closed_us; /* by a person; ALERT_NO_TIME: not */
    bool verified_by_person;
    bool has_alerts; /* of the time; the rest does not count */
    size_t replayed; /* index into scratch.book.incidents: the first that its alerts make now; NO_INCIDENT: none */
};

/* An incident that the rules make is the same as a stored one where the first alert of each is in the other. */
struct replay {
    struct memory_store store;
    uint64_t *stored_of; /* of each of its incidents: the id of the stored one that its first alert is in; 0: none */
    size_t cap_stored_of;
    struct replay_incident *stored; /* by id */
    size_t n_stored;
    size_t *closings; /* of those that a person closed, by when */
    size_t n_closings, closed;
    uint64_t alerts;
};

/* Reads what was received since that long before now, in a transaction of its own that changes nothing, and applies the
 * rules of conf, with the registry and areas of now; what people closed is closed at the same time. TZ is conf's.
 * Progress on stderr. -1: err says why not; the replay is to be freed either way. */
int replay_run(struct replay *replay, PGconn *conn, const struct conf *conf, int64_t since_us, struct err *err);
void replay_free(struct replay *replay);

struct replay_counts {
    size_t stored, replayed, same, gained, lost, more_urgent, less_urgent;
};
struct replay_counts replay_count(const struct replay *replay);

/* NULL: it is gained. */
const struct replay_incident *replay_same(const struct replay *replay, size_t incident);

/* Is it lost? */
bool replay_lost(const struct replay *replay, const struct replay_incident *stored);

/* "12345 alerts since ...: 120 incidents stored, 131 by these rules: ..." */
void replay_summary(const struct replay *replay, struct buf *out);

#endif
