/* The board: parses arguments, builds everything, runs the loop, tears down in reverse order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <libpq-fe.h>
#include <yaml.h>

#include "base/log.h"
#include "base/program.h"
#include "board/board_api.h"
#include "conf/conf_board.h"
#include "store/conninfo.h"
#include "store/pgtarget.h"

struct board {
    struct program program;
    struct conf_board *conf;
    struct board_metrics metrics;
    struct board_http *http;
    struct board_api api;
};

static const char usage[] =
    "Usage: mobeye-board [OPTION]...\n"
    "Serves the patrol board: a web page for officers, coordinators and equipment managers, behind a reverse proxy "
    "that\nauthenticates them. PostgreSQL decides what each of them sees and may do.\n\n"
    "  -c, --config FILE  configuration file (default: " CONF_BOARD_FILE ")\n"
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

static struct conf_board *load_and_report(const char *file)
{
    struct err err;
    struct buf report = {0};
    struct conf_board *conf = conf_board_load(file, &report);
    const char *conninfo = conf ? conf->database.conninfo : NULL;
    if (conf && (conninfo_check(conninfo, &err) != 0 || pgtargets_check(conninfo, &err) != 0)) {
        buf_printf(&report, "%s:%zu:%zu: database.conninfo: %s (expected a libpq connection string)\n", file,
                   conf->database.pos.line, conf->database.pos.col, err.text);
        conf_board_free(&conf);
    }
    program_report(&report, conf != NULL);
    return conf;
}

static int answer_metrics(void *ctx, struct buf *ret_body)
{
    struct board *board = ctx;
    board->metrics.database_connections = db_pool_ready(board->api.pool);
    board->metrics.calls_waiting = db_pool_waiting(board->api.pool);
    board->metrics.connections = board_http_connections(board->http);
    board->metrics.streams_unread_bytes = board_http_unread(board->http);
    board_metrics_write(&board->metrics, ret_body);
    return 200;
}

static void on_fixed_person(void *ctx, const struct db_reply *reply)
{
    const struct board *board = ctx;
    if (reply->status == 403)
        log_error("mobeye-board",
                  "identity.fixed: \"%s\" is not a registered person who may use the board, so nobody can use it "
                  "(expected a login that mobeyectl people lists)",
                  board->conf->identity.fixed);
}

static bool is_always_wanted(void *ctx)
{
    (void)ctx;
    return true;
}

/* The database has become usable, at the start or after an interruption. */
static void on_usable(void *ctx)
{
    struct board *board = ctx;
    const struct db_caller caller = {on_fixed_person, is_always_wanted, board};
    change_hub_start(board->api.hub);
    if (board->conf->identity.fixed)
        db_pool_call(board->api.pool, &(struct db_request){.person = board->conf->identity.fixed, .name = "me"},
                     &caller);
}

static void log_ready(const struct board *board)
{
    const char *listen = board->conf->listen;
    if (board->conf->socket_path)
        log_info("mobeye-board", "is ready on %s, version " MOBEYE_VERSION, listen);
    else
        log_info("mobeye-board", "is ready on http://%.*s:%u, version " MOBEYE_VERSION,
                 (int)(strrchr(listen, ':') - listen), listen, board_http_port(board->http));
    if (board->conf->identity.fixed)
        log_warning("mobeye-board", "identity.fixed: everybody on this machine acts as \"%s\"",
                    board->conf->identity.fixed);
}

/* Returns the exit status. */
static int run_board(struct board *board)
{
    static const struct program_calls calls = {.answer_metrics = answer_metrics};
    struct err err = {""};
    int status = PROGRAM_FATAL;
    if (program_begin(&board->program, "mobeye-board", &calls, board, &err) != 0)
        goto report;
    struct loop *loop = board->program.loop;
    board->api.conf = board->conf;
    board->api.hub = change_hub_new(loop, board->conf->database.conninfo, &board->metrics);
    board->api.pool =
        db_pool_new(loop, board->conf->database.conninfo, board->conf->database.connections, on_usable, board);
    board->http = board_http_new(loop, board->conf, &board->metrics, board_api_on_request, &board->api, &err);
    if (!board->http || program_listen(&board->program, board->conf->http_listen, &err) != 0)
        goto report;
    program_ready(&board->program);
    log_ready(board);
    loop_run(loop);
    log_info("mobeye-board", "stopped");
    status = EXIT_SUCCESS;
    goto undo;

report:
    log_error("mobeye-board", "%s", err.text);
undo:
    program_disarm(&board->program);
    board_http_free(&board->http);
    db_pool_free(&board->api.pool);
    change_hub_free(&board->api.hub);
    program_end(&board->program);
    return status;
}

int main(int argc, char **argv)
{
    struct program_options options = {
        .name = "mobeye-board", .usage = usage, .print_version = print_version, .file = CONF_BOARD_FILE};
    int status = program_parse(&options, argc, argv);
    if (status >= 0)
        return status;
    struct board board = {.conf = load_and_report(options.file)};
    if (!board.conf)
        return PROGRAM_CONFIGURATION;
    status = options.check ? program_valid(options.file, "") : run_board(&board);
    conf_board_free(&board.conf);
    return status;
}
