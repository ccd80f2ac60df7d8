/* What mobeyectl reads from a daemon's /metrics, served as by the daemon. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

#include "base/http.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "ctl/lib/scrape.h"

struct server {
    struct loop *loop;
    struct http *http;
    pthread_t thread;
    const char *text;
    int status;
    char listen[32];
};

static int answer(void *ctx, struct buf *ret_body)
{
    struct server *server = ctx;
    buf_append_str(ret_body, str_from(server->text));
    return server->status;
}

static void *serve(void *arg)
{
    struct server *server = arg;
    loop_run(server->loop);
    return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    loop_stop(arg);
}

static void free_address(char listen[32])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    snprintf(listen, 32, "127.0.0.1:%u", ntohs(address.sin_port));
}

static int fetch(const char *text, int status, struct scrape *ret, struct err *err)
{
    struct server server = {.text = text, .status = status};
    server.loop = loop_new(err);
    free_address(server.listen);
    server.http = http_new(server.loop, server.listen, err);
    cr_assert_not_null(server.http, "%s", err->text);
    http_serve(server.http, "/metrics", answer, &server);
    int pipe_fds[2];
    cr_assert_eq(pipe(pipe_fds), 0);
    struct event stop;
    event_assign(&stop, loop_base(server.loop), pipe_fds[0], EV_READ, on_stop, server.loop);
    event_add(&stop, NULL);
    pthread_create(&server.thread, NULL, serve, &server);

    int result = scrape_fetch(server.listen, ret, err);

    close(pipe_fds[1]);
    pthread_join(server.thread, NULL);
    event_del(&stop);
    close(pipe_fds[0]);
    http_free(&server.http);
    loop_free(&server.loop);
    return result;
}

static struct buf metrics_text(void)
{
    static const char *const codes[] = {"malformed", "invalid"};
    struct metrics *metrics = metrics_new((struct metrics_words){codes, 2}, (struct metrics_words){codes, 2},
                                          (struct metrics_words){codes, 2});
    struct metrics_endpoint *door = metrics_endpoint(metrics, "door"), *odd = metrics_endpoint(metrics, "a \"b\"");
    door->received_total = 12;
    door->rejected_total[0] = 3;
    door->rejected_total[1] = 4;
    odd->received_total = 30;
    odd->rejected_total[1] = 5;
    odd->last_received_timestamp_seconds = 1764000000.25;
    metrics->journaled_total = 35;
    struct buf text = {0};
    metrics_write(metrics, &text);
    buf_append(&text, "", 1);
    metrics_free(&metrics);
    return text;
}

Test(scrape, reads_numbers_by_name_and_endpoint)
{
    struct buf text = metrics_text();
    struct scrape scrape = {0};
    struct err err;
    cr_assert_eq(fetch(text.data, 200, &scrape, &err), 0, "%s", err.text);
    cr_assert_eq(scrape_value(&scrape, "journaled_total", NULL), 35);
    cr_assert_eq(scrape_value(&scrape, "received_total", NULL), 42);
    cr_assert_eq(scrape_value(&scrape, "rejected_total", NULL), 12);
    cr_assert(isnan(scrape_value(&scrape, "journaled", NULL)));

    struct str name;
    cr_assert(scrape_endpoint(&scrape, 0, &name));
    cr_assert(str_is(name, "door"));
    cr_assert_eq(scrape_value(&scrape, "received_total", &name), 12);
    cr_assert_eq(scrape_value(&scrape, "rejected_total", &name), 7);
    cr_assert(scrape_endpoint(&scrape, 1, &name));
    cr_assert(str_is(name, "a \\\"b\\\""), "%.*s", (int)name.len, name.p);
    cr_assert_eq(scrape_value(&scrape, "rejected_total", &name), 5);
    cr_assert_eq(scrape_value(&scrape, "last_received_timestamp_seconds", &name), 1764000000.25);
    cr_assert_not(scrape_endpoint(&scrape, 2, &name));
    buf_free(&scrape.text);
    buf_free(&text);
}

Test(scrape, skips_what_it_cannot_read)
{
    struct scrape scrape = {0};
    struct err err;
    cr_assert_eq(
        fetch("other 1\nmobeyed_\nmobeyed_x{ 3\nmobeyed_x{}\nmobeyed_x 2\n# mobeyed_x 9\n"
              "mobeyed_received_total{code=\"a\"} 1\nmobeyed_received_total{endpoint=\"ab\\} 1\nmobeyed_x{a=\"} 5",
              200, &scrape, &err),
        0);
    cr_assert_eq(scrape_value(&scrape, "x", NULL), 7);
    struct str name;
    cr_assert(scrape_endpoint(&scrape, 0, &name));
    cr_assert(str_is(name, "ab\\"), "%.*s", (int)name.len, name.p);
    cr_assert_not(scrape_endpoint(&scrape, 1, &name));
    buf_free(&scrape.text);
}

Test(scrape, tells_another_server_from_a_mobeyed)
{
    struct scrape scrape = {0};
    struct err err;
    cr_assert_eq(fetch("hello\n", 200, &scrape, &err), -1);
    cr_assert(strstr(err.text, "does not serve the metrics of mobeyed"), "%s", err.text);
    cr_assert_eq(fetch("mobeyed_x 1\n", 503, &scrape, &err), -1);
    cr_assert(strstr(err.text, "status 503"), "%s", err.text);
    buf_free(&scrape.text);
}

Test(scrape, says_where_nobody_answers)
{
    struct scrape scrape = {0};
    struct err err;
    char listen[32];
    free_address(listen);
    cr_assert_eq(scrape_fetch(listen, &scrape, &err), -1);
    cr_assert(strstr(err.text, listen), "%s", err.text);
    cr_assert_eq(scrape_fetch("somewhere", &scrape, &err), -1);
    cr_assert(strstr(err.text, "is not an address to connect to"), "%s", err.text);
    buf_free(&scrape.text);
}
