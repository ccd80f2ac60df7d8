/* Invalid input: bytes that are not YAML, files that cannot be read, files that are too large; and which changes need a
 * restart. */
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

/* The diagnostics for some bytes, as a C string; free() it. */
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

Test(conf_bytes, invalid_utf8_is_reported_with_its_position)
{
    EXPECT_REPORT("# \xc3\xa9\xc3\xa9\ninstance: caf\xe9\n",
                  "f:2:14: yaml: incomplete UTF-8 octet sequence, byte 0xe9 (expected UTF-8 text)\n");
    EXPECT_REPORT("# \xc3\xa9\xc3\xa9 \xff\n",
                  "f:1:6: yaml: invalid leading UTF-8 octet, byte 0xff (expected UTF-8 text)\n");
    EXPECT_REPORT("a: \xed\xa0\x80\n", "f:1:4: yaml: invalid Unicode character, byte 0xed (expected UTF-8 text)\n");
    EXPECT_REPORT("a: b\r\nc: \xc0\x80\n",
                  "f:2:4: yaml: invalid length of a UTF-8 sequence, byte 0xc0 (expected UTF-8 text)\n");
}

Test(conf_bytes, utf16_is_not_utf8)
{
    EXPECT_REPORT("\xff\xfe"
                  "a\0:\0",
                  "f:1:1: yaml: file is UTF-16 (expected UTF-8 text)\n");
}

Test(conf_bytes, a_nul_byte_does_not_end_the_file)
{
    EXPECT_REPORT("a: b\n\0c: d\n",
                  "f:2:1: yaml: control characters are not allowed, byte 0x00 (expected UTF-8 text)\n");
}

Test(conf_bytes, a_byte_order_mark_is_skipped)
{
    EXPECT_REPORT("\xef\xbb\xbf" GOOD, "");
    EXPECT_REPORT("\xef\xbb\xbf" GOOD "x: 1\n",
                  "f:6:1: x: unknown key (expected instance, timezone, bounds, database, journal, "
                  "endpoints, security, http, retention or rules)\n");
}

Test(conf_bytes, lines_may_end_as_in_windows)
{
    EXPECT_REPORT(
        "instance: i\r\ndatabase: {conninfo: \"host=a\"}\r\njournal: {directory: j}\r\n"
        "endpoints: [{name: e, bind: \"ipc:///e\", socket: router, format: cloudevents}]\r\n",
        "f:3:22: journal.directory: \"j\" is not an absolute path (expected an absolute path of at most 1024 bytes)\n");
}

Test(conf_bytes, the_last_line_may_lack_a_line_feed)
{
    EXPECT_REPORT(GOOD "timezone: UTC", "");
}

Test(conf_bytes, an_empty_text)
{
    expect_report(NULL, 0, "f:1:1: file: is empty (expected at least instance, database, journal and endpoints)\n");
}

/* A head, then count numbered lines. */
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

Test(conf_bytes, at_most_a_thousand_diagnostics)
{
    bool good;
    struct buf text = repeated(REQUIRED "rules:\n", "  - {name: r", ", action: drop}\n", 1024);
    char *report = report_of(text.data, text.len, &good);
    cr_expect_not(good);
    cr_expect_eq(lines(report), DIAGNOSTICS_MAX + 1);
    cr_expect_not_null(strstr(report, "f:1005:26: file: more than 1000 errors and warnings; the rest are not shown\n"));
    free(report);
    buf_free(&text);
}

Test(conf_bytes, a_mapping_has_at_most_256_keys)
{
    bool good;
    struct buf text = repeated("", "k", ": 1\n", 256);
    char *report = report_of(text.data, text.len, &good);
    cr_expect_eq(lines(report), 256 + 4, "unknown keys and missing ones");
    free(report);
    buf_free(&text);

    text = repeated("", "k", ": 1\n", 257);
    expect_report(text.data, text.len, "f:257:1: yaml: too many keys in a mapping (expected at most 256)\n");
    buf_free(&text);
}

Test(conf_bytes, a_list_has_at_most_4096_items)
{
    struct buf text = repeated(REQUIRED "rules:\n", "  - ", "\n", 4097);
    expect_report(text.data, text.len, "f:4102:5: yaml: too many items in a list (expected at most 4096)\n");
    buf_free(&text);

    text = repeated(REQUIRED "rules:\n", "  - ", "\n", 4096);
    expect_report(text.data, text.len,
                  "f:6:3: rules: has 4096 items (expected a list of at most 1024 mappings; keys: name, match, action "
                  "and incident)\n");
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

Test(conf_file, a_valid_file)
{
    char path[64];
    write_file(path, GOOD, sizeof(GOOD) - 1);
    expect_load(path, "");
}

Test(conf_file, a_missing_file)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/conf.yaml", folder);
    expect_load(path, ":1:1: file: cannot be read: No such file or directory (expected a YAML file)\n");
}

Test(conf_file, a_directory)
{
    expect_load(folder, ":1:1: file: cannot be read: Is a directory (expected a YAML file)\n");
}

Test(conf_file, at_most_one_mebibyte)
{
    char path[64];
    struct buf text = {0};
    buf_printf(&text, "%s#", GOOD);
    size_t fill = 1024 * 1024 - text.len;
    memset(buf_reserve(&text, fill + 1), 'x', fill + 1);
    write_file(path, text.data, text.len + fill);
    expect_load(path, "");
    write_file(path, text.data, text.len + fill + 1);
    expect_load(path, ":1:1: file: is too large (expected at most 1 MiB)\n");
    buf_free(&text);
}

Test(conf_file, an_endless_file)
{
    expect_load("/dev/zero", ":1:1: file: is too large (expected at most 1 MiB)\n");
}

Test(conf_file, an_empty_file)
{
    char path[64];
    write_file(path, "", 0);
    expect_load(path, ":1:1: file: is empty (expected at least instance, database, journal and endpoints)\n");
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

Test(conf_restart, reloadable_keys_need_none)
{
    expect_restart(GOOD, GOOD, "");
    expect_restart(GOOD, OTHER "journal: {directory: /j, max_size: 1GiB, keep: 1h}\n", "");
}

Test(conf_restart, each_key_that_cannot_change_is_named)
{
    expect_restart(GOOD, OTHER "journal: {directory: /k}\nhttp: {listen: \"127.0.0.1:1\"}\n",
                   "journal.directory: change requires a restart (running: /j, file: /k)\n"
                   "http.listen: change requires a restart (running: off, file: 127.0.0.1:1)\n");
    expect_restart(GOOD "http: {listen: \"127.0.0.1:1\"}\n", GOOD,
                   "http.listen: change requires a restart (running: 127.0.0.1:1, file: off)\n");
}
