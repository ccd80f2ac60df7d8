/* mobeyectl setup: from an installed package to a drill alert in the database. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/setup/setup.h"
#include "store/conninfo.h"

static const char help[] =
    "Usage: mobeyectl setup [OPTION]...\n"
    "Makes the database with its roles and schema, gives the daemon's role a way in, writes the configuration, starts\n"
    "or reloads the daemon where systemd runs it, and sends a drill alert through it to the database. Asks on a\n"
    "terminal for what is not given. What is there is left as it is, so it can be run again at any time, also where "
    "it\n"
    "was interrupted. Run it as root on the machine of the daemon.\n\n"
    "      --admin CONNINFO     a superuser of PostgreSQL; by default user postgres of this machine\n"
    "      --database NAME      the database, default mobeye, or that of the file\n"
    "      --instance NAME      what this daemon is called in the database and the log\n"
    "      --conninfo CONNINFO  how the daemon gets in; by default as the file says or, where that does not work, by "
    "a\n"
    "                           password over TCP, in a file pgpass beside the configuration\n"
    "      --curve              CURVE: makes the daemon's key, and one that only a drill may use\n"
    "      --replace            change a configuration that was changed by hand (the old one is kept); without it, "
    "and\n"
    "                           where nobody can be asked, the new one is put beside it\n"
    "      --no-drill           send none\n"
    "      --dry-run            change nothing: say what would be done\n"
    "      --yes                ask nothing\n"
    "  -c, --config FILE        the configuration, default " CTL_DEFAULT_FILE "\n"
    "  -h, --help               this text\n\n"
    "Exit status: 0 all is as it should be, 1 not so, 2 wrong usage.\n";

static void tell(const char *what, const char *fmt, va_list args)
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
    tell(s->dry_run ? "would be done:" : "done:", fmt, args);
    va_end(args);
    s->changes++;
}

void setup_is(struct setup *s, const char *fmt, ...)
{
    (void)s;
    va_list args;
    va_start(args, fmt);
    tell("is so:", fmt, args);
    va_end(args);
}

static bool interactive(const struct setup *s)
{
    return !s->yes && !s->dry_run && isatty(STDIN_FILENO);
}

/* The answer, or `preset` where it is empty or nobody can be asked. The caller frees it. */
static char *ask(const struct setup *s, const char *question, const char *preset)
{
    char *line = NULL;
    size_t size = 0;
    if (!interactive(s))
        return strdup(preset);
    fprintf(stderr, "%s [%s]: ", question, preset);
    ssize_t len = getline(&line, &size, stdin);
    if (len > 0 && line[len - 1] == '\n')
        line[--len] = '\0';
    if (len > 0)
        return line;
    free(line);
    return strdup(preset);
}

bool setup_ask_yes(const struct setup *s, const char *about, const char *question)
{
    char both[4096 + 256];
    snprintf(both, sizeof(both), "%s %s", about, question);
    char *answer = ask(s, both, "no");
    bool yes = answer && (answer[0] == 'y' || answer[0] == 'Y');
    free(answer);
    return yes;
}

/* What the file is like, and its conninfo. */
static int look(struct setup *s)
{
    struct buf text = {0};
    int there = setup_read(s->file, &text);
    s->fresh = there == 0 || setup_is_sample(buf_str(&text));
    struct conf *conf = there > 0 ? ctl_load(s->file) : NULL;
    s->known = conf ? strdup(conf->database.conninfo) : NULL;
    conf_free(&conf);
    buf_free(&text);
    return there < 0 ? CTL_FAILED : CTL_OK;
}

/* Of a file that somebody has set nothing is asked that it says. */
static void ask_what_is_not_given(struct setup *s)
{
    char host[64] = "mobeyed", preset[80];
    if (!s->database && !s->fresh)
        s->database = s->known ? conninfo_value(s->known, "dbname") : NULL;
    if (!s->database)
        s->database = ask(s, "Name of the database", "mobeye");
    if (!s->instance && s->fresh) {
        gethostname(host, sizeof(host) - 1);
        snprintf(preset, sizeof(preset), "%.60s-1", host);
        s->instance = ask(s, "Name of this daemon, as the database and the log show it", preset);
    }
}

static int set_up(struct setup *s)
{
    int status = setup_database(s);
    if (status == CTL_OK)
        status = setup_way_in(s);
    if (status == CTL_OK && s->curve)
        status = setup_curve(s);
    if (status == CTL_OK)
        status = setup_configuration(s);
    if (status == CTL_OK)
        status = setup_daemon(s);
    if (status == CTL_OK && s->drill)
        status = setup_drill(s);
    return status;
}

static const struct ctl_verb verb = {SETUP_VERB, .takes = "config yes", .help = help};

static char *copy_of(const char *text)
{
    return text ? strdup(text) : NULL;
}

static int parse(int argc, char **argv, struct setup *s)
{
    const char *database = NULL, *instance = NULL, *conninfo = NULL;
    bool no_drill = false;
    const struct ctl_option options[] = {
        {"admin", .text = &s->admin},    {"database", .text = &database},  {"instance", .text = &instance},
        {"conninfo", .text = &conninfo}, {"curve", .flag = &s->curve},     {"replace", .flag = &s->replace},
        {"no-drill", .flag = &no_drill}, {"dry-run", .flag = &s->dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    s->file = call.file ? call.file : CTL_DEFAULT_FILE;
    s->yes = call.yes;
    s->drill = !no_drill;
    s->database = copy_of(database);
    s->instance = copy_of(instance);
    s->conninfo = copy_of(conninfo);
    return status;
}

int ctl_setup(int argc, char **argv)
{
    struct setup s = {0};
    int status = parse(argc, argv, &s);
    bool go = status == CTL_GO;
    if (go)
        status = look(&s);
    if (go && status == CTL_OK) {
        ask_what_is_not_given(&s);
        status = set_up(&s);
    }
    if (go && status == CTL_OK && s.dry_run)
        printf("%lu changes would be made, and none was\n", s.changes);
    PQfinish(s.conn);
    free(s.database);
    free(s.instance);
    free(s.known);
    free(s.conninfo);
    free(s.server_key);
    free(s.clients);
    free(s.drill_key);
    return status;
}
