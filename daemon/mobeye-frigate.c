/* mobeye-frigate: parses arguments, builds everything, runs the loop, tears down in reverse order. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event_struct.h>
#include <mosquitto.h>
#include <sodium.h>
#include <yaml.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/log.h"
#include "base/notify.h"
#include "frigate/bridge.h"
#include "ingest/json_read.h"

#define DEFAULT_FILE    "/etc/mobeye-frigate/mobeye-frigate.yaml"
#define STATUS_EVERY_US (5 * CLOCK_SECOND)

enum { EXIT_FATAL = 1, EXIT_CONFIGURATION = 2 };

struct program {
    struct loop *loop;
    struct frigate_metrics metrics;
    struct bridge *bridge;
    struct http *http;
    struct event on_term, on_int, watchdog, status;
};

static const char usage[] =
    "Usage: mobeye-frigate [OPTION]...\n"
    "Sends what a Frigate camera server sees to mobeyed, as alerts with images.\n\n"
    "  -c, --config FILE  configuration file (default: " DEFAULT_FILE ")\n"
    "      --check        check the configuration, print every error in it, and exit\n"
    "      --debug        log debug messages\n"
    "  -V, --version      print the version, and the versions of the libraries in use\n"
    "  -h, --help         print this help\n\n"
    "Signals: TERM and INT stop.\n"
    "Exit status: 0 stopped by a signal, 1 fatal error, 2 bad configuration or usage. See mobeye-frigate(8).\n";

static void print_version(void)
{
    int major, minor, patch;
    printf("mobeye-frigate %s\nlibevent %s\n", MOBEYE_VERSION, event_get_version());
    zmq_version(&major, &minor, &patch);
    printf("libzmq %d.%d.%d\n", major, minor, patch);
    mosquitto_lib_version(&major, &minor, &patch);
    printf("libmosquitto %d.%d.%d\nlibcurl %s\n", major, minor, patch, curl_version_info(CURLVERSION_NOW)->version);
    yaml_get_version(&major, &minor, &patch);
    printf("libyaml %d.%d.%d\n%s\nlibsodium %s\n", major, minor, patch, json_library(), sodium_version_string());
}

/* Diagnostics go to stderr as they are, or to journald with their priority. */
static struct conf_frigate *load_and_report(const char *file)
{
    struct buf report = {0};
    struct conf_frigate *conf = conf_frigate_load(file, &report);
    if (!log_is_journal() && report.len > 0)
        fwrite(report.data, 1, report.len, stderr);
    buf_append(&report, "", 1);
    for (char *rest = report.data, *line; log_is_journal() && (line = strsep(&rest, "\n"));)
        if (*line)
            log_line(conf ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "configuration", "%s", line);
    buf_free(&report);
    return conf;
}

static int answer_metrics(void *ctx, struct buf *ret_body)
{
    struct program *p = ctx;
    bridge_gauges(p->bridge);
    frigate_metrics_write(&p->metrics, ret_body);
    return 200;
}

static int answer_ok(void *ctx, struct buf *ret_body)
{
    (void)ctx;
    buf_append_str(ret_body, STR("ok\n"));
    return 200;
}

static int open_http(struct program *p, const char *listen, struct err *err)
{
    if (!listen)
        return 0;
    p->http = http_new(p->loop, listen, err);
    if (!p->http)
        return -1;
    http_serve(p->http, "/metrics", answer_metrics, p);
    http_serve(p->http, "/healthz", answer_ok, p);
    log_info("http", "/metrics and /healthz on port %u", http_port(p->http));
    return 0;
}

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct program *p = arg;
    log_info("mobeye-frigate", "stopping on %s", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    notify_stopping();
    loop_stop(p->loop);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct program *p = arg;
    notify_watchdog();
    loop_arm(&p->watchdog, notify_watchdog_interval_us());
}

static void on_status(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct program *p = arg;
    struct buf text = {0};
    bridge_status(p->bridge, &text);
    notify_status("%.*s", (int)text.len, text.data);
    buf_free(&text);
    loop_arm(&p->status, STATUS_EVERY_US);
}

static void arm_signals(struct program *p)
{
    struct event_base *base = loop_base(p->loop);
    evsignal_assign(&p->on_term, base, SIGTERM, on_stop, p);
    evsignal_assign(&p->on_int, base, SIGINT, on_stop, p);
    evsignal_add(&p->on_term, NULL);
    evsignal_add(&p->on_int, NULL);
    evtimer_assign(&p->watchdog, base, on_watchdog, p);
    evtimer_assign(&p->status, base, on_status, p);
}

static void disarm_events(struct program *p)
{
    event_del(&p->on_term);
    event_del(&p->on_int);
    event_del(&p->watchdog);
    event_del(&p->status);
}

/* Returns the exit status. */
static int run_program(struct program *p, const struct conf_frigate *conf)
{
    struct err err = {""};
    int status = EXIT_FATAL;
    p->loop = loop_new(&err);
    if (!p->loop) {
        log_error("mobeye-frigate", "%s", err.text);
        return status;
    }
    arm_signals(p);
    p->bridge = bridge_new(p->loop, conf, &p->metrics, &err);
    if (!p->bridge || open_http(p, conf->http_listen, &err) != 0) {
        log_error("mobeye-frigate", "%s", err.text);
        goto undo;
    }
    if (notify_watchdog_interval_us() > 0)
        loop_arm(&p->watchdog, notify_watchdog_interval_us());
    loop_arm(&p->status, 0);
    notify_ready();
    log_info("mobeye-frigate", "%s is ready, version " MOBEYE_VERSION, conf->name);
    loop_run(p->loop);
    if (!bridge_failed(p->bridge)) {
        log_info("mobeye-frigate", "stopped");
        status = EXIT_SUCCESS;
    }
undo:
    disarm_events(p);
    http_free(&p->http);
    bridge_free(&p->bridge);
    loop_free(&p->loop);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'}, {"debug", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'V'},      {"help", no_argument, NULL, 'h'},  {NULL, 0, NULL, 0},
    };
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
            fputs("mobeye-frigate: 'mobeye-frigate --help' lists the options\n", stderr);
            return EXIT_CONFIGURATION;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "mobeye-frigate: unexpected argument \"%s\"; 'mobeye-frigate --help' lists the options\n",
                argv[optind]);
        return EXIT_CONFIGURATION;
    }
    log_open(level);
    struct conf_frigate *conf = load_and_report(file);
    int status = conf ? EXIT_SUCCESS : EXIT_CONFIGURATION;
    if (conf && !check) {
        struct program program = {0};
        signal(SIGPIPE, SIG_IGN);
        /* A name server that does not answer must not hold up a stop. */
        setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);
        status = run_program(&program, conf);
    }
    conf_frigate_free(&conf);
    return status;
}
