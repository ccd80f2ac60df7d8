/* Files in the journal's directory that do not belong to this journal are salvaged whole, and counted. */
#include "journal_image.h"

#include <dirent.h>

TestSuite(journal_foreign, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 120);

static void copy_file(const char *from, const char *to)
{
    static char bytes[IMAGE_BYTES];
    save_file(to, bytes, load_file(from, bytes, sizeof(bytes)));
}

static unsigned count_in(const char *dir_path)
{
    unsigned n = 0;
    DIR *dir = opendir(dir_path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

static void assert_foreign(const char *name, const char *bytes, size_t len)
{
    struct journal_recovery found;
    save_file(in_dir("journal/%s", name), bytes, len);
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_eq(found.foreign, 1, "%s", name);
    cr_assert_eq(found.records, image_records);
    cr_assert_eq(found.damaged + found.torn_bytes + found.missing, 0);
    cr_assert_eq(journal_next_seq(journal), image_records + 1);
    journal_free(&journal);
    cr_assert_eq(access(in_dir("journal/%s", name), F_OK), -1, "it is moved away");
    cr_assert_eq(count_in(in_dir("journal/salvaged")), 1);
    remove_tree(in_dir("journal/salvaged"));
}

Test(journal_foreign, files_that_are_not_of_this_journal_are_moved_aside)
{
    static char other[IMAGE_BYTES];
    struct journal_options options = {in_dir("other"), SMALL, 0};
    struct journal *journal = open_journal_at(&options, NULL);
    append_usual(journal, 200);
    close_journal(&journal);
    load_file(in_dir("other/%020d.seg", 1), other, sizeof(other));
    make_image(3, false);

    assert_foreign("nonsense.seg", "nonsense", 8);
    assert_foreign("00000000000000000000.seg", "", 0);
    assert_foreign("00000000000000000007.seg", "", 0);
    assert_foreign("00000000000000000007.seg", image + 7, 5000);
    assert_foreign("00000000000000000007.seg", image, sizeof(image)); /* a copy under another name */
    assert_foreign("99999999999999999999999.seg", image, sizeof(image));

    /* Another journal's segment, with a name that it could have. */
    uint32_t offsets[64];
    frame_offsets(other, offsets, 64);
    for (int i = 0; i < 2; i++) {
        struct frame_header header;
        memcpy(&header, other + offsets[i], sizeof(header));
        header.segment_seq = header.first_seq = 50;
        char *rear = other + offsets[i + 1] - sizeof(header);
        frame_seal(&header, (const struct frame_entry *)(const void *)(other + offsets[i] + sizeof(header)));
        memcpy(other + offsets[i], &header, sizeof(header));
        memcpy(rear, &header, sizeof(header));
    }
    assert_foreign("00000000000000000050.seg", other, sizeof(other));
}

Test(journal_foreign, a_journal_of_a_later_version_is_left_whole_and_a_new_one_begun)
{
    make_image(3, true);
    for (uint32_t at = 0; at < image_used; at += 4)
        if (memcmp(image + at, "mobeyeJ\n", 8) == 0)
            damaged[at + 8] = FRAME_VERSION + 1;
    put_image(damaged, sizeof(damaged));
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_eq(found.foreign, 1);
    cr_assert_eq(found.records, 0);
    cr_assert_eq(journal_next_seq(journal), 1);
    journal_free(&journal);
    char kept[8192];
    snprintf(kept, sizeof(kept), "journal/salvaged/%020d.seg-%" PRId64, 1, WALL);
    static char bytes[IMAGE_BYTES];
    cr_assert_eq(load_file(in_dir("%s", kept), bytes, sizeof(bytes)), sizeof(bytes));
    cr_assert_arr_eq(bytes, damaged, sizeof(bytes));
}

Test(journal_foreign, an_old_copy_of_a_segment_whose_numbers_are_taken_is_foreign)
{
    make_image(6, false);
    uint32_t offsets[64];
    frame_offsets(image, offsets, 64);
    /* Like its own later segment, renamed and sealed again to begin within the numbers of the first. */
    for (size_t i = 0; i < 2; i++) {
        struct frame_header header;
        memcpy(&header, damaged + offsets[i], sizeof(header));
        header.segment_seq = 3;
        header.first_seq = 3;
        frame_seal(&header, (const struct frame_entry *)(const void *)(damaged + offsets[i] + sizeof(header)));
        memcpy(damaged + offsets[i], &header, sizeof(header));
        memcpy(damaged + offsets[i + 1] - sizeof(header), &header, sizeof(header));
    }
    assert_foreign("00000000000000000003.seg", damaged, offsets[2]);
}

Test(journal_foreign, without_its_lock_file_the_journal_with_most_segments_is_ours)
{
    make_image(3, false);
    struct journal_options options = {in_dir("other"), SMALL, 0};
    struct journal *journal = open_journal_at(&options, NULL);
    while (journal_bytes(journal) < 3 * IMAGE_BYTES)
        append_usual(journal, 1);
    sync_journal(journal);
    uint64_t all = journal_synced_seq(journal);
    journal_free(&journal);
    copy_file(image_path, in_dir("kept"));
    DIR *dir = opendir(in_dir("other"));
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strstr(entry->d_name, ".seg") && strcmp(entry->d_name, "00000000000000000001.seg") != 0)
            copy_file(in_dir("other/%s", entry->d_name), in_dir("journal/%s", entry->d_name));
    closedir(dir);
    cr_assert_eq(unlink(in_dir("journal/lock")), 0);
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.foreign, 1);
    cr_assert_eq(journal_next_seq(journal), all + 1);
    journal_free(&journal);
}

static void assert_ours_with_lock(const char *bytes, size_t len)
{
    save_file(in_dir("journal/lock"), bytes, len);
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_eq(found.foreign, 0, "a lock file of %zu bytes", len);
    cr_assert_eq(found.records, image_records);
    journal_free(&journal);
}

/* Under valgrind also checks that nothing is read beyond its end. */
Test(journal_foreign, a_torn_lock_file_does_not_make_the_journal_foreign)
{
    char lock[128];
    make_image(3, false);
    for (size_t len = load_file(in_dir("journal/lock"), lock, sizeof(lock)); len > 0; len--)
        assert_ours_with_lock(lock, len - 1);
}
