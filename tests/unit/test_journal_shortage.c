/*
 * The machine is short of descriptors, memory or disk space while a segment is created: nothing was promised yet, so
 * the journal is full for a while, but has not failed.
 */
#include "test_journal_support.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/syscall.h>

enum call { CALL_OPEN, CALL_ALLOCATE, CALL_RENAME, CALL_SYNC_DIRECTORY, CALLS };

static const char *const words[CALLS] = {"openat", "fallocate", "renameat", "fsync"};

static struct {
    enum call call;
    int error;  /* that it fails with; 0: it does not */
    off_t room; /* up to so many bytes can be allocated nevertheless */
    off_t disk; /* 0, or the same for all files of the journal together */
    unsigned failed, renamed;
} shortage;

static bool fails(enum call call)
{
    if (shortage.error == 0 || shortage.call != call)
        return false;
    shortage.failed++;
    errno = shortage.error;
    return true;
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return flags & O_CREAT && fails(CALL_OPEN) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

/* Of all files of the journal. */
static off_t bytes_on_disk(void)
{
    off_t bytes = 0;
    struct stat st;
    DIR *dir = opendir(in_dir("journal"));
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            bytes += st.st_size;
    closedir(dir);
    return bytes;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    bool fits = shortage.disk > 0 ? bytes_on_disk() + len <= shortage.disk : len <= shortage.room;
    return !fits && fails(CALL_ALLOCATE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    shortage.renamed++;
    return fails(CALL_RENAME) ? -1 : (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int fsync(int fd)
{
    struct stat st;
    bool directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return directory && fails(CALL_SYNC_DIRECTORY) ? -1 : (int)syscall(SYS_fsync, fd);
}

TestSuite(journal_shortage, .init = test_dir_make, .fini = test_dir_remove, .timeout = 120);

static void fill_segment(struct journal *journal)
{
    unsigned before = shortage.failed;
    while (append_sized(journal, 8000) == JOURNAL_APPENDED)
        cr_assert_lt(journal_next_seq(journal), 1000);
    cr_assert_gt(shortage.failed, before);
}

static int append_at(struct journal *journal, int64_t wall_us, struct err *err)
{
    static char record[8000];
    uint64_t seq;
    make_record(journal_next_seq(journal), sizeof(record), record);
    return journal_append(journal, (struct str){record, sizeof(record)}, wall_us, &seq, err);
}

static void assert_all_there(uint64_t n)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(UINT64_C(8) << 20, &found);
    cr_assert_eq(found.records, n);
    cr_assert_eq(found.damaged + found.missing + found.foreign + found.repaired, 0);
    journal_free(&journal);
}

Test(journal_shortage, delays_what_is_not_promised_and_ends_by_itself)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOSPC, EDQUOT};
    for (int call = 0; call < CALLS; call++)
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
            struct err err = {""};
            remove_tree(in_dir("journal"));
            struct journal *journal = open_journal(UINT64_C(8) << 20, NULL);
            shortage.call = (enum call)call;
            shortage.error = errors[i];
            fill_segment(journal);
            sync_journal(journal);
            uint64_t n = journal_synced_seq(journal);
            cr_assert_eq(append_at(journal, WALL + CLOCK_SECOND, &err), JOURNAL_FULL, "%s: tried again", words[call]);
            cr_assert(strstr(err.text, strerror(errors[i])), "%s", err.text);
            cr_assert_eq(append_at(journal, WALL + CLOCK_SECOND, &err), JOURNAL_FULL, "and left alone for a while");
            cr_assert(strstr(err.text, strerror(errors[i])), "%s", err.text);
            shortage.error = 0;
            cr_assert_eq(append_at(journal, WALL + 2 * CLOCK_SECOND, &err), JOURNAL_APPENDED, "%s: %s", words[call],
                         err.text);
            sync_journal(journal);
            close_journal(&journal);
            cr_assert_neq(access(in_dir("journal/unfinished"), F_OK), 0);
            assert_all_there(n + 1);
        }
}

Test(journal_shortage, a_broken_disk_is_none)
{
    for (int call = 0; call < CALLS; call++) {
        struct err err = {""};
        int rc;
        remove_tree(in_dir("journal"));
        struct journal *journal = open_journal(UINT64_C(8) << 20, NULL);
        shortage.call = (enum call)call;
        shortage.error = EIO;
        do
            rc = append_at(journal, WALL, &err);
        while (rc == JOURNAL_APPENDED);
        cr_assert_eq(rc, -1, "%s", words[call]);
        uint64_t n = journal_synced_seq(journal);
        shortage.error = 0;
        cr_assert_eq(append_at(journal, WALL + CLOCK_SECOND, &err), -1, "%s: it is final", words[call]);
        journal_free(&journal);
        assert_all_there(n);
    }
}

/* An empty segment is replaced by one of its name, which then is the only file there is of it. */
Test(journal_shortage, a_name_that_replaced_another_is_not_taken_back)
{
    struct err err = {""};
    struct journal *journal = open_journal(UINT64_C(8) << 20, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    shortage.call = CALL_SYNC_DIRECTORY;
    shortage.error = ENOSPC;
    int rc;
    do
        rc = journal_new_uuid(journal, &err);
    while (rc == 0);
    journal_free(&journal);
    shortage.error = 0;
    assert_all_there(10);
}

/* Stored segments make room on a full disk; they would not free descriptors. */
Test(journal_shortage, of_descriptors_costs_no_stored_segment)
{
    struct err err = {""};
    struct journal *journal = open_journal(UINT64_C(8) << 20, NULL);
    while (journal_bytes(journal) < UINT64_C(3) << 20)
        cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    shortage.call = CALL_OPEN;
    shortage.error = EMFILE;
    fill_segment(journal);
    sync_journal(journal);
    journal_stored(journal, journal_synced_seq(journal), WALL);
    cr_assert_eq(append_at(journal, WALL + CLOCK_SECOND, &err), JOURNAL_FULL);
    cr_assert_eq(journal_first_seq(journal), 1);
    shortage.error = 0;
    cr_assert_eq(append_at(journal, WALL + 2 * CLOCK_SECOND, &err), JOURNAL_APPENDED);
    sync_journal(journal);
    close_journal(&journal);
}

/* Otherwise a journal that has only one segment would stay full after all of it was stored. */
Test(journal_shortage, of_disk_space_is_met_by_a_smaller_segment)
{
    static const off_t room = (off_t)1 << 20;
    struct err err = {""};
    struct journal *journal = open_journal(UINT64_C(64) << 20, NULL);
    uint64_t first_bytes = journal_bytes(journal);
    shortage.call = CALL_ALLOCATE;
    shortage.error = ENOSPC;
    shortage.room = room;
    while (journal_bytes(journal) == first_bytes)
        cr_assert_eq(append_at(journal, WALL, &err), JOURNAL_APPENDED, "%s", err.text);
    cr_assert_eq(journal_bytes(journal), first_bytes + (uint64_t)room, "as large as there is room");
    sync_journal(journal);
    journal_stored(journal, journal_synced_seq(journal), WALL);
    while (journal_first_seq(journal) == 1)
        cr_assert_eq(append_at(journal, WALL, &err), JOURNAL_APPENDED, "%s", err.text);
    cr_assert_leq(journal_bytes(journal), 2 * (uint64_t)room, "what is stored makes room");
    shortage.room = 100 << 10;
    fill_segment(journal);
    cr_assert_neq(journal_check_space(journal, WALL, &err), 0, "no room for the smallest either");
    shortage.room = (off_t)8 << 20;
    cr_assert_eq(append_at(journal, WALL + CLOCK_SECOND, &err), JOURNAL_APPENDED, "%s", err.text);
    sync_journal(journal);
    uint64_t kept = journal_synced_seq(journal) - journal_first_seq(journal) + 1;
    close_journal(&journal);
    assert_all_there(kept);
}

static int append_image_at(struct journal *journal, int64_t wall_us, struct err *err)
{
    static char record[1000000];
    uint64_t seq;
    make_record(journal_next_seq(journal), sizeof(record), record);
    return journal_append(journal, (struct str){record, sizeof(record)}, wall_us, &seq, err);
}

/* Fills the disk with images, and has all of them stored. */
static struct journal *full_of_images(off_t left)
{
    struct err err = {""};
    struct journal *journal = open_journal(UINT64_C(64) << 20, NULL);
    shortage.call = CALL_ALLOCATE;
    shortage.error = ENOSPC;
    shortage.disk = bytes_on_disk() + left;
    int rc;
    do
        rc = append_image_at(journal, WALL, &err);
    while (rc == JOURNAL_APPENDED);
    cr_assert_eq(rc, JOURNAL_FULL, "%s", err.text);
    sync_journal(journal);
    journal_stored(journal, journal_synced_seq(journal), WALL);
    return journal;
}

/* The last segment can be removed only once there is another, for which a large record leaves no room. */
Test(journal_shortage, of_disk_space_does_not_last_for_images_once_all_is_stored)
{
    struct err err = {""};
    struct journal *journal = full_of_images(700 << 10);
    for (int i = 1; i <= 20; i++) {
        cr_assert_eq(append_image_at(journal, WALL + i * CLOCK_SECOND, &err), JOURNAL_APPENDED, "%d: %s", i, err.text);
        sync_journal(journal);
        journal_stored(journal, journal_synced_seq(journal), WALL + i * CLOCK_SECOND);
    }
    uint64_t kept = journal_synced_seq(journal) - journal_first_seq(journal) + 1;
    close_journal(&journal);
    assert_all_there(kept);
}

Test(journal_shortage, of_disk_space_for_images_alone_is_said)
{
    struct err err = {""};
    struct journal *journal = full_of_images(700 << 10);
    cr_assert_neq(journal_check_space(journal, WALL, &err), 0);
    cr_assert(strstr(err.text, "image"), "%s", err.text);
    cr_assert_eq(append_at(journal, WALL, &err), JOURNAL_APPENDED, "%s", err.text);
    cr_assert_eq(journal_check_space(journal, WALL + 5 * CLOCK_SECOND, &err), 0, "no image since: %s", err.text);
    shortage.disk = bytes_on_disk();
    cr_assert_eq(append_image_at(journal, WALL + 5 * CLOCK_SECOND, &err), JOURNAL_FULL, "not for the smallest either");
    cr_assert_neq(journal_check_space(journal, WALL + 5 * CLOCK_SECOND, &err), 0);
    cr_assert_eq(append_at(journal, WALL + 5 * CLOCK_SECOND, &err), JOURNAL_APPENDED, "%s", err.text);
    journal_free(&journal);
}

Test(journal_shortage, of_disk_space_does_not_replace_a_small_segment_for_an_image_again_and_again)
{
    struct err err = {""};
    struct journal *journal = full_of_images(700 << 10);
    off_t whole = bytes_on_disk();
    shortage.disk = 0;
    shortage.room = 128 << 10;
    cr_assert_eq(append_image_at(journal, WALL + CLOCK_SECOND, &err), JOURNAL_FULL, "others took what was freed");
    cr_assert_eq(append_at(journal, WALL, &err), JOURNAL_APPENDED, "%s", err.text);
    sync_journal(journal);
    journal_stored(journal, journal_synced_seq(journal), WALL);
    cr_assert_lt(bytes_on_disk(), whole, "a small segment took the place of the last one");
    unsigned renamed = shortage.renamed;
    cr_assert_eq(append_image_at(journal, WALL + 2 * CLOCK_SECOND, &err), JOURNAL_FULL);
    cr_expect_eq(shortage.renamed, renamed, "but not of a small one");
    journal_free(&journal);
}
