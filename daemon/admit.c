#include "admit.h"

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

enum admit_result admit_records(struct admit *admit, struct records *records, uint64_t *ret_seq, struct err *err)
{
    bool first = admit_uncounted(admit) == 0;
    int rc = append(admit, records, ret_seq, err);
    if (rc == JOURNAL_FULL) {
        log_complain(&admit->full, loop_mono_us(admit->loop), LOG_LEVEL_ERROR, "journal",
                     "full: %s; senders get RETRY, or on tcp no answer; pull and sub endpoints are not read", err->text);
        return ADMIT_FULL;
    }
    if (rc != JOURNAL_APPENDED)
        return ADMIT_FAILED;
    if (first)
        admit->group_since_us = loop_mono_us(admit->loop);
    admit->bytes += records->bytes.len - (records->n - 1) * records->shared_bytes;
    log_recover(&admit->full, "journal", "there is room again");
    records_clear(records);
    return ADMIT_TAKEN;
}
