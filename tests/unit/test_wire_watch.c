/* What may pass to evhttp: one request at a time, parsed strictly. */
#include <string.h>

#include <criterion/criterion.h>

#include "board/board_api.h"
#include "board/wire_watch.h"

static struct wire_watch fed(const char *text)
{
    struct wire_watch watch = {0};
    wire_watch_feed(&watch, text, strlen(text));
    return watch;
}

Test(wire_watch, a_request_ends_where_its_length_says)
{
    struct wire_watch watch = fed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234");
    cr_expect_eq(watch.state, WIRE_BODY);
    cr_expect_eq(watch.body_left, 1);
    wire_watch_feed(&watch, "5GET /", 6);
    cr_expect_eq(watch.state, WIRE_RESPONSE);
    cr_expect_eq(watch.early, 5);
    wire_watch_next(&watch);
    cr_expect_eq(watch.state, WIRE_METHOD);
    cr_expect_eq(watch.early, 0);
}

Test(wire_watch, each_refusal_has_its_status)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nA_b: c\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n", 400},
        {"GET / HTTP/1.1\r\nContent-Length: 65537\r\n", 413},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.2\r\n", 505},
        {"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
        {"DELETE / HTTP/1.1\r\nHost: a\r\nA_b: c\r\n", 400},
        {" / HTTP/1.1\r\n", 400},
        {"GET //board/api/me HTTP/1.1\r\n", 400},
        {"POST / HTTP/1.1\r\nExpect: foo\r\n", 417},
        {"POST / HTTP/1.1\r\nExpect: 100-continue, x\r\n", 417},
        {"POST / HTTP/1.1\r\nExpect: 100\r\n", 417},
        {"POST / HTTP/1.1\r\nExpect:\t100-continue\r\n", 417},
        {"POST / HTTP/1.1\r\nExpect:\r\n", 417},
        {"GET / HTTP/1.1\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_watch watch = fed(cases[i].text);
        cr_expect_eq(watch.state, WIRE_REFUSED, "%s", cases[i].text);
        cr_expect_eq(watch.status, cases[i].status, "%s: %d", cases[i].text, watch.status);
    }
}

Test(wire_watch, a_path_may_have_two_slashes_later_and_a_body_may_be_announced)
{
    struct wire_watch watch =
        fed("POST /a//b HTTP/1.1\r\nHost: a\r\nExpect:  100-Continue \t\r\nContent-Length: 1\r\n\r\n");
    cr_expect_eq(watch.state, WIRE_BODY);
}

Test(wire_watch, after_a_refusal_nothing_is_read)
{
    struct wire_watch watch = fed("get");
    wire_watch_next(&watch);
    wire_watch_feed(&watch, "GET / HTTP/1.0\r\n\r\n", 18);
    cr_expect_eq(watch.state, WIRE_REFUSED);
}

Test(board_route, a_path_calls_one_thing_or_nothing)
{
    struct board_route route = board_route_of(STR("/api/incident/17/on_scene"));
    cr_expect_str_eq(route.call, "on_scene");
    cr_expect(route.post && route.id == 17);
    route = board_route_of(STR("/api/incident/17"));
    cr_expect(strcmp(route.call, "incident") == 0 && !route.post);
    cr_expect_null(board_route_of(STR("/api/incident/0/claim")).call);
    cr_expect_null(board_route_of(STR("/api/incident/x")).call);
    cr_expect_null(board_route_of(STR("/api/incident/17/")).call);
    cr_expect_null(board_route_of(STR("/api/queue/")).call);
    cr_expect_null(board_route_of(STR("/api/")).call);
}

Test(board_route, last_event_id_counts_before_after)
{
    cr_expect_eq(board_after("7", "3"), 7);
    cr_expect_eq(board_after(NULL, "3"), 3);
    cr_expect_eq(board_after(NULL, NULL), -1);
    cr_expect_eq(board_after("x", "3"), INT64_MAX);
    cr_expect_eq(board_after("", NULL), INT64_MAX);
}
