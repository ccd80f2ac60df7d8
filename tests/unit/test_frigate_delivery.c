/* When it is logged that mobeyed does not answer, or answers again, and why it does not. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "frigate/delivery.h"

#define S CLOCK_SECOND

/* The sender, as far as it is asked here. */
static enum sender_link link_state;
static const char *unresolved;

enum sender_link sender_link(const struct sender *sender)
{
    (void)sender;
    return link_state;
}

const char *sender_unresolved(const struct sender *sender)
{
    (void)sender;
    return unresolved;
}

const char *sender_at(const struct sender *sender)
{
    (void)sender;
    return "tcp://b:1";
}

int64_t sender_quiet_since_us(const struct sender *sender)
{
    (void)sender;
    return 0;
}

Test(frigate_delivery, without_a_connection_it_is_logged_after_ten_seconds_and_once_a_minute)
{
    struct delivery_state d = {0};
    unsigned warnings = 0;
    cr_expect_eq(delivery_check(&d, false, 0, 100 * S), DELIVERY_SAME);
    cr_expect_eq(delivery_check(&d, false, 0, 110 * S - 1), DELIVERY_SAME);
    cr_expect_eq(delivery_check(&d, false, 0, 110 * S), DELIVERY_SILENT);
    for (int s = 111; s <= 111 + 3 * 60; s++)
        warnings += delivery_check(&d, false, 0, s * S) == DELIVERY_SILENT;
    cr_expect_eq(warnings, 3);
    cr_expect_eq(delivery_silent_s(&d, 300 * S), 200);
    cr_expect_eq(delivery_check(&d, true, 0, 301 * S), DELIVERY_ANSWERS);
    cr_expect_eq(delivery_check(&d, true, 0, 302 * S), DELIVERY_SAME);
    cr_expect_eq(delivery_silent_s(&d, 302 * S), 0);
}

Test(frigate_delivery, a_peer_that_is_connected_and_says_nothing_does_not_answer)
{
    struct delivery_state d = {0};
    cr_expect_eq(delivery_check(&d, true, 0, 100 * S), DELIVERY_ANSWERS);
    cr_expect_eq(delivery_check(&d, true, 100 * S, 109 * S), DELIVERY_SAME);
    cr_expect_eq(delivery_check(&d, true, 100 * S, 110 * S), DELIVERY_SILENT);
    /* The sender resends on a new socket, which is connected at once: that is not a reply. */
    cr_expect_eq(delivery_check(&d, false, 0, 111 * S), DELIVERY_SAME);
    cr_expect_eq(delivery_check(&d, true, 100 * S, 112 * S), DELIVERY_SAME);
    cr_expect_eq(delivery_silent_s(&d, 120 * S), 20);
    cr_expect_eq(delivery_check(&d, true, 119 * S, 121 * S), DELIVERY_ANSWERS);
}

Test(frigate_delivery, a_short_break_is_no_warning)
{
    struct delivery_state d = {0};
    cr_expect_eq(delivery_check(&d, true, 0, 100 * S), DELIVERY_ANSWERS);
    for (int s = 101; s < 110; s++)
        cr_expect_eq(delivery_check(&d, false, 0, s * S), DELIVERY_SAME);
    cr_expect_eq(delivery_check(&d, true, 0, 110 * S), DELIVERY_ANSWERS);
    cr_expect_eq(delivery_check(&d, false, 0, 111 * S), DELIVERY_SAME, "it begins again");
    cr_expect_eq(delivery_check(&d, false, 0, 120 * S), DELIVERY_SAME);
    cr_expect_eq(delivery_check(&d, false, 0, 121 * S), DELIVERY_SILENT);
}

/* What is logged of an alert that waits for these to answer. */
static const char *reason(size_t n_to)
{
    static char line[1000];
    static char *to[] = {(char *)"tcp://a:1", (char *)"tcp://b:1"};
    struct conf_frigate conf = {.to = to, .n_to = n_to};
    struct delivery_state d = {0};
    FILE *log = cr_get_redirected_stderr();
    delivery_watch(&d, &conf, NULL, 1, 100 * S);
    delivery_watch(&d, &conf, NULL, 1, 110 * S);
    cr_assert_not_null(fgets(line, sizeof(line), log));
    const char *start = strchr(line, '(');
    return start ? start : line;
}

Test(frigate_delivery, a_name_that_is_not_resolved_is_named_among_several, .init = cr_redirect_stderr, .timeout = 60)
{
    log_open(LOG_LEVEL_INFO);
    link_state = SENDER_UNREACHABLE;
    unresolved = "the name cannot be resolved: x";
    cr_expect_str_eq(reason(1), "(the name cannot be resolved: x)\n");
    cr_expect_str_eq(reason(2), "(tcp://b:1: the name cannot be resolved: x)\n");
    link_state = SENDER_REFUSED;
    cr_expect_str_eq(reason(2), "(tcp://b:1: the name cannot be resolved: x)\n", "a handshake failed earlier");
    unresolved = NULL;
    cr_expect_not_null(strstr(reason(2), "(a peer is there, but the handshake fails"));
    link_state = SENDER_UNREACHABLE;
    cr_expect_not_null(strstr(reason(2), "(is mobeyed running"));
}
