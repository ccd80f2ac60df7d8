/*
 * Segments that the disk cannot read, while the journal is open and when it is opened: what is still valid is
 * delivered, the rest is delivered as unreadable, and reading continues after it. The doubles are pread(), pwritev()
 * and openat().
 */
#include "test_journal_support.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static struct {
    off_t from, until; /* offsets of the first segment that pread() cannot read */
    const char *name;  /* a file that openat() cannot open for reading ... */
    int error;         /* ... with this errno */
    bool unwritable;   /* pwritev() cannot write the first segment */
} bad;

#define FIRST_SEGMENT "00000000000000000001.seg"

static bool is_first_segment(int fd)
{
    struct stat of_fd, of_name;
    return fstat(fd, &of_fd) == 0 && stat(in_dir("journal/" FIRST_SEGMENT), &of_name) == 0 &&
           of_fd.st_ino == of_name.st_ino;
}

ssize_t pread(int fd, void *out, size_t len, off_t offset)
{
    if (offset < bad.until && offset + (off_t)len > bad.from && is_first_segment(fd)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, out, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    if (bad.unwritable && is_first_segment(fd)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwritev, fd, iov, n, offset, 0);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (bad.name && strcmp(path, bad.name) == 0) {
        errno = bad.error;
        return -1;
    }
    return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
}

/* What openat() is where the flags are not constant, in a fortified build. */
int __openat_2(int dir_fd, const char *path, int flags);
int __openat_2(int dir_fd, const char *path, int flags)
{
    return openat(dir_fd, path, flags);
}

static void setup(void)
{
    memset(&bad, 0, sizeof(bad));
    test_dir_make();
}

TestSuite(journal_salvage, .init = setup, .fini = test_dir_remove, .timeout = 60);

/* 40 frames of 5 records. */
static struct journal *make_journal(void)
{
    struct journal *journal = open_journal(SMALL, NULL);
    for (int i = 0; i < 40; i++) {
        append_usual(journal, 5);
        sync_journal(journal);
    }
    return journal;
}

static void assert_unreadable(struct journal *journal, uint64_t from)
{
    struct batch *batch = batch_new(300);
    struct err err = {""};
    cr_assert_eq(journal_read(journal, from, 300, SIZE_MAX, batch, &err), -1);
    cr_assert_eq(batch->n, 0);
    cr_assert(strstr(err.text, "cannot") != NULL, "%s", err.text);
    batch_free(&batch);
}

static struct journal_recovery salvage(struct journal *journal, uint64_t seq)
{
    struct journal_recovery found;
    struct err err = {""};
    cr_assert_eq(journal_salvage(journal, seq, WALL, &found, &err), 0, "%s", err.text);
    return found;
}

Test(journal_salvage, blocks_that_cannot_be_read_cost_their_records_only)
{
    struct journal *journal = make_journal();
    bad.from = 4096;
    bad.until = 8192;
    assert_unreadable(journal, 1);
    struct journal_recovery found = salvage(journal, 1);
    cr_assert(found.damaged > 0 && found.damaged < 60, "%" PRIu64, found.damaged);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 200 - found.damaged);
    cr_assert_eq(read_unreadable, found.damaged, "each of them comes, to be quarantined");
    cr_assert_eq(read_last, 200);
    cr_assert_eq(access(in_dir("journal/salvaged"), F_OK), 0);

    append_usual(journal, 100);
    sync_journal(journal);
    cr_assert_eq(read_usual(journal, 201, NULL, 0), 100, "what is appended afterwards is not in the bad segment");
    bad.until = 0;
    close_journal(&journal);
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.damaged, 0, "the disk gives them again: nothing was spoilt");
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 300);
    close_journal(&journal);
}

Test(journal_salvage, a_segment_that_cannot_be_opened_costs_itself_and_no_other)
{
    struct journal *journal = make_journal();
    bad.name = FIRST_SEGMENT;
    bad.error = EIO;
    assert_unreadable(journal, 11);
    struct journal_recovery found = salvage(journal, 11);
    cr_assert_eq(found.damaged, 190);
    append_usual(journal, 7);
    sync_journal(journal);
    cr_assert_eq(read_usual(journal, 11, NULL, 0), 7);
    cr_assert_eq(read_unreadable, 190);
    cr_assert_eq(read_last, 207);
    close_journal(&journal);
}

Test(journal_salvage, want_of_descriptors_is_no_damage)
{
    struct journal_recovery found;
    struct err err = {""};
    struct journal *journal = make_journal();
    bad.name = FIRST_SEGMENT;
    bad.error = EMFILE;
    assert_unreadable(journal, 1);
    cr_assert_eq(journal_salvage(journal, 1, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, FIRST_SEGMENT), "%s", err.text);
    bad.name = NULL;
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 200);
    cr_assert_eq(read_unreadable, 0);
    close_journal(&journal);
}

Test(journal_salvage, want_of_descriptors_is_no_damage_of_a_segment_given_up_either)
{
    struct journal *journal = make_journal();
    bad.from = 4096;
    bad.until = 8192;
    struct journal_recovery found = salvage(journal, 1);
    bad.name = FIRST_SEGMENT;
    bad.error = EMFILE;
    assert_unreadable(journal, 1);
    bad.name = NULL;
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 200 - found.damaged, "its intact records are still delivered");
    bad.name = FIRST_SEGMENT;
    bad.error = EIO;
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 0);
    cr_assert_eq(read_unreadable, 200);
    close_journal(&journal);
}

Test(journal_salvage, what_was_appended_before_is_synced_and_nothing_is_written_to_the_segment_afterwards)
{
    struct journal_recovery found;
    struct err err = {""};
    struct journal *journal = make_journal();
    bad.from = 4096;
    bad.until = 8192;
    append_usual(journal, 5);
    cr_assert_eq(journal_synced_seq(journal), 200);
    salvage(journal, 1);
    cr_assert_eq(journal_synced_seq(journal), 205);
    bad.unwritable = true;
    append_usual(journal, 5);
    sync_journal(journal);
    close_journal(&journal);
    bad.until = 0;
    journal = open_journal(SMALL, &found);
    cr_assert(found.clean);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 210);
    cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    close_journal(&journal);
}

Test(journal_salvage, a_sync_that_fails_before_a_segment_is_given_up_is_final)
{
    struct journal_recovery found;
    struct err err = {""};
    struct journal *journal = make_journal();
    append_usual(journal, 5);
    bad.unwritable = true;
    cr_assert_eq(journal_salvage(journal, 1, WALL, &found, &err), -1);
    cr_assert_eq(journal_failure(journal, &err), -1);
    cr_assert_eq(journal_synced_seq(journal), 200);
    journal_free(&journal);
}

Test(journal_salvage, a_clean_stop_writes_to_another_segment_than_the_one_given_up)
{
    struct journal_recovery given_up, found;
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 200);
    sync_journal(journal);
    bad.until = 4096; /* the front of the frame, and its first records */
    given_up = salvage(journal, 1);
    cr_assert(given_up.damaged > 0 && given_up.damaged < 200, "%" PRIu64, given_up.damaged);
    bad.unwritable = true;
    close_journal(&journal);
    bad.unwritable = false;
    journal = open_journal(SMALL, &found);
    cr_assert(found.clean);
    cr_assert_eq(found.torn_bytes, 0, "the other segment proves that the records were synced");
    cr_assert_eq(found.damaged, given_up.damaged);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 200 - found.damaged);
    cr_assert_eq(read_unreadable, found.damaged, "each of them comes, to be quarantined");
    close_journal(&journal);
}

Test(journal_salvage, a_new_uuid_goes_to_another_segment_than_the_one_given_up)
{
    struct err err = {""};
    struct journal *journal = make_journal();
    bad.from = 4096;
    bad.until = 8192;
    salvage(journal, 1);
    bad.unwritable = true;
    cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    close_journal(&journal);
}

Test(journal_salvage, a_disk_that_fails_altogether_does_not_make_a_stop_fail)
{
    struct journal *journal = make_journal();
    bad.from = 4096;
    bad.until = 8192;
    salvage(journal, 1);
    bad.unwritable = true;
    bad.name = "unfinished"; /* a new segment cannot be created */
    bad.error = EIO;
    close_journal(&journal);
}

Test(journal_salvage, what_cannot_be_read_at_the_start_cannot_be_read_later_either)
{
    struct journal_recovery found;
    struct journal *journal = make_journal();
    close_journal(&journal);
    bad.from = 4096;
    bad.until = 8192;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), found.records);
    cr_assert_eq(found.records + found.damaged, 200);
    cr_assert_eq(read_last, 200);
    close_journal(&journal);
}

Test(journal_salvage, a_last_frame_that_cannot_be_read_whole_does_not_keep_it_from_opening)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    sync_journal(journal);
    journal_free(&journal);
    bad.from = 12288;
    bad.until = 16384;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, 3);
    cr_assert_geq(found.torn_bytes, 8000);
    close_journal(&journal);
}
