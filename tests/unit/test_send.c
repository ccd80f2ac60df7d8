/* mobeyectl send against a router of this test. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "send_peer.h"

TestSuite(send, .init = setup, .fini = teardown, .timeout = 120);

static void acks_a_b_c(struct peer *peer)
{
    static const char *const ids[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        struct message message = peer_next(peer);
        cr_assert(holds(&message, "\"id\":\"") && holds(&message, ids[i]));
        reply(peer, &message, "ACK", ids[i], "7");
    }
}

Test(send, succeeds_when_every_line_is_accepted)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fputs("\n  \t\n", file);
    write_alert(file, "b", "");
    write_alert(file, "c", "");
    fclose(file);
    struct peer peer;
    peer_start(&peer, acks_a_b_c);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "3 lines: 3 accepted, 0 rejected, 0 unanswered; 0 sent again");
}

Test(send, reads_stdin_where_no_file_is_named)
{
    FILE *file = input();
    write_alert(file, "a", "");
    write_alert(file, "b", "");
    write_alert(file, "c", "");
    fclose(file);
    cr_assert_not_null(freopen(path_in, "r", stdin));
    struct peer peer;
    peer_start(&peer, acks_a_b_c);
    cr_assert_eq(run_send("--json", "--to", peer.address), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "{\"lines\": 3, \"accepted\": 3, \"rejected\": 0, \"unanswered\": 0, \"resent\": 0}");
}

static void answers_out_of_order(struct peer *peer)
{
    struct message first = peer_next(peer), second = peer_next(peer), third = peer_next(peer);
    reply(peer, &second, "REJECT", "b", "invalid: data.kind: is missing");
    reply(peer, &first, "ACK", "a", "1");
    reply(peer, &third, "REJECT", "a", "forbidden: data.device: not \033[31mthis\n one");
}

Test(send, gives_replies_for_equal_ids_to_lines_in_the_order_sent)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fputc('\n', file);
    write_alert(file, "b", "");
    write_alert(file, "a", "");
    fclose(file);
    struct peer peer;
    peer_start(&peer, answers_out_of_order);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_FAILED);
    peer_stop(&peer);
    char expected[512];
    snprintf(expected, sizeof(expected),
             "%s:3: invalid: data.kind: is missing\n"
             "%s:1: accepted; flagged clock (time: missing; the receive time is used)\n"
             "%s:4: forbidden: data.device: not \\x1b[31mthis\\x0a one\n",
             path_in, path_in, path_in);
    cr_assert_str_eq(slurp(path_err), expected);
    assert_says(path_out, "3 lines: 1 accepted, 2 rejected");
}

static void rejects_what_has_no_id(struct peer *peer)
{
    struct message first = peer_next(peer), second = peer_next(peer), third = peer_next(peer);
    cr_assert(holds(&second, "garbage"));
    reply(peer, &second, "REJECT", "", "malformed: message: not JSON");
    reply(peer, &first, "ACK", "a", "1");
    /* A daemon that can read an id that we cannot. */
    reply(peer, &third, "REJECT", "elsewhere", "malformed: message: not UTF-8");
}

Test(send, finds_the_line_of_a_reply_without_an_id)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fputs("garbage\n\xff\n", file);
    fclose(file);
    struct peer peer;
    peer_start(&peer, rejects_what_has_no_id);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_FAILED);
    peer_stop(&peer);
    assert_says(path_err, "in:2: malformed: message: not JSON\n");
    assert_says(path_err, "in:3: malformed: message: not UTF-8\n");
}

static void retries_twice(struct peer *peer)
{
    for (int i = 0; i < 2; i++) {
        struct message message = peer_next(peer);
        reply(peer, &message, "RETRY", "a", "5");
    }
    struct message message = peer_next(peer);
    cr_assert(holds(&message, "\"id\":\"a\""));
    reply(peer, &message, "ACK", "a", "1");
}

Test(send, sends_again_what_got_retry)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fclose(file);
    struct peer peer;
    peer_start(&peer, retries_twice);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "1 line: 1 accepted, 0 rejected, 0 unanswered; 2 sent again");
}

static void goes_away_and_comes_back(struct peer *peer)
{
    struct message first = peer_next(peer), second = peer_next(peer);
    reply(peer, &second, "ACK", "b", "1");
    struct message third = peer_next(peer);
    cr_assert(holds(&third, "\"id\":\"c\""));
    zmq_msg_close(&first.from);
    zmq_msg_close(&first.payload);
    zmq_msg_close(&third.from);
    zmq_msg_close(&third.payload);

    char address[sizeof(peer->address)];
    strcpy(address, peer->address);
    zmq_unbind(peer->socket, address);
    zmq_close(peer->socket);
    zmq_ctx_term(peer->context); /* the port is free after it */
    peer->context = zmq_ctx_new();
    peer_bind(peer, address);
    first = peer_next(peer);
    cr_assert(holds(&first, "\"id\":\"a\""));
    reply(peer, &first, "ACK", "a", "2");
    third = peer_next(peer);
    if (holds(&third, "\"id\":\"b\"")) { /* its ACK was lost with the connection */
        reply(peer, &third, "ACK", "b", "1");
        third = peer_next(peer);
    }
    cr_assert(holds(&third, "\"id\":\"c\""));
    reply(peer, &third, "ACK", "c", "3");
}

Test(send, sends_again_what_a_lost_connection_left_unanswered)
{
    FILE *file = input();
    write_alert(file, "a", "");
    write_alert(file, "b", "");
    write_alert(file, "c", "");
    fclose(file);
    struct peer peer;
    peer_start(&peer, goes_away_and_comes_back);
    cr_assert_eq(run_send("--timeout", "3600", "--to", peer.address, path_in), CTL_OK);
    peer_stop(&peer);
    cr_assert_geq(peer.received, 5);
    assert_says(path_out, "3 lines: 3 accepted, 0 rejected, 0 unanswered; ");
}

static void loses_the_first(struct peer *peer)
{
    struct message message = peer_next(peer);
    zmq_msg_close(&message.from);
    zmq_msg_close(&message.payload);
    message = peer_next(peer);
    reply(peer, &message, "ACK", "a", "1");
}

Test(send, sends_again_what_gets_no_reply)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fclose(file);
    struct peer peer;
    peer_start(&peer, loses_the_first);
    cr_assert_eq(run_send("--timeout", "12", "--to", peer.address, path_in), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "1 accepted, 0 rejected, 0 unanswered; 1 sent again");
}

static void is_silent(struct peer *peer)
{
    struct message message = peer_next(peer);
    zmq_msg_close(&message.from);
    zmq_msg_close(&message.payload);
}

Test(send, gives_up_on_a_silent_daemon)
{
    FILE *file = input();
    write_alert(file, "a", "");
    write_alert(file, "b", "");
    fclose(file);
    struct peer peer;
    peer_start(&peer, is_silent);
    cr_assert_eq(run_send("--timeout", "1", "--to", peer.address, path_in), CTL_FAILED);
    peer_stop(&peer);
    assert_says(path_out, "2 lines: 0 accepted, 0 rejected, 2 unanswered");
    assert_says(path_err, "does not answer");
}

Test(send, gives_up_where_nobody_listens)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fclose(file);
    char address[128];
    snprintf(address, sizeof(address), "ipc://%s/none", directory);
    cr_assert_eq(run_send("--timeout", "1", "--to", address, path_in), CTL_FAILED);
    assert_says(path_err, "cannot connect");
    assert_says(path_out, "1 unanswered; 0 sent again");
}

/* A daemon that does not admit a client's key does not reply either, until the handshake times out. */
Test(send, tells_a_peer_that_does_not_complete_the_handshake_from_none)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fclose(file);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(to);
    char address[64];
    int mute = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(mute, (struct sockaddr *)&to, size), 0);
    cr_assert_eq(listen(mute, 8), 0);
    cr_assert_eq(getsockname(mute, (struct sockaddr *)&to, &size), 0);
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", ntohs(to.sin_port));
    cr_assert_eq(run_send("--timeout", "1", "--to", address, path_in), CTL_FAILED);
    assert_says(path_err, "the peer does not speak ZeroMQ, or requires CURVE");
    close(mute);
}

enum { MANY = 5000 };

static void watches_the_window(struct peer *peer)
{
    struct message *messages = mem_zalloc(MANY * sizeof(*messages));
    for (unsigned replied = 0; replied < MANY; replied++) {
        unsigned wanted = replied + SENDER_WINDOW < MANY ? replied + SENDER_WINDOW : MANY;
        for (unsigned i = peer->received; i < wanted; i++)
            messages[i] = peer_next(peer);
        cr_assert_not(peer->received < MANY && peer_receive(peer, &messages[peer->received], ZMQ_DONTWAIT));
        char id[16];
        snprintf(id, sizeof(id), "n%u", replied);
        reply(peer, &messages[replied], "ACK", id, "1");
    }
    free(messages);
}

Test(send, keeps_its_window)
{
    FILE *file = input();
    for (int i = 0; i < MANY; i++) {
        char id[16];
        snprintf(id, sizeof(id), "n%d", i);
        write_alert(file, id, "");
    }
    fclose(file);
    struct peer peer;
    peer_start(&peer, watches_the_window);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "5000 accepted");
}

static void acks_the_largest(struct peer *peer)
{
    struct message message = peer_next(peer);
    cr_assert_eq(zmq_msg_size(&message.payload), ALERT_PAYLOAD_MAX);
    reply(peer, &message, "ACK", "big", "1");
}

static void write_alert_of(FILE *file, size_t bytes)
{
    static char text[ALERT_PAYLOAD_MAX + 2];
    static const size_t around = sizeof("{\"specversion\":\"1.0\",\"id\":\"big\",\"source\":\"/test\",\"type\":"
                                        "\"mobeye.alert.v1\",\"data\":{\"device\":\"NL-0307-00042\",\"kind\":"
                                        "\"motion\",\"text\":\"\"}}") -
                                 1;
    memset(text, 'x', bytes - around);
    text[bytes - around] = '\0';
    write_alert(file, "big", text);
}

Test(send, sends_the_largest_alert_and_rejects_what_is_larger)
{
    FILE *file = input();
    write_alert_of(file, ALERT_PAYLOAD_MAX + 1);
    write_alert_of(file, ALERT_PAYLOAD_MAX);
    fclose(file);
    struct peer peer;
    peer_start(&peer, acks_the_largest);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_FAILED);
    peer_stop(&peer);
    assert_says(path_err, "in:1: too_large: message: the document has 65537 bytes (expected at most 65536)");
    assert_says(path_out, "2 lines: 1 accepted, 1 rejected");
}

Test(send, says_in_a_dry_run_what_a_daemon_would_answer)
{
    FILE *file = input();
    write_alert(file, "a", "");
    fputs("garbage\n", file);
    write_alert_of(file, ALERT_PAYLOAD_MAX + 1);
    fclose(file);
    cr_assert_eq(run_send("--dry-run", path_in), CTL_FAILED);
    assert_says(path_out, "in:1: ACK a flagged clock (time: missing; the receive time is used)\n");
    assert_says(path_out, "3 lines: 1 would be accepted, 2 rejected");
    assert_says(path_err, "in:2: malformed: ");
    assert_says(path_err, "in:3: too_large: ");
}

static void acks_with_flags(struct peer *peer)
{
    for (int i = 0; i < 2; i++) {
        struct message message = peer_next(peer);
        zmq_send(peer->socket, zmq_msg_data(&message.from), zmq_msg_size(&message.from), ZMQ_SNDMORE);
        zmq_send(peer->socket, "ACK", 3, ZMQ_SNDMORE);
        zmq_send(peer->socket, i == 0 ? "a" : "b", 1, ZMQ_SNDMORE);
        zmq_send(peer->socket, "7", 1, ZMQ_SNDMORE);
        zmq_send(peer->socket, "clock bad_image", 15, 0);
        zmq_msg_close(&message.from);
        zmq_msg_close(&message.payload);
    }
}

Test(send, understands_an_ack_with_flags)
{
    struct peer peer;
    write_two_alerts();
    peer_start(&peer, acks_with_flags);
    cr_assert_eq(run_send("--to", peer.address, path_in), CTL_OK);
    peer_stop(&peer);
    assert_says(path_out, "2 lines: 2 accepted");
}

struct usage {
    char args[3][32];
    int status;
    char says[64];
};

ParameterizedTestParameters(send, refuses_a_wrong_command_line)
{
    static struct usage cases[] = {
        {{"file"}, CTL_USAGE, "missing option --to ENDPOINT"},
        {{"--format", "xml", "--dry-run"}, CTL_USAGE, "\"xml\" is unknown (expected cloudevents)"},
        {{"--timeout", "0", "--dry-run"}, CTL_USAGE, "--timeout \"0\""},
        {{"--timeout", "1x", "--dry-run"}, CTL_USAGE, "--timeout \"1x\""},
        {{"--dry-run", "one", "two"}, CTL_USAGE, "\"two\""},
        {{"--dry-run", "/no/such/file"}, CTL_FAILED, "/no/such/file: No such file"},
        {{"--dry-run", "--image", "/no/such/file"}, CTL_FAILED, "/no/such/file: No such file"},
        {{"--to", "nowhere", "/dev/null"}, CTL_USAGE, "--to nowhere is not a ZeroMQ address"},
    };
    return cr_make_param_array(struct usage, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct usage *usage, send, refuses_a_wrong_command_line)
{
    const char *argv[5] = {"send"};
    for (int i = 0; i < 3 && usage->args[i][0]; i++)
        argv[i + 1] = usage->args[i];
    cr_assert_eq(run_argv(argv), usage->status);
    assert_says(path_err, usage->says);
}
