/* The journal as its users see it: what was synced is read back, in order, whatever rotates, fills up or is removed. */
#include "test_journal_support.h"

#include "model/record.h"

#include <dirent.h>

TestSuite(journal, .init = test_dir_make, .fini = test_dir_remove);

static unsigned count_segments(void)
{
    unsigned n = 0;
    DIR *dir = opendir(in_dir("journal"));
    for (struct dirent *entry; (entry = readdir(dir));)
        n += strstr(entry->d_name, ".seg") != NULL;
    closedir(dir);
    return n;
}

static uint64_t fill_up(struct journal *journal)
{
    while (append_sized(journal, 8000) == JOURNAL_APPENDED)
        ;
    sync_journal(journal);
    return journal_synced_seq(journal);
}

Test(journal, a_new_one_is_empty_and_numbers_from_one)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    uint64_t checksum = 1;
    cr_assert_eq(found.records + found.damaged + found.torn_bytes + found.missing + found.repaired + found.foreign, 0);
    cr_assert(!found.clean);
    cr_assert_not(found.salvaged);
    cr_assert_eq(journal_next_seq(journal), 1);
    cr_assert_eq(journal_synced_seq(journal), 0);
    cr_assert_eq(journal_first_seq(journal), 1);
    cr_assert_eq(journal_reach_us(journal), 0);
    cr_assert_eq(journal_fill(journal), 0);
    cr_assert(journal_checksum(journal, 0, &checksum));
    cr_assert_eq(checksum, 0);
    cr_assert(!journal_checksum(journal, 1, &checksum));
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 0);
    close_journal(&journal);
}

Test(journal, only_what_is_synced_is_read)
{
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 3);
    cr_assert_gt(journal_unsynced_bytes(journal), 0);
    cr_assert_gt(journal_unsynced_bytes(journal), 0);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 0);
    sync_journal(journal);
    cr_assert_eq(journal_unsynced_bytes(journal), 0);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 3);
    append_usual(journal, 2);
    sync_journal(journal);
    cr_assert_eq(read_usual(journal, 4, NULL, 0), 2);
    close_journal(&journal);
}

Test(journal, what_was_synced_survives_a_kill_and_what_was_not_does_not_appear_damaged)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 10);
    sync_journal(journal);
    append_usual(journal, 5);
    journal_free(&journal);
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, 10);
    cr_assert(!found.clean);
    cr_assert_eq(found.damaged + found.torn_bytes + found.missing + found.repaired, 0);
    cr_assert_eq(journal_next_seq(journal), 11);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 10);
    close_journal(&journal);
    journal = open_journal(SMALL, &found);
    cr_assert(found.clean);
    close_journal(&journal);
}

Test(journal, records_survive_rotations_and_reopening)
{
    uint64_t n = 0;
    for (unsigned round = 0; round < 4; round++) {
        struct journal_recovery found;
        struct journal *journal = open_journal(UINT64_C(4) << 20, &found);
        cr_assert_eq(found.records, n);
        cr_assert_eq(read_usual(journal, 1, NULL, 0), n);
        for (unsigned group = 0; group < 60; group++) {
            append_usual(journal, 1 + group * 3);
            sync_journal(journal);
        }
        n = journal_synced_seq(journal);
        cr_assert_eq(read_usual(journal, 1, NULL, 0), n);
        cr_assert_eq(read_usual(journal, n / 2, NULL, 0), n - n / 2 + 1);
        close_journal(&journal);
    }
}

Test(journal, rotation_in_the_middle_of_a_group_loses_nothing)
{
    struct journal *journal = open_journal(UINT64_C(1) << 20, NULL);
    while (journal_next_seq(journal) <= 90)
        cr_assert_eq(append_sized(journal, 9000), JOURNAL_APPENDED);
    sync_journal(journal);
    cr_assert_gt(count_segments(), 2);
    journal_free(&journal);
    struct journal_recovery found;
    journal = open_journal(UINT64_C(1) << 20, &found);
    cr_assert_eq(found.records, 90);
    cr_assert_eq(found.missing + found.damaged + found.torn_bytes, 0);
    close_journal(&journal);
}

Test(journal, records_of_any_size_come_back)
{
    static const size_t sizes[] = {0, 1, 255, 256, 511, 512, 4096, 65536, 70000};
    struct journal *journal = open_journal(UINT64_C(8) << 20, NULL);
    struct batch *batch = batch_new(100);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        cr_assert_eq(append_sized(journal, sizes[i]), JOURNAL_APPENDED);
    sync_journal(journal);
    cr_assert_eq(journal_read(journal, 1, 100, SIZE_MAX, batch, NULL), 0);
    cr_assert_eq(batch->n, sizeof(sizes) / sizeof(sizes[0]));
    for (size_t i = 0; i < batch->n; i++)
        cr_assert(is_record(batch->rows[i].record, i + 1, sizes[i]));
    batch_free(&batch);
    close_journal(&journal);
}

Test(journal, a_record_above_the_limit_is_refused)
{
    static char record[RECORD_MAX + 1];
    struct journal *journal = open_journal(SMALL, NULL);
    uint64_t seq;
    struct err err;
    cr_assert_eq(journal_append(journal, (struct str){record, sizeof(record)}, WALL, &seq, &err), -1);
    cr_assert(strstr(err.text, "too large"));
    journal_free(&journal);
}

Test(journal, a_batch_has_one_record_at_least_and_never_more_than_its_rows)
{
    struct journal *journal = open_journal(SMALL, NULL);
    struct batch *batch = batch_new(2);
    append_usual(journal, 5);
    sync_journal(journal);
    cr_assert_eq(journal_read(journal, 1, 100, 1, batch, NULL), 0);
    cr_assert_eq(batch->n, 1);
    batch_clear(batch);
    cr_assert_eq(journal_read(journal, 2, 100, 1 << 20, batch, NULL), 0);
    cr_assert_eq(batch->n, 2);
    cr_assert_eq(batch->last_seq, 3);
    batch_free(&batch);
    close_journal(&journal);
}

Test(journal, checksums_tell_records_apart_and_stay)
{
    uint64_t sums[301] = {0}, sum;
    struct journal *journal = open_journal(SMALL, NULL);
    for (unsigned i = 0; i < 30; i++) {
        append_usual(journal, 10);
        sync_journal(journal);
    }
    for (uint64_t seq = 1; seq <= 300; seq++) {
        cr_assert(journal_checksum(journal, seq, &sums[seq]));
        cr_assert_neq(sums[seq], sums[seq - 1] * (seq > 1));
    }
    cr_assert(!journal_checksum(journal, 301, &sum));
    journal_free(&journal);
    journal = open_journal(SMALL, NULL);
    for (uint64_t seq = 300; seq >= 1; seq--)
        cr_assert(journal_checksum(journal, seq, &sum) && sum == sums[seq]);
    struct batch *batch = batch_new(300);
    cr_assert_eq(journal_read(journal, 1, 300, SIZE_MAX, batch, NULL), 0);
    for (size_t i = 0; i < batch->n; i++)
        cr_assert_eq(batch->rows[i].alert.checksum, sums[i + 1]);
    batch_free(&batch);
    close_journal(&journal);
}

Test(journal, the_same_record_has_another_checksum_in_another_segment)
{
    uint64_t here, there;
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 1);
    sync_journal(journal);
    cr_assert(journal_checksum(journal, 1, &here));
    close_journal(&journal);
    remove_tree(in_dir("journal"));
    journal = open_journal(SMALL, NULL);
    append_usual(journal, 1);
    sync_journal(journal);
    cr_assert(journal_checksum(journal, 1, &there));
    cr_assert_neq(here, there, "bytes of an older file would check");
    close_journal(&journal);
}

Test(journal, full_means_full_until_something_is_stored)
{
    struct journal *journal = open_journal(SMALL, NULL);
    uint64_t n = fill_up(journal);
    cr_assert_gt(n, 40);
    cr_assert_leq(journal_bytes(journal), SMALL);
    cr_assert_gt(journal_fill(journal), 0.9);
    cr_assert_eq(journal_unsynced_bytes(journal), 0);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_FULL);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_FULL);

    journal_stored(journal, n / 2, WALL);
    cr_assert_lt(journal_fill(journal), 0.6);
    cr_assert_eq(count_segments(), 4, "kept as long as nobody needs the room");
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    cr_assert_gt(journal_first_seq(journal), 1);
    cr_assert_leq(journal_bytes(journal), SMALL);
    uint64_t more = fill_up(journal);
    cr_assert_gt(more, n);
    cr_assert_leq(journal_first_seq(journal), n / 2 + 1, "nothing is removed that is not stored");

    uint64_t first = journal_first_seq(journal);
    journal_free(&journal);
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, more - first + 1);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_FULL);
    journal_stored(journal, more, WALL);
    cr_assert_eq(journal_fill(journal), 0);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    close_journal(&journal);
}

Test(journal, a_small_record_still_fits_where_a_large_one_is_refused)
{
    struct journal *journal = open_journal(SMALL, NULL);
    while (append_sized(journal, 60000) == JOURNAL_APPENDED)
        ;
    cr_assert_eq(append_sized(journal, 10), JOURNAL_APPENDED);
    sync_journal(journal);
    close_journal(&journal);
}

Test(journal, stored_segments_stay_for_keep_and_no_longer)
{
    struct journal *journal = open_journal(SMALL, NULL);
    uint64_t n = fill_up(journal), sum;
    journal_stored(journal, n, WALL + CLOCK_DAY - 1);
    cr_assert_eq(count_segments(), 4);
    cr_assert_eq(journal_first_seq(journal), 1);
    cr_assert_eq(journal_reach_us(journal), WALL);
    journal_stored(journal, n, WALL + CLOCK_DAY);
    cr_assert_eq(count_segments(), 1);
    cr_assert_eq(journal_stored_seq(journal), n);
    cr_assert(journal_checksum(journal, n, &sum), "the database's position can always be compared");
    cr_assert_eq(journal_next_seq(journal), n + 1);
    journal_free(&journal);
    journal = open_journal(SMALL, NULL);
    cr_assert_eq(journal_next_seq(journal), n + 1);
    cr_assert_eq(journal_stored_seq(journal), journal_first_seq(journal) - 1, "what is gone was stored");
    uint64_t again;
    cr_assert(journal_checksum(journal, n, &again) && again == sum);
    close_journal(&journal);
}

Test(journal, what_is_not_stored_stays_for_ever)
{
    struct journal *journal = open_journal(SMALL, NULL);
    uint64_t n = fill_up(journal);
    journal_stored(journal, 1, WALL + 1000 * CLOCK_DAY);
    cr_assert_eq(journal_first_seq(journal), 1);
    cr_assert_eq(journal_synced_seq(journal), n);
    journal_stored(journal, 0, WALL + 1000 * CLOCK_DAY);
    cr_assert_eq(count_segments(), 4);
    close_journal(&journal);
}

Test(journal, stored_may_move_backwards)
{
    struct journal *journal = open_journal(SMALL, NULL);
    uint64_t n = fill_up(journal);
    journal_stored(journal, n, WALL);
    cr_assert_eq(journal_fill(journal), 0);
    journal_stored(journal, 0, WALL);
    cr_assert_gt(journal_fill(journal), 0.9);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_FULL);
    close_journal(&journal);
}

Test(journal, a_quiet_journal_lets_go_of_what_is_stored_too)
{
    struct journal *journal = open_journal(SMALL, NULL);
    append_usual(journal, 3);
    sync_journal(journal);
    journal_stored(journal, 3, WALL + CLOCK_DAY - 1);
    cr_assert_eq(journal_first_seq(journal), 1);
    journal_stored(journal, 3, WALL + CLOCK_DAY);
    cr_assert_eq(journal_first_seq(journal), 4);
    cr_assert_eq(count_segments(), 1);
    journal_free(&journal);
    journal = open_journal(SMALL, NULL);
    append_usual(journal, 1);
    cr_assert_eq(journal_next_seq(journal), 5);
    close_journal(&journal);
}

Test(journal, nothing_is_held_longer_than_it_says)
{
    struct err err;
    uint64_t last;
    struct journal *journal = open_journal(SMALL, NULL);
    int64_t until_us = journal_held_until_us(CLOCK_DAY, WALL);
    append_usual(journal, 3);
    sync_journal(journal);
    cr_assert_eq(journal_append(journal, STR("later"), WALL + CLOCK_DAY - 1, &last, &err), JOURNAL_APPENDED);
    sync_journal(journal);
    journal_stored(journal, last, WALL + CLOCK_DAY);
    cr_assert_eq(journal_first_seq(journal), 1);
    journal_stored(journal, last, until_us);
    cr_assert_gt(journal_first_seq(journal), last);
    close_journal(&journal);
}

Test(journal, max_size_may_shrink_and_grow_while_open)
{
    struct journal *journal = open_journal(UINT64_C(4) << 20, NULL);
    for (unsigned i = 0; i < 300; i++)
        cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    sync_journal(journal);
    struct journal_options smaller = options_of(SMALL);
    journal_configure(journal, &smaller);
    while (append_sized(journal, 8000) == JOURNAL_APPENDED)
        ;
    sync_journal(journal);
    uint64_t n = journal_synced_seq(journal);
    cr_assert_eq(journal_first_seq(journal), 1);
    journal_stored(journal, n, WALL);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED, "the last segment alone is above the new limit");
    sync_journal(journal);
    journal_stored(journal, n, WALL);
    cr_assert_leq(journal_bytes(journal), SMALL);
    journal_stored(journal, 0, WALL);
    fill_up(journal);
    struct journal_options larger = options_of(2 * SMALL);
    journal_configure(journal, &larger);
    cr_assert_eq(append_sized(journal, 8000), JOURNAL_APPENDED);
    close_journal(&journal);
}

Test(journal, a_second_opener_is_told_who_has_it)
{
    struct journal *journal = open_journal(SMALL, NULL), *second = NULL;
    struct journal_options options = options_of(SMALL);
    struct journal_recovery found;
    struct err err;
    char pid[32];
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    cr_assert_eq(journal_open(&second, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, pid), "%s", err.text);
    cr_assert_null(second);
    append_usual(journal, 1);
    sync_journal(journal);
    close_journal(&journal);
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, 1);
    close_journal(&journal);
}

Test(journal, a_directory_that_cannot_be_used_is_named)
{
    struct journal_options options = {in_dir("no/journal"), SMALL, 0};
    struct journal_recovery found;
    struct journal *journal = NULL;
    struct err err;
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, "no/journal: cannot be created"), "%s", err.text);
    save_file(in_dir("journal"), "x", 1);
    options.directory = in_dir("journal");
    cr_assert_eq(journal_open(&journal, &options, WALL, &found, &err), -1);
    cr_assert(strstr(err.text, "cannot be opened"), "%s", err.text);
}

Test(journal, a_file_that_has_the_name_of_the_next_segment_is_not_overwritten)
{
    struct journal *journal = open_journal(SMALL, NULL);
    struct err err = {""};
    uint64_t seq;
    static char record[60000], kept[8];
    cr_assert_eq(append_sized(journal, 60000), JOURNAL_APPENDED);
    cr_assert_eq(append_sized(journal, 60000), JOURNAL_APPENDED);
    save_file(in_dir("journal/%020d.seg", 3), "mine", 4);
    cr_assert_eq(journal_append(journal, (struct str){record, sizeof(record)}, WALL, &seq, &err), -1);
    cr_assert(strstr(err.text, "does not belong to this journal"), "%s", err.text);
    cr_assert_eq(load_file(in_dir("journal/%020d.seg", 3), kept, sizeof(kept)), 4);
    cr_assert_eq(journal_new_uuid(journal, &err), -1);
    journal_free(&journal);
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, 2);
    cr_assert_eq(found.foreign, 1);
    cr_assert_eq(append_sized(journal, 60000), JOURNAL_APPENDED);
    close_journal(&journal);
}

Test(journal, a_new_uuid_can_be_had_any_number_of_times_also_when_full)
{
    struct journal *journal = open_journal(SMALL, NULL);
    struct err err = {""};
    for (int i = 0; i < 600; i++)
        cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    cr_assert_eq(count_segments(), 1, "segments without records are replaced");
    uint64_t n = fill_up(journal);
    for (int i = 0; i < 600; i++)
        cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    uint8_t uuid[JOURNAL_UUID_BYTES];
    memcpy(uuid, journal_uuid(journal), sizeof(uuid));
    close_journal(&journal);
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, n);
    cr_assert(found.clean);
    cr_assert_arr_eq(journal_uuid(journal), uuid, sizeof(uuid));
    close_journal(&journal);
}

Test(journal, opening_and_closing_for_ever_takes_no_room)
{
    struct stat before, after;
    for (int i = 0; i < 300; i++) {
        struct journal *journal = open_journal(SMALL, NULL);
        close_journal(&journal);
        cr_assert_eq(stat(in_dir("journal/%020d.seg", 1), i == 0 ? &before : &after), 0);
    }
    cr_assert_eq(before.st_size, after.st_size);
    cr_assert_eq(count_segments(), 1);
}

Test(journal, reading_resumes_anywhere_while_segments_are_removed)
{
    struct journal *journal = open_journal(SMALL, NULL);
    struct batch *batch = batch_new(10);
    struct err err = {""};
    uint64_t n = fill_up(journal), next = 1;
    cr_assert_eq(journal_read(journal, next, 10, SIZE_MAX, batch, &err), 0);
    journal_stored(journal, n - 1, WALL + 2 * CLOCK_DAY);
    next = batch->last_seq + 1;
    batch_clear(batch);
    cr_assert_eq(journal_read(journal, next, 10, SIZE_MAX, batch, &err), 0, "%s", err.text);
    cr_assert_gt(batch->n, 0);
    batch_clear(batch);
    cr_assert_eq(journal_read(journal, 1, 10, SIZE_MAX, batch, &err), 0, "%s", err.text);
    cr_assert_eq(batch->first_seq, 1, "the position goes from where the caller asked");
    cr_assert_geq(batch->rows[0].alert.seq, journal_first_seq(journal));
    batch_clear(batch);
    cr_assert_eq(journal_read(journal, n + 1, 10, SIZE_MAX, batch, &err), 0);
    cr_assert_eq(batch->n, 0);
    cr_assert_eq(journal_read(journal, n + 1000, 10, SIZE_MAX, batch, &err), 0);
    cr_assert_eq(batch->n, 0);
    batch_free(&batch);
    close_journal(&journal);
}
