/*
 * Each call that opens, examines, lists or removes a file fails once, over a journal's whole life: no failure costs an
 * accepted record, goes unnoticed where it matters, or leaves an error without a text. Writes and syncs:
 * test_journal_fault.
 */
#include "failing_calls.h"

TestSuite(journal_calls, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 240);

struct life {
    uint64_t accepted, stored, appended;
    struct err err;
    bool failed;
};

static bool failed(struct life *life, int rc)
{
    life->failed = rc < 0;
    if (life->failed)
        cr_assert_neq(life->err.text[0], '\0');
    return life->failed;
}

static bool append_group(struct journal *journal, struct life *life)
{
    static char record[8000];
    for (unsigned i = 0; i < 5; i++) {
        uint64_t seq;
        make_record(journal_next_seq(journal), sizeof(record), record);
        int rc = journal_append(journal, (struct str){record, sizeof(record)}, WALL, &seq, &life->err);
        if (failed(life, rc))
            return false;
        life->appended += rc == JOURNAL_APPENDED;
    }
    if (failed(life, journal_sync(journal, &life->err)))
        return false;
    life->accepted = journal_synced_seq(journal);
    return true;
}

/* Reads all that is kept from a number on; the number after the last. A record that is not what was written is fatal.
 */
static uint64_t read_from(struct journal *journal, uint64_t next, struct life *life)
{
    struct batch *batch = batch_new(1000);
    for (;; batch_clear(batch)) {
        if (failed(life, journal_read(journal, next, 1000, SIZE_MAX, batch, &life->err)) || batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++, next++) {
            cr_assert_eq(batch->rows[i].alert.seq, next);
            size_t len = batch->rows[i].record.len;
            static char want[8000];
            make_record(next, sizeof(want), want);
            cr_assert(len == sizeof(want) && memcmp(batch->rows[i].record.p, want, len) == 0, "record %" PRIu64, next);
        }
    }
    batch_free(&batch);
    return next;
}

/* Opens, appends over several segments while the database stores them, takes a new UUID, closes. */
static void open_and_work(struct life *life)
{
    struct journal *journal = NULL;
    struct journal_options options = options_of(SMALL);
    struct journal_recovery found;
    uint64_t checksum;
    if (failed(life, journal_open(&journal, &options, WALL, &found, &life->err)))
        return;
    for (unsigned group = 0; group < 12 && append_group(journal, life); group++) {
        (void)journal_check_space(journal, WALL, &life->err);
        if (group % 4 != 3)
            continue;
        read_from(journal, life->stored + 1, life);
        if (!life->failed)
            cr_assert(journal_checksum(journal, life->accepted, &checksum) || sim.calls >= sim.at);
        journal_stored(journal, life->accepted - 3, WALL);
        life->stored = life->accepted - 3;
        if (failed(life, journal_new_uuid(journal, &life->err)))
            break;
    }
    if (!life->failed)
        failed(life, journal_close(journal, &life->err));
    journal_free(&journal);
}

/* After a restart without faults. */
static void assert_kept(const struct life *life, const char *what, unsigned at)
{
    struct life after = {0};
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_leq(journal_first_seq(journal), life->stored + 1, "%s at call %u", what, at);
    uint64_t next = read_from(journal, life->stored + 1, &after);
    cr_assert(!after.failed, "%s at call %u: %s", what, at, after.err.text);
    cr_assert_geq(next - 1, life->accepted, "%s at call %u: %" PRIu64 " accepted, %" PRIu64 " kept", what, at,
                  life->accepted, next - 1);
    cr_assert_leq(next - 1, life->appended, "%s at call %u", what, at);
    cr_assert_eq(found.damaged + found.missing + found.foreign + found.lost_segments, 0, "%s at call %u", what, at);
    cr_assert(append_group(journal, &after), "%s at call %u: %s", what, at, after.err.text);
    close_journal(&journal);
}

static const struct {
    int error;
    const char *word;
} errors[] = {{EIO, "EIO"}, {EMFILE, "EMFILE"}, {EACCES, "EACCES"}};

Test(journal_calls, none_can_fail_while_it_works_and_cost_what_was_accepted)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        for (unsigned at = 1, done = 0; !done; at++) {
            struct life life = {0};
            remove_tree(in_dir("journal"));
            arm(errors[i].error, at);
            open_and_work(&life);
            done = sim.calls < at;
            sim.counting = false;
            if (done)
                cr_assert(!life.failed && life.accepted == 60, "%s", life.err.text);
            assert_kept(&life, errors[i].word, at);
        }
}

/* A start on several segments, not closed. A failure fails the start, or it counts for nothing; what the disk cannot
 * read is damage, which is reported. */
Test(journal_calls, none_can_fail_at_a_start_and_cost_what_was_accepted)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        for (unsigned at = 1, done = 0; !done; at++) {
            struct life life = {0}, start = {0};
            struct journal_options options = options_of(SMALL);
            struct journal_recovery found;
            remove_tree(in_dir("journal"));
            struct journal *journal = open_journal(SMALL, NULL);
            for (unsigned group = 0; group < 8; group++)
                cr_assert(append_group(journal, &life));
            journal_free(&journal);
            arm(errors[i].error, at);
            bool damage = false;
            if (!failed(&start, journal_open(&journal, &options, WALL, &found, &start.err))) {
                damage = errors[i].error == EIO && found.damaged + found.missing + found.lost_segments > 0;
                if (!damage)
                    read_from(journal, 1, &start);
            }
            done = sim.calls < at;
            sim.counting = false;
            journal_free(&journal);
            if (!damage)
                assert_kept(&life, errors[i].word, at);
        }
}

/* As after the inode of a file was damaged: it is unknown how many records it had, and no number is missing. */
Test(journal_calls, a_last_segment_that_cannot_be_read_is_reported_as_lost)
{
    static const int broken[] = {EIO, EUCLEAN, 0};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct life life = {0};
        struct journal_recovery found;
        char last[64];
        remove_tree(in_dir("journal"));
        struct journal *journal = open_journal(SMALL, NULL);
        for (unsigned group = 0; group < 8; group++)
            cr_assert(append_group(journal, &life));
        uint64_t begins = life.accepted;
        while (snprintf(last, sizeof(last), "%020" PRIu64 ".seg", begins),
               access(in_dir("journal/%s", last), F_OK) != 0)
            begins--;
        cr_assert_gt(begins, 1);
        journal_free(&journal);
        sim.error = broken[i];
        sim.broken = last;
        sim.opens = broken[i] == 0;
        journal = open_journal(SMALL, &found);
        cr_expect_eq(found.lost_segments, 1);
        cr_expect_eq(found.foreign + found.damaged + found.missing, 0);
        cr_expect_eq(journal_next_seq(journal), begins, "what comes before it is kept");
        cr_expect(found.salvaged);
        sim.broken = NULL;
        cr_expect_neq(access(in_dir("journal/%s", last), F_OK), 0, "it is moved away");
        cr_expect(append_group(journal, &life), "%s", life.err.text);
        close_journal(&journal);
    }
}

Test(journal_calls, what_is_no_file_is_foreign_and_what_has_another_name_is_left)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    close_journal(&journal);
    const char *name = in_dir("journal/%020d.seg", 7), *hidden = in_dir("journal/.%020d.seg", 7),
               *other = in_dir("journal/seg");
    cr_assert_eq(symlink(name, name), 0, "a link that leads nowhere");
    cr_assert_eq(mkdir(in_dir("journal/%020d.seg", 8), 0700), 0);
    cr_assert_eq(mkfifo(in_dir("journal/%020d.seg", 9), 0600), 0);
    save_file(hidden, "x", 1);
    save_file(other, "x", 1);
    journal = open_journal(SMALL, &found);
    cr_expect_eq(found.foreign, 3);
    cr_expect_eq(found.lost_segments, 0);
    cr_expect(access(hidden, F_OK) == 0 && access(other, F_OK) == 0);
    close_journal(&journal);
}

/* Its name was listed before it was removed. */
Test(journal_calls, a_segment_that_disappears_while_they_are_listed_is_none)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    close_journal(&journal);
    save_file(in_dir("journal/%020d.seg", 7), "x", 1);
    sim.broken = "00000000000000000007.seg";
    sim.error = ENOENT;
    journal = open_journal(SMALL, &found);
    cr_expect_eq(found.foreign + found.lost_segments + found.missing, 0);
    close_journal(&journal);
}

/* ---- reads ---- */

/* Reads on from that number until it fails, or all is read; returns the number after the last row. */
static uint64_t read_rows(struct journal *journal, uint64_t next, uint64_t *unreadable, struct life *reading)
{
    struct batch *batch = batch_new(1000);
    for (;; batch_clear(batch)) {
        if (failed(reading, journal_read(journal, next, 1000, SIZE_MAX, batch, &reading->err)) || batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++) {
            cr_assert_eq(batch->rows[i].alert.seq, next++);
            *unreadable += batch->rows[i].unreadable != NULL;
        }
    }
    batch_free(&batch);
    return next;
}

/* Segments of 4 MiB, read one MiB at a time: a read may fail in the middle of a segment. */
enum { LARGE_RECORDS = 200, LARGE_RECORD_BYTES = 50000 };

static struct journal *fill_large_journal(void)
{
    struct journal *journal = open_journal(UINT64_C(64) << 20, NULL);
    for (unsigned i = 1; i <= LARGE_RECORDS; i++) {
        cr_assert_eq(append_sized(journal, LARGE_RECORD_BYTES), JOURNAL_APPENDED);
        if (i % 5 == 0)
            sync_journal(journal);
    }
    return journal;
}

/* Each read fails once: reading stops before a record, or goes on, and the next attempt reads what remains. */
static void assert_reads_on(struct journal *journal, int error, uint64_t lost)
{
    unsigned failures = 0;
    sim.reads = true;
    for (unsigned at = 1, done = 0; !done; at++) {
        struct life reading = {0};
        uint64_t unreadable = 0;
        arm(error, at);
        uint64_t next = read_rows(journal, 1, &unreadable, &reading);
        done = sim.calls < at;
        sim.counting = false;
        failures += reading.failed;
        cr_assert(error != EINTR || !reading.failed || strstr(reading.err.text, "cannot be opened"), "%s",
                  reading.err.text);
        cr_assert(reading.failed || next == LARGE_RECORDS + 1, "read %u", at);
        next = read_rows(journal, next, &unreadable, &reading);
        cr_assert(!reading.failed, "read %u: %s", at, reading.err.text);
        cr_assert_eq(next, LARGE_RECORDS + 1, "read %u", at);
        cr_assert_eq(unreadable, lost, "read %u: %" PRIu64, at, unreadable);
    }
    cr_assert_gt(failures, 0);
}

Test(journal_calls, a_read_that_fails_costs_no_record)
{
    struct journal *journal = fill_large_journal();
    assert_reads_on(journal, EIO, 0);
    assert_reads_on(journal, EINTR, 0);
    close_journal(&journal);
}

/* Overwrites 1.5 MiB of the second segment, from its second MiB on, and returns the number of its first record. */
static uint64_t damage_second_segment(void)
{
    static const char zeros[1536 << 10];
    uint64_t seq = 2;
    while (access(in_dir("journal/%020" PRIu64 ".seg", seq), F_OK) != 0)
        seq++;
    int fd = open(in_dir("journal/%020" PRIu64 ".seg", seq), O_WRONLY | O_CLOEXEC);
    struct iovec iov = {(void *)zeros, sizeof(zeros)};
    cr_assert_eq(pwritev(fd, &iov, 1, 1 << 20), (ssize_t)sizeof(zeros));
    close(fd);
    return seq;
}

Test(journal_calls, a_read_that_fails_amid_damage_costs_no_other_record)
{
    struct life reading = {0};
    uint64_t lost = 0, checksum;
    struct journal *journal = fill_large_journal();
    uint64_t second = damage_second_segment();
    cr_assert_eq(read_rows(journal, 1, &lost, &reading), LARGE_RECORDS + 1);
    cr_assert(lost >= 30 && lost < 60, "%" PRIu64, lost);
    assert_reads_on(journal, EIO, lost);
    cr_expect(journal_checksum(journal, second, &checksum));
    cr_expect_not(journal_checksum(journal, second + 30, &checksum), "it is among those lost");
    close_journal(&journal);
}

/* A lack of descriptors, memory or permissions damages nothing. */
Test(journal_calls, a_segment_is_damaged_only_if_the_disk_cannot_read_it)
{
    static const int passing[] = {EMFILE, ENFILE, ENOMEM, EACCES, EPERM};
    struct life life = {0};
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    for (unsigned group = 0; group < 8; group++)
        cr_assert(append_group(journal, &life));
    sim.broken = "00000000000000000001.seg";
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        sim.error = passing[i];
        cr_expect_eq(journal_salvage(journal, 3, WALL, &found, &life.err), -1, "%s", strerror(passing[i]));
        cr_expect_not_null(strstr(life.err.text, strerror(passing[i])), "%s", life.err.text);
    }
    sim.error = EIO;
    cr_expect_eq(journal_salvage(journal, 3, WALL, &found, &life.err), 0, "%s", life.err.text);
    cr_expect_gt(found.damaged, 5, "from that record on to the end of its segment");
    cr_expect_eq(journal_salvage(journal, 1, WALL, &found, &life.err), 0);
    uint64_t all = found.damaged;
    cr_expect_eq(journal_salvage(journal, 3, WALL, &found, &life.err), 0);
    cr_expect_eq(found.damaged, all - 2);
    sim.broken = NULL;
    journal_free(&journal);
}

/* ---- space ---- */

static void fill_journal(struct journal *journal)
{
    while (append_sized(journal, 8000) == JOURNAL_APPENDED)
        sync_journal(journal);
}

Test(journal_calls, a_stored_segment_that_cannot_be_removed_takes_its_space_until_it_can)
{
    struct journal *journal = open_journal(SMALL, NULL);
    fill_journal(journal);
    journal_stored(journal, journal_synced_seq(journal) - 1, WALL);
    sim.keeps = true;
    sim.error = EACCES;
    cr_expect_eq(append_sized(journal, 8000), JOURNAL_FULL);
    sim.keeps = false;
    cr_expect_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    fill_journal(journal);
    journal_stored(journal, journal_synced_seq(journal) - 1, WALL);
    cr_assert_eq(unlink(in_dir("journal/%020" PRIu64 ".seg", journal_first_seq(journal))), 0, "a person did");
    cr_expect_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    sync_journal(journal);
    close_journal(&journal);
}

static void assert_no_space(struct journal *journal, const char *why)
{
    struct err err = {""};
    cr_expect_eq(journal_check_space(journal, WALL, &err), -1);
    cr_expect_not_null(strstr(err.text, why), "%s", err.text);
}

/* The disk does not matter until the largest record no longer fits into the last segment. */
Test(journal_calls, space_is_that_of_the_segment_then_that_of_the_disk)
{
    struct journal *journal = open_journal(UINT64_C(4) << 20, NULL);
    struct err err = {""};
    sim.free = 1;
    cr_expect_eq(journal_check_space(journal, WALL, &err), 0, "%s", err.text);
    while (journal_check_space(journal, WALL, &err) == 0)
        cr_assert_eq(append_sized(journal, 60000), JOURNAL_APPENDED);
    assert_no_space(journal, "the disk is full");
    sim.unknown = true;
    assert_no_space(journal, "cannot read the free space");
    sim.unknown = false;
    sim.free = 0;
    cr_expect_eq(journal_check_space(journal, WALL, &err), 0, "%s", err.text);
    sync_journal(journal);
    close_journal(&journal);
}

Test(journal_calls, a_journal_that_has_failed_has_no_space)
{
    struct life life = {0};
    struct journal *journal = open_journal(SMALL, NULL);
    sim.all = true;
    for (unsigned at = 1; at < 20 && !life.failed; at++) {
        arm(EIO, at);
        append_group(journal, &life);
    }
    sim.counting = false;
    cr_assert(life.failed);
    assert_no_space(journal, "the journal has failed earlier");
    cr_expect_eq(journal_failure(journal, &life.err), -1);
    journal_stored(journal, life.accepted, WALL + CLOCK_DAY);
    assert_no_space(journal, "the journal has failed earlier");
    journal_free(&journal);
}
