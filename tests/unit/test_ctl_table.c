/* Rows for people and for programs, and text that must not reach a terminal unescaped. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "base/json_write.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/table.h"

enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701, OID_JSONB = 3802 };

static PGresult *make_rows(int columns, PGresAttDesc *descriptions, int n, const char *const *values)
{
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    cr_assert(PQsetResultAttrs(rows, columns, descriptions));
    for (int i = 0; i < n * columns; i++) {
        const char *value = values[i];
        cr_assert(
            PQsetvalue(rows, i / columns, i % columns, (char *)(value ? value : ""), value ? (int)strlen(value) : -1));
    }
    return rows;
}

static void print(int columns, PGresAttDesc *descriptions, int n, const char *const *values, bool json)
{
    PGresult *rows = make_rows(columns, descriptions, n, values);
    cr_redirect_stdout();
    ctl_print_rows(rows, json);
    fflush(stdout);
    PQclear(rows);
}

Test(table, numbers_stand_right_words_left_by_the_width_that_a_terminal_shows)
{
    PGresAttDesc columns[] = {{.name = (char *)"id", .typid = OID_INT8},
                              {.name = (char *)"name", .typid = OID_TEXT},
                              {.name = (char *)"place", .typid = OID_TEXT}};
    const char *values[] = {"7", "Überwachung", "a", "12345", NULL, "b", "-1", "漢字", "c"};
    print(3, columns, 3, values, false);
    cr_assert_stdout_eq_str("   id  name         place\n"
                            "-----  -----------  -----\n"
                            "    7  Überwachung  a\n"
                            "12345               b\n"
                            "   -1  漢字         c\n");
}

Test(table, no_rows_leave_the_header)
{
    PGresAttDesc columns[] = {{.name = (char *)"a", .typid = OID_TEXT}};
    print(1, columns, 0, NULL, false);
    cr_assert_stdout_eq_str("a\n-\n");
}

Test(table, control_characters_do_not_reach_the_terminal)
{
    PGresAttDesc columns[] = {{.name = (char *)"a", .typid = OID_TEXT}};
    const char *values[] = {"x\033[2J\n\xc2\x9b"};
    print(1, columns, 1, values, false);
    cr_assert_stdout_eq_str("a\n----------------\nx\\x1b[2J\\x0a\\x9b\n");
}

Test(json, values_keep_their_type)
{
    PGresAttDesc columns[] = {{.name = (char *)"n", .typid = OID_INT8},   {.name = (char *)"t", .typid = OID_TEXT},
                              {.name = (char *)"b", .typid = OID_BOOL},   {.name = (char *)"j", .typid = OID_JSONB},
                              {.name = (char *)"f", .typid = OID_FLOAT8}, {.name = (char *)"y", .typid = OID_BYTEA}};
    const char *values[] = {"9007199254740993",
                            "12",
                            "t",
                            "{\"a\": [1]}",
                            "NaN",
                            "\\x41ff", //
                            NULL,
                            NULL,
                            "f",
                            NULL,
                            "1.5",
                            NULL};
    print(6, columns, 2, values, true);
    cr_assert_stdout_eq_str("[\n {\"n\": 9007199254740993, \"t\": \"12\", \"b\": true, \"j\": {\"a\": [1]}, "
                            "\"f\": \"NaN\", \"y\": \"A\xef\xbf\xbd\"},\n"
                            " {\"n\": null, \"t\": null, \"b\": false, \"j\": null, \"f\": 1.5, \"y\": null}\n]\n");
}

Test(json, no_rows_are_an_empty_array)
{
    PGresAttDesc columns[] = {{.name = (char *)"a", .typid = OID_TEXT}};
    print(1, columns, 0, NULL, true);
    cr_assert_stdout_eq_str("[]\n");
}

struct sample {
    char text[32];
    size_t len;
    char json[64], escaped[64], lines[64];
};

#define SAMPLE(literal, json, escaped, lines)                                                                          \
    {                                                                                                                  \
        literal, sizeof(literal) - 1, json, escaped, lines                                                             \
    }

ParameterizedTestParameters(text, is_made_safe)
{
    static struct sample samples[] = {
        SAMPLE("", "\"\"", "", ""),
        SAMPLE("caf\xc3\xa9 \xf0\x9f\x9a\xa8", "\"caf\xc3\xa9 \xf0\x9f\x9a\xa8\"", "caf\xc3\xa9 \xf0\x9f\x9a\xa8",
               "caf\xc3\xa9 \xf0\x9f\x9a\xa8"),
        SAMPLE("a\"b\\c", "\"a\\\"b\\\\c\"", "a\"b\\c", "a\"b\\c"),
        SAMPLE("a\n\tb\r", "\"a\\u000a\\u0009b\\u000d\"", "a\\x0a\\x09b\\x0d", "a\n\tb\\x0d"),
        SAMPLE("\0x", "\"\\u0000x\"", "\\x00x", "\\x00x"),
        SAMPLE("\x7f\xc2\x85", "\"\\u007f\\u0085\"", "\\x7f\\x85", "\\x7f\\x85"),
        SAMPLE("\xff", "\"\xef\xbf\xbd\"", "\\xff", "\\xff"),
        SAMPLE("a\xe2\x82", "\"a\xef\xbf\xbd\"", "a\\xe2\\x82", "a\\xe2\\x82"),
        SAMPLE("\xed\xa0\x80z", "\"\xef\xbf\xbdz\"", "\\xed\\xa0\\x80z", "\\xed\\xa0\\x80z"),
        SAMPLE("\xef\xbf\xbd", "\"\xef\xbf\xbd\"", "\xef\xbf\xbd", "\xef\xbf\xbd"),
    };
    return cr_make_param_array(struct sample, samples, sizeof(samples) / sizeof(samples[0]));
}

static void assert_text(struct buf *out, const char *expected)
{
    cr_assert(str_is(buf_str(out), expected), "got %.*s, expected %s", (int)out->len, out->data, expected);
    buf_free(out);
}

ParameterizedTest(struct sample *sample, text, is_made_safe)
{
    struct buf out = {0};
    struct str text = {sample->text, sample->len};
    json_write_string(&out, text);
    assert_text(&out, sample->json);
    ctl_escape(&out, text, false);
    assert_text(&out, sample->escaped);
    ctl_escape(&out, text, true);
    assert_text(&out, sample->lines);
}
