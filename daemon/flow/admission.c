#include "flow/admission.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

/* Bytes in a segment in addition to the records: per record, and per frame (headers, tables, padding; see FORMAT.md).
 */
#define RECORD_OVERHEAD 40
#define FRAME_OVERHEAD  768
/* In a journal more than half full a group waits to fill its frame (padded to 512 bytes), up to this time and size. */
#define FILL_WAIT_US (10 * CLOCK_MS)
#define FILL_ENOUGH  (64 * 1024)

_Static_assert(RECORD_QUEUE_MAX <= JOURNAL_MESSAGE_RECORDS, "a message is appended whole");

uint64_t admission_uncounted(const struct admission *admission)
{
    return journal_next_seq(admission->journal) - 1 - admission->counted_seq;
}

void admission_counted(struct admission *admission, uint64_t records)
{
    admission->counted_seq += records;
}

bool admission_part_synced(const struct admission *admission)
{
    return journal_synced_seq(admission->journal) > admission->counted_seq;
}

int64_t admission_wait_us(const struct admission *admission)
{
    int64_t waited_us = loop_mono_us(admission->loop) - admission->group_since_us;
    bool waits = admission_uncounted(admission) > 0 && !admission_part_synced(admission) &&
                 journal_fill(admission->journal) > 0.5 && waited_us < FILL_WAIT_US &&
                 journal_unsynced_bytes(admission->journal) < FILL_ENOUGH;
    return waits ? FILL_WAIT_US - waited_us : 0;
}

static int append_message(struct admission *admission, const struct record_queue *records, uint64_t *ret_seq,
                          struct err *err)
{
    struct str each[RECORD_QUEUE_MAX];
    const char *at = records->bytes.data;
    for (size_t i = 0; i < records->n; at += records->len[i++])
        each[i] = (struct str){at, records->len[i]};
    const struct journal_message message = {each, records->n, records->shared_offset, records->shared_bytes};
    return journal_append_message(admission->journal, &message, loop_wall_us(admission->loop), ret_seq, err);
}

void admission_configure(struct admission *admission, const struct conf *conf)
{
    admission->max_size_bytes = conf->journal.max_size_bytes;
    admission->clients = conf->clients;
    admission->n_clients = conf->n_clients;
    free(admission->by_client);
    admission->by_client = mem_zalloc((conf->n_clients + 1) * sizeof(struct client_share *));
}

void admission_free(struct admission *admission)
{
    free(admission->by_client);
    client_shares_free(&admission->shares);
}

struct client_share *admission_share(struct admission *admission, const struct conf_client *client)
{
    if (!client)
        return NULL;
    struct client_share **share = &admission->by_client[client - admission->clients];
    if (!*share)
        *share = client_share_of(&admission->shares, client->key, client->name);
    return *share;
}

static void update_shares(struct admission *admission)
{
    double waiting_bytes = journal_fill(admission->journal) * (double)admission->max_size_bytes;
    client_shares_update(&admission->shares, admission->n_clients > 1, admission->max_size_bytes,
                         (uint64_t)waiting_bytes, journal_stored_seq(admission->journal));
}

enum admission_result admission_add(struct admission *admission, struct record_queue *records, uint64_t *ret_seq,
                                    struct err *err)
{
    bool first = admission_uncounted(admission) == 0;
    size_t bytes = records->bytes.len - (records->n - 1) * records->shared_bytes;
    uint64_t in_segment = bytes + records->n * RECORD_OVERHEAD + (first ? FRAME_OVERHEAD : 0);
    if (first)
        update_shares(admission);
    if (!client_share_allows(&admission->shares, records->share, in_segment, loop_mono_us(admission->loop)))
        return ADMISSION_FULL;
    int rc = append_message(admission, records, ret_seq, err);
    if (rc == JOURNAL_FULL) {
        log_limited(&admission->full, loop_mono_us(admission->loop), LOG_LEVEL_ERROR, "journal",
                    "full: %s; senders get RETRY (on tcp no reply), pull and sub endpoints are not read", err->text);
        return ADMISSION_FULL;
    }
    if (rc != JOURNAL_APPENDED)
        return ADMISSION_FAILED;
    if (first)
        admission->group_since_us = loop_mono_us(admission->loop);
    admission->bytes += bytes;
    client_share_add(&admission->shares, records->share, *ret_seq, in_segment);
    log_recover(&admission->full, "journal", "has space again");
    record_queue_clear(records);
    return ADMISSION_ADMITTED;
}
