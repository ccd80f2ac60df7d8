/* mobeyectl setup: from an installed package to a drill alert in the database. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/setup.h"

static const char help[] =
    "Usage: mobeyectl setup [OPTION]...\n"
    "Makes the database with its roles and schema, gives the daemon's role a way in, writes the configuration, and "
    "sends\n"
    "a drill alert through a running daemon to the database. Asks on a terminal for what is not given. What is there "
    "is\n"
    "left as it is, so it can be run again at any time. Run it as root on the machine of the daemon.\n\n"
    "      --admin CONNINFO     a superuser of PostgreSQL; by default user postgres of this machine\n"
    "      --database NAME      the database, default mobeye\n"
    "      --instance NAME      what this daemon is called in the database and the log\n"
    "      --conninfo CONNINFO  how the daemon gets in; by default as the file says or, where that does not work, by "
    "a\n"
    "                           password over loopback, in a new file pgpass beside the configuration\n"
    "      --curve              CURVE: makes the daemon's key, and one that only a drill may use\n"
    "      --replace            change an existing configuration (the old one is kept); without it, and where nobody "
    "can\n"
    "                           be asked, the new one is put beside it\n"
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

enum { ADMIN = 256, DATABASE, INSTANCE, CONNINFO, CURVE, REPLACE, NO_DRILL, DRY_RUN, YES };

static void replace_text(char **text, const char *with)
{
    free(*text);
    *text = strdup(with);
}

static int take(struct setup *s, int option)
{
    switch (option) {
    case ADMIN:
        s->admin = optarg;
        break;
    case DATABASE:
        replace_text(&s->database, optarg);
        break;
    case INSTANCE:
        replace_text(&s->instance, optarg);
        break;
    case CONNINFO:
        replace_text(&s->conninfo, optarg);
        break;
    case CURVE:
        s->curve = true;
        break;
    case REPLACE:
        s->replace = true;
        break;
    case NO_DRILL:
        s->drill = false;
        break;
    case DRY_RUN:
        s->dry_run = true;
        break;
    case YES:
        s->yes = true;
        break;
    case 'c':
        s->file = optarg;
        break;
    case 'h':
        fputs(help, stdout);
        return CTL_OK;
    default:
        return CTL_USAGE;
    }
    return -1;
}

static int parse(int argc, char **argv, struct setup *s)
{
    static const struct option options[] = {
        {"admin", required_argument, NULL, ADMIN},
        {"database", required_argument, NULL, DATABASE},
        {"instance", required_argument, NULL, INSTANCE},
        {"conninfo", required_argument, NULL, CONNINFO},
        {"curve", no_argument, NULL, CURVE},
        {"replace", no_argument, NULL, REPLACE},
        {"no-drill", no_argument, NULL, NO_DRILL},
        {"dry-run", no_argument, NULL, DRY_RUN},
        {"yes", no_argument, NULL, YES},
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        int status = take(s, option);
        if (status >= 0)
            return status;
    }
    if (optind < argc)
        return ctl_usage(SETUP_VERB, "it takes no argument, so not \"%s\"", argv[optind]);
    return -1;
}

static void ask_what_is_not_given(struct setup *s)
{
    char host[65] = "mobeyed", preset[80];
    if (!s->database)
        s->database = ask(s, "Name of the database", "mobeye");
    if (!s->instance && interactive(s)) {
        gethostname(host, sizeof(host) - 1);
        snprintf(preset, sizeof(preset), "%s-1", host);
        s->instance = ask(s, "Name of this daemon, as the database and the log show it", preset);
    }
}

/* The conninfo of the file, where there is one that can be read; the caller frees it. */
static char *conninfo_of_file(const struct setup *s)
{
    struct conf *conf = access(setup_file_name(s), R_OK) == 0 ? ctl_load(setup_file_name(s)) : NULL;
    char *conninfo = conf ? strdup(conf->database.conninfo) : NULL;
    conf_free(&conf);
    return conninfo;
}

static int way_in(struct setup *s)
{
    char *known = s->conninfo ? strdup(s->conninfo) : conninfo_of_file(s);
    bool works = known && setup_gets_in(s, known);
    free(known);
    if (works)
        setup_is(s, "the daemon's role gets in");
    else if (s->conninfo && !s->dry_run)
        return ctl_fail(SETUP_VERB,
                        "the daemon would not get in with --conninfo; mind pg_hba.conf and the password file");
    else if (!s->conninfo)
        return setup_password(s);
    return CTL_OK;
}

static int set_up(struct setup *s)
{
    int status = setup_database(s);
    if (status == CTL_OK)
        status = way_in(s);
    if (status == CTL_OK && s->curve)
        status = setup_curve(s);
    if (status == CTL_OK)
        status = setup_file(s);
    if (status == CTL_OK && s->drill)
        status = setup_drill(s);
    return status;
}

int ctl_setup(int argc, char **argv)
{
    struct setup s = {.drill = true};
    int status = parse(argc, argv, &s);
    if (status < 0) {
        ask_what_is_not_given(&s);
        status = set_up(&s);
    }
    if (status == CTL_OK && s.dry_run && s.database)
        printf("%lu changes would be made, and none was\n", s.changes);
    PQfinish(s.conn);
    free(s.database);
    free(s.instance);
    free(s.conninfo);
    free(s.server_key);
    free(s.clients);
    free(s.drill_key);
    return status;
}
