/* Files as they come: bytes that are no YAML, files that are none, files that are too much; and what needs a restart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/diagnostics.h"
#include "conf/load.h"

#define REQUIRED                                                                                                       \
    "instance: i\n"                                                                                                    \
    "database: {conninfo: \"host=a\"}\n"                                                                               \
    "journal: {directory: /j}\n"                                                                                       \
    "endpoints: [{name: e, bind: \"ipc:///e\", socket: router, format: cloudevents}]\n"
#define GOOD REQUIRED "rules: [{name: a, action: store}]\n"

static char folder[] = "/tmp/mobeyed-conf-XXXXXX";

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/conf.yaml", folder);
    unlink(path);
    rmdir(folder);
}

TestSuite(conf_file, .init = make_folder, .fini = remove_folder);

/* The report about bytes, as a C string; free() it. */
static char *report_of(const char *bytes, size_t len, bool *ret_good)
{
    struct buf report = {0};
    struct conf *conf = conf_parse("f", bytes, len, &report);
    *ret_good = conf != NULL;
    conf_free(&conf);
    char *text = mem_strndup(report.data, report.len);
    buf_free(&report);
    return text;
}

static void expect_report(const char *bytes, size_t len, const char *expected)
{
    bool good;
    char *report = report_of(bytes, len, &good);
    cr_expect_str_eq(report, expected);
    cr_expect_eq(good, *expected == '\0');
    free(report);
}

#define EXPECT_REPORT(literal, expected) expect_report(literal, sizeof(literal) - 1, expected)

Test(conf_bytes, text_that_is_not_utf8_is_told_at_its_place)
{
    EXPECT_REPORT("# \xc3\xa9\xc3\xa9\ninstance: caf\xe9\n",
                  "f:2:14: yaml: incomplete UTF-8 octet sequence, byte 0xe9 (UTF-8 text)\n");
    EXPECT_REPORT("# \xc3\xa9\xc3\xa9 \xff\n", "f:1:6: yaml: invalid leading UTF-8 octet, byte 0xff (UTF-8 text)\n");
    EXPECT_REPORT("a: \xed\xa0\x80\n", "f:1:4: yaml: invalid Unicode character, byte 0xed (UTF-8 text)\n");
    EXPECT_REPORT("a: b\r\nc: \xc0\x80\n", "f:2:4: yaml: invalid length of a UTF-8 sequence, byte 0xc0 (UTF-8 text)\n");
}

Test(conf_bytes, utf16_is_not_utf8)
{
    EXPECT_REPORT("\xff\xfe"
                  "a\0:\0",
                  "f:1:1: yaml: invalid leading UTF-8 octet, byte 0xff (UTF-8 text)\n");
}

Test(conf_bytes, a_nul_byte_does_not_end_the_file)
{
    EXPECT_REPORT("a: b\n\0c: d\n", "f:2:1: yaml: control characters are not allowed, byte 0x00 (UTF-8 text)\n");
}

Test(conf_bytes, a_byte_order_mark_is_passed_over)
{
    EXPECT_REPORT("\xef\xbb\xbf" GOOD, "");
    EXPECT_REPORT("\xef\xbb\xbf" GOOD "x: 1\n", "f:6:1: x: unknown key (instance, timezone, bounds, database, journal, "
                                                "endpoints, security, http, retention or rules)\n");
}

Test(conf_bytes, lines_may_end_as_in_windows)
{
    EXPECT_REPORT("instance: i\r\ndatabase: {conninfo: \"host=a\"}\r\njournal: {directory: j}\r\n"
                  "endpoints: [{name: e, bind: \"ipc:///e\", socket: router, format: cloudevents}]\r\n",
                  "f:3:22: journal.directory: \"j\" is no absolute path (an absolute path of at most 1024 bytes)\n");
}

Test(conf_bytes, the_end_may_come_without_a_line_feed)
{
    EXPECT_REPORT(GOOD "timezone: UTC", "");
}

Test(conf_bytes, nothing_at_all)
{
    expect_report(NULL, 0, "f:1:1: file: is empty (instance, database, journal and endpoints at least)\n");
}

/* A head, and count times a number between two texts. */
static struct buf repeated(const char *head, const char *before, const char *after, unsigned count)
{
    struct buf out = {0};
    buf_printf(&out, "%s", head);
    for (unsigned i = 0; i < count; i++)
        buf_printf(&out, "%s%u%s", before, i, after);
    return out;
}

static unsigned lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

Test(conf_bytes, a_thousand_complaints_are_enough)
{
    bool good;
    struct buf text = repeated(REQUIRED "rules:\n", "  - {name: r", ", action: drop}\n", 1024);
    char *report = report_of(text.data, text.len, &good);
    cr_expect_not(good);
    cr_expect_eq(lines(report), DIAGNOSTICS_MAX + 1);
    cr_expect_not_null(strstr(report, "f:1005:26: file: there is more wrong than these 1000 complaints\n"));
    free(report);
    buf_free(&text);
}

Test(conf_bytes, a_mapping_has_256_keys_at_most)
{
    bool good;
    struct buf text = repeated("", "k", ": 1\n", 256);
    char *report = report_of(text.data, text.len, &good);
    cr_expect_eq(lines(report), 256 + 4, "unknown keys and missing ones");
    free(report);
    buf_free(&text);

    text = repeated("", "k", ": 1\n", 257);
    expect_report(text.data, text.len, "f:257:1: yaml: more than 256 keys in a mapping (256)\n");
    buf_free(&text);
}

Test(conf_bytes, a_list_has_4096_items_at_most)
{
    struct buf text = repeated(REQUIRED "rules:\n", "  - ", "\n", 4097);
    expect_report(text.data, text.len, "f:4102:5: yaml: more than 4096 items in a list (4096)\n");
    buf_free(&text);

    text = repeated(REQUIRED "rules:\n", "  - ", "\n", 4096);
    expect_report(
        text.data, text.len,
        "f:6:3: rules: has 4096 items (a list of mappings: name, match, action and incident, 0 to 1024 of them)\n");
    buf_free(&text);
}

Test(conf_bytes, a_mebibyte_is_enough)
{
    struct buf text = {0};
    buf_printf(&text, "%s#", GOOD);
    size_t fill = 1024 * 1024 - text.len;
    memset(buf_reserve(&text, fill + 1), 'x', fill + 1);
    text.len += fill;
    expect_report(text.data, text.len, "");
    text.len++;
    expect_report(text.data, text.len, "f:1:1: file: is too large (1 MiB)\n");
    buf_free(&text);
}

static void expect_load(const char *path, const char *expected)
{
    struct buf report = {0};
    char line[512];
    struct conf *conf = conf_load(path, &report);
    snprintf(line, sizeof(line), "%s%s", *expected ? path : "", expected);
    cr_expect(str_is(buf_str(&report), line), "expected %sgot %.*s", line, (int)report.len,
              report.len ? report.data : "");
    cr_expect_eq(conf == NULL, *expected != '\0');
    conf_free(&conf);
    buf_free(&report);
}

static void write_file(char path[64], const char *text, size_t len)
{
    snprintf(path, 64, "%s/conf.yaml", folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
}

Test(conf_file, a_good_file)
{
    char path[64];
    write_file(path, GOOD, sizeof(GOOD) - 1);
    expect_load(path, "");
}

Test(conf_file, no_file)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/conf.yaml", folder);
    expect_load(path, ":1:1: file: cannot be read: No such file or directory (a file of YAML)\n");
}

Test(conf_file, a_folder)
{
    expect_load(folder, ":1:1: file: cannot be read: Is a directory (a file of YAML)\n");
}

Test(conf_file, a_file_without_end)
{
    expect_load("/dev/zero", ":1:1: file: is too large (1 MiB)\n");
}

Test(conf_file, an_empty_file)
{
    char path[64];
    write_file(path, "", 0);
    expect_load(path, ":1:1: file: is empty (instance, database, journal and endpoints at least)\n");
}

static struct conf *parse(const char *text)
{
    struct buf report = {0};
    struct conf *conf = conf_parse("f", text, strlen(text), &report);
    cr_assert_not_null(conf, "%.*s", (int)report.len, report.len ? report.data : "");
    buf_free(&report);
    return conf;
}

static void expect_restart(const char *running, const char *loaded, const char *expected)
{
    struct conf *was = parse(running), *is = parse(loaded);
    struct buf report = {0};
    cr_expect_eq(conf_needs_restart(was, is, &report), *expected != '\0');
    cr_expect(str_is(buf_str(&report), expected), "expected:\n%sgot:\n%.*s", expected, (int)report.len,
              report.len ? report.data : "");
    buf_free(&report);
    conf_free(&was);
    conf_free(&is);
}

#define OTHER                                                                                                          \
    "instance: other\n"                                                                                                \
    "timezone: UTC\n"                                                                                                  \
    "bounds: [1, 2, 3, 4]\n"                                                                                           \
    "database: {conninfo: \"host=b\", batch_max: 1, batch_wait: 1s}\n"                                                 \
    "endpoints: [{name: f, connect: \"ipc:///f\", socket: sub, format: cloudevents}]\n"                                \
    "rules: [{name: a, action: store}]\n"

Test(conf_restart, what_can_be_reloaded_needs_none)
{
    expect_restart(GOOD, GOOD, "");
    expect_restart(GOOD, OTHER "journal: {directory: /j, max_size: 1GiB, keep: 1h}\n", "");
}

Test(conf_restart, each_key_that_cannot_change_is_named)
{
    expect_restart(GOOD, OTHER "journal: {directory: /k}\nhttp: {listen: \"127.0.0.1:1\"}\n",
                   "journal.directory: stays /j until a restart (the file says /k)\n"
                   "http.listen: stays off until a restart (the file says 127.0.0.1:1)\n");
    expect_restart(GOOD "http: {listen: \"127.0.0.1:1\"}\n", GOOD,
                   "http.listen: stays 127.0.0.1:1 until a restart (the file says off)\n");
}
