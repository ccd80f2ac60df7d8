/*
 * Crash states: journals rotate, restart, lose segments and take a new UUID on a disk that records all operations, and
 * each state that a crash may leave is recovered: everything accepted and not yet removable is there, byte for byte,
 * and nothing that was never appended.
 *
 * MOBEYE_STATES is the number of states (2,000 unless given), MOBEYE_SEED makes the run that of an earlier one.
 */
#include "disk_model.h"

#define RECORDS_MOST     20000
#define STATES_OF_A_LIFE 250
#define SHARED_OFFSET    10

static struct {
    char *bytes[RECORDS_MOST]; /* record n, as it was appended */
    size_t len[RECORDS_MOST];
    size_t shared[RECORDS_MOST]; /* how many bytes it shares with the record before it, from SHARED_OFFSET on */
    struct mark {
        size_t op; /* from this on */
        uint64_t accepted, stored;
    } marks[8192];
    size_t n_marks;
    uint64_t stored;
    int64_t wall_us;
} life;

static void life_forget(void)
{
    for (size_t i = 0; i < RECORDS_MOST; i++) {
        free(life.bytes[i]);
        life.bytes[i] = NULL;
    }
    life.n_marks = 0;
    life.stored = 0;
    life.wall_us = WALL;
}

static void mark(const struct journal *journal)
{
    cr_assert_lt(life.n_marks, sizeof(life.marks) / sizeof(life.marks[0]));
    life.marks[life.n_marks++] = (struct mark){disk.n, journal ? journal_synced_seq(journal) : 0, life.stored};
}

static struct mark mark_at(size_t op)
{
    struct mark found = {0};
    for (size_t i = 0; i < life.n_marks && life.marks[i].op <= op; i++)
        found = life.marks[i];
    return found;
}

/* Keeps the bytes of record `seq`, a number that a record which was never written may have had before. */
static struct str remember(uint64_t seq, size_t len)
{
    cr_assert_lt(seq, (uint64_t)RECORDS_MOST);
    free(life.bytes[seq]);
    life.bytes[seq] = malloc(len);
    life.len[seq] = len;
    life.shared[seq] = 0;
    for (size_t i = 0; i < len; i++)
        life.bytes[seq][i] = (char)disk_random();
    return (struct str){life.bytes[seq], len};
}

/* Of one record, or of some that share bytes. */
static bool append_message(struct journal *journal)
{
    struct str records[8];
    struct journal_message message = {records, 1, 0, 0};
    uint64_t seq = journal_next_seq(journal), last;
    struct err err = {""};
    if (disk_below(8) == 0) {
        message.n = 2 + disk_below(7);
        message.shared_offset = SHARED_OFFSET;
        message.shared_bytes = 100 + disk_below(200);
    }
    for (size_t i = 0; i < message.n; i++) {
        size_t len = disk_below(20) == 0 ? 3000 + disk_below(50000) / message.n : 20 + disk_below(400);
        records[i] = remember(seq + i, message.shared_offset + message.shared_bytes + len);
        memcpy(life.bytes[seq + i] + message.shared_offset, life.bytes[seq] + message.shared_offset,
               message.shared_bytes);
        life.shared[seq + i] = i > 0 ? message.shared_bytes : 0;
    }
    int rc = journal_append_message(journal, &message, life.wall_us, &last, &err);
    cr_assert_geq(rc, 0, "%s", err.text);
    return rc == JOURNAL_APPENDED;
}

static void store(struct journal *journal, uint64_t seq)
{
    life.stored = seq;
    mark(journal); /* before anything is removed */
    journal_stored(journal, seq, life.wall_us);
}

static void append_and_sync(struct journal *journal)
{
    struct err err = {""};
    for (size_t i = 1 + disk_below(12); i > 0; i--)
        if (!append_message(journal))
            store(journal, journal_synced_seq(journal));
    cr_assert_eq(journal_sync(journal, &err), 0, "%s", err.text);
    mark(journal);
}

static struct journal *open_living(struct journal_recovery *found)
{
    struct journal *journal = NULL;
    struct err err = {""};
    /* Stored segments are kept for an hour, of this life's clock. */
    struct journal_options options = {disk.directory, SMALL, 3600 * CLOCK_SECOND};
    int rc = journal_open(&journal, &options, life.wall_us, found, &err);
    cr_assert_eq(rc, 0, "%s", err.text);
    return journal;
}

static void live(void)
{
    struct journal_recovery found;
    struct err err = {""};
    struct journal *journal = open_living(&found);
    for (size_t step = 30 + disk_below(60); step > 0 && journal_next_seq(journal) < RECORDS_MOST - 200; step--) {
        size_t what = disk_below(16);
        life.wall_us += (int64_t)disk_below(600) * CLOCK_SECOND;
        if (what < 10)
            append_and_sync(journal);
        else if (what < 13)
            store(journal, life.stored + disk_below(journal_synced_seq(journal) - life.stored + 1));
        else if (what == 13)
            cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
        else {
            if (what == 14) /* else as by kill -9 */
                cr_assert_eq(journal_close(journal, &err), 0, "%s", err.text);
            journal_free(&journal);
            journal = open_living(&found);
            cr_assert_eq(found.damaged + found.repaired + found.missing + found.foreign, 0);
        }
    }
    journal_free(&journal);
}

/* A record that was never accepted may lack the bytes that it shares with the record before it: then they are
 * spaces. */
static bool is_appended(struct str record, uint64_t seq, bool may_lack_shared)
{
    size_t rest = SHARED_OFFSET + life.shared[seq];
    if (record.len != life.len[seq] || memcmp(record.p, life.bytes[seq], SHARED_OFFSET) != 0 ||
        memcmp(record.p + rest, life.bytes[seq] + rest, record.len - rest) != 0)
        return false;
    size_t spaces = 0;
    while (spaces < life.shared[seq] && record.p[SHARED_OFFSET + spaces] == ' ')
        spaces++;
    return memcmp(record.p, life.bytes[seq], rest) == 0 || (may_lack_shared && spaces == life.shared[seq]);
}

/* Reads everything; asserts that what is readable is what was appended. Returns the last number; *ret_next_lost: the
 * first number of (stored, accepted] that is not there, 0: none. */
static uint64_t read_all(struct journal *journal, struct mark at, uint64_t *ret_next_lost)
{
    struct batch *batch = batch_new(1000);
    struct err err = {""};
    uint64_t last = 0, wanted = at.stored + 1;
    for (;; batch_clear(batch)) {
        cr_assert_eq(journal_read(journal, last + 1, 1000, SIZE_MAX, batch, &err), 0, "%s", err.text);
        if (batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++) {
            const struct batch_row *row = &batch->rows[i];
            last = row->alert.seq;
            cr_assert(!row->unreadable || last > at.accepted, "record %" PRIu64 " of %" PRIu64 " accepted: %s", last,
                      at.accepted, row->unreadable);
            cr_assert(row->unreadable || is_appended(row->record, last, last > at.accepted),
                      "record %" PRIu64 " of %" PRIu64 " accepted has other bytes", last, at.accepted);
            wanted += wanted == last;
        }
    }
    batch_free(&batch);
    *ret_next_lost = wanted <= at.accepted ? wanted : 0;
    return last;
}

/* Recovers the directory as the mark says; with `go_on`, goes on writing and opens it again. */
static void recover(struct mark at, bool go_on, const char *what, size_t op)
{
    struct journal_recovery found;
    struct journal *journal = open_living(&found);
    struct err err = {""};
    uint64_t lost, last = read_all(journal, at, &lost);
    cr_assert_eq(lost, 0, "%s at operation %zu: record %" PRIu64 " is lost, %" PRIu64 " accepted", what, op, lost,
                 at.accepted);
    cr_assert_eq(found.foreign, 0, "%s at operation %zu", what, op);
    cr_assert_geq(journal_synced_seq(journal), at.accepted);
    cr_assert_leq(journal_stored_seq(journal), at.stored);
    cr_assert_gt(journal_next_seq(journal), last);
    if (go_on) {
        uint64_t seq = journal_next_seq(journal);
        char *before = life.bytes[seq];
        size_t len = life.len[seq], shared = life.shared[seq];
        life.bytes[seq] = NULL;
        struct str record = remember(seq, 300);
        int rc = journal_append(journal, record, life.wall_us, &seq, &err);
        cr_assert(rc == JOURNAL_FULL || (rc == JOURNAL_APPENDED && journal_sync(journal, &err) == 0), "%s", err.text);
        journal_free(&journal);
        journal = open_living(&found);
        uint64_t after = read_all(journal, at, &lost);
        cr_assert_eq(lost, 0, "%s at operation %zu: record %" PRIu64 " is lost afterwards", what, op, lost);
        cr_assert_eq(after, rc == JOURNAL_APPENDED ? seq : last, "%s at operation %zu", what, op);
        free(life.bytes[seq]);
        life.bytes[seq] = before;
        life.len[seq] = len;
        life.shared[seq] = shared;
    }
    journal_free(&journal);
}

/* A crash within the recovery of a crash. */
static void recover_twice(struct mark at, size_t op)
{
    static __typeof__(disk) outer;
    struct journal_recovery found;
    outer = disk;
    disk.ops = NULL;
    disk.n = disk.capacity = disk.n_files = 0;
    disk_record(in_dir("journal"));
    size_t begun = disk.n;
    struct journal *journal = open_living(&found);
    journal_free(&journal);
    disk_crash(begun + disk_below(disk.n - begun + 1), in_dir("journal"));
    recover(at, false, "a crash in the recovery of one", op);
    uint64_t random = disk.random;
    disk_forget();
    free(disk.ops);
    disk = outer;
    disk.random = random;
}

static unsigned long number_of(const char *variable, unsigned long otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static void make_quick_dir(void)
{
    setenv("TMPDIR", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", 0);
    test_dir_make();
}

TestSuite(journal_crash, .init = make_quick_dir, .fini = test_dir_remove);

Test(journal_crash, no_state_that_a_crash_leaves_loses_what_was_accepted)
{
    unsigned long states = number_of("MOBEYE_STATES", 2000), seed = number_of("MOBEYE_SEED", (unsigned long)getpid());
    unsigned long done = 0, lives = 0;
    printf("crash states: seed %lu\n", seed);
    for (; done < states; lives++) {
        disk.random = seed + lives;
        remove_tree(in_dir("journal"));
        cr_assert_eq(mkdir(in_dir("journal"), 0700), 0);
        life_forget();
        disk_record(in_dir("journal"));
        live();
        for (size_t i = 0; i < STATES_OF_A_LIFE && done < states; i++, done++) {
            size_t op = 1 + disk_below(disk.n);
            struct mark at = mark_at(op);
            disk_crash(op, in_dir("journal"));
            if (disk_below(4) == 0)
                recover_twice(at, op);
            else
                recover(at, disk_below(4) == 0, "a crash", op);
        }
    }
    printf("crash states: %lu states of %lu lives, nothing lost\n", done, lives);
    life_forget();
    disk_forget();
    free(disk.ops);
}
