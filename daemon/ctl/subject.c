/* mobeyectl subject: a person asks what is kept about a home, or wants it erased. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define VERB "subject"

static const char help[] =
    "Usage: mobeyectl subject export (--address ADDRESS | --device DEVICE --from TIME --until TIME) [OPTION]...\n"
    "       mobeyectl subject erase (--address ADDRESS | --device DEVICE --from TIME --until TIME) [--yes] "
    "[OPTION]...\n"
    "       mobeyectl subject again [OPTION]... FILE\n"
    "export writes everything that is kept about a home, or about a device in a time, as JSON: placements, alerts,\n"
    "incidents with their history. erase erases it for ever, but for what is under a legal hold, and writes what was\n"
    "erased, without what it said, to standard output: keep these lines outside the database. After a backup from "
    "before\n"
    "was restored, again erases what they list. For the owner of the schema.\n\n"
    "      --address ADDRESS  as it stands at the placements\n"
    "      --device DEVICE    with --from and --until, or with --address for one device of it\n"
    "      --from TIME        RFC 3339; without --address both are needed\n"
    "      --until TIME       end excluded\n"
    "      --yes              erase without asking on a terminal\n"
    "  -c, --config FILE      configuration to take database.conninfo from, default " CTL_DEFAULT_FILE "\n"
    "      --db CONNINFO      the database, as libpq writes it, instead of that\n"
    "  -h, --help             this text\n";

struct request {
    const char *file, *db;
    const char *subject[4]; /* address, device, from, until: as the functions of the database take them */
    bool yes;
    const char *log;
};

enum { ADDRESS, DEVICE, FROM, UNTIL };

static PGresult *query(PGconn *conn, const char *what, const char *sql, int n, const char *const *values)
{
    PGresult *rows = PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK)
        return rows;
    ctl_fail_sql(VERB, what, rows);
    PQclear(rows);
    return NULL;
}

static int print_export(PGconn *conn, const struct request *request)
{
    PGresult *rows =
        query(conn, "export", "select jsonb_pretty(mobeye.subject_export($1, $2, $3::timestamptz, $4::timestamptz))", 4,
              request->subject);
    if (rows)
        puts(PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return rows ? CTL_OK : CTL_FAILED;
}

static bool confirmed(const struct request *request)
{
    char answer[16];
    if (request->yes || !isatty(STDIN_FILENO))
        return true;
    fputs("Erase everything that is kept about it, for ever? [y/N] ", stderr);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* What was erased is told before it is final: a log that cannot be written must not be missing later. */
static int erase(PGconn *conn, const struct request *request)
{
    if (!confirmed(request))
        return ctl_fail(VERB, "nothing is erased");
    PGresult *begun = PQexec(conn, "begin");
    PQclear(begun);
    PGresult *rows =
        query(conn, "erase",
              "with done as materialized (select coalesce(max(erasure_id), 0) as before from mobeye.erasure),"
              " erased as materialized (select before, mobeye.subject_erase($1, $2, $3::timestamptz,"
              " $4::timestamptz) as n from done) select before, n from erased",
              4, request->subject);
    PGresult *log = NULL;
    if (rows) {
        const char *before[] = {PQgetvalue(rows, 0, 0)};
        log = query(conn, "the log",
                    "select jsonb_build_object('device_id', device_id, 'during', during, 'at', at)::text"
                    " from mobeye.erasure where erasure_id > $1::bigint and what = 'subject' order by erasure_id",
                    1, before);
    }
    for (int i = 0; log && i < PQntuples(log); i++)
        puts(PQgetvalue(log, i, 0));
    bool told = log && fflush(stdout) == 0;
    if (log && !told)
        ctl_fail(VERB, "standard output: %s; nothing is erased", strerror(errno));
    PGresult *end = PQexec(conn, told ? "commit" : "rollback");
    bool done = told && PQresultStatus(end) == PGRES_COMMAND_OK;
    if (told && !done)
        ctl_fail_sql(VERB, "commit", end);
    if (done)
        fprintf(stderr, "%s rows erased\n", PQgetvalue(rows, 0, 1));
    PQclear(end);
    PQclear(log);
    PQclear(rows);
    return done ? CTL_OK : CTL_FAILED;
}

/* The lines of the log as one JSON array. */
static int read_log(const char *file, struct buf *out)
{
    char line[4096];
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (!in)
        return ctl_fail(VERB, "%s: %s", file, strerror(errno));
    buf_printf(out, "[");
    while (fgets(line, sizeof(line), in))
        if (line[strspn(line, " \t\r\n")])
            buf_printf(out, "%s%s", out->len > 1 ? "," : "", line);
    buf_printf(out, "]");
    bool bad = ferror(in);
    if (in != stdin)
        fclose(in);
    return bad ? ctl_fail(VERB, "%s: cannot be read", file) : CTL_OK;
}

static int again(PGconn *conn, const struct request *request)
{
    struct buf log = {0};
    int status = read_log(request->log, &log);
    if (status == CTL_OK) {
        const char *values[] = {log.data};
        PGresult *rows = query(conn, request->log, "select mobeye.erase_again($1::jsonb)", 1, values);
        if (rows)
            printf("%s rows erased again\n", PQgetvalue(rows, 0, 0));
        status = rows ? CTL_OK : CTL_FAILED;
        PQclear(rows);
    }
    buf_free(&log);
    return status;
}

static const struct action {
    const char *name;
    int (*run)(PGconn *conn, const struct request *request);
    bool takes_file;
} actions[] = {{"export", print_export, false}, {"erase", erase, false}, {"again", again, true}};

static int check(const struct action *action, const struct request *request, int n_arguments)
{
    const char *const *s = request->subject;
    if (n_arguments != action->takes_file)
        return ctl_usage(VERB, action->takes_file ? "again takes one FILE" : "%s takes no arguments", action->name);
    if (action->takes_file && (s[ADDRESS] || s[DEVICE] || s[FROM] || s[UNTIL]))
        return ctl_usage(VERB, "again takes only its FILE");
    if (!action->takes_file && !s[ADDRESS] && !(s[DEVICE] && s[FROM] && s[UNTIL]))
        return ctl_usage(VERB, "say whose: --address, or --device with --from and --until");
    return CTL_OK;
}

static int set_option(struct request *request, int option, const char *text)
{
    switch (option) {
    case 'a':
        request->subject[ADDRESS] = text;
        break;
    case 'v':
        request->subject[DEVICE] = text;
        break;
    case 'f':
        request->subject[FROM] = text;
        break;
    case 'u':
        request->subject[UNTIL] = text;
        break;
    case 'y':
        request->yes = true;
        break;
    case 'c':
        request->file = text;
        break;
    case 'd':
        request->db = text;
        break;
    default:
        return CTL_USAGE;
    }
    return CTL_OK;
}

static int run_action(int argc, char **argv, struct request *request)
{
    const struct action *action = NULL;
    if (optind == argc)
        return ctl_usage(VERB, "say what to do: export, erase or again");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(argv[optind], actions[i].name) == 0)
            action = &actions[i];
    if (!action)
        return ctl_usage(VERB, "\"%s\": it can export, erase and erase again", argv[optind]);
    int status = check(action, request, argc - optind - 1);
    if (status != CTL_OK)
        return status;
    request->log = argv[optind + 1];
    PGconn *conn = ctl_connect(VERB, request->file, request->db);
    status = conn ? action->run(conn, request) : CTL_FAILED;
    PQfinish(conn);
    return status;
}

int ctl_subject(int argc, char **argv)
{
    static const struct option options[] = {{"address", required_argument, NULL, 'a'},
                                            {"device", required_argument, NULL, 'v'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"until", required_argument, NULL, 'u'},
                                            {"yes", no_argument, NULL, 'y'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"db", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct request request = {0};
    int option, status = CTL_OK;
    while (status == CTL_OK && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return CTL_OK;
        }
        status = set_option(&request, option, optarg);
    }
    return status == CTL_OK ? run_action(argc, argv, &request) : status;
}
