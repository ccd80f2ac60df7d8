/*
 * Faults of the disk: every write, sync and preallocation fails once, in several ways, and the machine dies at every
 * one of them.
 */
#include "faulty_disk.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

TestSuite(journal_fault, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 240);

static void fresh(void)
{
    disarm();
    remove_tree(in_dir("journal"));
    remove_tree(in_dir("disk"));
    cr_assert_eq(mkdir(in_dir("disk"), 0700), 0);
}

/* What was acknowledged when the first call failed. */
struct outcome {
    uint64_t accepted, appended;
    bool opened, failed, full;
};

static bool append_group(struct journal *journal, unsigned n, struct outcome *out)
{
    static char record[8000];
    struct err err;
    for (unsigned i = 0; i < n; i++) {
        uint64_t seq, next = journal_next_seq(journal);
        make_record(next, sizeof(record), record);
        int rc = journal_append(journal, (struct str){record, sizeof(record)}, WALL, &seq, &err);
        out->failed = rc < 0;
        out->full = out->full || rc == JOURNAL_FULL;
        if (rc < 0)
            return false;
        out->appended += rc == JOURNAL_APPENDED;
    }
    out->failed = journal_sync(journal, &err) != 0;
    if (!out->failed)
        out->accepted = journal_synced_seq(journal);
    return !out->failed;
}

/* Opens, rotates twice, takes a new UUID, removes a stored segment, closes. */
static struct outcome work(void)
{
    struct outcome out = {0};
    struct journal *journal = NULL;
    struct journal_options options = options_of(SMALL);
    struct journal_recovery found;
    struct err err;
    out.failed = journal_open(&journal, &options, WALL, &found, &err) != 0;
    if (out.failed)
        return out;
    out.opened = true;
    for (unsigned group = 0; group < 8 && append_group(journal, 1 + group, &out); group++)
        if (group == 5)
            out.failed = journal_new_uuid(journal, &err) != 0;
    if (!out.failed)
        out.failed = journal_close(journal, &err) != 0;
    else
        cr_assert(journal_sync(journal, &err) != 0 && journal_close(journal, &err) != 0 &&
                      journal_append(journal, STR("x"), WALL, &(uint64_t){0}, &err) < 0,
                  "a failure is final");
    journal_free(&journal);
    return out;
}

/* Everything accepted is there and readable, and nothing is reported as damaged. */
static void assert_kept(uint64_t accepted, uint64_t appended, const char *what, unsigned at)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    struct batch *batch = batch_new(1000);
    uint64_t next = 1;
    for (;; batch_clear(batch)) {
        cr_assert_eq(journal_read(journal, next, 1000, SIZE_MAX, batch, NULL), 0);
        if (batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++, next++) {
            cr_assert_eq(batch->rows[i].alert.seq, next);
            cr_assert(is_record(batch->rows[i].record, next, 8000));
        }
    }
    cr_assert_geq(next - 1, accepted, "%s at call %u: %" PRIu64 " accepted, %" PRIu64 " kept", what, at, accepted,
                  next - 1);
    cr_assert_leq(next - 1, appended);
    cr_assert_eq(found.damaged + found.repaired + found.missing + found.foreign, 0, "%s at call %u", what, at);
    cr_assert_eq(journal_next_seq(journal), next);
    batch_free(&batch);
    cr_assert_eq(append_sized(journal, 100), JOURNAL_APPENDED);
    sync_journal(journal);
    close_journal(&journal);
}

static const struct {
    enum fault fault;
    const char *word;
    bool harmless;
} faults[] = {
    {FAULT_EIO, "EIO", false},
    {FAULT_ENOSPC, "ENOSPC", false},
    {FAULT_EINTR, "EINTR", false},
    {FAULT_SHORT, "a short write", true},
    {FAULT_SHORT_EIO, "a short write, then EIO", false},
    {FAULT_POWER_CUT, "a power cut", false},
};

Test(journal_fault, no_call_can_fail_and_cost_what_was_accepted)
{
    fresh();
    arm(FAULT_NONE, 0);
    struct outcome whole = work();
    unsigned calls = sim.calls;
    cr_assert(!whole.failed && whole.accepted == 36);
    cr_assert_gt(calls, 20);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        for (unsigned at = 1; at <= calls; at++) {
            fresh();
            arm(faults[i].fault, at);
            struct outcome out = work();
            unsigned syncs_after = sim.syncs_after;
            disarm();
            cr_assert_eq(syncs_after, 0, "%s at call %u: the sync was tried again", faults[i].word, at);
            if (faults[i].harmless)
                cr_assert(!out.failed && out.accepted == whole.accepted, "%s at call %u", faults[i].word, at);
            else if (faults[i].fault == FAULT_POWER_CUT)
                cr_assert(out.failed, "%s at call %u goes unnoticed", faults[i].word, at);
            if (out.opened)
                assert_kept(out.accepted, out.appended, faults[i].word, at);
            restore_disk();
            assert_kept(out.accepted, out.appended, faults[i].word, at);
        }
}

Test(journal_fault, a_failed_sync_or_write_is_final_and_reported)
{
    for (unsigned at = 1;; at++) {
        fresh();
        arm(FAULT_EIO, at);
        struct outcome out = work();
        bool reached = sim.calls >= at;
        disarm();
        if (!reached)
            break;
        cr_assert(out.failed, "EIO at call %u goes unnoticed", at);
    }
}

Test(journal_fault, every_write_is_made_under_the_lock)
{
    fresh();
    arm(FAULT_NONE, 0);
    struct outcome out = work();
    cr_assert(out.opened && !out.failed);
    cr_assert_gt(sim.calls, 10);
    cr_assert_eq(sim.unlocked_writes, 0, "%u writes while another process could open the journal", sim.unlocked_writes);
    disarm();
}

/* A frame that the page cache shows and the disk has lost is written again before it counts. */
Test(journal_fault, the_recovered_tail_is_on_the_disk_before_it_is_used)
{
    struct err err;
    struct journal_recovery found;
    fresh();
    arm(FAULT_NONE, 0);
    struct journal *journal = open_journal(SMALL, NULL);
    struct outcome out = {0};
    append_group(journal, 3, &out);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    arm(FAULT_EIO, 2); /* the write succeeds, its sync does not */
    cr_assert_eq(journal_sync(journal, &err), -1);
    journal_free(&journal);
    disarm();
    sim.counting = true; /* and what the disk lost is still lost */
    cr_assert_gt(sim.lost.len, 0);
    journal = open_journal(SMALL, &found);
    uint64_t records = found.records;
    cr_assert_eq(records, 4);
    journal_free(&journal);
    disarm();
    restore_disk();
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, records, "recovery counted a record that the disk did not have");
    journal_free(&journal);
}

/* Recovery of a torn tail is interrupted at every call and begins again. */
Test(journal_fault, recovery_may_fail_anywhere_and_be_repeated)
{
    for (unsigned at = 1, done = 0; !done; at++)
        for (int cut = 0; cut < 2; cut++) {
            fresh();
            arm(FAULT_NONE, 0);
            struct journal *journal = open_journal(SMALL, NULL);
            struct outcome out = {0};
            append_group(journal, 3, &out);
            append_group(journal, 2, &out);
            journal_free(&journal);
            const char *path = in_dir("journal/%020d.seg", 1);
            int fd = open(path, O_RDWR);
            cr_assert_eq(pwrite(fd, "xxxxxxxx", 8, 1024), 8);  /* a record of the first frame */
            cr_assert_eq(pwrite(fd, "xxxxxxxx", 8, 64000), 8); /* after the tail */
            cr_assert_eq(fsync(fd), 0);
            close(fd);

            struct journal_options options = options_of(SMALL);
            struct journal_recovery found;
            struct err err;
            arm(cut ? FAULT_POWER_CUT : FAULT_EIO, at);
            int rc = journal_open(&journal, &options, WALL, &found, &err);
            done = sim.calls < at;
            if (rc == 0)
                journal_free(&journal);
            disarm();
            if (cut)
                restore_disk();
            journal = open_journal(SMALL, &found);
            cr_assert_eq(found.records, 4, "call %u: %" PRIu64, at, found.records);
            cr_assert_eq(journal_next_seq(journal), 6);
            journal_free(&journal);
            journal = open_journal(SMALL, &found);
            cr_assert_eq(found.records, 4);
            cr_assert_eq(found.damaged + found.torn_bytes + found.repaired, 0);
            journal_free(&journal);
        }
}

Test(journal_fault, a_new_directory_is_synced_into_its_parent)
{
    struct stat parent;
    fresh();
    arm(FAULT_NONE, 0);
    struct journal *journal = open_journal(SMALL, NULL);
    cr_assert_eq(stat(test_dir, &parent), 0);
    bool found = false;
    for (size_t i = 0; i < sim.n_synced_dirs; i++)
        found = found || sim.synced_dirs[i] == parent.st_ino;
    cr_assert(found);
    disarm();
    journal_free(&journal);
}

Test(journal_fault, sectors_that_cannot_be_read_cost_their_records_only)
{
    struct journal_recovery found;
    fresh();
    struct journal *journal = open_journal(SMALL, NULL);
    for (int i = 0; i < 40; i++) {
        append_usual(journal, 5);
        sync_journal(journal);
    }
    close_journal(&journal);
    struct batch *batch = batch_new(300);
    struct err err = {""};
    journal = open_journal(SMALL, NULL);
    sim.unreadable = true;
    cr_assert_eq(journal_read(journal, 1, 300, SIZE_MAX, batch, &err), -1);
    cr_assert(strstr(err.text, "cannot read"), "%s", err.text);
    sim.unreadable = false;
    cr_assert_eq(journal_read(journal, 1, 300, SIZE_MAX, batch, &err), 0, "and when the disk can again, it goes on");
    cr_assert_eq(batch->n, 200);
    batch_free(&batch);
    journal_free(&journal);

    sim.unreadable = true;
    journal = open_journal(SMALL, &found);
    sim.unreadable = false;
    cr_assert_gt(found.damaged, 0);
    cr_assert_lt(found.damaged, 60);
    cr_assert_eq(found.records + found.damaged, 200);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), found.records);
    journal_free(&journal);
}

Test(journal_fault, a_full_disk_means_full_and_not_the_end)
{
    struct err err;
    uint64_t seq;
    fresh();
    struct journal *journal = open_journal(UINT64_C(8) << 20, NULL);
    sim.disk_full = true;
    while (append_sized(journal, 60000) == JOURNAL_APPENDED)
        ;
    cr_assert_eq(journal_unsynced_bytes(journal), 0);
    uint64_t n = journal_synced_seq(journal);
    cr_assert_eq(append_sized(journal, 60000), JOURNAL_FULL);
    sim.disk_full = false;
    static char record[60000];
    make_record(n + 1, sizeof(record), record);
    struct str bytes = {record, sizeof(record)};
    cr_assert_eq(journal_append(journal, bytes, WALL + 50 * CLOCK_MS, &seq, &err), JOURNAL_FULL, "left alone a while");
    cr_assert_eq(journal_append(journal, bytes, WALL + CLOCK_SECOND, &seq, &err), JOURNAL_APPENDED);
    sync_journal(journal);

    /* If the clock was set back, it is tried at once. */
    sim.disk_full = true;
    while (append_sized(journal, 60000) == JOURNAL_APPENDED)
        ;
    sim.disk_full = false;
    cr_assert_eq(journal_append(journal, bytes, WALL - CLOCK_DAY, &seq, &err), JOURNAL_APPENDED);
    close_journal(&journal);
    cr_assert_neq(access(in_dir("journal/unfinished"), F_OK), 0);
}

Test(journal_fault, a_first_segment_without_room_is_an_error_that_says_so)
{
    struct journal_options options = options_of(SMALL);
    struct journal_recovery found;
    struct journal *journal = NULL;
    struct err err;
    fresh();
    sim.disk_full = true;
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, "no space"), "%s", err.text);
}

Test(journal_fault, a_file_system_without_preallocation_is_refused_by_name)
{
    struct journal_options options = options_of(SMALL);
    struct journal_recovery found;
    struct journal *journal = NULL;
    struct err err;
    fresh();
    sim.cannot_preallocate = true;
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, "cannot preallocate (expected ext4, xfs, btrfs or tmpfs)"), "%s", err.text);
}

Test(journal_fault, a_new_uuid_without_room_for_it_is_an_error_that_says_so)
{
    struct err err;
    fresh();
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 1);
    sim.disk_full = true;
    int rc;
    do
        rc = journal_new_uuid(journal, &err);
    while (rc == 0);
    cr_assert(strstr(err.text, "no space"), "%s", err.text);
    journal_free(&journal);
}

/* A file system of 3 MiB, in a mount namespace of this process. */
static void mount_small(const char *path)
{
    if (geteuid() != 0)
        cr_skip_test("needs root, for a small file system");
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mkdir(path, 0700) != 0 || mount("tmpfs", path, "tmpfs", 0, "size=3m") != 0)
        cr_skip_test("may not mount a small file system");
}

Test(journal_fault, on_a_small_file_system_full_passes_when_there_is_room_again)
{
    static char filler[1 << 20];
    struct err err;
    uint64_t seq;
    fresh();
    mount_small(in_dir("small"));
    struct journal_options options = {in_dir("small/journal"), UINT64_C(8) << 20, CLOCK_DAY};
    struct journal *journal = open_journal_at(&options, NULL);
    save_file(in_dir("small/filler"), filler, sizeof(filler) / 2);
    while (append_sized(journal, 8000) == JOURNAL_APPENDED)
        ;
    uint64_t n = journal_synced_seq(journal);
    cr_assert_gt(n, 130);
    cr_assert_lt(journal_bytes(journal), UINT64_C(3) << 20);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_FULL);

    struct str record = {filler, 8000};
    journal_stored(journal, n - 1, WALL);
    cr_assert_eq(journal_append(journal, record, WALL + CLOCK_SECOND, &seq, &err), JOURNAL_APPENDED,
                 "stored segments go first");
    while (journal_append(journal, record, WALL + CLOCK_SECOND, &seq, &err) == JOURNAL_APPENDED)
        ;
    sync_journal(journal);
    cr_assert_eq(unlink(in_dir("small/filler")), 0);
    journal_free(&journal);
    struct journal_recovery found;
    journal = open_journal_at(&options, &found);
    cr_assert_eq(found.damaged + found.torn_bytes + found.missing, 0);
    cr_assert_eq(read_usual(journal, journal_next_seq(journal), NULL, 0), 0);
    close_journal(&journal);
    umount2(in_dir("small"), MNT_DETACH);
}

static void assert_needs_to_be_writable(const char *directory)
{
    struct journal_options options = {directory, UINT64_C(8) << 20, CLOCK_DAY};
    struct journal_recovery found;
    struct journal *journal = NULL;
    struct err err;
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, "Read-only file system") && strstr(err.text, "ReadWritePaths="), "%s", err.text);
}

Test(journal_fault, where_it_may_not_write_it_says_what_the_unit_needs)
{
    fresh();
    mount_small(in_dir("small"));
    cr_assert_eq(mkdir(in_dir("small/known"), 0700), 0);
    cr_assert_eq(mount("none", in_dir("small"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_needs_to_be_writable(in_dir("small/known"));
    assert_needs_to_be_writable(in_dir("small/journal"));
    umount2(in_dir("small"), MNT_DETACH);
}

/* No room for copies of damaged bytes: the journal opens all the same, and reports what it could not copy. */
Test(journal_fault, damage_on_a_full_disk_does_not_keep_the_journal_from_opening)
{
    static char filler[4 << 20];
    struct journal_recovery found;
    fresh();
    mount_small(in_dir("small"));
    struct journal_options options = {in_dir("small/journal"), UINT64_C(4) << 20, CLOCK_DAY};
    struct journal *journal = open_journal_at(&options, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    append_usual(journal, 10);
    sync_journal(journal);
    journal_free(&journal);
    int fd = open(in_dir("small/journal/%020d.seg", 1), O_RDWR);
    cr_assert_eq(pwrite(fd, "x", 1, 512 + 128 + 120 + 3), 1);
    cr_assert_eq(pwrite(fd, "tail", 4, 9000), 4);
    close(fd);
    fd = open(in_dir("small/filler"), O_WRONLY | O_CREAT, 0600);
    while (write(fd, filler, 4096) > 0)
        ;
    close(fd);
    journal = open_journal_at(&options, &found);
    cr_assert_eq(found.damaged, 1);
    cr_assert_gt(found.unsaved_bytes, 0);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 19);
    append_usual(journal, 3);
    sync_journal(journal);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 22);
    journal_free(&journal);
    cr_assert_eq(unlink(in_dir("small/filler")), 0);
    journal = open_journal_at(&options, &found);
    cr_assert_eq(found.records, 22);
    cr_assert_eq(found.damaged + found.torn_bytes + found.unsaved_bytes, 0);
    close_journal(&journal);
    umount2(in_dir("small"), MNT_DETACH);
}

/* Then nobody appends and would find out. */
Test(journal_fault, a_segment_that_cannot_begin_while_idle_is_reported)
{
    struct err err;
    unsigned failures = 0;
    bool reached = true;
    for (unsigned at = 1; reached; at++) {
        struct outcome out = {0};
        fresh();
        arm(FAULT_NONE, 0);
        struct journal *journal = open_journal(SMALL, NULL);
        append_group(journal, 1, &out);
        arm(FAULT_EIO, at);
        journal_stored(journal, 1, WALL + 365 * CLOCK_DAY);
        reached = sim.calls >= at;
        disarm();
        if (journal_failure(journal, &err) != 0) {
            failures++;
            cr_assert_not_null(strstr(err.text, "Input/output error"), "%s", err.text);
        } else {
            cr_assert_eq(append_sized(journal, 100), JOURNAL_APPENDED);
            sync_journal(journal);
        }
        journal_free(&journal);
    }
    cr_assert_gt(failures, 0);
}
