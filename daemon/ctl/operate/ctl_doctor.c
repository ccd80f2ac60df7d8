/* mobeyectl doctor: is this machine, and is the database, what mobeyed counts on? */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/json.h"
#include "ctl/lib/options.h"
#include "ctl/operate/doctor.h"

#define VERB "doctor"

static const char help[] =
    "Usage: mobeyectl doctor [OPTION]...\n"
    "Looks at the machine and the database: clock, permissions, disk, descriptors, ports, the unit, supervision, and\n"
    "the settings of PostgreSQL. One line each, ok, warning or problem, with advice. It changes nothing; run it as\n"
    "root, or it can see less.\n\n"
    "  -c, --config FILE  configuration of the daemon, default " CTL_DEFAULT_FILE "\n"
    "      --db CONNINFO  the database, as libpq writes it, instead of that in FILE\n"
    "      --json         one JSON object a line\n"
    "  -h, --help         this text\n\n"
    "Exit status: 0 no problem (there may be warnings), 1 problems, 2 wrong usage.\n";

static void say_json(enum doctor_level level, const char *check, const char *text, const char *advice)
{
    static const char *const levels[] = {"ok", "warning", "problem"};
    struct buf line = {0};
    buf_append_str(&line, STR("{"));
    ctl_json_text(&line, "level", str_from(levels[level]));
    ctl_json_text(&line, "check", str_from(check));
    ctl_json_text(&line, "text", str_from(text));
    if (advice)
        ctl_json_text(&line, "advice", str_from(advice));
    printf("%.*s}\n", (int)line.len, line.data);
    buf_free(&line);
}

void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *advice, const char *fmt, ...)
{
    static const char *const levels[] = {"ok", "WARNING", "PROBLEM"};
    va_list args;
    char *text;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    d->told[level]++;
    if (d->json)
        say_json(level, check, text, advice);
    else
        printf("%-8s %-12s %s%s%s\n", levels[level], check, text, advice ? ": " : "", advice ? advice : "");
    free(text);
}

static void examine(struct doctor *d)
{
    static void (*const checks[])(struct doctor *) = {
        doctor_clock, doctor_files, doctor_disk,        doctor_flush,    doctor_descriptors,
        doctor_ports, doctor_unit,  doctor_supervision, doctor_database,
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        checks[i](d);
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

int ctl_doctor(int argc, char **argv)
{
    const struct ctl_option options[] = {{0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    struct doctor d = {.file = call.file, .json = call.json};
    struct conf *conf = ctl_load(d.file);
    if (!conf) {
        doctor_say(&d, DOCTOR_PROBLEM, "file", "mobeyed --check names every mistake", "%s is no configuration",
                   d.file ? d.file : CTL_DEFAULT_FILE);
        return CTL_FAILED;
    }
    d.conf = conf;
    d.conninfo = call.db ? call.db : conf->database.conninfo;
    d.daemon = ctl_daemon(conf);
    d.conn = call.db ? ctl_connect(VERB, d.file, call.db) : ctl_connect_daemon(VERB, conf);
    examine(&d);
    if (!d.json)
        printf("%u problems, %u warnings\n", d.told[DOCTOR_PROBLEM], d.told[DOCTOR_WARNING]);
    PQfinish(d.conn);
    conf_free(&conf);
    return d.told[DOCTOR_PROBLEM] > 0 ? CTL_FAILED : CTL_OK;
}
