/* What the header of a frame, the name of a segment and a message may claim: each value that no writer writes, with a
 * correct checksum. */
#include <inttypes.h>
#include <limits.h>

#include "journal/frame.h"
#include "journal/segment.h"
#include "model/record.h"
#include "test_journal_support.h"

TestSuite(frame_header, .init = test_dir_make_in_memory, .fini = test_dir_remove, .timeout = 60);

static struct frame_header usual_header(void)
{
    return (struct frame_header){.count = 2,
                                 .length = FRAME_BLOCK,
                                 .record_bytes = 200,
                                 .segment_bytes = 1 << 20,
                                 .nonce = 7,
                                 .first_seq = 5,
                                 .segment_seq = 5};
}

static bool passes(struct frame_header header)
{
    static const struct frame_entry table[8];
    frame_seal(&header, table);
    return frame_header_ok(&header, header.offset);
}

Test(frame_header, a_usual_one_passes_at_its_offset_alone)
{
    struct frame_header header = usual_header();
    static const struct frame_entry table[8];
    cr_assert(passes(header));
    frame_seal(&header, table);
    cr_assert(frame_header_ok(&header, 0));
    cr_assert(!frame_header_ok(&header, FRAME_BLOCK));
    cr_assert(!frame_is_later_version(&header));
    header.wall_us++;
    cr_assert(!frame_header_ok(&header, 0), "its checksum covers it");
}

Test(frame_header, of_another_version_or_format_does_not_pass)
{
    static const struct frame_entry table[8];
    struct frame_header header = usual_header();
    frame_seal(&header, table);
    header.version++;
    cr_assert(frame_is_later_version(&header));
    cr_assert(!frame_header_ok(&header, 0));
    header.magic[0]++;
    cr_assert(!frame_is_later_version(&header));
    frame_seal(&header, table);
    header.version = 0;
    cr_assert(!frame_header_ok(&header, 0));
    cr_assert(!frame_is_later_version(&header));
}

#define ASSERT_REFUSED(...)                                                                                            \
    do {                                                                                                               \
        struct frame_header header = usual_header();                                                                   \
        __VA_ARGS__;                                                                                                   \
        cr_assert(!passes(header), #__VA_ARGS__);                                                                      \
    } while (0)

Test(frame_header, impossible_values_do_not_pass)
{
    ASSERT_REFUSED(header.length = 0);
    ASSERT_REFUSED(header.length = FRAME_BLOCK + 1);
    ASSERT_REFUSED(header.segment_bytes = SEGMENT_BYTES_MAX + FRAME_BLOCK);
    ASSERT_REFUSED(header.offset = 2 << 20);
    ASSERT_REFUSED(header.offset = (1 << 20) - FRAME_BLOCK, header.length = 2 * FRAME_BLOCK);
    ASSERT_REFUSED(header.segment_seq = 0);
    ASSERT_REFUSED(header.segment_seq = 6);
    ASSERT_REFUSED(header.first_seq = UINT64_MAX);
    ASSERT_REFUSED(header.count = 0);
    ASSERT_REFUSED(header.record_bytes = FRAME_BLOCK);
    ASSERT_REFUSED(header.segment_bytes = SEGMENT_BYTES_MAX,
                   header.length = (FRAME_BYTES_MAX / FRAME_BLOCK + 1) * FRAME_BLOCK);
}

Test(frame_header, a_gap_has_any_count_and_no_table)
{
    struct frame_header header = usual_header();
    header.flags = FRAME_GAP;
    header.count = UINT32_MAX;
    cr_assert(passes(header));
    cr_assert_eq(frame_front_bytes(&header), sizeof(header));
}

Test(frame_header, the_name_of_a_segment_is_its_number_in_twenty_digits)
{
    uint64_t seq = 0;
    cr_assert(segment_parse_name("00000000000000000042.seg", &seq));
    cr_assert_eq(seq, 42);
    static const char *const others[] = {"00000000000000000000.seg", "0000000000000000042.seg",
                                         "99999999999999999999.seg", "00000000000000000042.sog",
                                         "00000000000000000042",     "x"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_assert(!segment_parse_name(others[i], &seq), "%s", others[i]);
}

static void assert_message_refused(struct journal *journal, const struct journal_message *message, const char *why)
{
    struct err err = {""};
    uint64_t seq, next = journal_next_seq(journal);
    cr_assert_lt(journal_append_message(journal, message, WALL, &seq, &err), 0);
    cr_assert_not_null(strstr(err.text, why), "%s", err.text);
    cr_assert_eq(journal_next_seq(journal), next, "nothing of it was appended");
}

Test(frame_header, a_message_over_a_limit_is_refused_and_the_journal_goes_on)
{
    struct journal *journal = open_journal(UINT64_C(64) << 20, NULL);
    static char bytes[RECORD_MAX];
    struct str records[JOURNAL_MESSAGE_RECORDS + 1];
    for (size_t i = 0; i <= JOURNAL_MESSAGE_RECORDS; i++)
        records[i] = (struct str){bytes, 10};
    assert_message_refused(journal, &(struct journal_message){records, JOURNAL_MESSAGE_RECORDS + 1, 0, 0},
                           "message too large: 65 records");
    assert_message_refused(journal, &(struct journal_message){records, 2, 4, 7}, "record too short: 10 bytes");
    records[0].len = records[1].len = RECORD_MAX;
    assert_message_refused(journal, &(struct journal_message){records, 2, 0, 0}, "message too large: 2 records");
    cr_assert_eq(append_sized(journal, 100), JOURNAL_APPENDED);
    sync_journal(journal);
    close_journal(&journal);
}
