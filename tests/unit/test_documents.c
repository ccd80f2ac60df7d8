/* JSON documents as programs and people write them. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/lib/documents.h"
#include "in_pieces.h"

enum { MAX = 40 };

/* All documents of the text, "LINE:TEXT|" each ("LINE:LENGTH" where it is too long), read `piece` bytes at a time. */
static struct buf split(const char *text, size_t piece)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    struct lines lines = {.fd = fds[0], .max = MAX};
    struct documents documents = {.lines = &lines};
    struct line_text document;
    struct buf out = {0};
    size_t at = 0;
    while (!lines.end) {
        write_piece(fds[1], text, piece, &at);
        cr_assert_eq(lines_read(&lines), 0);
        while (documents_next(&documents, &document))
            if (document.len > MAX)
                buf_printf(&out, "%u:%u|", (unsigned)document.number, (unsigned)document.len);
            else
                buf_printf(&out, "%u:%.*s|", (unsigned)document.number, (int)document.text.len, document.text.p);
    }
    close(fds[0]);
    buf_free(&lines.in);
    documents_free(&documents);
    buf_append(&out, "", 1);
    return out;
}

static void assert_splits(const char *text, const char *expected)
{
    assert_same_in_pieces(split, text, expected);
}

Test(documents, one_on_each_line)
{
    assert_splits("", "");
    assert_splits("{\"a\":1}\n\n  \n{\"b\":\"}{\"}\r\n{\"c\":\"\\\"{\"}",
                  "1:{\"a\":1}|4:{\"b\":\"}{\"}|5:{\"c\":\"\\\"{\"}|");
    assert_splits("nonsense\n{}\n", "1:nonsense|2:{}|");
    assert_splits("{} x\n{}{}\n", "1:{} x|2:{}{}|");
}

Test(documents, one_over_several_lines)
{
    assert_splits("{\n \"a\": {\n  \"b\": [1]\n }\n}\n{\"c\":1}\n", "1:{\n \"a\": {\n  \"b\": [1]\n }\n}|6:{\"c\":1}|");
    assert_splits("\n{\n}\n{\n}", "2:{\n}|4:{\n}|");
}

Test(documents, all_in_an_array)
{
    assert_splits("[{\"a\":1},{\"b\":2}]", "1:{\"a\":1}|1:{\"b\":2}|");
    assert_splits("[\n  {\"a\": 1},\n  {\n   \"b\": 2\n  }\n]\n", "2:{\"a\": 1}|3:{\n   \"b\": 2\n  }|");
    assert_splits("[\n{\"a\": 1}\n,\n{\"b\": 1}, nonsense\n]\n", "2:{\"a\": 1}|4:{\"b\": 1}|4:nonsense|");
    assert_splits("[]", "");
}

Test(documents, an_array_that_was_cut_gives_one_more_that_nothing_accepts)
{
    assert_splits("[\n{\"a\": 1},\n", "2:{\"a\": 1}|2:[|");
    assert_splits("[", "1:[|");
    assert_splits("[1]", "1:1]|");
    assert_splits("[{\"a\": [1]}, {\"b\"", "1:{\"a\": [1]}|1:{\"b\"|");
}

Test(documents, one_without_an_end_takes_no_other_with_it)
{
    assert_splits("{\"a\":{}\n{\"b\":1}\n", "1:{\"a\":{}|2:{\"b\":1}|");
    assert_splits("{\n\"a\": 1\n", "1:{\n\"a\": 1|");
    assert_splits("{\"a\": \"\n{\"b\":1}\n", "1:{\"a\": \"|2:{\"b\":1}|");
}

Test(documents, too_long_are_named_by_their_length)
{
    assert_splits("{\"a\":\"0123456789012345678901234567890123456789\"}\n{}\n", "1:48|2:{}|");
    assert_splits("{\n\"a\":\"01234567890123456789\",\n\"b\":\"0123456789012345\"\n}\n{}\n", "1:54|5:{}|");
    assert_splits("{\n\"012345678901234567890123456789012345678901234567890\"\n}\n{}\n", "1:{|2:53|3:}|4:{}|");
}
