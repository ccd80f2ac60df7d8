/* mobeyectl watch: delivers every change of an incident to standard output, a command or a webhook. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/notify.h"
#include "conf/near_value.h"
#include "conf/value.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/stop_signal.h"
#include "ctl/operate/team_check.h"
#include "ctl/operate/watch_changes.h"
#include "ctl/operate/watch_cursor.h"
#include "ctl/operate/watch_dead.h"
#include "ctl/operate/watch_deliver.h"
#include "ctl/operate/watch_metrics.h"
#include "ctl/operate/watch_options.h"
#include "ctl/operate/watch_template.h"
#include "store/pgconn.h"

#define VERB "watch"

/* NOTIFY is only a hint: without one, changes are queried this often. */
#define LOOK_US        (30 * CLOCK_SECOND)
#define RETRY_LEAST_US CLOCK_SECOND
#define RETRY_MOST_US  (5 * CLOCK_MINUTE)
#define GIVE_UP_US     (10 * CLOCK_MINUTE)
/* An event whose time is over when its turn comes is tried once, with a short timeout. If two in a row get no response,
 * the receiver is considered down: such events are then given up untried, except for an occasional probe. */
#define LATE_TIMEOUT_S 5
#define DOWN_EVENTS    2
#define DOWN_PROBE_US  (30 * CLOCK_SECOND)

static const char help[] =
    "Usage: mobeyectl watch [OPTION]...\n"
    "Delivers every change of an incident as a CloudEvent in JSON to standard output, a command or a webhook.\n\n"
    "It follows patrol.changes and skips nothing, unless the database was restored to an earlier time (--after in\n"
    "the manual). An event that is not accepted is tried again before the next one, and after some time becomes a\n"
    "dead letter. After a crash the last event may be delivered twice, with the same id.\n\n"
    "      --after N         start after change N (default: at the cursor, otherwise with the next change)\n"
    "      --cursor FILE     store the position in FILE (default: $STATE_DIRECTORY/cursor if systemd sets it)\n"
    "      --team TEAM       only incidents of TEAM and incidents without a team\n"
    "      --only OP,...     only changes of these kinds: new alert status verified overdue mute note link\n"
    "      --include NAME,... add to the data of the event: reference kind priority wijk buurt team "
    "verified_by\n"
    "                        drill first_seen overdue_step\n"
    "      --template FILE   send this message with {{name}} filled in instead of the event; see mobeyectl(1) and the\n"
    "                        templates for ntfy, Slack, GoAlert and e-mail in /usr/share/mobeyed/watch\n"
    "      --exec COMMAND    run COMMAND with sh for each event, which is its standard input; exit status 0 accepts "
    "it\n"
    "      --webhook URL     POST each event to URL; a 2xx response accepts it\n"
    "      --webhook-file SOURCE\n"
    "                        like --webhook, for a secret URL or secret header fields: the first line is the URL, the\n"
    "                        others are fields (Authorization: Bearer ...); a file of mode 0600, or credential:NAME\n"
    "      --secret SOURCE   sign events: Mobeye-Signature is sha256=HMAC of the body; SOURCE, as above, has the key,\n"
    "                        at least 16 bytes\n"
    "      --dead-letter FILE\n"
    "                        append events that are not accepted in time (default: $STATE_DIRECTORY/dead-letter if\n"
    "                        systemd sets it; otherwise an event is tried until it is accepted)\n"
    "      --give-up TIME    how long to try an event before it becomes a dead letter (default: 10m)\n"
    "      --retry           try the dead letters once, remove those that are accepted from the file, and exit\n"
    "      --metrics FILE    write metrics for the textfile collector of node_exporter\n"
    "      --heartbeat TIME  send a heartbeat event (mobeye.watch.heartbeat.v1) every TIME, for a dead man's switch\n"
    "      --once            exit when there are no more changes\n"
    "  -c, --config FILE     configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO     libpq connection string; overrides database.conninfo\n"
    "  -h, --help            print this help\n\n"
    "Example:\n"
    "  $ mobeyectl watch --cursor /var/tmp/cursor --webhook https://example.org/incidents\n"
    "  $ mobeyectl watch --only new,overdue --include reference,kind,wijk,team \\\n"
    "      --template /usr/share/mobeyed/watch/mail.template --exec '/usr/sbin/sendmail -t'\n\n" CTL_EXIT_HELP;

struct watch {
    struct ctl_call call;
    const char *team, *cursor, *secret_source, *webhook_source, *dead_letter, *metrics_file, *template_file;
    const char *include, *only; /* words separated by commas; NULL: not given */
    struct delivery delivery;
    struct watch_metrics metrics;
    int64_t heartbeat_us; /* 0: none */
    int64_t give_up_us;
    unsigned unanswered;  /* number of events given up in a row without any response */
    int64_t probe_due_us; /* when a receiver that is down is tried again */
    bool once, retry;
    bool has_after;
    int64_t after; /* the last change that was delivered */
    PGconn *conn;
    bool no_team; /* --team names a team that does not exist */
    int64_t beat_due_us;
    int64_t skip_due_us; /* when the cursor is next stored merely to skip what this role does not see */
};

static int store_cursor(struct watch *w)
{
    struct err err;
    return !w->cursor || cursor_store(w->cursor, w->after, &err) == 0 ? CTL_OK : ctl_fail(VERB, "%s", err.text);
}

/* If the metrics cannot be written, this is logged and does not stop the verb. */
static void write_metrics(struct watch *w, int64_t waiting_us)
{
    struct err err;
    w->metrics.waiting_us = waiting_us;
    if (w->metrics_file && watch_metrics_write(&w->metrics, w->metrics_file, &err) != 0)
        ctl_fail(VERB, "%s", err.text);
}

/* One attempt to deliver an event that will be given up in left_us. */
static enum delivery_result try_to_deliver(struct watch *w, struct str event, int64_t left_us, struct err *err)
{
    int64_t timeout_s = DELIVERY_TIMEOUT_S;
    if (w->dead_letter && left_us < DELIVERY_TIMEOUT_S * CLOCK_SECOND)
        timeout_s = left_us > 0 ? left_us / CLOCK_SECOND + 1 : LATE_TIMEOUT_S;
    enum delivery_result result = delivery_send(&w->delivery, event, (int)timeout_s, err);
    if (result != DELIVERY_UNANSWERED)
        w->unanswered = 0;
    w->metrics.taken += result == DELIVERY_TAKEN;
    w->metrics.failed += result != DELIVERY_TAKEN;
    if (result == DELIVERY_TAKEN)
        w->metrics.taken_wall_us = clock_wall_us();
    else if (result == DELIVERY_UNANSWERED && left_us <= 0)
        w->probe_due_us = clock_mono_us() + DOWN_PROBE_US;
    return result;
}

/* Makes the event a dead letter. false: it could not be written, so the event must wait. */
static bool give_up(struct watch *w, struct str event, const char *why)
{
    struct err err;
    if (dead_append(w->dead_letter, event, &err) != 0) {
        ctl_fail(VERB, "%s", err.text);
        return false;
    }
    w->metrics.dead++;
    ctl_fail(VERB, "%s; event given up (see %s)", why, w->dead_letter);
    return true;
}

/* Waits that long, or for a signal. Keeps the watchdog quiet: waiting for a receiver that is down is not a failure. */
static void wait_alive(int64_t us)
{
    for (int64_t until_us = clock_mono_us() + us; us > 0 && !stop_signal_arrived(); us = until_us - clock_mono_us()) {
        notify_watchdog();
        stop_signal_wait(-1, us < LOOK_US ? us : LOOK_US);
    }
    notify_watchdog();
}

/* Tries until the event is accepted or its time is over. false: a signal stopped it. due_us: when the event became due.
 */
static bool deliver(struct watch *w, struct str event, int64_t due_us)
{
    struct err err = {"no response"};
    enum delivery_result result = DELIVERY_UNANSWERED;
    for (unsigned attempt = 0; !stop_signal_arrived(); attempt++) {
        int64_t left_us = due_us + w->give_up_us - clock_mono_us();
        bool down = w->dead_letter && left_us <= 0 && w->unanswered >= DOWN_EVENTS && clock_mono_us() < w->probe_due_us;
        if (!down)
            result = try_to_deliver(w, event, left_us, &err);
        if (result == DELIVERY_TAKEN)
            return true;
        int64_t now_us = clock_mono_us();
        left_us = due_us + w->give_up_us - now_us;
        write_metrics(w, now_us - due_us);
        if (w->dead_letter && left_us <= 0 && give_up(w, event, err.text)) {
            w->unanswered += result == DELIVERY_UNANSWERED;
            return true;
        }
        int64_t pause_us = RETRY_LEAST_US + pgconn_backoff_us(RETRY_LEAST_US, RETRY_MOST_US, attempt);
        if (w->dead_letter && left_us > 0 && left_us < pause_us)
            pause_us = left_us;
        if (!down)
            ctl_fail(VERB, "%s; trying again in %.0f s", err.text, (double)pause_us / 1e6);
        notify_status("not delivered: %s", err.text);
        wait_alive(pause_us);
    }
    return false;
}

static void send_heartbeat(struct watch *w)
{
    char now[CLOCK_RFC3339_SIZE];
    struct buf event = {0};
    int64_t now_us = clock_wall_us();
    buf_printf(&event,
               "{\"specversion\": \"1.0\", \"id\": \"heartbeat-%" PRId64 "\", \"source\": \"/mobeyed/watch\", "
               "\"type\": \"mobeye.watch.heartbeat.v1\", \"time\": \"%s\", \"data\": {\"after\": %" PRId64 "}}",
               now_us, clock_format_rfc3339(now_us, 3, now), w->after);
    struct err err;
    if (delivery_send(&w->delivery, buf_str(&event), DELIVERY_TIMEOUT_S, &err) != DELIVERY_TAKEN)
        ctl_fail(VERB, "heartbeat: %s", err.text);
    buf_free(&event);
    w->beat_due_us = clock_mono_us() + w->heartbeat_us;
}

static PGresult *query(struct watch *w, const char *sql, int n, const char *const *values)
{
    return ctl_query(w->conn, VERB, "cannot read the changes", sql, n, values);
}

/* Assigns numbers to people's changes, as a daemon does every second; none need be running. */
static bool number_changes(struct watch *w)
{
    PGresult *numbered = query(w, "select patrol.number_changes()", 0, NULL);
    PQclear(numbered);
    return numbered != NULL;
}

static bool read_last_change(struct watch *w, int64_t *ret)
{
    PGresult *rows = query(w, "select patrol.last_change()", 0, NULL);
    bool read = rows != NULL;
    if (read)
        *ret = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    return read;
}

/* Without a starting point: starts after the latest change. Likewise if that is lower than the starting point, as in a
 * restored database: otherwise nothing would be sent until as many changes have happened again. */
static bool find_start(struct watch *w)
{
    int64_t last = 0;
    bool found = number_changes(w) && read_last_change(w, &last);
    if (!found || (w->has_after && w->after <= last))
        return found;
    if (w->has_after)
        ctl_fail(VERB,
                 "change %" PRId64 " was delivered before, but the last change of the database is %" PRId64
                 ": it was restored to an earlier time (continuing after %" PRId64 ")",
                 w->after, last, last);
    w->after = last;
    w->has_after = true;
    return store_cursor(w) == CTL_OK;
}

static bool connected(struct watch *w)
{
    if (w->conn && PQstatus(w->conn) == CONNECTION_OK)
        return true;
    PQfinish(w->conn);
    w->conn = ctl_connect(VERB, w->call.file, w->call.db);
    if (!w->conn)
        return false;
    PGresult *listens = ctl_query(w->conn, VERB, "listen", "listen mobeye_incident", 0, NULL);
    int team = listens ? team_check(VERB, w->conn, w->team) : CTL_FAILED;
    bool good = team == CTL_GO && find_start(w);
    w->no_team = team == CTL_USAGE;
    PQclear(listens);
    if (!good) {
        PQfinish(w->conn);
        w->conn = NULL;
    }
    return good;
}

/* Moves to a change up to which this role sees no others, without a sync for each. */
static bool skip_unseen(struct watch *w, int64_t last)
{
    if (last <= w->after)
        return true;
    w->after = last;
    if (clock_mono_us() < w->skip_due_us)
        return true;
    w->skip_due_us = clock_mono_us() + CLOCK_MINUTE;
    return store_cursor(w) == CTL_OK;
}

/* Returns the number of changes read; -1: they could not be read. */
static int deliver_changes(struct watch *w)
{
    char after[24];
    int64_t last = 0;
    snprintf(after, sizeof(after), "%" PRId64, w->after);
    const char *values[] = {after, w->team, w->include, w->only};
    /* Reads the last number first, then the rows: they may include later changes, but none is missed. */
    PGresult *rows = number_changes(w) && read_last_change(w, &last) ? query(w, CHANGES_SQL, 4, values) : NULL;
    int n = rows ? PQntuples(rows) : -1;
    int64_t due_us = clock_mono_us();
    for (int i = 0; i < n && !stop_signal_arrived(); i++) {
        stop_signal_wait(-1, 0);
        notify_watchdog();
        bool wanted = *PQgetvalue(rows, i, 1) == 't';
        if (wanted && !deliver(w, (struct str){PQgetvalue(rows, i, 2), (size_t)PQgetlength(rows, i, 2)}, due_us))
            break;
        w->after = strtoll(PQgetvalue(rows, i, 0), NULL, 10);
        if ((wanted || i + 1 == n) && store_cursor(w) != CTL_OK)
            n = -1;
    }
    if (n == 0 && !skip_unseen(w, last))
        n = -1;
    PQclear(rows);
    return n;
}

static void drop_notifies(struct watch *w)
{
    PGnotify *notify;
    PQconsumeInput(w->conn);
    while ((notify = PQnotifies(w->conn)) != NULL)
        PQfreemem(notify);
}

/* Waits for a notification, the next query or the next heartbeat. */
static void wait_for_changes(struct watch *w)
{
    int64_t us = LOOK_US;
    if (w->heartbeat_us > 0 && w->beat_due_us - clock_mono_us() < us)
        us = w->beat_due_us - clock_mono_us();
    stop_signal_wait(PQsocket(w->conn), us > 0 ? us : 0);
    drop_notifies(w);
}

static int run_watch(struct watch *w)
{
    for (unsigned failures = 0; !stop_signal_arrived();) {
        int n = connected(w) ? deliver_changes(w) : -1;
        if (w->heartbeat_us > 0 && clock_mono_us() >= w->beat_due_us && n >= 0)
            send_heartbeat(w);
        notify_watchdog();
        if (w->no_team)
            return CTL_USAGE; /* at once, also after a team was removed: its receiver would be silent from then on */
        if (n < 0 && w->once)
            return CTL_FAILED;
        if (n < 0) {
            wait_alive(RETRY_LEAST_US + pgconn_backoff_us(RETRY_LEAST_US, RETRY_MOST_US, failures++));
            continue;
        }
        failures = 0;
        notify_status("after change %" PRId64, w->after);
        write_metrics(w, 0);
        if (n == 0 && w->once)
            return CTL_OK;
        if (n == 0)
            wait_for_changes(w);
    }
    return CTL_OK;
}

/* This and the following: CTL_GO if the option is valid or not given (text is NULL). */
static int parse_after(struct watch *w, const char *text)
{
    struct err err;
    if (text && (value_int(text, &w->after, &err) != 0 || w->after < 0))
        return ctl_usage(VERB, "--after %s: not a change number (expected 0, 1, 2, ...)", text);
    w->has_after = text != NULL;
    return CTL_GO;
}

static int parse_heartbeat(struct watch *w, const char *text)
{
    struct err err;
    if (text && value_duration(text, &w->heartbeat_us, &err) != 0)
        return ctl_usage(VERB, "--heartbeat %s: %s%s (expected 60s, 5m)", text, err.text, near_duration(text).text);
    return !text || w->heartbeat_us >= CLOCK_SECOND
               ? CTL_GO
               : ctl_usage(VERB, "--heartbeat %s: out of range (expected at least 1s)", text);
}

static int parse_give_up(struct watch *w, const char *text)
{
    struct err err;
    w->give_up_us = GIVE_UP_US;
    if (text && value_duration(text, &w->give_up_us, &err) != 0)
        return ctl_usage(VERB, "--give-up %s: %s%s (expected 30s, 10m)", text, err.text, near_duration(text).text);
    return w->give_up_us >= CLOCK_SECOND ? CTL_GO
                                         : ctl_usage(VERB, "--give-up %s: out of range (expected at least 1s)", text);
}

static int check_options(const struct watch *w, const char *give_up)
{
    int ways = (w->delivery.command != NULL) + (w->delivery.url != NULL) + (w->webhook_source != NULL);
    if (ways > 1)
        return ctl_usage(VERB, "more than one receiver (expected one of --exec, --webhook, --webhook-file)");
    if (w->secret_source && !w->delivery.url && !w->webhook_source)
        return ctl_usage(VERB, "--secret requires a webhook (expected --webhook or --webhook-file)");
    if ((give_up || w->retry) && !w->dead_letter)
        return ctl_usage(VERB, "%s requires a dead-letter file (expected --dead-letter)",
                         w->retry ? "--retry" : "--give-up");
    if (watch_check_list("--include", w->include, watch_include_names) != CTL_GO ||
        watch_check_list("--only", w->only, watch_op_names) != CTL_GO)
        return CTL_USAGE;
    return watch_check_webhook(w->delivery.url);
}

static const struct ctl_verb verb = {VERB, .takes = "config db", .help = help};

/* Path of the file in the state directory of systemd; NULL: $STATE_DIRECTORY is not set. */
static const char *in_state_directory(const char *name, char path[PATH_MAX])
{
    const char *directory = getenv("STATE_DIRECTORY");
    if (!directory || snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
        return NULL;
    return path;
}

static int parse_watch(struct watch *w, int argc, char **argv)
{
    static char cursor[PATH_MAX], dead_letter[PATH_MAX];
    const char *after = NULL, *heartbeat = NULL, *give_up = NULL;
    const struct ctl_option options[] = {{"after", .text = &after},
                                         {"cursor", .text = &w->cursor},
                                         {"team", .text = &w->team},
                                         {"exec", .text = &w->delivery.command},
                                         {"webhook", .text = &w->delivery.url},
                                         {"webhook-file", .text = &w->webhook_source},
                                         {"secret", .text = &w->secret_source},
                                         {"dead-letter", .text = &w->dead_letter},
                                         {"give-up", .text = &give_up},
                                         {"retry", .flag = &w->retry},
                                         {"metrics", .text = &w->metrics_file},
                                         {"include", .text = &w->include},
                                         {"only", .text = &w->only},
                                         {"template", .text = &w->template_file},
                                         {"heartbeat", .text = &heartbeat},
                                         {"once", .flag = &w->once},
                                         {0}};
    int status = ctl_parse(argc, argv, &verb, options, &w->call);
    if (!w->cursor)
        w->cursor = in_state_directory("cursor", cursor);
    if (!w->dead_letter)
        w->dead_letter = in_state_directory("dead-letter", dead_letter);
    if (status == CTL_GO)
        status = parse_after(w, after);
    if (status == CTL_GO)
        status = parse_heartbeat(w, heartbeat);
    if (status == CTL_GO)
        status = parse_give_up(w, give_up);
    return status == CTL_GO ? check_options(w, give_up) : status;
}

static int read_files(struct watch *w)
{
    struct err err;
    if (w->template_file && !(w->delivery.message = watch_template_read(w->template_file, w->include, &err)))
        return ctl_fail(VERB, "%s", err.text);
    if ((w->webhook_source && delivery_read_webhook(&w->delivery, w->webhook_source, &err) != 0) ||
        (w->secret_source && delivery_read_secret(&w->delivery, w->secret_source, &err) != 0))
        return ctl_fail(VERB, "%s", err.text);
    return CTL_OK;
}

static int retry_dead_letters(struct watch *w)
{
    struct err err;
    size_t taken, left;
    if (dead_retry(w->dead_letter, &w->delivery, &taken, &left, &err) != 0)
        return ctl_fail(VERB, "%s", err.text);
    fprintf(stderr, "%zu delivered, %zu left\n", taken, left);
    return left == 0 ? CTL_OK : CTL_FAILED;
}

static int follow_changes(struct watch *w)
{
    struct err err;
    if (w->cursor && !w->has_after && cursor_read(w->cursor, &w->has_after, &w->after, &err) != 0)
        return ctl_fail(VERB, "%s", err.text);
    stop_signal_catch();
    notify_ready();
    return run_watch(w);
}

int ctl_watch(int argc, char **argv)
{
    struct watch w = {0};
    int status = parse_watch(&w, argc, argv);
    if (status != CTL_GO)
        return status;
    status = read_files(&w);
    if (status == CTL_OK)
        status = w.retry ? retry_dead_letters(&w) : follow_changes(&w);
    PQfinish(w.conn);
    delivery_free(&w.delivery);
    return status;
}
