/* The test dialler: frames from lines, and a panel's side of a connection to a receiver that is a plain socket. */
#include "dc09_frames.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "ctl/send/dc09_dial.h"

static const uint8_t zero_pad[DC09_PAD_MAX];
static const int64_t now_us = 1543698910 * CLOCK_SECOND; /* 21:15:10 */

static void expect_line(const char *line, const struct dc09_keys *keys, bool binary, const char *wanted)
{
    struct buf out = {0};
    struct err err = {{0}};
    int rc = dial_frame(str_from(line), keys, binary, now_us, zero_pad, &out, &err);
    cr_expect_eq(rc, wanted[0] ? 1 : 0, "%s: %d %s", line, rc, err.text);
    cr_expect(str_is(buf_str(&out), wanted), "%s: %.*s", line, TEXT(buf_str(&out)));
    buf_free(&out);
}

Test(dc09_dial, a_line_is_a_frame_with_its_crc_length_and_time)
{
    expect_line("\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018", NULL, false,
                "\n98A6003B\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018\r");
    expect_line("  \"ADM-CID\"0002L0#1234[#1234|1130 01 001]_now-10s \r\n", NULL, false,
                "\n98A6003B\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018\r");
    expect_line("\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018", NULL, true,
                "\n\x98\xA6"
                "003B\"ADM-CID\"0002L0#1234[#1234|1130 01 001]_21:15:00,12-01-2018\r");
    expect_line("0000FFFFwhat ever_now", NULL, false, "\n0000FFFFwhat ever_now\r");
    expect_line("# a comment", NULL, false, "");
    expect_line(" \t\r\n", NULL, false, "");
    expect_line("", NULL, false, "");
}

Test(dc09_dial, now_can_be_another_time)
{
    static const struct {
        const char *line, *time;
    } cases[] = {
        {"\"NULL\"0001L0#1234[]_now", "]_21:15:10,12-01-2018\r"},
        {"\"NULL\"0001L0#1234[]_now+50s", "]_21:16:00,12-01-2018\r"},
        {"\"NULL\"0001L0#1234[]_now-15m", "]_21:00:10,12-01-2018\r"},
        {"\"NULL\"0001L0#1234[]_now+3h", "]_00:15:10,12-02-2018\r"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        cr_assert_eq(dial_frame(str_from(cases[i].line), NULL, false, now_us, zero_pad, &out, NULL), 1);
        cr_expect_not_null(memmem(out.data, out.len, cases[i].time, strlen(cases[i].time)), "%.*s",
                           TEXT(buf_str(&out)));
        buf_free(&out);
    }
}

Test(dc09_dial, a_line_with_a_star_is_encrypted_as_other_programs_do_it)
{
    struct frame_cases *all = load_frames();
    struct dc09_keys *keys = load_keys();
    const char *line = "\"*NULL\"0001L0#1128[]_21:15:00,12-01-2018";
    struct buf out = {0};
    bool found = false;
    cr_assert_eq(dial_frame(str_from(line), keys, false, now_us, zero_pad, &out, NULL), 1);
    for (size_t i = 0; i < all->n; i++) {
        struct buf wire = on_the_wire(buf_str(&all->cases[i].frame));
        found |= str_eq(buf_str(&wire), buf_str(&out));
        buf_free(&wire);
    }
    cr_expect(found, "openssl's bytes are in the table: %.*s", TEXT(buf_str(&out)));
    buf_free(&out);
    dc09_keys_free(&keys);
    free_frames(all);
}

Test(dc09_dial, lines_that_make_no_frame_say_why)
{
    static const char *const bad[] = {
        "\"NULL\"0001L0#1234[]_now-",   "\"NULL\"0001L0#1234[]_now-s",    "\"NULL\"0001L0#1234[]_now 60s",
        "\"NULL\"0001L0#1234[]_now-60", "\"NULL\"0001L0#1234[]_now-6x0s", "\"NULL\"0001L0#1234[]_now+99999999s",
        "\"*NULL\"0001L0#1234[]_now",   "\"*NULL\"0001L0[]_now",          "\"*NULL\"0001L0#1128",
        "NULL0001L0#1234[]_now",        "*SIA-DCS0001L0#1128[]_now",      "ADM-CID",
    };
    struct dc09_keys *keys = load_keys();
    struct buf out = {0};
    struct err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.text[0] = '\0';
        cr_expect_eq(dial_frame(str_from(bad[i]), keys, false, now_us, zero_pad, &out, &err), -1, "%s", bad[i]);
        cr_expect_gt(strlen(err.text), (size_t)0);
    }
    struct buf line = {0};
    buf_append(&line, "\"", 1);
    while (line.len <= DC09_BODY_MAX)
        buf_append(&line, "x", 1);
    cr_expect_eq(dial_frame(buf_str(&line), keys, false, now_us, zero_pad, &out, &err), -1);
    cr_expect_eq(out.len, (size_t)0);
    buf_free(&line);
    buf_free(&out);
    dc09_keys_free(&keys);
}

/* A receiver that replies by a script: one step per frame. */
struct receiver {
    int listener;
    char address[32];
    const char *const *script; /* what to send back; "": nothing; NULL: close, and be done after the last */
    size_t steps;
    struct buf got;
    pthread_t thread;
};

/* Reads to the CR. false: the panel has closed. */
static bool read_frame(int fd, struct buf *got)
{
    char c = 0;
    while (c != '\r') {
        if (recv(fd, &c, 1, 0) != 1)
            return false;
        buf_append(got, &c, 1);
    }
    return true;
}

static void *receive(void *arg)
{
    struct receiver *receiver = arg;
    int fd = -1;
    for (size_t i = 0; i < receiver->steps;) {
        if (fd < 0)
            fd = accept(receiver->listener, NULL, NULL);
        if (fd < 0)
            break;
        bool open = read_frame(fd, &receiver->got);
        if (open) {
            const char *answer = receiver->script[i++];
            if (answer && send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
                break;
            open = answer != NULL;
        }
        if (!open) {
            close(fd);
            fd = -1;
        }
    }
    char end;
    if (fd >= 0) {
        while (recv(fd, &end, 1, 0) == 1)
            ;
        close(fd);
    }
    return NULL;
}

static void start(struct receiver *receiver, const char *const *script, size_t steps)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(any);
    *receiver = (struct receiver){.script = script, .steps = steps};
    receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(receiver->listener, (struct sockaddr *)&any, len), 0);
    cr_assert_eq(listen(receiver->listener, 8), 0);
    cr_assert_eq(getsockname(receiver->listener, (struct sockaddr *)&any, &len), 0);
    snprintf(receiver->address, sizeof(receiver->address), "127.0.0.1:%u", ntohs(any.sin_port));
    cr_assert_eq(pthread_create(&receiver->thread, NULL, receive, receiver), 0);
}

static void stop(struct receiver *receiver)
{
    pthread_join(receiver->thread, NULL);
    close(receiver->listener);
    buf_free(&receiver->got);
}

#define SENT "\nDBA30013\"NULL\"0001L0#1234[]\r"

Test(dc09_dial, the_panel_sees_the_answer_and_keeps_the_connection)
{
    static const char *const script[] = {"\n1BC10012\"ACK\"0001L0#1234[]\r", "noise\n1BC10012\"ACK\"0001L0#1234[]\r"};
    struct receiver receiver;
    start(&receiver, script, 2);
    char address[64];
    snprintf(address, sizeof(address), "tcp://%s", receiver.address); /* as an endpoint's address is written */
    struct dial dial = {.to = address, .timeout_ms = 60000, .fd = -1};
    int fd = -1;
    for (int i = 0; i < 2; i++) {
        struct dc09_frame reply;
        enum dc09_result result;
        struct err err;
        cr_assert_eq(dial_send(&dial, STR(SENT), &reply, &result, &err), DIAL_REPLY);
        cr_expect_eq(result, DC09_COMPLETE);
        cr_expect_not_null(memmem(reply.raw.p, reply.raw.len, "\"ACK\"0001L0#1234[]", 18));
        cr_expect(fd < 0 || fd == dial.fd);
        fd = dial.fd;
    }
    dial_close(&dial);
    stop(&receiver);
}

Test(dc09_dial, silence_and_a_closed_connection_are_distinguished_and_the_next_frame_reconnects)
{
    static const char *const script[] = {NULL, "", "\n1BC10012\"ACK\"0001L0#1234[]\r"};
    struct receiver receiver;
    start(&receiver, script, 3);
    struct dial dial = {.to = receiver.address, .timeout_ms = 60000, .fd = -1};
    struct dc09_frame reply;
    enum dc09_result result;
    struct err err;
    cr_expect_eq(dial_send(&dial, STR(SENT), &reply, &result, &err), DIAL_CLOSED);
    cr_expect_eq(dial.fd, -1);
    dial.timeout_ms = 50; /* no reply will come */
    cr_expect_eq(dial_send(&dial, STR(SENT), &reply, &result, &err), DIAL_SILENCE);
    cr_expect_eq(dial.fd, -1);
    dial.timeout_ms = 60000;
    cr_expect_eq(dial_send(&dial, STR(SENT), &reply, &result, &err), DIAL_REPLY);
    dial_close(&dial);
    stop(&receiver);
}

Test(dc09_dial, an_address_that_is_none_or_that_nobody_is_at_is_an_error)
{
    static const char *const bad[] = {"", "localhost", ":1", "127.0.0.1:", "127.0.0.1:notaport", "[::1:9"};
    struct dc09_frame reply;
    enum dc09_result result;
    struct err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dial dial = {.to = bad[i], .timeout_ms = 60000, .fd = -1};
        cr_expect_eq(dial_send(&dial, STR(SENT), &reply, &result, &err), DIAL_ERROR, "%s", bad[i]);
    }
    struct receiver receiver;
    start(&receiver, NULL, 0);
    stop(&receiver);
    struct dial dial = {.to = receiver.address, .timeout_ms = 60000, .fd = -1};
    cr_expect_eq(dial_send(&dial, STR(SENT), &reply, &result, &err), DIAL_ERROR);
    cr_expect_not_null(strstr(err.text, "refused"), "%s", err.text);
}
