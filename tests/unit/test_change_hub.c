/* The changes for pages, with a simulated database: what fails is logged, and retried. */
#include "board/change_hub.h"
#include "played_connection.h"

/* ---- a page, in place of board/board_http.c ---- */

static unsigned heartbeats;

void board_stream_begin(struct board_request *request)
{
    (void)request;
}

bool board_stream_send(struct board_request *request, struct str chunk)
{
    static const char event[] = "event: heartbeat\n";
    (void)request;
    heartbeats += memmem(chunk.p, chunk.len, event, strlen(event)) != NULL;
    return true;
}

size_t board_stream_unread(const struct board_request *request)
{
    (void)request;
    return 0;
}

void board_stream_end(struct board_request *request)
{
    (void)request;
}

void board_request_cut(struct board_request *request)
{
    (void)request;
}

/* ---- */

static struct change_hub *hub;
static struct loop *loop;
static struct board_metrics metrics;

/* Connected. */
static void setup(void)
{
    cr_redirect_stderr();
    loop = open_played_loop();
    log_open(LOG_LEVEL_INFO);
    hub = change_hub_new(loop, "host=db", &metrics);
    change_hub_start(hub);
    connect_played();
}

static void teardown(void)
{
    change_hub_free(&hub);
    change_hub_free(&hub);
    loop_free(&loop);
}

TestSuite(change_hub, .init = setup, .fini = teardown, .timeout = 60);

#define NUMBER  "patrol.number_changes"
#define CHANGES "patrol.board_changes"
/* Up to the last change. The number has eight bytes. */
#define END ROW("", "end", "change 1", "1")

static void answer_to(const char *sql)
{
    assert_asks(sql);
    answer(1, 4, END);
}

static void fail_at(const char *sql, const char *sqlstate)
{
    assert_asks(sql);
    fail_query(sqlstate);
}

Test(change_hub, changes_are_read_when_connected_and_every_five_seconds)
{
    for (int i = 0; i < 3; i++) {
        answer_to(NUMBER);
        answer_to(CHANGES);
        cr_assert_not(conn.querying);
        pass(loop, 5 * CLOCK_SECOND);
    }
    cr_expect_str_eq(take_log(), "");
}

Test(change_hub, what_fails_is_logged_and_tried_again_on_the_same_connection)
{
    answer_to(NUMBER);
    for (int i = 0; i < 3; i++) {
        fail_at(CHANGES, "42883");
        cr_expect_not(conn.dropped);
        cr_assert_not(conn.querying);
        pass(loop, 5 * CLOCK_SECOND);
        fail_at(NUMBER, "55P03");
        cr_expect_not(conn.dropped);
        pass(loop, 5 * CLOCK_SECOND);
        answer_to(NUMBER);
    }
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "error   database: the server's reason; pages do not get changes"), "%s", log);
    cr_expect_null(strstr(log, "pages get changes again"), "%s", log);
    answer_to(CHANGES);
    log = take_log();
    cr_expect_not_null(strstr(log, "pages get changes again"), "%s", log);
}

Test(change_hub, a_reply_that_is_incomplete_is_logged)
{
    answer_to(NUMBER);
    assert_asks(CHANGES);
    answer(0, 4, NULL);
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "incomplete reply from patrol.board_changes; pages do not get changes"), "%s", log);
    pass(loop, 5 * CLOCK_SECOND);
    answer_to(NUMBER);
    answer_to(CHANGES);
}

Test(change_hub, a_server_that_only_follows_another_is_left_which_the_log_says)
{
    fail_at(NUMBER, "25006");
    cr_expect(conn.dropped);
    cr_expect_not(conn.log_suppressed, "no other session needs a server that takes LISTEN");
    connect_played();
    answer_to(NUMBER);
    answer_to(CHANGES);
}

Test(change_hub, after_a_failure_nothing_is_read_before_its_time)
{
    for (int i = 0; i < 3; i++) {
        fail_at(NUMBER, "55P03");
        for (int n = 0; n < 20; n++) {
            change_hub_wake(hub);
            pass(loop, 50 * CLOCK_MS);
            cr_assert_not(conn.querying, "a notification does not make it sooner");
        }
        pass(loop, 5 * CLOCK_SECOND);
    }
    answer_to(NUMBER);
    answer_to(CHANGES);
}

Test(change_hub, a_page_gets_a_heartbeat_every_ten_seconds_however_often_changes_are_read)
{
    struct board_request page = {.person = "jansen"};
    change_hub_follow(hub, &page, -1);
    answer_to(NUMBER);
    cr_expect_eq(heartbeats, 0, "not before the database has replied");
    answer_to(CHANGES);
    for (unsigned seconds = 1; seconds <= 30; seconds++) {
        pass(loop, CLOCK_SECOND - CLOCK_MS);
        change_hub_wake(hub);
        pass(loop, CLOCK_MS);
        answer_to(NUMBER);
        answer_to(CHANGES);
        cr_expect_eq(heartbeats, 1 + seconds / 10, "%u after %u s", heartbeats, seconds);
    }
    page.on_abandoned(&page);
}
