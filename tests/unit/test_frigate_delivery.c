/* When it is logged that mobeyed does not answer, or answers again. */
#include <criterion/criterion.h>

#include "frigate/delivery.h"

#define S CLOCK_SECOND

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
