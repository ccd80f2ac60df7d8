/* mobeyectl subject: a person asks what is kept about a home, or wants it erased. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/options.h"

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
    struct ctl_call call;
    const char *subject[4]; /* address, device, from, until: as the functions of the database take them */
};

enum { ADDRESS, DEVICE, FROM, UNTIL };

static int print_export(PGconn *conn, const struct request *request)
{
    PGresult *rows = ctl_query(conn, VERB, "export",
                               "select jsonb_pretty(mobeye.subject_export($1, $2, $3::timestamptz, $4::timestamptz))",
                               4, request->subject);
    if (rows)
        puts(PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return rows ? CTL_OK : CTL_FAILED;
}

static bool confirmed(const struct request *request)
{
    return request->call.yes || !isatty(STDIN_FILENO) ||
           ctl_says_yes("Erase everything that is kept about it, for ever?");
}

/* What was erased is told before it is final: a log that cannot be written must not be missing later. */
static int erase(PGconn *conn, const struct request *request)
{
    if (!confirmed(request))
        return ctl_fail(VERB, "nothing is erased");
    PGresult *begun = PQexec(conn, "begin");
    PQclear(begun);
    PGresult *rows =
        ctl_query(conn, VERB, "erase",
                  "with done as materialized (select coalesce(max(erasure_id), 0) as before from mobeye.erasure),"
                  " erased as materialized (select before, mobeye.subject_erase($1, $2, $3::timestamptz,"
                  " $4::timestamptz) as n from done) select before, n from erased",
                  4, request->subject);
    PGresult *log = NULL;
    if (rows) {
        const char *before[] = {PQgetvalue(rows, 0, 0)};
        log = ctl_query(conn, VERB, "the log",
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
    const char *file = request->call.arguments[0];
    int status = read_log(file, &log);
    if (status == CTL_OK) {
        const char *values[] = {log.data};
        PGresult *rows = ctl_query(conn, VERB, file, "select mobeye.erase_again($1::jsonb)", 1, values);
        if (rows)
            printf("%s rows erased again\n", PQgetvalue(rows, 0, 0));
        status = rows ? CTL_OK : CTL_FAILED;
        PQclear(rows);
    }
    buf_free(&log);
    return status;
}

enum { EXPORT, ERASE, AGAIN };

static const struct ctl_verb actions[] = {
    [EXPORT] = {"export", .takes = "address device from until config db"},
    [ERASE] = {"erase", .takes = "address device from until yes config db"},
    [AGAIN] = {"again", .takes = "config db", .argument = "FILE", .least = 1, .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};
static int (*const runs[])(PGconn *conn,
                           const struct request *request) = {[EXPORT] = print_export, [ERASE] = erase, [AGAIN] = again};

int ctl_subject(int argc, char **argv)
{
    struct request request = {0};
    const char **s = request.subject;
    const struct ctl_option options[] = {{"address", .text = &s[ADDRESS]},
                                         {"device", .text = &s[DEVICE]},
                                         {"from", .text = &s[FROM]},
                                         {"until", .text = &s[UNTIL]},
                                         {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    if (request.call.action != AGAIN && !s[ADDRESS] && !(s[DEVICE] && s[FROM] && s[UNTIL]))
        return ctl_usage(VERB, "say whose: --address, or --device with --from and --until");
    PGconn *conn = ctl_connect(VERB, request.call.file, request.call.db);
    status = conn ? runs[request.call.action](conn, &request) : CTL_FAILED;
    PQfinish(conn);
    return status;
}
