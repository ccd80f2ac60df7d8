/* Every case of tests/conf/: the diagnostics and their exact positions. tests/conf/README.md has the format. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf_frigate.h"
#include "conf/load.h"

#define FOLDER MOBEYE_SOURCE "/tests/conf"

/* Appended to a case that does not set the key itself. */
static const struct {
    const char *key, *line;
} defaults[] = {
    {"instance:", "instance: test\n"},
    {"database:", "database: {conninfo: \"host=/run/postgresql dbname=mobeye\"}\n"},
    {"journal:", "journal: {directory: /var/lib/mobeyed/journal}\n"},
    {"endpoints:",
     "endpoints: [{name: base, bind: \"ipc:///run/mobeyed/base\", socket: router, format: cloudevents}]\n"},
    {"rules:", "rules: [{name: base, action: store}]\n"},
};

struct test_case {
    char title[256];
    struct buf yaml, expected;
    bool alone, clients, frigate;
};

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool has_line(const struct buf *text, const char *with)
{
    const char *at = text->data;
    size_t len = strlen(with);
    while (at && (size_t)(at - text->data) + len <= text->len) {
        if (memcmp(at, with, len) == 0)
            return true;
        at = memchr(at, '\n', text->len - (size_t)(at - text->data));
        at = at ? at + 1 : NULL;
    }
    return false;
}

static struct conf *parse_clients(const struct buf *yaml, struct buf *report)
{
    struct conf *conf = mem_zalloc(sizeof(*conf));
    if (conf_parse_clients(conf, "", yaml->data ? yaml->data : "", yaml->len, report) != 0)
        conf_free(&conf);
    return conf;
}

/* Whether the case's text loads as the kind of file that it is; appends the diagnostics. */
static bool load_case(const struct test_case *c, struct buf *report)
{
    struct conf *conf = NULL;
    struct conf_frigate *frigate = NULL;
    if (c->frigate)
        frigate = conf_frigate_parse("", buf_str(&c->yaml), report);
    else
        conf = c->clients ? parse_clients(&c->yaml, report) : conf_parse("", c->yaml.data, c->yaml.len, report);
    bool loaded = conf || frigate;
    conf_free(&conf);
    conf_frigate_free(&frigate);
    return loaded;
}

static void run_case(const char *file, struct test_case *c)
{
    struct buf report = {0};
    if (!c->alone && !c->clients && !c->frigate)
        for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
            if (!has_line(&c->yaml, defaults[i].key))
                buf_printf(&c->yaml, "%s", defaults[i].line);
    bool loaded = load_case(c, &report);

    /* The file name is empty, so each line starts with a colon. */
    struct buf got = {0};
    bool bad = false;
    for (const char *line = report.data; line && line < report.data + report.len;) {
        const char *end = memchr(line, '\n', (size_t)(report.data + report.len - line));
        cr_assert_not_null(end, "%s: %s: a diagnostic without its line feed", file, c->title);
        buf_append(&got, line + 1, (size_t)(end - line));
        const char *expected = memmem(line, (size_t)(end - line), " (expected ", 11);
        cr_expect(expected && end[-1] == ')' && !memmem(expected + 1, (size_t)(end - expected - 1), " (expected ", 11),
                  "%s: %s: a diagnostic says once, at its end, what is allowed: %.*s", file, c->title,
                  (int)(end - line), line);
        bad = bad || !memmem(line, (size_t)(end - line), ": warning: ", 11);
        line = end + 1;
    }
    cr_expect(str_eq(buf_str(&got), buf_str(&c->expected)), "%s: %s\nexpected:\n%.*sgot:\n%.*s", file, c->title,
              (int)c->expected.len, c->expected.len ? c->expected.data : "", (int)got.len, got.len ? got.data : "");
    cr_expect(got.len == 0 || !memmem(got.data, got.len, "verysecret", 10), "%s: %s: a password is repeated", file,
              c->title);
    cr_expect_eq(!loaded, bad, "%s: %s: loaded despite errors, or not loaded without", file, c->title);
    buf_free(&got);
    buf_free(&report);
    buf_free(&c->yaml);
    buf_free(&c->expected);
}

static unsigned run_file(const char *name)
{
    char path[4096];
    char *line = NULL;
    size_t size = 0;
    unsigned cases = 0;
    struct test_case c = {0};
    bool in_expected = false;
    snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    while (getline(&line, &size, file) > 0) {
        if (starts(line, "== ")) {
            if (cases++ > 0)
                run_case(name, &c);
            c = (struct test_case){.alone = strstr(line, "(alone)"),
                                   .clients = strstr(line, "(clients)"),
                                   .frigate = strstr(line, "(frigate)")};
            snprintf(c.title, sizeof(c.title), "%.*s", (int)strcspn(line, "\n"), line);
            in_expected = false;
        } else if (cases > 0 && strcmp(line, "--\n") == 0) {
            in_expected = true;
        } else if (in_expected && strcmp(line, "\n") != 0) {
            buf_printf(&c.expected, "%s", line);
        } else if (cases > 0 && !in_expected) {
            buf_printf(&c.yaml, "%s", line);
        }
    }
    if (cases > 0)
        run_case(name, &c);
    free(line);
    fclose(file);
    return cases;
}

Test(conf_cases, every_diagnostic_has_its_text_and_position)
{
    DIR *folder = opendir(FOLDER);
    unsigned cases = 0;
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strstr(entry->d_name, ".cases"))
            cases += run_file(entry->d_name);
    closedir(folder);
    cr_expect_geq(cases, 60, "found only %u cases", cases);
}
