/* When the oldest alert that waits for the database was received. */
#include "test_journal_support.h"

#include "flow/oldest_waiting.h"
#include "model/record.h"

static struct journal *journal;
static struct batch *batch;
static struct oldest_waiting oldest;

static void open_all(void)
{
    test_dir_make();
    journal = open_journal(SMALL, NULL);
    batch = batch_new(10);
    oldest = (struct oldest_waiting){0};
}

static void close_all(void)
{
    batch_free(&batch);
    close_journal(&journal);
    test_dir_remove();
}

TestSuite(oldest_waiting, .init = open_all, .fini = close_all);

/* An alert received so many seconds after WALL. The caller frees it. */
static struct buf make_alert(unsigned received_s)
{
    struct buf record = {0};
    const struct alert alert = {ALERT_UNSET,          .format = ALERT_CLOUDEVENTS,
                                .source = STR("/s"),  .event_id = STR("e"),
                                .device = STR("d"),   .kind_word = STR("motion"),
                                .payload = STR("{}"), .endpoint = STR("door"),
                                .occurred_us = WALL,  .received_us = WALL + received_s * CLOCK_SECOND};
    record_pack(&record, &alert);
    return record;
}

/* Alerts received at WALL + 1 s, + 2 s, ... are synced; the record of number `damaged` is not that of an alert. */
static void sync_alerts(unsigned n, unsigned damaged)
{
    for (unsigned i = 1; i <= n; i++) {
        struct buf record = make_alert(i);
        struct err err;
        uint64_t seq;
        if (i == damaged)
            memset(record.data, 0xff, record.len);
        cr_assert_eq(journal_append(journal, buf_str(&record), WALL, &seq, &err), JOURNAL_APPENDED, "%s", err.text);
        buf_free(&record);
    }
    sync_journal(journal);
}

/* In seconds after WALL; 0: none waits. */
static int64_t waiting_s(uint64_t stored_seq, size_t n_batches)
{
    int64_t us = oldest_waiting_us(&oldest, journal, stored_seq, &batch, n_batches);
    return us == 0 ? 0 : (us - WALL) / CLOCK_SECOND;
}

Test(oldest_waiting, it_is_the_first_one_after_what_is_stored)
{
    sync_alerts(3, 0);
    cr_assert_eq(waiting_s(0, 0), 1);
    cr_assert_eq(waiting_s(0, 0), 1, "remembered");
    cr_assert_eq(waiting_s(2, 0), 3);
    cr_assert_eq(waiting_s(0, 0), 1, "what is stored may move backwards");
    cr_assert_eq(waiting_s(3, 0), 0, "none waits");
}

Test(oldest_waiting, one_in_memory_is_not_read_from_the_journal)
{
    struct err err;
    sync_alerts(2, 0);
    cr_assert_eq(journal_read(journal, 1, 10, SIZE_MAX, batch, &err), 0, "%s", err.text);
    struct buf other = make_alert(77);
    batch->rows[0].record = buf_str(&other);
    cr_assert_eq(waiting_s(0, 1), 77);
    cr_assert_eq(waiting_s(1, 1), 2, "not the first of a batch: the journal has it");
    buf_free(&other);
}

Test(oldest_waiting, the_time_of_a_row_in_memory_that_is_unreadable_is_not_believed)
{
    sync_alerts(2, 0);
    struct buf wrong = make_alert(77);
    batch->n = 1;
    batch->rows[0] = (struct batch_row){.alert = {.seq = 2}, .record = buf_str(&wrong), .unreadable = "damaged"};
    oldest.submitted_us = WALL + CLOCK_SECOND;
    cr_assert_eq(waiting_s(1, 1), 1);
    buf_free(&wrong);
}

Test(oldest_waiting, one_that_cannot_be_read_counts_from_the_last_one_submitted_before_it)
{
    sync_alerts(3, 3);
    batch->n = 2;
    batch->rows[0] = (struct batch_row){.alert = {.received_us = WALL + 2 * CLOCK_SECOND}};
    batch->rows[1] = (struct batch_row){.unreadable = "damaged"};
    oldest_waiting_submitted(&oldest, batch);
    batch->n = 0;
    cr_assert_eq(waiting_s(2, 1), 2);
}

Test(oldest_waiting, one_that_cannot_be_read_and_has_none_before_it_counts_from_the_oldest_one_kept)
{
    sync_alerts(2, 1);
    cr_assert_eq(oldest_waiting_us(&oldest, journal, 0, &batch, 0), journal_reach_us(journal));
    cr_assert_neq(journal_reach_us(journal), 0, "an alert waits, which 0 would deny");
}
