#include "admit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What a record takes in a segment beside its bytes, and what a frame takes: headers, tables, padding (FORMAT.md). */
#define RECORD_OVERHEAD 40
#define FRAME_OVERHEAD  768

uint64_t admit_uncounted(const struct admit *admit)
{
    return journal_next_seq(admit->journal) - 1 - admit->counted_seq;
}

static int append(struct admit *admit, const struct records *records, uint64_t *ret_seq, struct err *err)
{
    struct str each[JOURNAL_MESSAGE_RECORDS];
    const char *at = records->bytes.data;
    for (size_t i = 0; i < records->n; at += records->len[i++])
        each[i] = (struct str){at, records->len[i]};
    const struct journal_message message = {each, records->n, records->shared_offset, records->shared_bytes};
    return journal_append_message(admit->journal, &message, loop_wall_us(admit->loop), ret_seq, err);
}

void admit_configure(struct admit *admit, const struct conf *conf)
{
    admit->max_size_bytes = conf->journal.max_size_bytes;
    memcpy(admit->keep_us, conf->retention.class_us, sizeof(admit->keep_us));
    admit->clients = conf->clients;
    admit->n_clients = conf->n_clients;
    free(admit->by_client);
    admit->by_client = mem_zalloc((conf->n_clients + 1) * sizeof(struct share *));
}

void admit_free(struct admit *admit)
{
    free(admit->by_client);
    shares_free(&admit->shares);
}

struct share *admit_share(struct admit *admit, const struct conf_client *client)
{
    if (!client)
        return NULL;
    struct share **share = &admit->by_client[client - admit->clients];
    if (!*share)
        *share = share_of(&admit->shares, client->key, client->name);
    return *share;
}

static void look_at_shares(struct admit *admit)
{
    double waiting_bytes = journal_fill(admit->journal) * (double)admit->max_size_bytes;
    shares_look(&admit->shares, admit->n_clients > 1, admit->max_size_bytes, (uint64_t)waiting_bytes,
                journal_stored_seq(admit->journal));
}

enum admit_result admit_records(struct admit *admit, struct records *records, uint64_t *ret_seq, struct err *err)
{
    bool first = admit_uncounted(admit) == 0;
    size_t bytes = records->bytes.len - (records->n - 1) * records->shared_bytes;
    uint64_t in_segment = bytes + records->n * RECORD_OVERHEAD + (first ? FRAME_OVERHEAD : 0);
    if (first)
        look_at_shares(admit);
    if (!share_allows(&admit->shares, records->share, in_segment, loop_mono_us(admit->loop)))
        return ADMIT_FULL;
    int rc = append(admit, records, ret_seq, err);
    if (rc == JOURNAL_FULL) {
        log_complain(&admit->full, loop_mono_us(admit->loop), LOG_LEVEL_ERROR, "journal",
                     "full: %s; senders get RETRY, or on tcp no answer; pull and sub endpoints are not read",
                     err->text);
        return ADMIT_FULL;
    }
    if (rc != JOURNAL_APPENDED)
        return ADMIT_FAILED;
    if (first)
        admit->group_since_us = loop_mono_us(admit->loop);
    admit->bytes += bytes;
    share_add(&admit->shares, records->share, *ret_seq, in_segment);
    log_recover(&admit->full, "journal", "there is room again");
    records_clear(records);
    return ADMIT_TAKEN;
}
