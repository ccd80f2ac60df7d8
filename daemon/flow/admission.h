/*
 * A message's records into the journal's next group, and the complaint where there is no room for them: none in the
 * journal, or none in the client's share of it (client_share.h).
 */
#ifndef MOBEYE_FLOW_ADMISSION_H
#define MOBEYE_FLOW_ADMISSION_H

#include "base/loop.h"
#include "flow/client_share.h"
#include "ingest/endpoint_state.h"
#include "journal/journal.h"

struct admission {
    struct loop *loop;
    struct journal *journal; /* the caller's */
    uint64_t counted_seq;    /* the last record that is counted as journaled */
    int64_t group_since_us;  /* monotonic: receipt of the first record that is not */
    size_t bytes;            /* that went into the journal since the start */
    struct rate_limiter full;
    struct client_shares shares;
    uint64_t max_size_bytes;           /* of the journal */
    int64_t keep_us[CLASS_COUNT];      /* how long alerts of each class are kept */
    const struct conf_client *clients; /* that are listed; the configuration's */
    size_t n_clients;
    struct client_share **by_client; /* the share of each; NULL: nothing came from it yet */
};

/* Before the first message, and with every new configuration, which must live until the next. */
void admission_configure(struct admission *admission, const struct conf *conf);
void admission_free(struct admission *admission); /* what it has; {0} may be freed */

enum admission_result {
    ADMISSION_TAKEN,
    ADMISSION_FULL,   /* none is in it: try again later, maybe others are let in */
    ADMISSION_FAILED, /* err says why; final, as journal_append() */
};

/* Admits the records of a message, one at least, all or none, and clears them. ret_seq: the number of the last. */
enum admission_result admission_add(struct admission *admission, struct record_queue *records, uint64_t *ret_seq,
                                    struct err *err);

/* The share of the client, for records->share; NULL for NULL. */
struct client_share *admission_share(struct admission *admission, const struct conf_client *client);

/* Records that are not counted yet. The journal may have synced some of them already, where they filled a frame. */
uint64_t admission_uncounted(const struct admission *admission);

#endif
