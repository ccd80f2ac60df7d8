/*
 * The queue of the post-commit work: raises whose incidents are to be verified, and hints to be announced. Bounded:
 * what does not fit is dropped.
 */
#ifndef MOBEYE_STORE_POST_COMMIT_QUEUE_H
#define MOBEYE_STORE_POST_COMMIT_QUEUE_H

#include "store/incident_rows.h"

enum { POST_COMMIT_VERIFY_PARAMS = 5, POST_COMMIT_ANNOUNCE_PARAMS = 2 };

extern const char post_commit_verify_sql[], post_commit_announce_sql[];
extern const Oid post_commit_verify_types[POST_COMMIT_VERIFY_PARAMS],
    post_commit_announce_types[POST_COMMIT_ANNOUNCE_PARAMS];

/* Raises of a device in an incident: times of occurrence of the first and the last. */
struct queued_raise {
    uint64_t incident;
    int64_t from_us, until_us;
    uint8_t device_len;
    char device[ALERT_DEVICE_MAX];
};

enum { POST_COMMIT_RAISES_ONCE = 250 }; /* some ms for PostgreSQL */

struct post_commit_queue {
    struct queued_raise *raises;
    size_t n_raises, cap_raises;
    int64_t since_us;                                  /* monotonic: since when raises have waited without a break */
    uint64_t n_dropped;                                /* raises that did not fit, and have not been logged yet */
    struct queued_raise sent[POST_COMMIT_RAISES_ONCE]; /* encoded last: neither done nor failed yet */
    size_t n_sent;
    struct incident_change *hints;
    size_t n_hints, cap_hints, encoded_hints;
    bool verifies;  /* a rule has, or had, verify_by: raises are to be queued */
    double reach_m; /* the largest radius of those rules */
};

void post_commit_queue_free(struct post_commit_queue *queue);

/* Verification settings of the current rules; those of earlier rules remain valid for their incidents. */
void post_commit_queue_widen(struct post_commit_queue *queue, bool verifies, double radius_m);

/* A batch is committed. stored: its encoded_batch_rows_to_store(). now_us: monotonic. */
void post_commit_queue_batch(struct post_commit_queue *queue, const struct batch *batch, const uint8_t *stored,
                             const struct incident_rows *rows, int64_t now_us);

/* How long raises have been waiting, including those in progress; 0: none is waiting. */
int64_t post_commit_queue_waited_us(const struct post_commit_queue *queue, int64_t now_us);

/* To be announced. */
void post_commit_queue_hint(struct post_commit_queue *queue, uint64_t incident, enum incident_op op);

/* Append some of the waiting raises or hints to the bufs of values, which are empty; more may be queued until the next
 * call reports the outcome. Raises are done, or wait again; hints are done, or encoded again. */
void post_commit_queue_encode_raises(struct post_commit_queue *queue, struct buf values[POST_COMMIT_VERIFY_PARAMS]);
void post_commit_queue_verified(struct post_commit_queue *queue);
void post_commit_queue_unverified(struct post_commit_queue *queue);
void post_commit_queue_encode_hints(struct post_commit_queue *queue, struct buf values[POST_COMMIT_ANNOUNCE_PARAMS]);
void post_commit_queue_announced(struct post_commit_queue *queue);

#endif
