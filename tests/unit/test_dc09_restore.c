/* What a DC-09 session is restored from. The session is a double, which notes the alerts. */
#include "test_journal_support.h"

#include "flow/dc09_restore.h"
#include "model/record.h"

static struct journal *journal;
static int64_t restored_s[32]; /* when they were received, in seconds after WALL */
static size_t n_restored;

void dc09_session_restore(struct dc09_session *session, const struct alert *alert, int64_t wall_us)
{
    (void)session, (void)wall_us;
    restored_s[n_restored++] = (alert->received_us - WALL) / CLOCK_SECOND;
}

static void open_all(void)
{
    test_dir_make();
    journal = open_journal(SMALL, NULL);
    n_restored = 0;
}

static void close_all(void)
{
    close_journal(&journal);
    test_dir_remove();
}

TestSuite(dc09_restore, .init = open_all, .fini = close_all);

/* Syncs n alerts, received a minute apart from minute `from` after WALL on. */
static void sync_alerts(int from, int n)
{
    for (int i = 0; i < n; i++) {
        struct buf record = {0};
        struct err err;
        uint64_t seq;
        const struct alert alert = {ALERT_UNSET,          .format = ALERT_SIA_DC09,
                                    .source = STR("/s"),  .event_id = STR("e"),
                                    .device = STR("d"),   .kind_word = STR("motion"),
                                    .payload = STR("{}"), .endpoint = STR("door"),
                                    .occurred_us = WALL,  .received_us = WALL + (from + i) * CLOCK_MINUTE};
        record_pack(&record, &alert);
        cr_assert_eq(journal_append(journal, buf_str(&record), WALL, &seq, &err), JOURNAL_APPENDED, "%s", err.text);
        buf_free(&record);
    }
    sync_journal(journal);
}

static void restore(uint64_t until_seq, int minute)
{
    dc09_restore(NULL, journal, until_seq, WALL + minute * CLOCK_MINUTE);
}

Test(dc09_restore, those_of_the_last_minutes_are_restored)
{
    cr_assert_eq(DC09_UNDATED_WINDOW_US, 15 * CLOCK_MINUTE);
    sync_alerts(0, 20);
    restore(20, 20);
    cr_assert_eq(n_restored, 15);
    cr_assert_eq(restored_s[0], 5 * 60);
    cr_assert_eq(restored_s[14], 19 * 60);
}

Test(dc09_restore, later_ones_than_those_at_the_start_are_not_read)
{
    sync_alerts(0, 10);
    sync_alerts(10, 10);
    restore(10, 20);
    cr_assert_eq(n_restored, 5);
    cr_assert_eq(restored_s[4], 9 * 60);
    restore(10, 60);
    cr_assert_eq(n_restored, 5, "too old");
}

Test(dc09_restore, an_empty_journal_has_nothing_to_restore)
{
    restore(0, 20);
    cr_assert_eq(n_restored, 0);
}
