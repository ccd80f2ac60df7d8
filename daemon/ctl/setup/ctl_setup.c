/* mobeyectl setup: takes the installed packages to the point where a drill alert is stored in the database, and the
 * board runs. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/setup/setup.h"
#include "store/conninfo.h"

static const char help[] =
    "Usage: mobeyectl setup [OPTION]...\n"
    "Sets up database, configuration and daemon, and sends a drill alert.\n\n"
    "Creates the database with its roles and schema, lets the daemon's role connect, writes the configuration, sets\n"
    "the time zone of the database to that of the configuration, starts or reloads the daemon if systemd manages it,\n"
    "and sends a drill alert through the daemon to the database. It asks for missing values and for confirmation, and\n"
    "requires --yes if standard input is not a terminal. Existing objects are left unchanged, so it can be run again\n"
    "at any time, also after an interruption. Run it as root on the machine of the daemon.\n\n"
    "      --admin CONNINFO     connection string of a PostgreSQL superuser (default: user postgres on the server of\n"
    "                           the daemon's connection string, if that is on this machine)\n"
    "      --database NAME      name of the database (default: that of the file, or mobeye)\n"
    "      --instance NAME      name of this daemon in the database and the log\n"
    "      --conninfo CONNINFO  connection string of the daemon (default: that of the file; if the server does not\n"
    "                           accept it, a password over TCP, in the file pgpass next to the configuration)\n"
    "      --board              set up the patrol board of this machine too: how it logs in, its configuration and "
    "its\n"
    "                           service (package mobeyed-board); prints what is left to do\n"
    "      --curve              use CURVE: create a key for the daemon and one that is valid for drills only\n"
    "      --replace            replace a configuration that was edited by hand (the old one is kept); otherwise it\n"
    "                           asks or, without a terminal, writes the new one next to it. Only with this option\n"
    "                           does it replace the conninfo of a file edited by hand, with which the daemon cannot\n"
    "                           connect\n"
    "      --no-drill           do not send a drill alert\n"
    "      --dry-run            change nothing; print what would be done\n"
    "      --yes                do not ask questions\n"
    "  -c, --config FILE        configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "  -h, --help               print this help\n\n"
    "Examples:\n"
    "  # mobeyectl setup --dry-run\n"
    "  # mobeyectl setup --yes --curve\n"
    "  # mobeyectl setup --yes --board\n\n" CTL_EXIT_HELP;

static void print_step(const char *what, const char *fmt, va_list args)
{
    printf("%-14s ", what);
    vprintf(fmt, args);
    putchar('\n');
    fflush(stdout);
}

void setup_did(struct setup *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_step(s->dry_run ? "would be done:" : "done:", fmt, args);
    va_end(args);
    s->changes++;
}

void setup_is(struct setup *s, const char *fmt, ...)
{
    (void)s;
    va_list args;
    va_start(args, fmt);
    print_step("unchanged:", fmt, args);
    va_end(args);
}

void setup_left(struct setup *s, const char *fmt, ...)
{
    (void)s;
    va_list args;
    va_start(args, fmt);
    print_step("left to do:", fmt, args);
    va_end(args);
}

static bool interactive(const struct setup *s)
{
    return !s->yes && !s->dry_run && isatty(STDIN_FILENO);
}

/* Returns the answer, or `preset` if it is empty or there is no terminal. The caller frees it. */
static char *ask_text(const struct setup *s, const char *question, const char *preset)
{
    char *line = NULL;
    size_t size = 0;
    if (!interactive(s))
        return mem_strdup(preset);
    fprintf(stderr, "%s [%s]: ", question, preset);
    ssize_t len = getline(&line, &size, stdin);
    if (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    if (len > 0)
        return line;
    free(line);
    return mem_strdup(preset);
}

bool setup_ask_yes(const struct setup *s, const char *about, const char *question)
{
    char both[4096 + 256];
    snprintf(both, sizeof(both), "%s %s", about, question);
    char *answer = ask_text(s, both, "no");
    bool yes = answer[0] == 'y' || answer[0] == 'Y';
    free(answer);
    return yes;
}

/* Reads the existing configuration file: whether it is still the sample, its conninfo and its keys. */
static int read_configuration(struct setup *s)
{
    struct buf text = {0};
    int there = setup_read(s->daemon.file, &text);
    s->fresh = there == 0 || setup_is_sample(buf_str(&text));
    struct conf *conf = there > 0 ? ctl_load(s->daemon.file) : NULL;
    s->daemon.file_conninfo = conf ? mem_strdup(conf->database.conninfo) : NULL;
    s->server_key = conf ? mem_strdup(conf->security.server_key) : NULL;
    s->clients = conf ? mem_strdup(conf->security.clients) : NULL;
    int status = there < 0 || (there > 0 && !conf) ? CTL_FAILED : CTL_OK; /* it names a database, but which? */
    conf_free(&conf);
    buf_free(&text);
    return status;
}

/* Asks nothing that an edited configuration file already says. */
static void ask_what_is_not_given(struct setup *s)
{
    char host[64] = "mobeyed", preset[80];
    char *complete = setup_complete_conninfo(s);
    if (!s->database && !s->fresh && complete)
        s->database = conninfo_value(complete, "dbname");
    free(complete);
    if (!s->database || !*s->database) {
        free(s->database);
        s->database = ask_text(s, "Name of the database", "mobeye");
    }
    if (!s->instance && s->fresh) {
        gethostname(host, sizeof(host) - 1);
        snprintf(preset, sizeof(preset), "%.60s-1", host);
        s->instance = ask_text(s, "Name of this daemon in the database and the log", preset);
    }
}

/* A refused conninfo has no host: its database would be taken for one on this machine. */
static bool check_conninfos(const struct setup *s)
{
    const struct setup_program *daemon = &s->daemon;
    const char *conninfo = daemon->conninfo ? daemon->conninfo : daemon->file_conninfo;
    if (s->admin && !ctl_check_conninfo(SETUP_VERB, "--admin", s->admin, NULL))
        return false;
    return !conninfo ||
           (ctl_check_conninfo(SETUP_VERB, daemon->conninfo ? "--conninfo" : daemon->file, conninfo, NULL) &&
            ctl_knows_database(SETUP_VERB, daemon->file, conninfo, NULL));
}

/* PostgreSQL cuts a longer name off. */
static bool check_name(const struct setup *s)
{
    enum { NAME_MAX_BYTES = 63 };
    if (strlen(s->database) <= NAME_MAX_BYTES)
        return true;
    ctl_fail(SETUP_VERB, "the name of the database has %zu bytes (expected at most %d)", strlen(s->database),
             NAME_MAX_BYTES);
    return false;
}

static int set_up(struct setup *s)
{
    int status = s->board ? setup_board_user() : CTL_OK;
    if (status == CTL_OK)
        status = setup_check_instance(s);
    if (status == CTL_OK)
        status = setup_database(s);
    if (status == CTL_OK)
        status = setup_login(s, &s->daemon);
    if (status == CTL_OK && s->curve)
        status = setup_curve(s);
    if (status == CTL_OK)
        status = setup_configuration(s);
    if (status == CTL_OK)
        status = setup_timezone(s);
    if (status == CTL_OK)
        status = setup_daemon(s);
    if (status == CTL_OK)
        status = setup_check_login(s, &s->daemon);
    if (status == CTL_OK && s->drill)
        status = setup_drill(s);
    if (status == CTL_OK && s->board)
        status = setup_board(s);
    return status;
}

static bool is_wanted(const struct setup *s)
{
    return s->yes || s->dry_run ||
           ctl_confirm(SETUP_VERB, "Set up database %s, %s and the daemon on this machine?", s->database,
                       s->daemon.file);
}

static const struct ctl_verb verb = {SETUP_VERB, .takes = "config yes", .help = help};

static char *copy_of(const char *text)
{
    return mem_strdup(text);
}

static int parse_setup(int argc, char **argv, struct setup *s)
{
    const char *database = NULL, *instance = NULL, *conninfo = NULL;
    bool no_drill = false;
    const struct ctl_option options[] = {{"admin", .text = &s->admin},     {"database", .text = &database},
                                         {"instance", .text = &instance},  {"conninfo", .text = &conninfo},
                                         {"board", .flag = &s->board},     {"curve", .flag = &s->curve},
                                         {"replace", .flag = &s->replace}, {"no-drill", .flag = &no_drill},
                                         {"dry-run", .flag = &s->dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    s->daemon = (struct setup_program){.name = "the daemon",
                                       .user = CONNECT_DAEMON_USER,
                                       .role = "mobeye_ingest",
                                       .file = call.file ? call.file : CONF_DEFAULT_FILE};
    s->yes = call.yes;
    s->drill = !no_drill;
    s->database = copy_of(database);
    s->instance = copy_of(instance);
    s->daemon.conninfo = copy_of(conninfo);
    return status;
}

int ctl_setup(int argc, char **argv)
{
    struct setup s = {0};
    int status = parse_setup(argc, argv, &s);
    bool go = status == CTL_GO;
    if (go)
        status = read_configuration(&s);
    if (go && status == CTL_OK && !check_conninfos(&s))
        status = CTL_FAILED;
    if (go && status == CTL_OK) {
        ask_what_is_not_given(&s);
        status = check_name(&s) && is_wanted(&s) ? set_up(&s) : CTL_FAILED;
    }
    if (go && status == CTL_OK && s.dry_run)
        printf("%lu change%s required; nothing was changed\n", s.changes, ctl_plural(s.changes));
    PQfinish(s.conn);
    free(s.database);
    free(s.instance);
    free(s.daemon.file_conninfo);
    free(s.daemon.conninfo);
    free(s.server_key);
    free(s.clients);
    free(s.drill_key);
    return status;
}
