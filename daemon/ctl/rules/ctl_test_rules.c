/* mobeyectl test-rules: plays scenarios against rules and checks their expectations. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/json_write.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/rules/scenario_run.h"

#define VERB "test-rules"

static const char help[] =
    "Usage: mobeyectl test-rules [OPTION]... FILE.scn...\n"
    "Plays scenarios against rules and checks the expected incidents.\n\n"
    "A scenario consists of alerts at given times, what people do in between, and the incidents that should result.\n"
    "No stored data is touched, and no daemon is involved. Each expectation that fails is printed with its file and\n"
    "line. The language is described in mobeyectl(1).\n\n"
    "  -v, --verbose      print all scenarios, not only those that fail\n"
    "      --json         print one JSON object per scenario\n"
    "      --db CONNINFO  play them with the daemon's writer in a database that is created on this server and dropped\n"
    "                     afterwards; requires a superuser\n"
    "  -c, --config FILE  configuration file with the rules, for scenarios that name none (default:\n"
    "                     " CONF_DEFAULT_FILE ")\n"
    "  -h, --help         print this help\n\n"
    "Example of a scenario:\n"
    "  at 2026-11-23 21:04 NL-0307-00042 motion input 1\n"
    "  at 21:06 NL-0307-00042 motion input 2\n"
    "  expect incident 1: priority 1, alerts 2, verified_by second_input\n\n"
    "Exit status: 0 all expectations hold, 1 failure, or one does not hold; 2 usage error.\n";

struct tally {
    bool verbose, json;
    size_t scenarios, failed, expectations;
};

static void print_json(const struct scenario_result *result)
{
    struct buf out = {0};
    buf_append_str(&out, STR("{"));
    json_write_text(&out, "file", str_from(result->file));
    json_write_count(&out, "line", result->line);
    json_write_text(&out, "scenario", str_from(result->title));
    json_write_bool(&out, "holds", result->failures.len == 0);
    json_write_count(&out, "expectations", result->expectations);
    json_write_name(&out, "failures");
    buf_append_str(&out, STR("["));
    struct str rest = result->failures;
    while (rest.len > 0) {
        const char *end = memchr(rest.p, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.p) : rest.len;
        json_write_comma(&out);
        json_write_string(&out, (struct str){rest.p, len});
        rest = (struct str){rest.p + len + (end != NULL), rest.len - len - (end != NULL)};
    }
    buf_printf(&out, "]}\n");
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
}

static void on_result(void *ctx, const struct scenario_result *result)
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

static int play_file(const char *file, const struct scenario_options *options)
{
    struct buf text = {0}, report = {0};
    struct scenario scenario;
    if (ctl_read(VERB, file, SCENARIO_FILE_MAX, &text) != CTL_OK) {
        buf_free(&text);
        return CTL_FAILED;
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

static const struct ctl_verb verb = {VERB,       .takes = "config db json", .argument = "FILE",
                                     .least = 1, .most = INT_MAX,           .help = help};

int ctl_test_rules(int argc, char **argv)
{
    struct tally tally = {0};
    const struct ctl_option own[] = {{"verbose", .letter = 'v', .flag = &tally.verbose}, {0}};
    struct ctl_call call;
    int rc = ctl_parse(argc, argv, &verb, own, &call);
    if (rc != CTL_GO)
        return rc;
    tally.json = call.json;
    struct scenario_options options = {.ops = call.db ? &backend_in_database : &backend_in_memory,
                                       .rules_file = call.file ? call.file : CONF_DEFAULT_FILE,
                                       .on_result = on_result,
                                       .ctx = &tally};
    struct err err;
    if (options.ops->open_server(&options.server, call.db, &err) < 0)
        return ctl_fail(VERB, "%s", err.text);
    rc = play_files(call.arguments, &options, &tally);
    options.ops->close_server(options.server);
    return rc;
}
