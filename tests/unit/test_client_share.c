#include <criterion/criterion.h>

#include "flow/client_share.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MAX   1000000

/* Sends messages of 1,000 bytes until one is refused; returns how many were taken. */
static uint64_t fill(struct client_shares *shares, struct client_share *share, uint64_t *seq, uint64_t *waiting,
                     uint64_t stored)
{
    uint64_t n = 0;
    for (;; n++) {
        client_shares_update(shares, true, MAX, *waiting, stored);
        if (!client_share_allows(shares, share, 1000, 0))
            return n;
        client_share_add(shares, share, ++*seq, 1000);
        *waiting += 1000;
    }
}

Test(share, one_of_several_clients_gets_half_and_another_the_other_half)
{
    struct client_shares shares = {0};
    uint64_t seq = 0, waiting = 0;
    struct client_share *a = client_share_of(&shares, KEY_A, "a"), *b = client_share_of(&shares, KEY_B, "b");
    cr_assert_neq(a, b);
    cr_assert_eq(client_share_of(&shares, KEY_A, "renamed"), a);
    cr_assert_eq(fill(&shares, a, &seq, &waiting, 0), 500);
    cr_assert_eq(fill(&shares, b, &seq, &waiting, 0), 500);
    client_shares_free(&shares);
}

Test(share, a_client_alone_and_senders_on_no_list_have_no_limit)
{
    struct client_shares shares = {0};
    struct client_share *a = client_share_of(&shares, KEY_A, "a");
    client_shares_update(&shares, false, MAX, 0, 0);
    cr_assert(client_share_allows(&shares, a, 10 * MAX, 0));
    client_shares_update(&shares, true, MAX, MAX, 0);
    cr_assert(client_share_allows(&shares, NULL, MAX, 0));
    client_share_add(&shares, NULL, 1, MAX);
    client_shares_free(&shares);
}

Test(share, what_is_stored_is_free_again_by_a_64th)
{
    struct client_shares shares = {0};
    uint64_t seq = 0, waiting = 0;
    struct client_share *a = client_share_of(&shares, KEY_A, "a");
    cr_assert_eq(fill(&shares, a, &seq, &waiting, 0), 500);
    for (uint64_t stored = 0; stored <= 500; stored += 50) {
        client_shares_update(&shares, true, MAX, (500 - stored) * 1000, stored);
        uint64_t room = 0;
        while (client_share_allows(&shares, a, (room + 1) * 1000, 0))
            room++;
        cr_assert(room <= stored && room + 10 >= stored, "%d stored, room for %d", (int)stored, (int)room);
    }
    cr_assert(client_share_allows(&shares, a, MAX / 2, 0), "all is stored");
    client_shares_free(&shares);
}

Test(share, what_waits_and_is_nobodys_leaves_less_to_halve)
{
    struct client_shares shares = {0};
    uint64_t seq = 600, waiting = 600000; /* as after a start */
    struct client_share *a = client_share_of(&shares, KEY_A, "a"), *b = client_share_of(&shares, KEY_B, "b");
    cr_assert_eq(fill(&shares, a, &seq, &waiting, 0), 200);
    cr_assert_eq(fill(&shares, b, &seq, &waiting, 0), 200);
    waiting -= 600000;
    cr_assert_eq(fill(&shares, a, &seq, &waiting, 600), 300, "it is stored, and so is nothing of theirs");
    client_shares_free(&shares);
}

Test(share, marks_run_full_without_losing_count)
{
    struct client_shares shares = {0};
    struct client_share *a = client_share_of(&shares, KEY_A, "a");
    client_shares_update(&shares, false, MAX, 0, 0);
    for (uint64_t seq = 1; seq <= 1000; seq++)
        client_share_add(&shares, a, seq, 10);
    client_shares_update(&shares, true, 2 * 64 * 10, 10000, 0); /* what was without limit has one now */
    cr_assert_not(client_share_allows(&shares, a, 1, 0));
    for (uint64_t seq = 1001; seq <= 2000; seq++)
        client_share_add(&shares, a, seq, 10);
    client_shares_update(&shares, true, MAX, 0, 1999);
    cr_assert(client_share_allows(&shares, a, MAX / 2 - 20000, 0));
    client_shares_update(&shares, true, MAX, 0, 2000);
    cr_assert(client_share_allows(&shares, a, MAX / 2, 0));
    cr_assert_not(client_share_allows(&shares, a, MAX / 2 + 1, 0));
    client_shares_free(&shares);
}
