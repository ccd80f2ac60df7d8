/* Damage: what one flipped byte, a cut or garbage costs, and that none of it is ignored silently. */
#include "journal_image.h"

#include <dirent.h>

#include "journal/verify.h"

TestSuite(journal_damage, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 120);

/* Whether the byte at `at` of the damaged file is in a file of the folder, together with its neighbours. */
static bool is_salvaged(uint32_t at)
{
    static char kept[IMAGE_BYTES];
    bool found = false;
    DIR *dir = opendir(in_dir("journal/salvaged"));
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t segment;
        uint32_t offset;
        if (sscanf(entry->d_name, "%" SCNu64 "-%" SCNu32 "-", &segment, &offset) != 2)
            continue;
        size_t len = load_file(in_dir("journal/salvaged/%s", entry->d_name), kept, sizeof(kept));
        cr_assert_leq(offset + len, sizeof(damaged));
        cr_assert_arr_eq(kept, damaged + offset, len);
        found = found || (offset <= at && at < offset + len);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* After a recovery nothing more is found, the same is read, and the journal continues. */
static void assert_repaired(uint64_t records, uint64_t next_seq)
{
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_eq(found.damaged + found.repaired + found.torn_bytes + found.unsaved_bytes + found.foreign, 0);
    cr_assert_eq(found.records, records);
    cr_assert_eq(journal_next_seq(journal), next_seq);
    append_usual(journal, 1);
    sync_journal(journal);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), records + 1);
    journal_free(&journal);
}

static void flip_and_recover(uint32_t at, bool clean)
{
    struct journal_recovery found;
    damaged[at] = (char)(damaged[at] ^ (1 + at % 255));
    put_image(damaged, sizeof(damaged));
    struct journal *journal = open_journal(SMALL, &found);
    bool got[256] = {false};
    uint64_t n = read_usual(journal, 1, got, 256), next_seq = journal_next_seq(journal);
    cr_assert_geq(n + 1, image_records, "byte %u costs %" PRIu64 " records", at, image_records - n);
    cr_assert_eq(found.records, n);
    cr_assert_eq(next_seq, image_records + 1, "byte %u", at);
    cr_assert_eq(journal_synced_seq(journal), image_records);
    cr_assert_eq(n + read_unreadable, image_records, "byte %u: what is damaged is handed out as damaged", at);
    cr_assert_eq(found.missing + found.foreign + found.unsaved_bytes, 0);
    if (clean && at < image_used)
        cr_assert_eq(found.damaged, image_records - n, "byte %u: %" PRIu64, at, found.damaged);
    cr_assert_gt(found.damaged + found.repaired + found.torn_bytes, 0, "byte %u is passed over", at);
    if (n < image_records)
        cr_assert_gt(found.damaged + found.torn_bytes, 0);
    cr_assert(found.salvaged);
    cr_assert(is_salvaged(at), "byte %u is not salvaged", at);
    journal_free(&journal);
    assert_repaired(n, next_seq);
    damaged[at] = image[at];
}

static void flip_all(bool clean)
{
    make_image(6, clean);
    cr_assert_eq(image_records, 21);
    for (uint32_t at = 0; at < image_used; at++)
        flip_and_recover(at, clean);
    for (uint32_t at = image_used; at < IMAGE_BYTES; at += 509)
        flip_and_recover(at, clean);
}

Test(journal_damage, any_flipped_byte_of_a_closed_journal_costs_one_record_at_most)
{
    flip_all(true);
}

Test(journal_damage, any_flipped_byte_of_a_killed_journal_costs_one_record_at_most)
{
    flip_all(false);
}

Test(journal_damage, any_flipped_byte_in_an_older_segment_costs_one_record_at_most)
{
    make_image(6, false);
    struct journal *journal = open_journal(SMALL, NULL);
    while (journal_bytes(journal) < 2 * IMAGE_BYTES)
        append_usual(journal, 1);
    sync_journal(journal);
    uint64_t all = journal_synced_seq(journal);
    journal_free(&journal);
    load_file(image_path, image, sizeof(image));
    memcpy(damaged, image, sizeof(image));
    uint32_t offsets[64];
    uint32_t used = offsets[frame_offsets(image, offsets, 64)];
    for (uint32_t at = 0; at < IMAGE_BYTES; at += at < 8192 || at > used - 2048 ? 13 : 997) {
        struct journal_recovery found;
        damaged[at] = (char)~damaged[at];
        put_image(damaged, sizeof(damaged));
        journal = open_journal(SMALL, &found);
        uint64_t n = read_usual(journal, 1, NULL, 0);
        cr_assert_geq(n + 1, all, "byte %u", at);
        cr_assert_eq(found.damaged, all - n, "byte %u", at);
        cr_assert_gt(found.damaged + found.repaired, 0, "byte %u", at);
        cr_assert_eq(found.torn_bytes + found.missing + found.foreign, 0);
        cr_assert(is_salvaged(at), "byte %u", at);
        journal_free(&journal);
        damaged[at] = image[at];
    }
}

Test(journal_damage, a_journal_cut_anywhere_keeps_every_whole_record)
{
    make_image(5, false);
    uint32_t offsets[64];
    size_t frames = frame_offsets(image, offsets, 64);
    for (uint32_t len = 128; len < image_used + 1024; len += 1) {
        struct journal_recovery found;
        memset(damaged, 0, sizeof(damaged));
        memcpy(damaged, image, len);
        put_image(damaged, len);
        struct journal *journal = open_journal(SMALL, &found);
        uint64_t n = read_usual(journal, 1, NULL, 0), whole = 0;
        cr_assert_eq(journal_synced_seq(journal), read_last, "cut at %u: nothing is waited for that never comes", len);
        for (size_t i = 1; i < frames; i++) /* the frame i has i records */
            whole += offsets[i + 1] <= len ? i : 0;
        cr_assert_geq(n, whole, "cut at %u", len);
        cr_assert_eq(found.damaged + found.missing + found.foreign + found.unsaved_bytes, 0, "cut at %u", len);
        cr_assert_eq(found.records, n);
        uint64_t next_seq = journal_next_seq(journal);
        journal_free(&journal);
        assert_repaired(n, next_seq);
    }
}

/* Every subset of the last frame's blocks reached the disk: a torn write. */
Test(journal_damage, a_torn_frame_never_costs_what_was_synced_before)
{
    make_image(12, false);
    uint32_t offsets[64];
    size_t frames = frame_offsets(image, offsets, 64);
    uint32_t begin = offsets[frames - 1], blocks = (offsets[frames] - begin) / FRAME_BLOCK;
    uint64_t before = image_records - 12;
    cr_assert_geq(blocks, 3);
    for (uint32_t present = 0; present < 1u << blocks; present++) {
        struct journal_recovery found;
        memcpy(damaged, image, sizeof(image));
        for (uint32_t i = 0; i < blocks; i++)
            if (!(present & 1u << i))
                memset(damaged + begin + i * FRAME_BLOCK, 0, FRAME_BLOCK);
        put_image(damaged, sizeof(damaged));
        struct journal *journal = open_journal(SMALL, &found);
        uint64_t n = read_usual(journal, 1, NULL, 0);
        cr_assert_geq(n, before);
        cr_assert_eq(journal_synced_seq(journal), read_last, "nothing is waited for that never comes");
        cr_assert_eq(found.damaged + found.missing + found.repaired, 0);
        cr_assert(n == image_records || present + 1 < 1u << blocks);
        cr_assert((found.torn_bytes == 0) == (present == 0 || present + 1 == 1u << blocks));
        uint64_t next_seq = journal_next_seq(journal);
        journal_free(&journal);
        assert_repaired(n, next_seq);
    }
}

Test(journal_damage, stale_frames_of_another_segment_after_the_tail_are_not_taken_for_ours)
{
    static char stale[IMAGE_BYTES];
    make_image(6, false);
    memcpy(stale, image, sizeof(stale));
    remove_tree(in_dir("journal"));
    make_image(3, false);
    memcpy(damaged + image_used, stale + image_used, sizeof(stale) - image_used);
    put_image(damaged, sizeof(damaged));
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), image_records);
    cr_assert_eq(journal_next_seq(journal), image_records + 1);
    cr_assert_gt(found.torn_bytes, 0);
    cr_assert_eq(found.damaged, 0);
    cr_assert(is_salvaged(image_used));
    journal_free(&journal);
    assert_repaired(image_records, image_records + 1);
}

Test(journal_damage, a_frame_that_a_sender_put_into_its_record_is_not_taken_for_one)
{
    make_image(4, false);
    struct journal *journal = open_journal(UINT64_C(4) << 20, NULL);
    struct str forged = {image, 4096};
    struct err err = {""};
    uint64_t seq;
    cr_assert_eq(journal_append(journal, forged, WALL, &seq, &err), JOURNAL_APPENDED);
    sync_journal(journal);
    append_usual(journal, 1);
    sync_journal(journal);
    journal_free(&journal);
    load_file(image_path, damaged, sizeof(damaged));
    memset(damaged + image_used, 0xff, sizeof(struct frame_header));
    put_image(damaged, sizeof(damaged));
    struct journal_recovery found;
    journal = open_journal(UINT64_C(4) << 20, &found);
    cr_assert_eq(found.records, image_records + 2);
    cr_assert_eq(found.repaired, 1);
    journal_free(&journal);
}

Test(journal_damage, a_destroyed_frame_costs_its_records_and_no_other)
{
    make_image(6, true);
    uint32_t offsets[64];
    size_t frames = frame_offsets(image, offsets, 64);
    for (size_t i = 0; i + 1 < frames; i++) {
        struct journal_recovery found;
        memcpy(damaged, image, sizeof(image));
        memset(damaged + offsets[i], 0x5a, offsets[i + 1] - offsets[i]);
        put_image(damaged, sizeof(damaged));
        struct journal *journal = open_journal(SMALL, &found);
        cr_assert_eq(read_usual(journal, 1, NULL, 0), image_records - i);
        cr_assert_eq(found.damaged, i);
        cr_assert_eq(found.repaired, i == 0);
        cr_assert_eq(found.missing + found.torn_bytes + found.foreign, 0);
        cr_assert(is_salvaged(offsets[i]) && is_salvaged(offsets[i + 1] - 1));
        journal_free(&journal);
        assert_repaired(image_records - i, image_records + 1);
    }
}

Test(journal_damage, what_became_a_gap_is_checked_and_repaired_too)
{
    make_image(6, true);
    uint32_t offsets[64];
    frame_offsets(image, offsets, 64);
    memset(damaged + offsets[4], 0x5a, offsets[5] - offsets[4]);
    put_image(damaged, sizeof(damaged));
    struct journal_recovery found;
    struct journal *journal = open_journal(SMALL, &found);
    cr_assert_eq(found.damaged, 4);
    journal_free(&journal);
    load_file(image_path, image, sizeof(image));
    memcpy(damaged, image, sizeof(image));
    uint32_t ends[] = {offsets[4], offsets[5] - (uint32_t)sizeof(struct frame_header)};
    for (int end = 0; end < 2; end++)
        for (uint32_t i = 0; i < sizeof(struct frame_header); i++) {
            damaged[ends[end] + i] ^= 2;
            put_image(damaged, sizeof(damaged));
            journal = open_journal(SMALL, &found);
            cr_assert_eq(found.repaired, 1, "byte %u", i);
            cr_assert_eq(found.damaged + found.missing + found.torn_bytes, 0);
            cr_assert(is_salvaged(ends[end] + i));
            cr_assert_eq(read_usual(journal, 1, NULL, 0), image_records - 4);
            journal_free(&journal);
            assert_repaired(image_records - 4, image_records + 1);
            damaged[ends[end] + i] = image[ends[end] + i];
        }
}

/* Segments begun early, each with one record. */
Test(journal_damage, any_number_of_segments_is_one_journal)
{
    enum { SEGMENTS = 70 };
    struct journal *journal = open_journal(SMALL, NULL);
    struct err err = {""};
    for (unsigned n = 1; n <= SEGMENTS; n++) {
        append_usual(journal, 1);
        for (uint64_t bytes = journal_bytes(journal); n < SEGMENTS && journal_bytes(journal) == bytes;)
            cr_assert_eq(journal_new_uuid(journal, &err), 0, "%s", err.text);
    }
    sync_journal(journal);
    cr_assert_eq(journal_bytes(journal), SEGMENTS * IMAGE_BYTES);
    for (int round = 0; round < 2; round++) {
        struct journal_recovery found;
        uint64_t sum;
        cr_assert_eq(read_usual(journal, 1, NULL, 0), SEGMENTS);
        for (uint64_t seq = 1; seq <= SEGMENTS; seq++)
            cr_assert_eq(read_usual(journal, seq, NULL, 0), SEGMENTS - seq + 1);
        cr_assert(journal_checksum(journal, 35, &sum));
        journal_free(&journal);
        journal = open_journal(SMALL, &found);
        cr_assert_eq(found.records, SEGMENTS);
    }
    journal_stored(journal, SEGMENTS - 1, WALL);
    cr_assert_eq(journal_first_seq(journal), SEGMENTS - 3, "above max_size stored segments go at once");
    journal_free(&journal);
}

Test(journal_damage, with_both_tables_damaged_what_checks_is_delivered)
{
    make_image(12, true);
    uint32_t offsets[64];
    size_t frames = frame_offsets(image, offsets, 64);
    uint32_t begin = offsets[frames - 2], end = offsets[frames - 1];
    for (unsigned front = 0; front < 12; front++)
        for (unsigned rear = 0; rear < 12; rear++) {
            struct journal_recovery found;
            memcpy(damaged, image, sizeof(image));
            damaged[begin + 128 + front * 12 + front % 12] ^= front % 2 ? 1 : 0x80;
            damaged[end - 128 - (12 - rear) * 12 + (rear + 5) % 12] ^= front % 2 ? 1 : 0x80;
            put_image(damaged, sizeof(damaged));
            struct journal *journal = open_journal(SMALL, &found);
            cr_assert_geq(read_usual(journal, 1, NULL, 0) + (front == rear), image_records, "%u %u", front, rear);
            cr_assert_gt(found.damaged + found.repaired, 0);
            journal_free(&journal);
        }
}

Test(journal_damage, bytes_that_become_unreadable_while_open_come_as_unreadable)
{
    make_image(6, false);
    struct journal *journal = open_journal(SMALL, NULL);
    struct batch *batch = batch_new(100);
    struct err err = {""};
    uint32_t offsets[64];
    frame_offsets(image, offsets, 64);
    cr_assert_eq(journal_read(journal, 1, 100, SIZE_MAX, batch, &err), 0);
    cr_assert_eq(batch->n, 21);

    /* The last byte of record 6, the third of frame 3; and all of frame 5 but a block in its middle. */
    uint32_t at = offsets[3] + 128 + 3 * 12 + (uint32_t)(usual_length(4) + usual_length(5) + usual_length(6)) - 1;
    damaged[at] ^= 0x10;
    memset(damaged + offsets[5], 0, 128);
    memset(damaged + offsets[6] - 128, 0, 128);
    save_file(image_path, damaged, sizeof(damaged));
    batch_clear(batch);
    for (uint64_t next = 1; next <= 21;) {
        size_t before = batch->n;
        struct batch *part = batch_new(4);
        cr_assert_eq(journal_read(journal, next, 4, SIZE_MAX, part, &err), 0);
        cr_assert_gt(part->n, 0);
        for (size_t i = 0; i < part->n; i++) {
            const struct batch_row *row = &part->rows[i];
            uint64_t seq = row->alert.seq;
            cr_assert_eq(seq, before + i + 1, "every number is told of");
            bool bad = seq == 6 || (seq >= 11 && seq <= 15);
            cr_assert_eq(row->unreadable != NULL, bad, "%" PRIu64, seq);
            if (seq == 6)
                cr_assert_eq(row->record.len, usual_length(6));
            if (seq == 11)
                cr_assert(row->record.len == offsets[6] - offsets[5] &&
                          memcmp(row->record.p, damaged + offsets[5], row->record.len) == 0);
            if (!bad)
                cr_assert(is_record(row->record, seq, usual_length(seq)));
        }
        next = part->last_seq + 1;
        batch->n += part->n;
        batch_free(&part);
    }
    batch_free(&batch);
    journal_free(&journal);
}

Test(journal_damage, salvaged_records_stay_salvaged_and_keep_their_checksums)
{
    make_image(3, true);
    uint32_t offsets[64];
    uint64_t sum, again;
    frame_offsets(image, offsets, 64);
    struct journal *journal = open_journal(SMALL, NULL);
    cr_assert(journal_checksum(journal, 4, &sum));
    journal_free(&journal);
    damaged[offsets[3] + 128 + 36] ^= 1; /* the first byte of record 4 */
    put_image(damaged, sizeof(damaged));
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.damaged, 1);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), 5);
    cr_assert(journal_checksum(journal, 4, &again) && again == sum);
    journal_free(&journal);
    assert_repaired(5, 7);
}

Test(journal_damage, a_lost_segment_is_counted_as_missing)
{
    struct journal *journal = open_journal(SMALL, NULL);
    while (journal_bytes(journal) < 3 * IMAGE_BYTES)
        append_usual(journal, 1);
    sync_journal(journal);
    uint64_t all = journal_synced_seq(journal);
    journal_free(&journal);
    DIR *dir = opendir(in_dir("journal"));
    uint64_t seqs[3] = {0}, seq;
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (segment_parse_name(entry->d_name, &seq))
            seqs[n++] = seq;
    closedir(dir);
    cr_assert_eq(n, 3);
    uint64_t low = UINT64_MAX, high = 0, middle = 0;
    for (size_t i = 0; i < 3; i++) {
        low = seqs[i] < low ? seqs[i] : low;
        high = seqs[i] > high ? seqs[i] : high;
        middle += seqs[i];
    }
    middle -= low + high;
    cr_assert_eq(unlink(in_dir("journal/%020" PRIu64 ".seg", middle)), 0);
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.missing, high - middle);
    cr_assert_eq(found.records, all - found.missing);
    cr_assert_eq(found.damaged + found.foreign + found.torn_bytes, 0);
    cr_assert_eq(read_usual(journal, 1, NULL, 0), all - found.missing);
    journal_free(&journal);
}
