/* The board: parses arguments, builds everything, runs the loop, tears down in reverse order. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event_struct.h>
#include <libpq-fe.h>
#include <yaml.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/notify.h"
#include "board/board_api.h"
#include "conf/conf_board.h"
#include "store/conninfo.h"

#define DEFAULT_FILE "/etc/mobeye-board/mobeye-board.yaml"

enum { EXIT_FATAL = 1, EXIT_CONFIGURATION = 2 };

struct board {
    struct loop *loop;
    struct conf_board *conf;
    struct board_metrics metrics;
    struct board_http *http;
    struct board_api api;
    struct http *scraped; /* /metrics */
    struct event on_term, on_int, watchdog;
};

static const char usage[] =
    "Usage: mobeye-board [OPTION]...\n"
    "Serves the patrol board: a web page for officers, coordinators and equipment managers, behind a reverse proxy "
    "that "
    "says who\nthe person is. PostgreSQL decides what each of them sees and may do.\n\n"
    "  -c, --config FILE  configuration file (default: " DEFAULT_FILE ")\n"
    "      --check        check the configuration, print every error in it, and exit\n"
    "      --debug        log debug messages\n"
    "  -V, --version      print the version, and the versions of the libraries in use\n"
    "  -h, --help         print this help\n\n"
    "Signals: TERM and INT stop.\n"
    "Exit status: 0 stopped by a signal, 1 fatal error, 2 bad configuration or usage. See mobeye-board(8).\n";

static void print_version(void)
{
    int major, minor, patch;
    yaml_get_version(&major, &minor, &patch);
    printf("mobeye-board %s\nlibevent %s\nlibpq %d.%d\nlibyaml %d.%d.%d\n", MOBEYE_VERSION, event_get_version(),
           PQlibVersion() / 10000, PQlibVersion() % 10000, major, minor, patch);
}

/* Loads the file; diagnostics go to stderr. NULL: there is an error. */
static struct conf_board *load_and_report(const char *file)
{
    struct err err;
    struct buf report = {0};
    struct conf_board *conf = conf_board_load(file, &report);
    if (conf && conninfo_check(conf->database.conninfo, &err) != 0) {
        buf_printf(&report, "%s:%zu:%zu: database.conninfo: %s (expected a libpq connection string)\n", file,
                   conf->database.pos.line, conf->database.pos.col, err.text);
        conf_board_free(&conf);
    }
    if (report.len > 0)
        fwrite(report.data, 1, report.len, stderr);
    buf_free(&report);
    return conf;
}

/* ---- metrics ---- */

static int answer_metrics(void *ctx, struct buf *ret_body)
{
    struct board *board = ctx;
    board->metrics.database_connections = db_pool_ready(board->api.pool);
    board->metrics.calls_waiting = db_pool_waiting(board->api.pool);
    board->metrics.connections = board_http_connections(board->http);
    board_metrics_write(&board->metrics, ret_body);
    return 200;
}

static int answer_ok(void *ctx, struct buf *ret_body)
{
    (void)ctx;
    buf_append_str(ret_body, STR("ok\n"));
    return 200;
}

static int open_scraped(struct board *board, struct err *err)
{
    if (!board->conf->http_listen)
        return 0;
    board->scraped = http_new(board->loop, board->conf->http_listen, err);
    if (!board->scraped)
        return -1;
    http_serve(board->scraped, "/metrics", answer_metrics, board);
    http_serve(board->scraped, "/healthz", answer_ok, board);
    log_info("http", "/metrics and /healthz on port %u", http_port(board->scraped));
    return 0;
}

/* ---- the process ---- */

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct board *board = arg;
    log_info("mobeye-board", "stopping on %s", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    notify_stopping();
    loop_stop(board->loop);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct board *board = arg;
    notify_watchdog();
    loop_arm(&board->watchdog, notify_watchdog_interval_us());
}

static void arm_events(struct board *board)
{
    struct event_base *base = loop_base(board->loop);
    evsignal_assign(&board->on_term, base, SIGTERM, on_stop, board);
    evsignal_assign(&board->on_int, base, SIGINT, on_stop, board);
    evtimer_assign(&board->watchdog, base, on_watchdog, board);
    evsignal_add(&board->on_term, NULL);
    evsignal_add(&board->on_int, NULL);
    if (notify_watchdog_interval_us() > 0)
        loop_arm(&board->watchdog, notify_watchdog_interval_us());
}

static void disarm_events(struct board *board)
{
    event_del(&board->on_term);
    event_del(&board->on_int);
    event_del(&board->watchdog);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void log_ready(const struct board *board)
{
    if (board->conf->socket_path)
        log_info("mobeye-board", "is ready on %s, version " MOBEYE_VERSION, board->conf->listen);
    else
        log_info("mobeye-board", "is ready on port %u, version " MOBEYE_VERSION, board_http_port(board->http));
    if (board->conf->identity.fixed)
        log_warning("mobeye-board", "identity.fixed: everybody on this machine acts as \"%s\"",
                    board->conf->identity.fixed);
}

/* Returns the exit status. */
static int run_board(struct board *board)
{
    struct err err = {""};
    int status = EXIT_FATAL;
    board->loop = loop_new(&err);
    if (!board->loop)
        goto report;
    arm_events(board);
    board->api.conf = board->conf;
    board->api.pool = db_pool_new(board->loop, board->conf->database.conninfo, board->conf->database.connections);
    board->api.hub = change_hub_new(board->loop, board->conf->database.conninfo, &board->metrics);
    board->http = board_http_new(board->loop, board->conf, &board->metrics, board_api_on_request, &board->api, &err);
    if (!board->http || open_scraped(board, &err) != 0)
        goto report;
    notify_ready();
    log_ready(board);
    loop_run(board->loop);
    log_info("mobeye-board", "stopped");
    status = EXIT_SUCCESS;
    goto undo;

report:
    log_error("mobeye-board", "%s", err.text);
undo:
    http_free(&board->scraped);
    board_http_free(&board->http);
    change_hub_free(&board->api.hub);
    db_pool_free(&board->api.pool);
    if (board->loop)
        disarm_events(board);
    loop_free(&board->loop);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'}, {"debug", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'V'},      {"help", no_argument, NULL, 'h'},  {NULL, 0, NULL, 0},
    };
    struct board board = {0};
    const char *file = DEFAULT_FILE;
    bool check = false;
    enum log_level level = LOG_LEVEL_INFO;
    for (int option; (option = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'd':
            level = LOG_LEVEL_DEBUG;
            break;
        case 'V':
            print_version();
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("mobeye-board: 'mobeye-board --help' lists the options\n", stderr);
            return EXIT_CONFIGURATION;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "mobeye-board: unexpected argument \"%s\"; 'mobeye-board --help' lists the options\n",
                argv[optind]);
        return EXIT_CONFIGURATION;
    }
    log_open(level);
    board.conf = load_and_report(file);
    if (!board.conf)
        return EXIT_CONFIGURATION;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    int status = check ? EXIT_SUCCESS : run_board(&board);
    conf_board_free(&board.conf);
    return status;
}
