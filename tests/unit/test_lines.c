/* Lines of any length from pieces of any size. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/lines.h"
#include "in_pieces.h"

enum { MAX = 8 };

/* All lines of the text, "LENGTH:TEXT|" each, when it comes `piece` bytes at a time. */
static struct buf split(const char *text, size_t piece)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    struct lines lines = {.fd = fds[0], .max = MAX};
    struct line_text line;
    struct buf out = {0};
    size_t at = 0;
    uint64_t number = 0;
    while (!lines.end) {
        write_piece(fds[1], text, piece, &at);
        cr_assert_eq(lines_read(&lines), 0);
        while (lines_next(&lines, &line)) {
            cr_assert_eq(line.number, ++number);
            buf_printf(&out, "%u:%.*s|", (unsigned)line.len, (int)line.text.len, line.text.len ? line.text.p : "");
        }
    }
    close(fds[0]);
    buf_free(&lines.in);
    buf_append(&out, "", 1);
    return out;
}

static void assert_splits(const char *text, const char *expected)
{
    assert_same_in_pieces(split, text, expected);
}

Test(lines, end_with_a_line_feed_or_with_the_file)
{
    assert_splits("", "");
    assert_splits("one", "3:one|");
    assert_splits("one\n", "3:one|");
    assert_splits("one\n\ntwo", "3:one|0:|3:two|");
}

Test(lines, lose_a_carriage_return_at_their_end)
{
    assert_splits("one\r\nt\rwo\r\n\r\n", "3:one|4:t\rwo|0:|");
}

Test(lines, of_the_greatest_length_are_whole)
{
    assert_splits("12345678\n12345678\r\n12345678", "8:12345678|8:12345678|8:12345678|");
}

Test(lines, that_are_longer_are_passed_over_and_measured)
{
    assert_splits("123456789\na\n", "9:|1:a|");
    assert_splits("a\n12345678901234567890\nb", "1:a|20:|1:b|");
    assert_splits("12345678901234567890\r\n12345678901234567890", "20:|20:|");
}

Test(lines, that_are_long_do_not_stay_in_memory)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    struct lines lines = {.fd = fds[0], .max = MAX};
    struct line_text line;
    static char chunk[4096];
    memset(chunk, 'x', sizeof(chunk));
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(write(fds[1], chunk, sizeof(chunk)), (ssize_t)sizeof(chunk));
        cr_assert_eq(lines_read(&lines), 0);
        cr_assert_not(lines_next(&lines, &line));
    }
    cr_assert_lt(lines.in.cap, 1024 * 1024);
    close(fds[1]);
    cr_assert_eq(lines_read(&lines), 0);
    cr_assert(lines_next(&lines, &line));
    cr_assert_eq(line.len, 1000 * sizeof(chunk));
    close(fds[0]);
    buf_free(&lines.in);
}
