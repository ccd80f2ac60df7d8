/* Messages of several records that have bytes in common. */
#include "no_sync.h"
#include "test_journal_support.h"

enum { RECORDS = 5, LONG = 900, AT = 24 };

/* Record i of message m: a number, the shared bytes from AT on, and an end of its own. */
static size_t make_event(unsigned m, unsigned i, char *out)
{
    size_t len = AT + LONG + 10 + i;
    memset(out, (int)('a' + i), len);
    snprintf(out, AT, "message %u event %u", m, i);
    for (size_t at = 0; at < LONG; at++)
        out[AT + at] = (char)('A' + (m + at * 7) % 50);
    return len;
}

static char events[64][2048];

static enum journal_append append_events(struct journal *journal, unsigned m, unsigned n)
{
    struct str records[64];
    struct err err = {""};
    uint64_t seq = 0, next = journal_next_seq(journal);
    for (unsigned i = 0; i < n; i++)
        records[i] = (struct str){events[i], make_event(m, i, events[i])};
    const struct journal_message message = {records, n, AT, LONG};
    int rc = journal_append_message(journal, &message, WALL, &seq, &err);
    cr_assert_geq(rc, 0, "%s", err.text);
    if (rc == JOURNAL_APPENDED)
        cr_assert_eq(seq, next + n - 1);
    else
        cr_assert_eq(journal_next_seq(journal), next, "all or none");
    return (enum journal_append)rc;
}

static bool is_event(struct str record, unsigned m, unsigned i, bool shared_lost)
{
    char want[2048];
    size_t len = make_event(m, i, want);
    if (shared_lost)
        memset(want + AT, ' ', LONG);
    return record.len == len && memcmp(record.p, want, len) == 0;
}

static void expect_all(struct journal *journal, uint64_t from, size_t max_records, size_t max_bytes)
{
    struct batch *batch = batch_new(64);
    struct err err = {""};
    while (from < journal_next_seq(journal)) {
        batch_clear(batch);
        cr_assert_eq(journal_read(journal, from, max_records, max_bytes, batch, &err), 0, "%s", err.text);
        cr_assert_gt(batch->n, 0);
        cr_assert(batch->n == 1 || batch->bytes.len <= max_bytes, "shared bytes count each time");
        for (size_t i = 0; i < batch->n; i++) {
            unsigned number = (unsigned)(from + i - 1);
            cr_assert_null(batch->rows[i].unreadable);
            cr_assert(is_event(batch->rows[i].record, number / RECORDS, number % RECORDS, false), "%u", number);
        }
        from = batch->last_seq + 1;
    }
    batch_free(&batch);
}

Test(journal_shared, comes_back_whole_wherever_reading_begins, .init = test_dir_make, .fini = test_dir_remove)
{
    struct journal *journal = open_journal(SMALL, NULL);
    for (unsigned m = 0; m < 6; m++) {
        cr_assert_eq(append_events(journal, m, RECORDS), JOURNAL_APPENDED);
        if (m % 2)
            sync_journal(journal);
    }
    for (uint64_t from = 1; from <= 6 * RECORDS; from++) {
        expect_all(journal, from, 64, SIZE_MAX);
        expect_all(journal, from, 2, SIZE_MAX);
        expect_all(journal, from, 64, 2500);
    }
    close_journal(&journal);
    struct journal_recovery found;
    journal = open_journal(SMALL, &found);
    cr_assert_eq(found.records, 6 * RECORDS);
    cr_assert_eq(found.damaged + found.repaired + found.torn_bytes, 0);
    expect_all(journal, 1, 64, SIZE_MAX);
    close_journal(&journal);
}

Test(journal_shared, is_on_the_disk_once, .init = test_dir_make, .fini = test_dir_remove)
{
    static char image[1 << 18], first[2048];
    struct journal *journal = open_journal(SMALL, NULL);
    append_events(journal, 0, 64);
    sync_journal(journal);
    size_t size = load_file(in_dir("journal/%020u.seg", 1), image, sizeof(image)), copies = 0;
    make_event(0, 0, first);
    for (char *at = image; (at = memmem(at, size - (size_t)(at - image), first + AT, LONG)); at++)
        copies++;
    cr_assert_eq(copies, 1);
    close_journal(&journal);
}

Test(journal_shared, all_or_none_of_a_message_is_in_a_full_journal, .init = test_dir_make, .fini = test_dir_remove)
{
    struct journal *journal = open_journal(SMALL, NULL);
    unsigned m = 0;
    while (append_events(journal, m, RECORDS) == JOURNAL_APPENDED)
        m++;
    cr_assert_gt(m, 100);
    cr_assert_eq(journal_next_seq(journal), (uint64_t)m * RECORDS + 1);
    sync_journal(journal);
    journal_stored(journal, (uint64_t)(m - 1) * RECORDS, WALL);
    cr_assert_eq(append_events(journal, m, RECORDS), JOURNAL_APPENDED);
    sync_journal(journal);
    expect_all(journal, journal_first_seq(journal), 64, SIZE_MAX);
    close_journal(&journal);
}

Test(journal_shared, the_largest_message_fits_into_the_smallest_journal, .init = test_dir_make, .fini = test_dir_remove)
{
    static char bytes[64][8192];
    struct str records[64];
    struct err err = {""};
    uint64_t seq = 0;
    struct journal *journal = open_journal(UINT64_C(256) << 10, NULL);
    append_events(journal, 0, RECORDS);
    sync_journal(journal);
    journal_stored(journal, RECORDS, WALL);
    for (size_t i = 0; i < 64; i++)
        records[i] = (struct str){memset(bytes[i], (int)i, 3700), 3700};
    const struct journal_message message = {records, 64, 0, 0};
    cr_assert_eq(journal_append_message(journal, &message, WALL, &seq, &err), JOURNAL_APPENDED, "%s", err.text);
    sync_journal(journal);
    cr_assert_eq(journal_synced_seq(journal), 64 + RECORDS);
    close_journal(&journal);
}

/* ---- damage ---- */

static char image[1 << 17], damaged[1 << 17];

/* How many rows are missing; in how many the shared bytes are. */
static void count_losses(struct journal *journal, unsigned *ret_missing, unsigned *ret_without)
{
    struct batch *batch = batch_new(64);
    struct err err = {""};
    *ret_missing = *ret_without = 0;
    cr_assert_eq(journal_read(journal, 1, 64, SIZE_MAX, batch, &err), 0, "%s", err.text);
    cr_assert_eq(batch->n, 2 * RECORDS);
    for (unsigned i = 0; i < batch->n; i++) {
        const struct batch_row *row = &batch->rows[i];
        bool without = !row->unreadable && is_event(row->record, i / RECORDS, i % RECORDS, true);
        *ret_missing += row->unreadable != NULL;
        *ret_without += without;
        cr_assert(row->unreadable || without || is_event(row->record, i / RECORDS, i % RECORDS, false), "%u", i);
    }
    batch_free(&batch);
}

Test(journal_shared, a_damaged_byte_costs_one_record_at_most, .init = test_dir_make, .fini = test_dir_remove)
{
    struct journal *journal = open_journal(SMALL, NULL);
    append_events(journal, 0, RECORDS);
    append_events(journal, 1, RECORDS);
    sync_journal(journal);
    append_events(journal, 2, 1); /* proves that those before it are synced */
    journal_free(&journal);
    journal = open_journal(SMALL, NULL);
    close_journal(&journal);
    const char *path = in_dir("journal/%020u.seg", 1);
    char kept[4096];
    snprintf(kept, sizeof(kept), "%s", path);
    size_t size = load_file(kept, image, sizeof(image)), used = 512 + 2 * 1024 + 2048;
    unsigned worst_without = 0;
    for (size_t at = 0; at < used; at += at < 700 ? 1 : 11) {
        memcpy(damaged, image, size);
        damaged[at] ^= 0x20;
        remove_tree(in_dir("journal"));
        cr_assert_eq(mkdir(in_dir("journal"), 0700), 0);
        save_file(kept, damaged, size);
        struct journal_recovery found;
        unsigned missing, without, missing_again, without_again;
        journal = open_journal(SMALL, &found);
        count_losses(journal, &missing, &without);
        cr_assert_leq(missing, 1, "byte %zu", at);
        cr_assert_eq(found.damaged, missing, "byte %zu", at);
        cr_assert(without == 0 || (missing == 1 && without == RECORDS - 1), "byte %zu: %u", at, without);
        worst_without = without > worst_without ? without : worst_without;
        close_journal(&journal);
        journal = open_journal(SMALL, &found);
        count_losses(journal, &missing_again, &without_again);
        cr_assert(missing_again == missing && without_again == without && found.damaged == 0, "byte %zu", at);
        journal_free(&journal);
    }
    cr_assert_eq(worst_without, RECORDS - 1, "the shared bytes were among those damaged");
}

/* A write that a crash tore: neither end of the frame is whole, and of the length of an entry one byte is missing. */
Test(journal_shared, a_record_whose_entry_lost_the_bit_is_not_taken_for_a_whole_one, .init = test_dir_make,
     .fini = test_dir_remove)
{
    enum { FRAME = 512, ENDS = 128 + RECORDS * 12, TORN = 2 };
    uint32_t length;
    struct err err = {""};
    struct journal *journal = open_journal(SMALL, NULL);
    append_events(journal, 0, RECORDS);
    sync_journal(journal);
    journal_free(&journal);
    size_t size = load_file(in_dir("journal/%020u.seg", 1), image, sizeof(image));
    memcpy(&length, image + FRAME + 16, sizeof(length));
    memset(image + FRAME + length - ENDS, 0, ENDS);
    image[FRAME + 128 + TORN * 12 + 11] = 0;
    save_file(in_dir("journal/%020u.seg", 1), image, size);
    journal = open_journal(SMALL, NULL);
    struct batch *batch = batch_new(64);
    cr_assert_eq(journal_read(journal, 1, 64, SIZE_MAX, batch, &err), 0, "%s", err.text);
    cr_expect_eq(batch->n, RECORDS - 1, "its number stays empty");
    for (size_t i = 0; i < batch->n; i++) {
        unsigned number = (unsigned)batch->rows[i].alert.seq - 1;
        cr_expect_neq(number, TORN);
        cr_expect(is_event(batch->rows[i].record, 0, number, number > TORN), "%u", number);
    }
    batch_free(&batch);
    close_journal(&journal);
}
