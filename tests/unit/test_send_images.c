/* mobeyectl send --image against a router of this test. */
#include "send_peer.h"

TestSuite(send_images, .init = setup, .fini = teardown, .timeout = 120);

#define JPEG       "\xff\xd8\xff\xe0 not decoded"
#define JPEG_BYTES (sizeof(JPEG) - 1)

static void write_image(const char *bytes, size_t len)
{
    FILE *file = fopen(path_image, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static void expect_image(const struct message *message, bool expected)
{
    cr_assert_eq(message->has_image, expected);
    cr_assert(!expected || (message->image_len == JPEG_BYTES && memcmp(message->image, JPEG, JPEG_BYTES) == 0));
}

/* The first one is to come again, whole. */
static void takes_an_image_for_the_first(struct peer *peer)
{
    struct message first = peer_next(peer), second = peer_next(peer);
    expect_image(&first, true);
    expect_image(&second, false);
    reply(peer, &first, "RETRY", "a", "1");
    reply(peer, &second, "ACK", "b", "1");
    first = peer_next(peer);
    cr_assert(holds(&first, "\"id\":\"a\""));
    expect_image(&first, true);
    reply(peer, &first, "ACK", "a", "2");
}

Test(send_images, sends_an_image_with_its_alert_and_again_with_it)
{
    struct peer peer;
    write_two_alerts();
    write_image(JPEG, JPEG_BYTES);
    peer_start(&peer, takes_an_image_for_the_first);
    cr_assert_eq(run_send("--to", peer.address, "--image", path_image, path_in), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "2 lines: 2 accepted, 0 rejected, 0 unanswered; 1 sent again");
}

Test(send_images, says_in_a_dry_run_which_image_would_be_dropped)
{
    write_two_alerts();
    write_image("GIF89a", 6);
    cr_assert_eq(run_send("--dry-run", "--image", path_image, path_in), CTL_OK);
    assert_says(path_out,
                "in:1: ACK a flagged clock (time: missing; the receive time is used), bad_image (image: too large, "
                "or not a JPEG, PNG or WebP; dropped)\n");
    assert_says(path_out, "in:2: ACK b flagged clock (time: missing; the receive time is used)\n");
}

Test(send_images, fails_where_an_image_has_no_alert)
{
    write_two_alerts();
    write_image(JPEG, JPEG_BYTES);
    cr_assert_eq(run_send("--dry-run", "--image", path_image, "--image", path_image, "--image", path_image, path_in),
                 CTL_FAILED);
    assert_says(path_err, "3 images for 2 alerts");
}

/* The window is one of bytes too: what does not fit is sent when replies make room. */
#define LARGE_BYTES (1 << 20)
#define LARGE       24

static void watches_the_bytes(struct peer *peer)
{
    struct message waiting[LARGE];
    unsigned n = 0, answered = 0;
    while (answered < LARGE) {
        while (n < LARGE && peer_receive(peer, &waiting[n], answered == n ? 0 : ZMQ_DONTWAIT))
            n++;
        cr_assert_leq(n - answered, SENDER_WINDOW_BYTES / LARGE_BYTES + 1);
        char id[16];
        snprintf(id, sizeof(id), "n%u", answered);
        reply(peer, &waiting[answered++], "ACK", id, "1");
    }
}

Test(send_images, keeps_its_window_of_bytes)
{
    static char image[LARGE_BYTES] = {'\xff', '\xd8', '\xff'};
    const char *argv[4 + 2 * LARGE + 1] = {"send", path_in, "--to"};
    FILE *file = input();
    for (int i = 0; i < LARGE; i++) {
        char id[16];
        snprintf(id, sizeof(id), "n%d", i);
        write_alert(file, id, "");
        argv[4 + 2 * i] = "--image";
        argv[5 + 2 * i] = path_image;
    }
    fclose(file);
    write_image(image, sizeof(image));
    struct peer peer;
    peer_start(&peer, watches_the_bytes);
    argv[3] = peer.address;
    cr_assert_eq(run_argv(argv), CTL_OK);
    peer_stop(&peer);
}
