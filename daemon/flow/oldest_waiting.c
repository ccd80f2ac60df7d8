#include "flow/oldest_waiting.h"

#include "model/record.h"

void oldest_waiting_submitted(struct oldest_waiting *oldest, const struct batch *batch)
{
    for (size_t i = batch->n; i > 0; i--)
        if (!batch->rows[i - 1].unreadable) {
            oldest->submitted_us = batch->rows[i - 1].alert.received_us;
            return;
        }
}

/* false: the record cannot be read. A record in memory is not read from the journal: that would move the journal's
 * reader away from the next batch. */
static bool read_receipt(struct journal *journal, uint64_t seq, struct batch *const *batches, size_t n, int64_t *ret_us)
{
    struct alert alert = {0};
    for (size_t i = 0; i < n; i++)
        if (batches[i]->n > 0 && batches[i]->rows[0].alert.seq == seq) {
            bool readable =
                !batches[i]->rows[0].unreadable && record_unpack(batches[i]->rows[0].record, &alert, NULL) == 0;
            *ret_us = alert.received_us;
            return readable;
        }
    struct batch *one = batch_new(1);
    bool readable = journal_read(journal, seq, 1, RECORD_MAX, one, NULL) == 0 && one->n == 1 &&
                    !one->rows[0].unreadable && record_unpack(one->rows[0].record, &alert, NULL) == 0;
    *ret_us = alert.received_us;
    batch_free(&one);
    return readable;
}

int64_t oldest_waiting_us(struct oldest_waiting *oldest, struct journal *journal, uint64_t stored_seq,
                          struct batch *const *batches, size_t n)
{
    int64_t received_us;
    if (stored_seq == journal_synced_seq(journal))
        return 0;
    if (oldest->seq == stored_seq + 1)
        return oldest->received_us;
    if (!read_receipt(journal, stored_seq + 1, batches, n, &received_us))
        received_us = oldest->submitted_us ? oldest->submitted_us : journal_reach_us(journal);
    oldest->seq = stored_seq + 1;
    oldest->received_us = received_us;
    return received_us;
}
