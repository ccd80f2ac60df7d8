/* The log: one line per event, and which lines are suppressed. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "pretend_journal.h"

static char *take_stderr(void)
{
    static char text[8192];
    fflush(stderr);
    FILE *file = cr_get_redirected_stderr();
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    return text;
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void setup(void)
{
    cr_redirect_stderr();
    pretend_journal();
    log_open(LOG_LEVEL_INFO);
}

TestSuite(log, .init = setup);

Test(log, a_line_has_a_priority_and_its_subject_first)
{
    log_warning("endpoint cameras", "refused %d", 3);
    cr_assert_str_eq(take_stderr(), "<4>endpoint cameras: refused 3\n");
}

Test(log, control_characters_cannot_forge_a_line)
{
    log_error("x", "a\nb\x1b[31mc");
    cr_assert_str_eq(take_stderr(), "<3>x: a?b?[31mc\n");
    log_error("x", "\xc2\x9b"
                   "31m caf\xc3\xa9 \xc2\xa0");
    cr_assert_str_eq(take_stderr(), "<3>x: ??31m caf\xc3\xa9 \xc2\xa0\n");
}

Test(log, below_the_level_nothing_is_written)
{
    log_debug("x", "quiet");
    log_info("x", "loud");
    cr_assert_str_eq(take_stderr(), "<6>x: loud\n");
}

Test(log, a_repeated_message_is_suppressed_for_a_minute_and_counted)
{
    struct rate_limiter limiter = {0};
    for (int i = 0; i < 10; i++)
        log_limited(&limiter, 5 * CLOCK_SECOND + i, LOG_LEVEL_ERROR, "database", "refused");
    log_limited(&limiter, 66 * CLOCK_SECOND, LOG_LEVEL_ERROR, "database", "refused");
    log_recover(&limiter, "database", "connected");
    log_recover(&limiter, "database", "connected");
    cr_assert_str_eq(take_stderr(), "<3>database: refused\n"
                                    "<3>database: refused (9 similar messages suppressed)\n"
                                    "<6>database: connected\n");
}

Test(log, a_different_message_is_logged_at_once)
{
    struct rate_limiter limiter = {0};
    log_limited(&limiter, 1, LOG_LEVEL_ERROR, "database", "refused");
    log_limited(&limiter, 2, LOG_LEVEL_ERROR, "database", "no such role");
    cr_assert_eq(lines(take_stderr()), 2);
}

Test(log, a_long_message_is_written_whole_and_still_suppressed)
{
    struct rate_limiter limiter = {0};
    char text[600];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 2; i++)
        log_limited(&limiter, CLOCK_SECOND, LOG_LEVEL_ERROR, "database", "%s", text);
    const char *written = take_stderr();
    cr_assert_eq(lines(written), 1);
    cr_assert_eq(strlen(written), strlen("<3>database: ") + strlen(text) + 1);
}

Test(log, messages_that_vary_cannot_fill_the_log)
{
    struct rate_limiter limiter = {0};
    for (int i = 0; i < 1000; i++)
        log_limited(&limiter, CLOCK_SECOND, LOG_LEVEL_WARNING, "endpoint", "near byte %d", i);
    cr_assert_eq(lines(take_stderr()), 10);
    log_limited(&limiter, 62 * CLOCK_SECOND, LOG_LEVEL_WARNING, "endpoint", "near byte 1");
    cr_assert_str_eq(take_stderr(), "<4>endpoint: near byte 1 (990 similar messages suppressed)\n");
}

Test(log, a_condition_that_does_not_recur_is_over_after_a_minute)
{
    struct rate_limiter limiter = {0};
    log_recover_if_quiet(&limiter, CLOCK_HOUR, "endpoint", "over");
    for (int i = 0; i < 3; i++)
        log_limited(&limiter, 30 * i * CLOCK_SECOND + 1, LOG_LEVEL_WARNING, "endpoint", "refused");
    log_recover_if_quiet(&limiter, 119 * CLOCK_SECOND, "endpoint", "over");
    cr_assert_eq(lines(take_stderr()), 2);
    log_recover_if_quiet(&limiter, 121 * CLOCK_SECOND, "endpoint", "over");
    log_recover_if_quiet(&limiter, CLOCK_HOUR, "endpoint", "over");
    cr_assert_str_eq(take_stderr(), "<6>endpoint: over\n");
}

Test(log, an_error_is_one_line_and_takes_a_prefix)
{
    struct err err;
    cr_assert_eq(err_set(&err, "cannot open %s\n", "x"), -1);
    err_prefix(&err, "segment %d", 4);
    cr_assert_str_eq(err.text, "segment 4: cannot open x");
    cr_assert_eq(err_set(NULL, "nobody listens"), -1);
}
