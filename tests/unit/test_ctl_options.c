/* The command line of a verb: what is parsed from it, and the messages if it is wrong. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <criterion/redirect.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"

enum { LOOK, MEND };

static const struct ctl_verb actions[] = {
    [LOOK] = {"look", .takes = "config json", .argument = "ID", .least = 1, .most = 1},
    [MEND] = {"mend", .takes = "config yes since", .argument = "ID", .least = 1, .most = INT_MAX},
    {0}};
static const struct ctl_verb many = {"thing", .help = "the help\n", .actions = actions};
static const struct ctl_verb one = {"one", .takes = "db json", .argument = "FILE", .most = 1, .help = "help of one\n"};

struct seen {
    struct ctl_call call;
    const char *since, *names[2];
    size_t n_names;
    bool loud;
};

static int parse(const struct ctl_verb *verb, const char *const *words, struct seen *ret)
{
    static char *argv[10];
    int argc = 1;
    argv[0] = (char *)verb->name;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    argv[argc] = NULL;
    *ret = (struct seen){0};
    const struct ctl_option own[] = {{"since", .text = &ret->since},
                                     {"loud", .letter = 'l', .flag = &ret->loud},
                                     {"name", .text = ret->names, .n = &ret->n_names, .most = 2},
                                     {0}};
    int status = ctl_parse(argc, argv, verb, own, &ret->call);
    fflush(stdout);
    fflush(stderr);
    return status;
}

#define PARSE(verb, ret, ...) parse(verb, (const char *const[]){__VA_ARGS__, NULL}, ret)

Test(ctl_options, options_and_arguments_come_in_any_order)
{
    struct seen seen;
    cr_assert_eq(PARSE(&many, &seen, "--since", "3d", "mend", "1", "-c", "file", "--yes", "2"), CTL_GO);
    cr_expect_eq(seen.call.action, MEND);
    cr_expect_str_eq(seen.since, "3d");
    cr_expect_str_eq(seen.call.file, "file");
    cr_expect(seen.call.yes && !seen.call.json && !seen.call.db && !seen.loud);
    cr_assert_eq(seen.call.n_arguments, 2);
    cr_expect_str_eq(seen.call.arguments[0], "1");
    cr_expect_str_eq(seen.call.arguments[1], "2");
    cr_expect_null(seen.call.arguments[2]);
}

Test(ctl_options, a_verb_without_actions_takes_all_that_is_its_own)
{
    struct seen seen;
    cr_assert_eq(PARSE(&one, &seen, "-l", "--since=x", "--db", "y", "--json"), CTL_GO);
    cr_expect(seen.loud && seen.call.json);
    cr_expect_str_eq(seen.since, "x");
    cr_expect_str_eq(seen.call.db, "y");
    cr_expect_eq(seen.call.n_arguments, 0);
}

Test(ctl_options, an_option_may_be_given_again, .init = cr_redirect_stderr)
{
    struct seen seen;
    cr_assert_eq(PARSE(&one, &seen, "--name", "a", "--since", "x", "--name=b", "--since", "y"), CTL_GO);
    cr_expect_eq(seen.n_names, 2);
    cr_expect_str_eq(seen.names[0], "a");
    cr_expect_str_eq(seen.names[1], "b");
    cr_expect_str_eq(seen.since, "y");
    cr_expect_eq(PARSE(&one, &seen, "--name", "a", "--name", "b", "--name", "c"), CTL_USAGE);
    cr_assert_stderr_eq_str("mobeyectl one: --name: too many values (expected at most 2)\nTry 'mobeyectl one --help' "
                            "for more information.\n");
}

Test(ctl_options, help_is_printed_whatever_else_is_missing, .init = cr_redirect_stdout)
{
    struct seen seen;
    cr_expect_eq(PARSE(&many, &seen, "-h"), CTL_OK);
    cr_assert_stdout_eq_str("the help\n");
}

#define HELP "Try 'mobeyectl thing --help' for more information.\n"

struct wrong {
    const char *words[6];
    const char *said;
};

static const struct wrong wrong[] = {
    {{NULL}, "mobeyectl thing: missing action (expected look ID or mend ID)\n" HELP},
    {{"burn"}, "mobeyectl thing: unknown action \"burn\" (expected look ID or mend ID)\n" HELP},
    {{"look"}, "mobeyectl thing: look takes one ID\n" HELP},
    {{"mend"}, "mobeyectl thing: mend takes one ID or more\n" HELP},
    {{"look", "1", "2"}, "mobeyectl thing: \"2\": look takes one ID\n" HELP},
    {{"look", "1", "--yes"}, "mobeyectl thing: --yes is not an option of look (allowed: --config, --json, ID)\n" HELP},
    {{"look", "1", "--since", "x"},
     "mobeyectl thing: --since is not an option of look (allowed: --config, --json, ID)\n" HELP},
    {{"mnd", "1"}, "mobeyectl thing: unknown action \"mnd\" (did you mean mend?)\n" HELP},
    {{"look", "1", "--db", "x"}, "mobeyectl thing: unknown option --db\n" HELP},
    {{"look", "1", "--jsno"}, "mobeyectl thing: unknown option --jsno (did you mean --json?)\n" HELP},
    {{"look", "1", "--cnofig=x"}, "mobeyectl thing: unknown option --cnofig (did you mean --config?)\n" HELP},
    {{"look", "1", "-x"}, "mobeyectl thing: unknown option -x\n" HELP},
    {{"look", "1", "--json=x"}, "mobeyectl thing: --json: takes no value\n" HELP},
    {{"look", "1", "--since"}, "mobeyectl thing: --since: value is missing\n" HELP},
    {{"look", "1", "-c"}, "mobeyectl thing: -c: value is missing\n" HELP},
};

/* The number of a row: pointers do not reach the process of the test. */
ParameterizedTestParameters(ctl_options, wrong_command_line)
{
    static size_t rows[sizeof(wrong) / sizeof(wrong[0])];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        rows[i] = i;
    return cr_make_param_array(size_t, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(size_t *row, ctl_options, wrong_command_line, .init = cr_redirect_stderr)
{
    struct seen seen;
    cr_expect_eq(parse(&many, wrong[*row].words, &seen), CTL_USAGE);
    cr_assert_stderr_eq_str(wrong[*row].said);
}
