/* Frames from a stream: pieces, noise, false claims; and what is built. */
#include "dc09_frames.h"

#define BODY "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001]"

static uint16_t crc_of(const char *text)
{
    return dc09_crc(str_from(text));
}

Test(dc09_frame, the_crc_is_crc_16_arc)
{
    cr_expect_eq(crc_of("123456789"), 0xBB3D);
    cr_expect_eq(crc_of(""), 0);
}

static void append_frame(struct buf *out, const char *body)
{
    dc09_build(out, str_from(body), false);
}

/* Everything found in the stream when it arrives in steps of `step` bytes: "SEQ " for a frame, the number of the result
 * for anything else; never more than a frame is held back. */
static void scan_in_steps(struct str stream, size_t step, struct buf *ret_found)
{
    struct buf held = {0};
    ret_found->len = 0;
    while (stream.len > 0) {
        size_t piece = stream.len < step ? stream.len : step;
        buf_append(&held, stream.p, piece);
        stream = (struct str){stream.p + piece, stream.len - piece};
        for (;;) {
            struct dc09_frame frame;
            size_t used = 0;
            enum dc09_result result = dc09_scan(buf_str(&held), &frame, &used);
            cr_assert_leq(used, held.len);
            if (result >= DC09_NOT_UNDERSTOOD)
                buf_printf(ret_found, "%.*s ", TEXT(frame.seq));
            else if (result != DC09_INCOMPLETE)
                buf_printf(ret_found, "!%d ", result);
            memmove(held.data, held.data + used, held.len - used);
            held.len -= used;
            if (result == DC09_INCOMPLETE)
                break;
            cr_assert_gt(used, (size_t)0);
        }
        cr_assert_lt(held.len, (size_t)DC09_FRAME_MAX);
    }
    buf_free(&held);
}

static void expect_found(const struct buf *stream, const char *wanted)
{
    static const size_t steps[] = {1, 2, 3, 7, 64, 1000, SIZE_MAX};
    struct buf found = {0};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        scan_in_steps(buf_str(stream), steps[i], &found);
        cr_expect(str_is(buf_str(&found), wanted), "in steps of %zu: \"%.*s\" instead of \"%s\"", steps[i],
                  TEXT(buf_str(&found)), wanted);
    }
    buf_free(&found);
}

static void expect_stream(const char *before, const char *between, const char *after, const char *wanted)
{
    struct buf stream = {0};
    unescape(before, &stream);
    append_frame(&stream, "\"NULL\"0001L0#1234[]");
    unescape(between, &stream);
    append_frame(&stream, "\"NULL\"0002L0#1234[]");
    unescape(after, &stream);
    expect_found(&stream, wanted);
    buf_free(&stream);
}

Test(dc09_frame, frames_are_found_whatever_the_segments)
{
    expect_stream("", "", "", "0001 0002 ");
}

Test(dc09_frame, noise_between_frames_is_passed_over)
{
    expect_stream("hello", "world\\x00\\xFF", "\\x00\\x00", "0001 0002 ");
    expect_stream("\\x0D", "\\x0D\\x0D", "\\x0D", "0001 0002 ");
    expect_stream("\\x0A", "\\x0A\\x0A\\x0A", "\\x0A", "0001 0002 ");
    expect_stream("\\x0A\\x0D", "\\x0A\\x0D\\x0A\\x0D", "\\x0A\\x0D", "0001 0002 ");
    expect_stream("\\x0D\\x0A", "\\x0D\\x0A", "\\x0D\\x0A", "0001 0002 ");
    expect_stream("\\x0Anoise with no end", "\\x0Aa line\\x0D", "", "!1 0001 !1 0002 ");
    expect_stream("\"", "0010\"", "\"", "0001 0002 ");
}

Test(dc09_frame, a_raw_crc_of_line_ends_is_no_line_end)
{
    struct buf stream = {0};
    char wanted[256] = "";
    size_t found = 0;
    for (unsigned seq = 0; seq < 10000; seq++) {
        char body[64];
        snprintf(body, sizeof(body), "\"NULL\"%04uL0#1234[]", seq);
        uint8_t high = (uint8_t)(crc_of(body) >> 8), low = (uint8_t)crc_of(body);
        if (found == 30 || (high != '\n' && high != '\r' && low != '\n' && low != '\r'))
            continue;
        snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%04u ", seq);
        buf_append(&stream, "\n", found++ % 2); /* a stray LF in front of every other */
        dc09_build(&stream, str_from(body), true);
    }
    cr_assert_eq(found, (size_t)30);
    expect_found(&stream, wanted);
    buf_free(&stream);
}

Test(dc09_frame, a_lie_about_the_length_holds_up_no_later_frame)
{
    static const char *const lengths[] = {"0000", "0001", "0012", "0014", "0020", "0FFF"};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct buf stream = {0};
        append_frame(&stream, "\"NULL\"0001L0#1234[]");
        memcpy(stream.data + 5, lengths[i], 4);
        append_frame(&stream, "\"NULL\"0002L0#1234[]");
        expect_found(&stream, "!3 0002 ");
        buf_free(&stream);
    }
}

Test(dc09_frame, line_ends_within_a_frame_end_it)
{
    struct buf whole = {0};
    append_frame(&whole, BODY);
    for (size_t at = 1; at < whole.len - 1; at++) {
        for (int lf = 0; lf < 2; lf++) {
            struct buf stream = {0}, found = {0};
            buf_append(&stream, whole.data, at);
            buf_append(&stream, lf ? "\n" : "\r", 1);
            buf_append(&stream, whole.data + at, whole.len - at);
            append_frame(&stream, "\"NULL\"0002L0#1234[]");
            scan_in_steps(buf_str(&stream), SIZE_MAX, &found);
            cr_expect(found.len >= 5 && memcmp(found.data + found.len - 5, "0002 ", 5) == 0, "at %zu: %.*s", at,
                      TEXT(buf_str(&found)));
            cr_expect_eq(memmem(found.data, found.len, "0001", 4) != NULL, lf && at == 1, "at %zu: %.*s", at,
                         TEXT(buf_str(&found)));
            buf_free(&stream);
            buf_free(&found);
        }
    }
    buf_free(&whole);
}

Test(dc09_frame, an_endless_frame_is_found_out_within_a_frames_bytes)
{
    struct buf stream = {0}, found = {0};
    buf_printf(&stream, "\n12340FFF\"");
    while (stream.len < (1 << 20))
        buf_append(&stream, "endless ", 8);
    scan_in_steps(buf_str(&stream), 100, &found);
    cr_expect(str_is(buf_str(&found), "!2 "), "said once; what follows is noise: %.*s", TEXT(buf_str(&found)));
    append_frame(&stream, "\"NULL\"0002L0#1234[]");
    scan_in_steps(buf_str(&stream), 100, &found);
    cr_expect(str_is(buf_str(&found), "!2 0002 "), "%.*s", TEXT(buf_str(&found)));
    buf_free(&stream);
    buf_free(&found);
}

Test(dc09_frame, the_longest_frame_passes_and_one_byte_more_does_not)
{
    struct buf body = {0}, stream = {0};
    buf_printf(&body, "\"SIA-DCS\"0007L0#1234[NBA1|A");
    while (body.len < DC09_BODY_MAX - 1)
        buf_append(&body, "x", 1);
    buf_append(&body, "]", 1);
    dc09_build(&stream, buf_str(&body), false);
    cr_assert_eq(stream.len, (size_t)DC09_FRAME_MAX);
    expect_found(&stream, "0007 ");
    stream.len--;
    buf_append(&stream, "x\r", 2);
    struct dc09_frame frame;
    size_t used = 0;
    cr_expect_eq(dc09_scan(buf_str(&stream), &frame, &used), DC09_TOO_LONG);
    cr_expect_eq(used + 1, stream.len, "up to CR, which is noise then");
    cr_expect_eq(dc09_whole(buf_str(&stream), &frame), DC09_TOO_LONG);
    buf_free(&body);
    buf_free(&stream);
}

Test(dc09_frame, a_whole_message_needs_no_line_ends)
{
    struct buf stream = {0};
    struct dc09_frame frame;
    append_frame(&stream, BODY);
    for (size_t cut = 0; cut < 4; cut++) {
        struct str message = {stream.data + (cut & 1), stream.len - (cut & 1) - (cut >> 1)};
        cr_expect_eq(dc09_whole(message, &frame), DC09_COMPLETE, "cut %zu", cut);
        cr_expect(str_is(frame.body, BODY));
    }
    append_frame(&stream, BODY);
    cr_expect_eq(dc09_whole(buf_str(&stream), &frame), DC09_GARBLED, "one frame, not two");
    cr_expect_eq(dc09_whole(STR(""), &frame), DC09_GARBLED);
    cr_expect_eq(dc09_whole(STR("\n"), &frame), DC09_GARBLED);
    cr_expect_eq(dc09_whole(STR("\n\r"), &frame), DC09_GARBLED);
    cr_expect_eq(dc09_whole(STR("12340005\"NULL\""), &frame), DC09_BAD_LENGTH);
    cr_expect_eq(dc09_whole(STR("12340006\"NULL\""), &frame), DC09_BAD_CRC);
    buf_free(&stream);
}

/* One frame in 256 has a binary CRC that begins with LF. */
Test(dc09_frame, a_whole_message_keeps_the_line_ends_of_its_binary_crc)
{
    unsigned begin_with_lf = 0;
    for (unsigned seq = 0; seq < 10000; seq++) {
        char body[64];
        snprintf(body, sizeof(body), "\"NULL\"%04uL0#1234[]", seq);
        struct buf stream = {0};
        dc09_build(&stream, str_from(body), true);
        begin_with_lf += stream.data[1] == '\n';
        for (size_t cut = 0; cut < 4; cut++) {
            struct str message = {stream.data + (cut & 1), stream.len - (cut & 1) - (cut >> 1)};
            struct dc09_frame frame;
            cr_expect_eq(dc09_whole(message, &frame), DC09_COMPLETE, "%s cut %zu", body, cut);
            cr_expect(str_is(frame.body, body));
        }
        buf_free(&stream);
    }
    cr_expect_gt(begin_with_lf, 0u);
}

Test(dc09_frame, the_header_is_told_apart)
{
    struct dc09_frame frame;
    cr_assert_eq(dc09_whole(STR("CE110032\"SIA-DCS\"9876R579BDFL789ABC#12345A[#12345A|NFA129]"), &frame),
                 DC09_COMPLETE);
    cr_expect(str_is(frame.raw, "CE110032\"SIA-DCS\"9876R579BDFL789ABC#12345A[#12345A|NFA129]"));
    cr_expect_eq(frame.crc, 0xCE11);
    cr_expect_eq(frame.id, DC09_ID_SIA_DCS);
    cr_expect(str_is(frame.id_word, "SIA-DCS"));
    cr_expect_not(frame.encrypted);
    cr_expect(str_is(frame.seq, "9876"));
    cr_expect(str_is(frame.receiver, "579BDF"));
    cr_expect(str_is(frame.line, "789ABC"));
    cr_expect(str_is(frame.account, "12345A"));
    cr_expect(str_is(frame.content, "#12345A|NFA129]"));
}

Test(dc09_frame, content_has_data_fields_and_time)
{
    struct dc09_content content;
    cr_assert(dc09_content_parse(STR("data][Xa][][Yb]_21:15:00,12-01-2018"), &content));
    cr_expect(str_is(content.data, "data"));
    cr_assert_eq(content.n_fields, (size_t)2);
    cr_expect_eq(content.fields[0].id, 'X');
    cr_expect(str_is(content.fields[0].value, "a"));
    cr_expect_eq(content.fields[1].id, 'Y');
    cr_expect_eq(content.time_us, 1543698900 * CLOCK_SECOND);
    cr_assert(dc09_content_parse(STR("][X"), &content));
    cr_expect_eq(content.n_fields, (size_t)0, "a field without an end is none");
    cr_expect_not(content.has_time);
    cr_expect_not(dc09_content_parse(STR("no end"), &content));
    cr_expect_not(dc09_content_parse(STR(""), &content));
    struct buf many = {0};
    buf_printf(&many, "]");
    for (int i = 0; i < DC09_FIELDS_MAX + 5; i++)
        buf_printf(&many, "[Q%d]", i);
    buf_printf(&many, "_21:15:00,12-01-2018");
    cr_assert(dc09_content_parse(buf_str(&many), &content));
    cr_expect_eq(content.n_fields, (size_t)DC09_FIELDS_MAX);
    cr_expect_eq(content.time_us, 1543698900 * CLOCK_SECOND, "the time after them is found all the same");
    buf_free(&many);
}

Test(dc09_frame, times_are_read_and_written)
{
    static const char *const bad[] = {
        "",
        "21:15:00,12-01-201",
        "21:15:00,12-01-20188",
        "21:15:00,13-01-2018",
        "21:15:00,00-01-2018",
        "21:15:00,12-32-2018",
        "24:15:00,12-01-2018",
        "21:60:00,12-01-2018",
        "21.15:00,12-01-2018",
        "21:15:00 12-01-2018",
        "2a:15:00,12-01-2018",
        "00:00:00,02-29-2019",
    };
    int64_t us = 0;
    char text[DC09_TIME_SIZE];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(dc09_time_parse(str_from(bad[i]), &us), "%s", bad[i]);
    cr_assert(dc09_time_parse(STR("23:59:59,02-29-2024"), &us));
    cr_expect_eq(us, 1709251199 * CLOCK_SECOND);
    cr_expect_str_eq(dc09_time_format(us, text), "23:59:59,02-29-2024");
    cr_expect_str_eq(dc09_time_format(1543698900 * CLOCK_SECOND + 999999, text), "21:15:00,12-01-2018");
}
