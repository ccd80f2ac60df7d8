/* mobeyectl test-rules: plays scenarios against rules. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/scenario_run.h"

#define VERB "test-rules"

static const char help[] =
    "Usage: mobeyectl test-rules [OPTION]... FILE.scn...\n"
    "Plays scenarios against rules: alerts at times, what people do in between, and the incidents that should come\n"
    "of it. Nothing that is stored is touched, and no daemon is asked. Every expectation that does not hold is "
    "printed\n"
    "with its file and line.\n\n"
    "  at 2026-11-23 21:04 NL-0307-00042 motion input 1\n"
    "  at 21:06 NL-0307-00042 motion input 2\n"
    "  expect incident 1: priority 1, alerts 2, verified_by second_input\n\n"
    "  -v, --verbose      print every scenario, not only those that fail\n"
    "      --json         one JSON object a scenario\n"
    "      --db CONNINFO  play them in a database that is made on that server for the run, by the daemon's own "
    "writer,\n"
    "                     and that is dropped afterwards; it takes a superuser\n"
    "  -c, --config FILE  the rules, for files that name none themselves (default " CTL_DEFAULT_FILE ")\n"
    "  -h, --help         this text\n\n"
    "The language is described in mobeyectl(1). Exit status: 0 all hold, 1 one does not, 2 wrong usage.\n";

struct tally {
    bool verbose, json;
    size_t scenarios, failed, expectations;
};

static void print_json(const struct scenario_result *result)
{
    struct buf out = {0};
    buf_printf(&out, "{\"file\": ");
    ctl_json_string(&out, str_from(result->file));
    buf_printf(&out, ", \"line\": %u, \"scenario\": ", result->line);
    ctl_json_string(&out, str_from(result->title));
    buf_printf(&out, ", \"holds\": %s, \"expectations\": %zu, \"failures\": [", result->failures.len ? "false" : "true",
               result->expectations);
    struct str rest = result->failures;
    for (bool first = true; rest.len > 0; first = false) {
        const char *end = memchr(rest.p, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.p) : rest.len;
        buf_printf(&out, "%s", first ? "" : ", ");
        ctl_json_string(&out, (struct str){rest.p, len});
        rest = (struct str){rest.p + len + (end != NULL), rest.len - len - (end != NULL)};
    }
    buf_printf(&out, "]}\n");
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
}

static void told(void *ctx, const struct scenario_result *result)
{
    struct tally *tally = ctx;
    tally->scenarios++;
    tally->expectations += result->expectations;
    tally->failed += result->failures.len > 0;
    if (tally->json)
        print_json(result);
    else if (tally->verbose || result->failures.len > 0)
        printf("%s %s:%u: %s\n%.*s", result->failures.len ? "FAILS" : "holds", result->file, result->line,
               result->title, (int)result->failures.len, result->failures.p ? result->failures.p : "");
}

/* The whole file. -1 with errno; EFBIG where it is no scenario's size. */
static int read_file(const char *file, struct buf *text)
{
    int fd = strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got;
    do {
        got = read(fd, buf_reserve(text, 65536), 65536);
        text->len += got > 0 ? (size_t)got : 0;
    } while ((got > 0 || (got < 0 && errno == EINTR)) && text->len <= SCENARIO_FILE_MAX);
    int saved = got < 0 ? errno : text->len > SCENARIO_FILE_MAX ? EFBIG : 0;
    close(fd);
    errno = saved;
    return saved ? -1 : 0;
}

static int play_file(const char *file, const struct scenario_options *options)
{
    struct buf text = {0}, report = {0};
    struct scenario scenario;
    if (read_file(file, &text) < 0) {
        int rc = ctl_fail(VERB, "%s: %s", file, strerror(errno));
        buf_free(&text);
        return rc;
    }
    bool good = scenario_parse(&scenario, file, buf_str(&text), &report);
    if (good)
        scenario_run(&scenario, file, options);
    else
        fwrite(report.data, 1, report.len, stderr);
    scenario_free(&scenario);
    buf_free(&report);
    buf_free(&text);
    return good ? CTL_OK : CTL_FAILED;
}

static int play_files(char **files, const struct scenario_options *options, const struct tally *tally)
{
    int rc = CTL_OK;
    for (; *files; files++)
        if (play_file(*files, options) != CTL_OK)
            rc = CTL_FAILED;
    if (!tally->json)
        printf("%zu scenarios with %zu expectations: %zu hold, %zu do not\n", tally->scenarios, tally->expectations,
               tally->scenarios - tally->failed, tally->failed);
    return tally->failed > 0 ? CTL_FAILED : rc;
}

int ctl_test_rules(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"verbose", no_argument, NULL, 'v'},      {"json", no_argument, NULL, 'j'},
        {"config", required_argument, NULL, 'c'}, {"db", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct tally tally = {0};
    struct scenario_options options = {
        .ops = &world_in_memory, .rules_file = CTL_DEFAULT_FILE, .told = told, .ctx = &tally};
    const char *where = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "vc:h", long_options, NULL)) != -1) {
        switch (option) {
        case 'v':
            tally.verbose = true;
            break;
        case 'j':
            tally.json = true;
            break;
        case 'c':
            options.rules_file = optarg;
            break;
        case 'd':
            options.ops = &world_in_database;
            where = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return CTL_OK;
        default:
            return CTL_USAGE;
        }
    }
    if (optind == argc)
        return ctl_usage(VERB, "which scenarios?");
    struct err err;
    if (options.ops->open(&options.server, where, &err) < 0)
        return ctl_fail(VERB, "%s", err.text);
    int rc = play_files(argv + optind, &options, &tally);
    options.ops->close(options.server);
    return rc;
}
