/*
 * Files of the journal that have another name too: a backup of hard links, a copy that another daemon uses, a lock file
 * that was removed. A file that others may write to is not appended to, and one that others keep is not changed.
 */
#include "test_journal_support.h"

#include <dirent.h>

TestSuite(journal_links, .init = test_dir_make, .fini = test_dir_remove, .timeout = 60);

#define SEGMENT_1 "00000000000000000001.seg"

/* Like cp -al, except for the lock file. */
static void link_all(const char *to)
{
    cr_assert_eq(mkdir(to, 0700), 0);
    DIR *dir = opendir(in_dir("journal"));
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_type == DT_REG && strcmp(entry->d_name, "lock") != 0)
            cr_assert_eq(
                link(in_dir("journal/%s", entry->d_name), in_dir("%s/%s", strrchr(to, '/') + 1, entry->d_name)), 0);
    closedir(dir);
}

static size_t load_segment(const char *folder, char out[256 << 10])
{
    return load_file(in_dir("%s/" SEGMENT_1, folder), out, 256 << 10);
}

static void assert_unchanged(const char *folder, const char *bytes, size_t len)
{
    static char now[256 << 10];
    cr_assert_eq(load_segment(folder, now), len);
    cr_assert_eq(memcmp(now, bytes, len), 0, "the other name shows other bytes than before");
}

static struct journal *open_at(const char *folder, struct journal_recovery *found)
{
    struct journal_options options = {in_dir("%s", folder), SMALL, CLOCK_DAY};
    return open_journal_at(&options, found);
}

static void assert_refused(const char *folder, const char *word)
{
    struct journal_options options = {in_dir("%s", folder), SMALL, CLOCK_DAY};
    struct journal_recovery found;
    struct journal *journal = NULL;
    struct err err = {""};
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, word), "%s", err.text);
}

static void assert_kept(const char *folder, uint64_t n)
{
    struct journal_recovery found;
    struct journal *journal = open_at(folder, &found);
    cr_assert_eq(found.records, n, "%s: %" PRIu64, folder, found.records);
    cr_assert_eq(found.damaged + found.missing + found.torn_bytes + found.repaired + found.foreign, 0);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), n);
    close_journal(&journal);
}

Test(journal_links, a_segment_that_is_linked_while_it_is_appended_to_is_left)
{
    static char before[256 << 10];
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    link_all(in_dir("backup"));
    size_t len = load_segment("backup", before);
    append_usual(journal, 10);
    sync_journal(journal);
    assert_unchanged("backup", before, len);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 20);
    close_journal(&journal);
    assert_unchanged("backup", before, len);
    assert_kept("journal", 20);
    assert_kept("backup", 10);
}

Test(journal_links, a_link_that_is_made_while_a_frame_gathers_costs_nothing)
{
    struct journal *journal = open_journal(SMALL, NULL), *copy;
    append_usual(journal, 10);
    link_all(in_dir("copy"));
    copy = open_at("copy", NULL);
    append_usual(copy, 3);
    sync_journal(journal);
    sync_journal(copy);
    append_usual(journal, 5);
    sync_journal(journal);
    close_journal(&journal);
    close_journal(&copy);
    assert_kept("journal", 15);
    assert_kept("copy", 3);
}

Test(journal_links, of_a_copy_that_is_in_use_each_keeps_its_own)
{
    struct journal *journal = open_journal(SMALL, NULL), *copy;
    append_usual(journal, 10);
    sync_journal(journal);
    link_all(in_dir("copy"));
    copy = open_at("copy", NULL);
    for (int i = 0; i < 50; i++) {
        append_usual(journal, 2);
        sync_journal(journal);
        append_usual(copy, 1);
        sync_journal(copy);
    }
    close_journal(&journal);
    close_journal(&copy);
    assert_kept("journal", 110);
    assert_kept("copy", 60);
}

Test(journal_links, an_empty_segment_is_replaced_by_one_of_its_own)
{
    static char before[256 << 10];
    struct journal *journal = open_journal(SMALL, NULL);
    link_all(in_dir("backup"));
    size_t len = load_segment("backup", before);
    append_usual(journal, 10);
    sync_journal(journal);
    assert_unchanged("backup", before, len);
    close_journal(&journal);
    assert_kept("journal", 10);
}

Test(journal_links, recovery_writes_to_no_file_that_has_another_name)
{
    static char bytes[256 << 10];
    struct journal_recovery found;
    struct err err = {""};
    struct journal *journal = open_journal(SMALL, NULL);
    for (int i = 0; i < 3; i++) {
        append_usual(journal, 5);
        sync_journal(journal);
    }
    journal_free(&journal);
    size_t len = load_segment("journal", bytes);
    bytes[512 + 128 + 60 + 3] ^= 1;  /* a record of the first frame */
    memset(bytes + 40000, 'x', 700); /* after the tail */
    save_file(in_dir("journal/" SEGMENT_1), bytes, len);
    link_all(in_dir("backup"));
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.damaged, 1);
    cr_assert_gt(found.torn_bytes, 0);
    cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    append_usual(journal, 5);
    sync_journal(journal);
    close_journal(&journal);
    assert_unchanged("backup", bytes, len);
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, 19);
    cr_assert_eq(found.damaged + found.torn_bytes, 0, "in its own file it was repaired");
    close_journal(&journal);
}

Test(journal_links, an_older_segment_is_not_repaired_where_it_has_another_name)
{
    static char bytes[256 << 10];
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    while (journal_bytes(journal) < 2 * (UINT64_C(128) << 10)) {
        append_usual(journal, 5);
        sync_journal(journal);
    }
    close_journal(&journal);
    size_t len = load_segment("journal", bytes);
    bytes[512 + 128 + 60 + 3] ^= 1;
    save_file(in_dir("journal/" SEGMENT_1), bytes, len);
    link_all(in_dir("backup"));
    for (int i = 0; i < 2; i++) {
        journal = open_journal(SMALL, &found);
        cr_assert_eq(found.damaged, 1, "start %d: %" PRIu64 ", found with each, since it stays", i, found.damaged);
        close_journal(&journal);
        assert_unchanged("backup", bytes, len);
    }
}

Test(journal_links, a_clean_stop_and_a_new_uuid_write_nothing_to_a_linked_segment)
{
    static char before[256 << 10];
    struct err err = {""};
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    link_all(in_dir("backup"));
    size_t len = load_segment("backup", before);
    cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    assert_unchanged("backup", before, len);
    cr_assert_eq(link(in_dir("journal/%020d.seg", 11), in_dir("backup/%020d.seg", 11)), 0);
    close_journal(&journal);
    assert_kept("journal", 10);
}

Test(journal_links, a_segment_whose_name_is_gone_is_left)
{
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    cr_assert_eq(rename(in_dir("journal/" SEGMENT_1), in_dir("moved.seg")), 0);
    append_usual(journal, 5);
    sync_journal(journal);
    cr_assert_eq(rename(in_dir("moved.seg"), in_dir("journal/" SEGMENT_1)), 0);
    close_journal(&journal);
    assert_kept("journal", 15);
}

Test(journal_links, a_symbolic_link_is_replaced_by_a_file_of_its_own)
{
    static char before[256 << 10];
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    close_journal(&journal);
    cr_assert_eq(mkdir(in_dir("elsewhere"), 0700), 0);
    cr_assert_eq(rename(in_dir("journal/" SEGMENT_1), in_dir("elsewhere/" SEGMENT_1)), 0);
    cr_assert_eq(symlink(in_dir("elsewhere/" SEGMENT_1), in_dir("journal/" SEGMENT_1)), 0);
    size_t len = load_segment("elsewhere", before);
    journal = open_journal(SMALL, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    close_journal(&journal);
    assert_unchanged("elsewhere", before, len);
    assert_kept("journal", 20);
}

Test(journal_links, a_lock_file_that_was_removed_or_replaced_lets_nobody_in)
{
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 1);
    sync_journal(journal);
    cr_assert_eq(unlink(in_dir("journal/lock")), 0);
    assert_refused("journal", "another process has this directory open");
    close_journal(&journal);
    assert_kept("journal", 1);
}

Test(journal_links, a_segment_that_was_moved_into_another_directory_is_still_locked)
{
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 1);
    sync_journal(journal);
    cr_assert_eq(mkdir(in_dir("other"), 0700), 0);
    cr_assert_eq(rename(in_dir("journal/" SEGMENT_1), in_dir("other/" SEGMENT_1)), 0);
    assert_refused("other", "another process is appending to it");
    journal_free(&journal);
    assert_kept("other", 1);
}

Test(journal_links, a_lock_that_is_no_file_is_refused_and_nothing_is_written_through_it)
{
    static char text[16];
    cr_assert_eq(mkdir(in_dir("journal"), 0700), 0);
    save_file(in_dir("precious"), "precious", 8);
    cr_assert_eq(symlink(in_dir("precious"), in_dir("journal/lock")), 0);
    assert_refused("journal", "must be a regular file");
    cr_assert_eq(load_file(in_dir("precious"), text, sizeof(text)), 8);
    cr_assert_eq(memcmp(text, "precious", 8), 0);
    cr_assert_eq(unlink(in_dir("journal/lock")), 0);
    cr_assert_eq(mkfifo(in_dir("journal/lock"), 0600), 0);
    assert_refused("journal", "must be a regular file");
}
