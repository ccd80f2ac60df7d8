/* The loop, and the messages of libevent. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "base/log.h"
#include "base/loop.h"
#include "pretend_journal.h"

static void on_turn_within(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    loop_turn(arg); /* libevent warns of it */
}

Test(loop, what_libevent_says_goes_to_our_log_and_not_without_end)
{
    struct err err = {""};
    struct event event;
    cr_redirect_stderr();
    pretend_journal();
    log_open(LOG_LEVEL_INFO);
    struct loop *loop = loop_new(&err);
    cr_assert_not_null(loop, "%s", err.text);
    evtimer_assign(&event, loop_base(loop), on_turn_within, loop);
    for (int i = 0; i < 100; i++) {
        loop_arm(&event, 0);
        loop_turn(loop);
    }
    loop_free(&loop);
    fflush(stderr);
    char text[8192];
    size_t len = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr());
    text[len] = '\0';
    cr_assert_eq(strncmp(text, "<4>libevent: ", 13), 0, "%s", text);
    cr_assert_eq(strchr(text, '\n') + 1 - text, (long)len, "one line: %s", text);
}
