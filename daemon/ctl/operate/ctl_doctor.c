/* mobeyectl doctor: checks whether this machine and the database meet the requirements of mobeyed. */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "conf/conf_board.h"
#include "conf/conf_frigate.h"
#include "conf/load.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/unit.h"
#include "ctl/operate/doctor.h"
#include "ctl/operate/status_programs.h"
#include "ctl/operate/unit_state.h"
#include "flow/check_external.h"
#include "store/conninfo.h"

#define VERB "doctor"

static const char help[] =
    "Usage: mobeyectl doctor [OPTION]...\n"
    "Checks the machine and the database, and gives advice.\n\n"
    "Checks clock, permissions, disk, file descriptors, ports, the systemd unit, supervision and the settings of\n"
    "PostgreSQL, and mobeye-frigate and mobeye-board. Prints one line per check: ok, warning or problem, with advice.\n"
    "It changes nothing. Run it as root; otherwise some checks are limited.\n\n"
    "      --board FILE   configuration of mobeye-board (default: " CONF_BOARD_FILE ")\n"
    "      --frigate FILE configuration of mobeye-frigate (default: " CONF_FRIGATE_FILE ")\n"
    "      --json         print one JSON object per line\n"
    "  -c, --config FILE  configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  # mobeyectl doctor\n\n"
    "Exit status: 0 no problems (there may be warnings), 1 problems found, 2 usage error.\n";

static void say_json(enum doctor_level level, const char *check, const char *text, const char *advice)
{
    static const char *const levels[] = {"ok", "warning", "problem"};
    struct buf line = {0};
    buf_append_str(&line, STR("{"));
    json_write_text(&line, "level", str_from(levels[level]));
    json_write_text(&line, "check", str_from(check));
    json_write_text(&line, "text", str_from(text));
    if (advice)
        json_write_text(&line, "advice", str_from(advice));
    printf("%.*s}\n", (int)line.len, line.data);
    buf_free(&line);
}

void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *advice, const char *fmt, ...)
{
    static const char *const levels[] = {"ok", "WARNING", "PROBLEM"};
    va_list args;
    va_start(args, fmt);
    char *text = mem_vprintf(fmt, args);
    va_end(args);
    d->printed[level]++;
    if (d->json)
        say_json(level, check, text, advice);
    else
        printf("%-8s %-12s %s%s%s\n", levels[level], check, text, advice ? ": " : "", advice ? advice : "");
    free(text);
}

const char *doctor_advise(struct doctor *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(d->advice, sizeof(d->advice), fmt, args);
    va_end(args);
    return d->advice;
}

void doctor_say_unread(struct doctor *d, const PGconn *conn, const char *check, const char *relations)
{
    if (!conn)
        doctor_say(d, DOCTOR_OK, check, NULL, "not checked: no connection to the database");
    else
        doctor_say(d, DOCTOR_OK, check, NULL, "not checked: this role may not read %s", relations);
}

bool doctor_needs_root(struct doctor *d, const char *check, const char *path)
{
    if (errno != EACCES || geteuid() == 0)
        return false;
    doctor_say(d, DOCTOR_OK, check, NULL, "not checked: only root can read %s", path);
    return true;
}

/* What the daemon would refuse at its next start or reload, in the files that its own names. Root can read them. */
static void say_refused(struct doctor *d)
{
    struct buf report = {0};
    struct conf *conf = geteuid() == 0 ? conf_load_whole(d->conf->file, NULL, check_external, &report) : NULL;
    for (size_t at = 0; !conf && at < report.len;) {
        const char *line = report.data + at, *end = memchr(line, '\n', report.len - at);
        size_t len = end ? (size_t)(end - line) : report.len - at;
        if (!memmem(line, len, ": warning: ", 11))
            doctor_say(d, DOCTOR_PROBLEM, "file",
                       doctor_advise(d, "correct it before the next start or reload; mobeyed --check -c %s checks it",
                                     d->conf->file),
                       "the daemon refuses %.*s", (int)len, line);
        at += len + 1;
    }
    conf_free(&conf);
    buf_free(&report);
}

static void examine(struct doctor *d)
{
    say_refused(d);
    static void (*const checks[])(struct doctor *) = {
        doctor_clock,   doctor_files, doctor_disk,     doctor_flush,       doctor_descriptors,
        doctor_daemon,  doctor_ports, doctor_unit,     doctor_supervision, doctor_backlog,
        doctor_frigate, doctor_board, doctor_database, doctor_registry,
    };
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        checks[i](d);
}

static bool is_daemons_user(void)
{
    const struct passwd *user = getpwnam(CONNECT_DAEMON_USER);
    return !user || user->pw_uid == geteuid();
}

/* Why the user who runs doctor does not have what the daemon connects with; NULL: they do. */
static const char *why_unseen(const struct doctor *d)
{
    char *complete = connect_complete(CONNECT_DAEMON_USER, d->conf->file, d->conf->database.conninfo);
    char *passfile = conninfo_value(complete, "passfile");
    const char *why = NULL;
    if (geteuid() != 0 && (d->own || !is_daemons_user()))
        why = "only root can connect as the daemon";
    else if (passfile && d->daemon == 0 && strncmp(passfile, "/run/credentials/", 17) == 0 &&
             access(passfile, F_OK) != 0)
        why = "the daemon's password is a credential of its unit, which does not run";
    else if (geteuid() == 0 && connect_names_engine(complete))
        why = "the daemon's key is in an OpenSSL engine, which root does not load";
    free(complete);
    free(passfile);
    return why;
}

/* Whether the daemon's server accepts connections, whosever. */
static bool server_answers(const struct doctor *d)
{
    char *complete = connect_complete(CONNECT_DAEMON_USER, d->conf->file, d->conf->database.conninfo);
    bool answers = connect_answers(complete);
    free(complete);
    return answers;
}

/* Both connections. why, missing: of the daemon's; that of the user's is not shown. */
static void connect_both(struct doctor *d, const char *db, struct buf *why, struct buf *missing)
{
    struct buf unseen = {0};
    bool is_known = connect_check(CONNECT_DAEMON_USER, d->conf->file, d->conf->database.conninfo, NULL) == 0;
    d->conn = db ? ctl_try_connect(VERB, d->conf, db, why) : ctl_connect_daemon(VERB, d->conf, why);
    d->own = db ? d->conn : ctl_try_connect(VERB, d->conf, NULL, &unseen);
    buf_free(&unseen);
    d->unseen = d->conn || db || (!is_known && geteuid() == 0) ? NULL : why_unseen(d);
    if (d->unseen && !d->own && is_known && !server_answers(d))
        d->unseen = NULL;
    if (d->unseen)
        d->conn = d->own;
    if (!d->conn && !db)
        ctl_explain_missing(VERB, d->conf, missing);
    d->conn_why = missing->len > 0 ? buf_str(missing) : buf_str(why);
    ctl_wait_briefly(d->conn);
    ctl_wait_briefly(d->own);
}

static void say_unusable_file(struct doctor *d, const char *file)
{
    if (access(file, R_OK) == 0)
        doctor_say(d, DOCTOR_PROBLEM, "file", "run mobeyed --check", "%s is not a valid configuration", file);
    else
        doctor_say(d, DOCTOR_PROBLEM, "file", errno == EACCES ? "run doctor as root" : "check its name",
                   "%s cannot be read (%s)", file, strerror(errno));
}

/* Who has the journal open or answers is the daemon, unless its unit says that it is not. */
static void find_daemon(struct doctor *d)
{
    struct err err;
    ctl_daemon(d->conf, &d->daemon, &err);
    d->answers = d->conf->http_listen && scrape_fetch(d->conf->http_listen, &d->metrics, &err) == 0;
    enum unit_state state = unit_state_of_file(d->conf->file);
    char *pid = state == UNIT_OFF ? NULL : ctl_unit_property(d->unit, "MainPID");
    if (pid && d->daemon != 0 && d->daemon != atoi(pid)) {
        d->other = d->daemon;
        d->daemon = 0;
    }
    d->other_answers = d->answers && state == UNIT_DOWN;
    d->answers &= state != UNIT_DOWN;
    free(pid);
}

/* Without that hardly anything can be checked. */
static bool can_act(struct doctor *d)
{
    int why = connect_try_user(CONNECT_DAEMON_USER);
    if (why != 0)
        doctor_say(d, DOCTOR_PROBLEM, "user", "run doctor as root of the machine itself, with all capabilities",
                   "root cannot act as the user " CONNECT_DAEMON_USER ": %s", strerror(why));
    return why == 0;
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

int ctl_doctor(int argc, char **argv)
{
    const char *frigate = CONF_FRIGATE_FILE, *board = CONF_BOARD_FILE;
    const struct ctl_option options[] = {{"frigate", .text = &frigate}, {"board", .text = &board}, {0}};
    struct ctl_call call;
    struct buf why = {0}, missing = {0};
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    struct doctor d = {.file = call.file, .frigate_file = frigate, .board_file = board, .json = call.json};
    struct conf *conf = ctl_load(d.file);
    if (!conf) {
        say_unusable_file(&d, d.file ? d.file : CONF_DEFAULT_FILE);
        return CTL_FAILED;
    }
    d.conf = conf;
    connect_unit_of(CONNECT_DAEMON_USER, conf->file, d.unit);
    *strstr(d.unit, ".service") = '\0';
    d.conninfo = call.db ? call.db : conf->database.conninfo;
    if (can_act(&d)) {
        find_daemon(&d);
        connect_both(&d, call.db, &why, &missing);
        examine(&d);
    }
    if (!d.json)
        printf("%u problem%s, %u warning%s\n", d.printed[DOCTOR_PROBLEM], ctl_plural(d.printed[DOCTOR_PROBLEM]),
               d.printed[DOCTOR_WARNING], ctl_plural(d.printed[DOCTOR_WARNING]));
    if (d.own != d.conn)
        PQfinish(d.own);
    PQfinish(d.conn);
    buf_free(&why);
    buf_free(&missing);
    buf_free(&d.metrics.text);
    conf_free(&conf);
    return d.printed[DOCTOR_PROBLEM] > 0 ? CTL_FAILED : CTL_OK;
}
