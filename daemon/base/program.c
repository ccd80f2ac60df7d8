#include "base/program.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/notify.h"

#define STATUS_EVERY_US (5 * CLOCK_SECOND)

/* ---- arguments ---- */

static int usage_error(const struct program_options *options, const char *argument)
{
    fprintf(stderr, "%s: ", options->name);
    if (argument)
        fprintf(stderr, "unexpected argument \"%s\"; ", argument);
    fprintf(stderr, "'%s --help' lists the options\n", options->name);
    return PROGRAM_CONFIGURATION;
}

static const char *option_name(const void *ctx, size_t i)
{
    const struct option *all = ctx;
    return all[i].name;
}

/* An option that does not exist or lacks its argument, which getopt_long() has reported. */
static void suggest_option(const struct program_options *options, const struct option *all, const char *argument)
{
    char name[32] = "";
    if (strncmp(argument, "--", 2) == 0)
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *nearest = nearest_word(name, option_name, all);
    if (nearest && strcmp(nearest, name) != 0)
        fprintf(stderr, "%s: did you mean --%s?\n", options->name, nearest);
}

/* The exit status of what was printed on stdout. */
static int printed(const char *subject)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: cannot write to stdout: %s\n", subject, strerror(errno));
    return PROGRAM_FATAL;
}

/* Until program_begin() there is nothing to stop. */
static void end_at_once(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_SUCCESS);
}

static void mask_hangup(int how)
{
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(how, &hangup, NULL);
}

int program_parse(struct program_options *o, int argc, char **argv)
{
    const struct option all[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"debug", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {o->has_db ? "db" : NULL, required_argument, NULL, 'D'},
        {NULL, 0, NULL, 0},
    };
    enum log_level level = LOG_LEVEL_INFO;
    file_hold_standard();
    signal(SIGTERM, end_at_once);
    signal(SIGINT, end_at_once);
    mask_hangup(SIG_BLOCK);
    for (int option; (option = getopt_long(argc, argv, "c:Vh", all, NULL)) != -1;) {
        switch (option) {
        case 'c':
            o->file = optarg;
            break;
        case 'k':
            o->check = true;
            break;
        case 'd':
            level = LOG_LEVEL_DEBUG;
            break;
        case 'D':
            o->db = optarg;
            break;
        case 'V':
            o->print_version();
            return printed(o->name);
        case 'h':
            fputs(o->usage, stdout);
            return printed(o->name);
        default:
            suggest_option(o, all, argv[optind - 1]);
            return usage_error(o, NULL);
        }
    }
    if (o->db && !o->check) {
        fprintf(stderr, "%s: --db requires --check; the daemon uses database.conninfo\n", o->name);
        return PROGRAM_CONFIGURATION;
    }
    if (optind < argc)
        return usage_error(o, argv[optind]);
    if (o->check) {
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        mask_hangup(SIG_UNBLOCK);
    }
    log_open(level);
    return -1;
}

/* ---- reports ---- */

void program_log_report(enum log_level level, const char *subject, struct buf *report)
{
    buf_append(report, "", 1);
    for (char *rest = report->data, *line; (line = strsep(&rest, "\n"));)
        if (*line)
            log_line(level, subject, "%s", line);
    report->len = 0;
}

void program_report(struct buf *report, bool good)
{
    if (log_is_journal())
        program_log_report(good ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "configuration", report);
    else if (report->len > 0)
        fwrite(report->data, 1, report->len, stderr);
    buf_free(report);
}

int program_valid(const char *file, const char *unchecked)
{
    printf("%s: valid%s\n", file, unchecked);
    return printed(file);
}

/* ---- signals and timers ---- */

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct program *p = arg;
    p->stopping = true;
    log_info(p->name, "stopping on %s", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    notify_stopping();
    if (p->calls->on_stop)
        p->calls->on_stop(p->ctx);
    else
        loop_stop(p->loop);
}

static void tell_status(struct program *p)
{
    struct buf text = {0};
    p->calls->on_status(p->ctx, &text);
    notify_status("%.*s", (int)text.len, text.data ? text.data : "");
    buf_free(&text);
}

static void on_reload(evutil_socket_t signal_number, short what, void *arg)
{
    (void)signal_number, (void)what;
    struct program *p = arg;
    if (p->stopping)
        return;
    if (!p->calls->on_reload) {
        log_warning(p->name, "SIGHUP: the configuration is not read again (restart to apply changes)");
        return;
    }
    notify_reloading();
    p->calls->on_reload(p->ctx);
    if (p->calls->on_status)
        tell_status(p);
    notify_ready();
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct program *p = arg;
    if (!p->calls->progresses || p->calls->progresses(p->ctx))
        notify_watchdog();
    loop_arm(&p->watchdog, notify_watchdog_interval_us());
}

static void on_status(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct program *p = arg;
    tell_status(p);
    loop_arm(&p->status, STATUS_EVERY_US);
}

/* Each connection takes a descriptor. Failure is harmless: at the limit new connections wait. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int program_begin(struct program *p, const char *name, const struct program_calls *calls, void *ctx, struct err *err)
{
    p->name = name;
    p->calls = calls;
    p->ctx = ctx;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    p->loop = loop_new(err);
    if (!p->loop)
        return -1;
    struct event_base *base = loop_base(p->loop);
    evsignal_assign(&p->term, base, SIGTERM, on_stop, p);
    evsignal_assign(&p->interrupt, base, SIGINT, on_stop, p);
    evsignal_assign(&p->hangup, base, SIGHUP, on_reload, p);
    evtimer_assign(&p->watchdog, base, on_watchdog, p);
    evtimer_assign(&p->status, base, on_status, p);
    evsignal_add(&p->term, NULL);
    evsignal_add(&p->interrupt, NULL);
    evsignal_add(&p->hangup, NULL);
    mask_hangup(SIG_UNBLOCK);
    return 0;
}

void program_ready(struct program *p)
{
    if (notify_watchdog_interval_us() > 0)
        loop_arm(&p->watchdog, notify_watchdog_interval_us());
    if (p->calls->on_status)
        loop_arm(&p->status, 0);
    notify_ready();
}

/* ---- /metrics ---- */

static int answer_ok(void *ctx, struct buf *ret_body)
{
    (void)ctx;
    buf_append_str(ret_body, STR("ok\n"));
    return 200;
}

int program_listen(struct program *p, const char *address, struct err *err)
{
    if (!address)
        return 0;
    p->http = http_new(p->loop, address, err);
    if (!p->http)
        return -1;
    http_serve(p->http, "/metrics", p->calls->answer_metrics, p->ctx);
    http_serve(p->http, "/healthz", answer_ok, NULL);
    if (p->calls->answer_ready)
        http_serve(p->http, "/readyz", p->calls->answer_ready, p->ctx);
    log_info("http", "%s on port %u",
             p->calls->answer_ready ? "/metrics, /healthz and /readyz" : "/metrics and /healthz", http_port(p->http));
    return 0;
}

void program_disarm(struct program *p)
{
    if (!p->loop)
        return;
    event_del(&p->term);
    event_del(&p->interrupt);
    event_del(&p->hangup);
    event_del(&p->watchdog);
    event_del(&p->status);
    http_free(&p->http);
}

void program_end(struct program *p)
{
    loop_free(&p->loop);
}
