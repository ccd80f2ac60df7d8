/* What the tests of the journal share: private directories, records that can be recognised, reading everything. */
#ifndef MOBEYE_TESTS_JOURNAL_SUPPORT_H
#define MOBEYE_TESTS_JOURNAL_SUPPORT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "model/batch.h"

#define WALL  (INT64_C(1790000000) * CLOCK_SECOND)
#define SMALL (UINT64_C(512) << 10) /* gives segments of 128 KiB */

static char test_dir[4096]; /* is removed when the test ends, as are things below it */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_dir_remove(void)
{
    remove_tree(test_dir);
}

/* A child that outlives the test, however that ends: the pipe tells it, and it removes what the test left. */
static void watch_test_dir(void)
{
    int fds[2];
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child > 0) {
        close(fds[0]); /* the writing end stays open until the test's process ends */
        return;
    }
    char byte;
    close(fds[1]);
    while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
        ;
    remove_tree(test_dir);
    _exit(0);
}

static void test_dir_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(test_dir, sizeof(test_dir), "%s/mobeye-journal-XXXXXX", tmp ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(test_dir));
    watch_test_dir();
}

/* Thousands of openings: in memory where the system has such a file system. */
static __attribute__((unused)) void test_dir_make_in_memory(void)
{
    setenv("TMPDIR", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", 0);
    test_dir_make();
}

/* A path below the test's directory; the last eight stay valid. */
static __attribute__((unused)) const char *in_dir(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *in_dir(const char *fmt, ...)
{
    static char paths[8][8192];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    int len = snprintf(path, sizeof(paths[0]), "%s/", test_dir);
    va_list args;
    va_start(args, fmt);
    vsnprintf(path + len, sizeof(paths[0]) - (size_t)len, fmt, args);
    va_end(args);
    return path;
}

static __attribute__((unused)) struct journal_options options_of(uint64_t max_size_bytes)
{
    return (struct journal_options){in_dir("journal"), max_size_bytes, CLOCK_DAY};
}

static struct journal *open_journal_at(const struct journal_options *options, struct journal_recovery *found)
{
    struct journal *journal = NULL;
    struct journal_recovery recovery;
    struct err err = {""};
    int rc = journal_open(&journal, options, WALL, &recovery, &err);
    cr_assert_eq(rc, 0, "%s", err.text);
    if (found)
        *found = recovery;
    return journal;
}

static __attribute__((unused)) struct journal *open_journal(uint64_t max_size_bytes, struct journal_recovery *found)
{
    struct journal_options options = options_of(max_size_bytes);
    return open_journal_at(&options, found);
}

/* Record `seq`: its length and bytes follow from its number. */
static size_t make_record(uint64_t seq, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(seq * 31 + i * 7 + (i >> 8));
    if (len >= sizeof(seq))
        memcpy(out, &seq, sizeof(seq));
    return len;
}

static size_t usual_length(uint64_t seq)
{
    return 20 + seq * 37 % 90;
}

static __attribute__((unused)) enum journal_append append_sized(struct journal *journal, size_t len)
{
    static char record[70000];
    uint64_t seq = 0, want = journal_next_seq(journal);
    struct err err = {""};
    make_record(want, len, record);
    int rc = journal_append(journal, (struct str){record, len}, WALL, &seq, &err);
    cr_assert_geq(rc, 0, "%s", err.text);
    if (rc == JOURNAL_APPENDED)
        cr_assert_eq(seq, want);
    return (enum journal_append)rc;
}

static __attribute__((unused)) void append_usual(struct journal *journal, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        cr_assert_eq(append_sized(journal, usual_length(journal_next_seq(journal))), JOURNAL_APPENDED);
}

static __attribute__((unused)) void sync_journal(struct journal *journal)
{
    struct err err = {""};
    cr_assert_eq(journal_sync(journal, &err), 0, "%s", err.text);
    cr_assert_eq(journal_unsynced_bytes(journal), 0);
}

static __attribute__((unused)) void close_journal(struct journal **journal)
{
    struct err err = {""};
    cr_assert_eq(journal_close(*journal, &err), 0, "%s", err.text);
    journal_free(journal);
}

static __attribute__((unused)) bool is_record(struct str record, uint64_t seq, size_t len)
{
    static char want[70000];
    return record.len == len && memcmp(record.p, want, make_record(seq, len, want)) == 0;
}

static uint64_t read_unreadable; /* rows that the last read_usual() could not read */
static uint64_t read_last;       /* number of its last row, readable or not */

/* Reads on from `from`; asserts that the rows rise, and are those of append_usual() unless they are unreadable. Sets
 * got[seq] where got is not NULL (it has room for `room`). Returns how many could be read. */
static __attribute__((unused)) uint64_t read_usual(struct journal *journal, uint64_t from, bool *got, size_t room)
{
    struct batch *batch = batch_new(7);
    struct err err = {""};
    uint64_t n = 0, last = from ? from - 1 : 0;
    read_unreadable = 0;
    for (;;) {
        batch_clear(batch);
        cr_assert_eq(journal_read(journal, last + 1, 5, 400, batch, &err), 0, "%s", err.text);
        if (batch->n == 0)
            break;
        cr_assert_leq(batch->n, 5);
        cr_assert_eq(batch->first_seq, last + 1);
        for (size_t i = 0; i < batch->n; i++) {
            const struct batch_row *row = &batch->rows[i];
            cr_assert_gt(row->alert.seq, last);
            last = row->alert.seq;
            n += !row->unreadable;
            read_unreadable += row->unreadable != NULL;
            if (row->unreadable)
                continue;
            cr_assert(is_record(row->record, last, usual_length(last)), "record %" PRIu64, last);
            if (got && last < room)
                got[last] = true;
        }
        cr_assert_eq(batch->last_seq, last);
        cr_assert_eq(batch->last_checksum, batch->rows[batch->n - 1].alert.checksum);
    }
    batch_free(&batch);
    read_last = last;
    return n;
}

static __attribute__((unused)) size_t load_file(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0, "%s", path);
    ssize_t got = read(fd, out, room);
    cr_assert_geq(got, 0);
    close(fd);
    return (size_t)got;
}

static __attribute__((unused)) void save_file(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

#endif
