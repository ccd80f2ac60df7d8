#include "flow/dc09_restore.h"

#include "base/log.h"
#include "model/record.h"

#define RESTORE_ROWS  4096
#define RESTORE_BYTES (4 * 1024 * 1024)
/* If the receive time of a record cannot be read, that of one of the next ones is used, up to this many. */
#define PROBE_ROWS 16

/* The receive time of the first readable record from seq on; INT64_MAX: none of the next PROBE_ROWS is readable. */
static int64_t received_from(struct journal *journal, uint64_t seq, struct batch *batch)
{
    struct alert alert;
    batch_clear(batch);
    if (journal_read(journal, seq, PROBE_ROWS, RESTORE_BYTES, batch, NULL) != 0)
        return INT64_MAX;
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->rows[i].unreadable && record_unpack(batch->rows[i].record, &alert, NULL) == 0)
            return alert.received_us;
    return INT64_MAX;
}

/* The first record received at since_us or later; until: there is none before that number. Records are in the order of
 * their receipt. */
static uint64_t find_since(struct journal *journal, int64_t since_us, uint64_t until, struct batch *batch)
{
    uint64_t from = journal_first_seq(journal);
    while (from < until) {
        uint64_t middle = from + (until - from) / 2;
        if (received_from(journal, middle, batch) >= since_us)
            until = middle;
        else
            from = middle + 1;
    }
    return from;
}

void dc09_restore(struct dc09_session *session, struct journal *journal, uint64_t until_seq, int64_t wall_us)
{
    struct alert alert;
    struct err err = {""};
    struct batch *batch = batch_new(RESTORE_ROWS);
    uint64_t seq = find_since(journal, wall_us - DC09_UNDATED_WINDOW_US, until_seq + 1, batch);
    int rc = 0;
    while (seq <= until_seq) {
        uint64_t left = until_seq - seq + 1;
        batch_clear(batch);
        rc = journal_read(journal, seq, left < RESTORE_ROWS ? left : RESTORE_ROWS, RESTORE_BYTES, batch, &err);
        if (rc != 0 || batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++)
            if (!batch->rows[i].unreadable && record_unpack(batch->rows[i].record, &alert, NULL) == 0)
                dc09_session_restore(session, &alert, wall_us);
        seq = batch->last_seq + 1;
    }
    if (rc != 0)
        log_warning("journal", "%s; repeated DC-09 frames without a timestamp may be stored twice", err.text);
    batch_free(&batch);
}
