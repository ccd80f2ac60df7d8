#include <criterion/criterion.h>

#include "flow/turn.h"

#define NOW 1000000

static struct turn begun(void)
{
    struct turn turn = {0};
    turn_slice(&turn, NOW);
    return turn;
}

Test(turn, nothing_taken_is_no_reason_to_end_whatever_the_time)
{
    struct turn turn = begun();
    cr_assert_not(turn_is_over(&turn, NOW + 10 * TURN_US));
    turn_slice(&turn, NOW + 20 * TURN_US);
    turn_count(&turn, 1, 100, 1);
    cr_assert_not(turn_is_over(&turn, NOW + 20 * TURN_US + 1), "its time begins with what was taken first");
}

Test(turn, ends_by_records_by_bytes_or_by_time)
{
    struct turn turn = begun();
    turn_count(&turn, 1, 1, TURN_RECORDS - 1);
    cr_assert_not(turn_is_over(&turn, NOW));
    turn_count(&turn, 1, 1, 1);
    cr_assert(turn_is_over(&turn, NOW));

    turn = begun();
    turn_count(&turn, 1, TURN_BYTES - 1, 1);
    cr_assert_not(turn_is_over(&turn, NOW + TURN_US - 1));
    cr_assert(turn_is_over(&turn, NOW + TURN_US));
    turn_count(&turn, 1, 1, 1);
    cr_assert(turn_is_over(&turn, NOW));
}

Test(turn, a_slice_ends_by_records_by_bytes_or_by_time_and_the_turn_goes_on)
{
    struct turn turn = begun();
    turn_count(&turn, 1, 10, TURN_SLICE_RECORDS - 1);
    cr_assert_not(turn_slice_is_over(&turn, NOW + TURN_SLICE_US - 1));
    cr_assert(turn_slice_is_over(&turn, NOW + TURN_SLICE_US));
    turn_count(&turn, 1, 10, 1);
    cr_assert(turn_slice_is_over(&turn, NOW));
    turn_slice(&turn, NOW + TURN_SLICE_US);
    cr_assert_not(turn_slice_is_over(&turn, NOW + TURN_SLICE_US));
    turn_count(&turn, 1, TURN_SLICE_BYTES, 1);
    cr_assert(turn_slice_is_over(&turn, NOW + TURN_SLICE_US));
    cr_assert_not(turn_is_over(&turn, NOW + TURN_SLICE_US));
    cr_assert_eq(turn.records, TURN_SLICE_RECORDS + 1);
}

Test(turn, one_who_sends_little_does_not_wait_for_one_who_sends_much)
{
    struct turn turn = begun();
    turn_count(&turn, 1, TURN_LITTLE * 300, 1);
    cr_assert_not(turn_is_over(&turn, NOW), "somebody alone");
    turn_count(&turn, 2, 300, 1);
    cr_assert_not(turn_is_over(&turn, NOW), "not yet that much");
    turn_count(&turn, 1, TURN_LITTLE - 1, 1);
    cr_assert_not(turn_is_over(&turn, NOW));
    turn_count(&turn, 1, TURN_LITTLE * 300, 1);
    cr_assert(turn_is_over(&turn, NOW));
    turn_end(&turn);
    turn_slice(&turn, NOW);
    turn_count(&turn, 1, TURN_LITTLE * 3000, 1);
    cr_assert_not(turn_is_over(&turn, NOW), "the next turn knows nothing of the one before");
}

Test(turn, those_who_send_alike_share_a_whole_turn)
{
    struct turn turn = begun();
    for (uint64_t round = 0; round < 10; round++)
        for (uint64_t peer = 0; peer < 100; peer++)
            turn_count(&turn, peer, 300 + peer, 1);
    cr_assert_not(turn_is_over(&turn, NOW + TURN_US - 1));
}

/* libzmq reads one message from each peer in turn: what others send comes after one more image of the flood. */
Test(turn, images_delay_an_alert_without_one_by_one_turn_at_most)
{
    enum { IMAGE = 2 * (1000000 + 400), PLAIN = 2 * 400, ROUNDS = 40 }; /* bytes count as received and as journaled */
    for (size_t arrives = 0; arrives < ROUNDS; arrives++) {
        struct turn turn = begun();
        size_t ended = 0, ended_at_arrival = 0;
        for (size_t round = 0; round <= arrives; round++) {
            if (round == arrives)
                ended_at_arrival = ended;
            turn_count(&turn, 1, IMAGE, 1);
            cr_assert(turn_slice_is_over(&turn, NOW), "an image is a slice of its own");
            if (turn_is_over(&turn, NOW)) {
                turn_end(&turn);
                ended++;
            }
            turn_slice(&turn, NOW);
        }
        turn_count(&turn, 2, PLAIN, 1);
        cr_assert_leq(ended - ended_at_arrival, 1);
        turn_count(&turn, 1, IMAGE, 1);
        cr_assert(turn_is_over(&turn, NOW), "what was sent with the alert without an image ends its turn");
    }
}
