/*
 * Admits the records of a message to the journal's next group commit, if the journal and the client's share of it
 * (client_share.h) have space for them; else logs why not.
 */
#ifndef MOBEYE_FLOW_ADMISSION_H
#define MOBEYE_FLOW_ADMISSION_H

#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "flow/client_share.h"
#include "journal/journal.h"
#include "model/record_queue.h"

/* The caller sets the first three members. */
struct admission {
    struct loop *loop;
    struct journal *journal; /* owned by the caller */
    uint64_t counted_seq;    /* the last record counted as journaled */
    int64_t group_since_us;  /* monotonic: receipt of the first record not yet counted */
    size_t bytes;            /* appended to the journal since the start */
    struct rate_limiter full;
    struct client_shares shares;
    uint64_t max_size_bytes;           /* of the journal */
    const struct conf_client *clients; /* the listed ones; owned by the configuration */
    size_t n_clients;
    struct client_share **by_client; /* the share of each; NULL: it has sent nothing yet */
};

/* To be called before the first message and for every new configuration, which must stay valid until the next one. */
void admission_configure(struct admission *admission, const struct conf *conf);
void admission_free(struct admission *admission); /* frees what it owns; safe on {0} */

enum admission_result {
    ADMISSION_ADMITTED,
    ADMISSION_FULL,   /* nothing was admitted: try again later; records of other clients may be admitted */
    ADMISSION_FAILED, /* the reason is in err; final, as with journal_append() */
};

/* Admits the records of a message (at least one), all or none, and clears them. ret_seq: the number of the last one. */
enum admission_result admission_add(struct admission *admission, struct record_queue *records, uint64_t *ret_seq,
                                    struct err *err);

/* The share of the client, for records->share. NULL for NULL. */
struct client_share *admission_share(struct admission *admission, const struct conf_client *client);

/* The number of records not yet counted. The journal may have synced some of them already, if they filled a frame. */
uint64_t admission_uncounted(const struct admission *admission);

/* This many more records are synced and counted as journaled. */
void admission_counted(struct admission *admission, uint64_t records);

/* A full frame has been synced: its records must be replied to and counted. */
bool admission_part_synced(const struct admission *admission);

/* How long the group waits for more records to fill its frame; 0: no longer, or not at all. */
int64_t admission_wait_us(const struct admission *admission);

#endif
