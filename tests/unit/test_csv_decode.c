/* Files as spreadsheets save them: encoding and separator. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "ctl/registry/csv_decode.h"

static bool without_modules;

/* Takes the place of libc's. */
iconv_t iconv_open(const char *to, const char *from)
{
    iconv_t (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "iconv_open");
    errno = EINVAL;
    return without_modules ? (iconv_t)-1 : next(to, from); // NOLINT(performance-no-int-to-ptr): as iconv_open() does
}

static void assert_decoded(struct str bytes, const char *text, char separator, const char *note, uint64_t line)
{
    struct buf out = {0};
    struct line_diagnostics found = {0};
    char by = 0;
    cr_assert(csv_decode(bytes, &out, &by, &found), "%s", found.n ? found.list[0].text : "");
    cr_assert(str_is(buf_str(&out), text), "%.*s", (int)out.len, out.data);
    cr_assert_eq(by, separator, "%c", by);
    cr_assert_eq(found.n, (size_t) !!note, "%s: %s", text, found.n ? found.list[0].text : "");
    if (note) {
        cr_assert(strstr(found.list[0].text, note), "%s", found.list[0].text);
        cr_assert_eq(found.list[0].line, line);
        cr_assert_eq(found.list[0].severity, LINE_NOTE);
    }
    buf_free(&out);
    line_diagnostics_free(&found);
}

static void assert_refused(struct str bytes, uint64_t line, const char *words)
{
    struct buf out = {0};
    struct line_diagnostics found = {0};
    char by;
    cr_assert_not(csv_decode(bytes, &out, &by, &found));
    cr_assert_eq(found.errors, 1);
    cr_assert(strstr(found.list[0].text, words), "%s", found.list[0].text);
    cr_assert_eq(found.list[0].line, line);
    buf_free(&out);
    line_diagnostics_free(&found);
}

Test(csv_decode, the_separator_is_the_most_frequent_one_of_the_header)
{
    assert_decoded(STR(""), "", ',', NULL, 0);
    assert_decoded(STR("id\na;b\n"), "id\na;b\n", ',', NULL, 0);
    assert_decoded(STR("id,text\na;b\n"), "id,text\na;b\n", ',', NULL, 0);
    assert_decoded(STR("\r\n\nid;text\n"), "\r\n\nid;text\n", ';', "separated by semicolons", 0);
    assert_decoded(STR("id\ttext\n"), "id\ttext\n", '\t', "separated by tabs", 0);
    assert_decoded(STR("\"a;b;c\",text\n"), "\"a;b;c\",text\n", ',', NULL, 0);
    assert_decoded(STR("team;layer;code\ra,b,c,d\r"), "team;layer;code\ra,b,c,d\r", ';', "separated by semicolons", 0);
    assert_decoded(STR("sep=;\r\nid\r\n"), "     \r\nid\r\n", ';', NULL, 0);
    assert_decoded(STR("sep=x\r\nid\r\n"), "sep=x\r\nid\r\n", ',', NULL, 0);
}

Test(csv_decode, the_text_is_utf8)
{
    assert_decoded(STR("\xEF\xBB\xBFid\nCaf\xC3\xA9\n"), "id\nCaf\xC3\xA9\n", ',', NULL, 0);
    assert_decoded(STR("id\nx\nCaf\xE9 \x80\n"), "id\nx\nCaf\xC3\xA9 \xE2\x82\xAC\n", ',', "read as Windows-1252", 3);
    assert_decoded(STR("id\rx\r\r\ny\r\nCaf\xE9\r"), "id\rx\r\r\ny\r\nCaf\xC3\xA9\r", ',', "read as Windows-1252", 5);
    assert_decoded(STR("\xFF\xFEi\0d\0\n\0\xE9\0"), "id\n\xC3\xA9", ',', NULL, 0);
    assert_decoded(STR("\xFE\xFF\0i\0d"), "id", ',', NULL, 0);
}

Test(csv_decode, what_is_not_csv_is_named)
{
    assert_refused(STR("PK\3\4xyz"), 0, "is a workbook (.xlsx or .ods), not CSV");
    assert_refused(STR("\xD0\xCF\x11\xE0xyz"), 0, "is a workbook (.xls), not CSV");
    assert_refused(STR("id\na\n\xE9\x81\n"), 3, "byte 0x81 is neither UTF-8 nor Windows-1252");
    assert_refused(STR("\xEF\xBB\xBFid\nCaf\xC3\xA9\nCaf\xE9\n"), 3,
                   "byte 0xe9 is not UTF-8, although the file begins with its mark");
    assert_refused(STR("\xFF\xFEi"), 0, "is not valid UTF-16 at byte 2");
}

Test(csv_decode, a_large_file_is_decoded_whole)
{
    struct buf bytes = {0}, out = {0};
    struct line_diagnostics found = {0};
    char by;
    buf_printf(&bytes, "id\n");
    memset(buf_reserve(&bytes, 200000), 0xE9, 200000);
    bytes.len += 200000;
    cr_assert(csv_decode(buf_str(&bytes), &out, &by, &found));
    cr_assert_eq(out.len, 400003);
    buf_free(&bytes);
    buf_free(&out);
    line_diagnostics_free(&found);
}

Test(csv_decode, a_machine_that_lacks_the_encoding_says_so)
{
    without_modules = true;
    assert_refused(STR("code;naam\nA;caf\xE9\n"), 0, "cannot be read as WINDOWS-1252: Invalid argument");
    assert_refused(STR("\xFF\xFE"
                       "a\0"),
                   0, "cannot be read as UTF-16: Invalid argument");
}
