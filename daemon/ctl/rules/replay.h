/*
 * Replays stored alerts with other rules.
 */
#ifndef MOBEYE_CTL_RULES_REPLAY_H
#define MOBEYE_CTL_RULES_REPLAY_H

#include <libpq-fe.h>

#include "base/err.h"
#include "conf/conf.h"
#include "ctl/rules/memory_store.h"

/* A stored incident, as far as alerts of the period concern it. */
struct replay_incident {
    uint64_t id;
    char *reference, *device, *rule; /* texts for people */
    enum incident_category category;
    int priority;
    int64_t first_seen_us;
    int64_t closed_us; /* when a person closed it; ALERT_NO_TIME: none did */
    bool verified_by_person;
    bool has_alerts; /* it has alerts of the period; others are ignored */
    size_t replayed; /* index into store.set.incidents: the first one that its alerts create now; NO_INCIDENT: none */
};

/* A replayed incident is the same as a stored one if the first alert of each belongs to the other. */
struct replay {
    struct memory_store store;
    uint64_t *stored_of; /* for each replayed incident: id of the stored incident of its first alert; 0: none */
    size_t cap_stored_of;
    struct replay_incident *stored; /* by id */
    size_t n_stored;
    size_t *closings; /* indexes of the incidents that a person closed, ordered by time */
    size_t n_closings, closed;
    uint64_t alerts;
};

/* Reads the alerts received in the last since_us, in a read-only transaction, and applies the rules of conf with the
 * present registry and areas; incidents that people closed are closed at the same times. Sets TZ to that of conf. Shows
 * progress on stderr. -1 with err set; replay_free() it in either case. */
int replay_run(struct replay *replay, PGconn *conn, const struct conf *conf, int64_t since_us, struct err *err);
void replay_free(struct replay *replay);

struct replay_counts {
    size_t stored, replayed, same, gained, lost, more_urgent, less_urgent;
};
struct replay_counts replay_count(const struct replay *replay);

/* The same incident as stored; NULL: the replayed one is gained. */
const struct replay_incident *replay_same(const struct replay *replay, size_t incident);

/* Whether the stored incident is lost. */
bool replay_lost(const struct replay *replay, const struct replay_incident *stored);

/* Appends "12345 alerts; incidents: 120 stored, 131 with these rules; ..." */
void replay_summary(const struct replay *replay, struct buf *out);

#endif
