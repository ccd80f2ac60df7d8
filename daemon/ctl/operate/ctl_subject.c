/* mobeyectl subject: exports or erases the data about a home, at a person's request. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/local_zone.h"
#include "ctl/lib/options.h"
#include "ctl/operate/subject_images.h"
#include "journal/journal.h"

#define VERB "subject"

#define DEADLOCK_DETECTED "40P01"

#define NOTHING "no data found for this address or device"

/* Result of mobeye.subject_erase() and mobeye.erase_again(); remaining has one line for each thing left. */
#define ERASED_COLUMNS "n, array_to_string(remaining, E'\\n') as remaining"

static const char help[] =
    "Usage: mobeyectl subject export (--address ADDRESS | --device DEVICE --from TIME --until TIME) "
    "[--images DIRECTORY]\n"
    "                                [OPTION]...\n"
    "       mobeyectl subject erase (--address ADDRESS | --device DEVICE --from TIME --until TIME) [--yes] "
    "[OPTION]...\n"
    "       mobeyectl subject again [OPTION]... FILE\n"
    "Exports or erases the data about a home, or about a device in a period, at a person's request.\n\n"
    "export prints everything that is kept as JSON: placements, alerts, incidents with their history, mutes, labels,\n"
    "and a list of the images. --images writes these into a directory, as IMAGE_ID.jpg, .png or .webp.\n"
    "erase erases it permanently. It asks for confirmation, and requires --yes if standard input is not a terminal.\n"
    "It prints a log of what was erased, without the contents, on standard output: keep these lines outside the\n"
    "database. After an older backup has been restored, again erases what FILE, such a log, lists. What cannot be\n"
    "erased is listed on standard error: data under a legal hold, and placements where the device still is. The\n"
    "journal keeps the erased data for some time longer; erase prints until when.\n\n"
    "      --address ADDRESS  address as it is written at the placements and reported burglaries\n"
    "      --device DEVICE    with --from and --until; or with --address, for one device at that address\n"
    "      --from TIME        start of the period, RFC 3339, such as 2026-11-23T21:00:00+01:00, or local time, such "
    "as\n"
    "                         \"23-11-2026 21:00\"; required without --address\n"
    "      --until TIME       end of the period, excluded; required without --address\n"
    "      --images DIRECTORY export: write the images into this directory; created if it does not exist\n"
    "      --yes              erase: do not ask for confirmation\n"
    "  -c, --config FILE      configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO      libpq connection string; overrides database.conninfo\n"
    "  -h, --help             print this help\n\n"
    "Example:\n"
    "  $ mobeyectl subject erase --address \"Kerkstraat 1\" >> erased.log\n\n"
    "Requires the owner of the schema.\n"
    "Exit status: 0 success, 1 failure, nothing found, or data left; 2 usage error.\n";

struct subject_request {
    struct ctl_call call;
    const char *subject[4]; /* address, device, from, until: as the functions of the database take them */
    const char *images;     /* the directory for images; NULL: not given */
};

enum { ADDRESS, DEVICE, FROM, UNTIL };

/* Addresses are compared without case, commas, repeated spaces and the space before a number, as far as the shorter
 * one reaches; those with a number also without any commas, spaces and hyphens, but not within a number. */
static const char near_sql[] =
    "select address from (select address from mobeye.placement union select address from mobeye.burglary) a,"
    " lateral (select array_agg(btrim(regexp_replace(t, '[ ,]+|(?<=[[:alpha:]])(?=[0-9])', ' ', 'g')) || ' ' order by "
    "n)"
    " as words, array_agg(translate(t, ' ,-', '') order by length(translate(t, ' ,-', ''))) as whole"
    " from unnest(array[lower(address), lower($1::text)]) with ordinality as u (t, n)) s,"
    " lateral (select whole[1] as shorter, whole[2] as longer) w"
    " where lower(btrim(address)) <> lower(btrim($1))"
    " and (starts_with(words[1], words[2]) or starts_with(words[2], words[1])"
    " or starts_with(longer, shorter) and shorter ~ '[0-9]'"
    " and right(shorter, 1) || substr(longer, length(shorter) + 1, 1) !~ '[0-9][0-9]')"
    " order by 1 limit 3";

/* Appends the other addresses that may be meant, in quotes; nothing if there are none. */
static void find_near(PGconn *conn, const struct subject_request *request, const char *between, struct buf *out)
{
    PGresult *rows =
        request->subject[ADDRESS] ? ctl_query(conn, VERB, "addresses", near_sql, 1, &request->subject[ADDRESS]) : NULL;
    for (int row = 0; rows && row < PQntuples(rows); row++)
        buf_printf(out, "%s\"%s\"", row > 0 ? between : "", PQgetvalue(rows, row, 0));
    PQclear(rows);
}

/* Returns CTL_FAILED. */
static int fail_not_found(PGconn *conn, const struct subject_request *request)
{
    struct buf near = {0};
    find_near(conn, request, " or ", &near);
    if (near.len > 0)
        ctl_fail(VERB, NOTHING " (did you mean %.*s?)", (int)near.len, near.data);
    else
        ctl_fail(VERB, NOTHING);
    buf_free(&near);
    return CTL_FAILED;
}

/* The same home may be registered in two spellings. */
static void print_not_meant(PGconn *conn, const struct subject_request *request)
{
    struct buf near = {0};
    find_near(conn, request, ", ", &near);
    if (near.len > 0)
        fprintf(stderr, "mobeyectl " VERB ": not meant: %.*s (each address takes a request of its own)\n",
                (int)near.len, near.data);
    buf_free(&near);
}

static int print_json(PGconn *conn, const struct subject_request *request)
{
    PGresult *rows = ctl_query(conn, VERB, "export",
                               "select jsonb_pretty(mobeye.subject_export($1, $2, $3::timestamptz, $4::timestamptz))",
                               4, request->subject);
    if (!rows)
        return CTL_FAILED;
    const char *found = PQgetvalue(rows, 0, 0);
    bool any = strpbrk(found, "{") != NULL;
    puts(found);
    PQclear(rows);
    if (fflush(stdout) != 0)
        return ctl_fail(VERB, "standard output: %s", strerror(errno));
    if (!any)
        return fail_not_found(conn, request);
    print_not_meant(conn, request);
    return CTL_OK;
}

/* JSON and images show the same moment. */
static int export_subject(PGconn *conn, const struct subject_request *request)
{
    PGresult *begun = ctl_query(conn, VERB, "begin", "begin isolation level repeatable read, read only", 0, NULL);
    int status = begun ? print_json(conn, request) : CTL_FAILED;
    PQclear(begun);
    return status == CTL_OK ? subject_images_write(conn, VERB, request->subject, request->images) : status;
}

/* Appends ", from 2026-11-06 00:00:00+0100"; NULL: nothing. */
static void name_time(const char *which, const char *time, struct buf *out)
{
    char local[CTL_LOCAL_TIME_SIZE];
    int64_t us;
    if (time && clock_parse_rfc3339(str_from(time), &us))
        buf_printf(out, ", %s %s", which, ctl_local_time(us, local));
}

static bool confirmed(const struct subject_request *request)
{
    const char *const *s = request->subject;
    struct buf what = {0};
    if (request->call.yes)
        return true;
    if (s[DEVICE])
        buf_printf(&what, "device %s%s", s[DEVICE], s[ADDRESS] ? " at " : "");
    if (s[ADDRESS])
        buf_printf(&what, "%s\"%s\"", s[DEVICE] ? "" : "the home ", s[ADDRESS]);
    name_time("from", s[FROM], &what);
    name_time("until", s[UNTIL], &what);
    bool yes = ctl_confirm(VERB, "Permanently erase all data about %.*s?", (int)what.len, what.data);
    buf_free(&what);
    return yes;
}

static void print_erased(FILE *out, const char *rows, const char *again)
{
    fprintf(out, "%s row%s erased%s\n", rows, ctl_plural(strtoul(rows, NULL, 10)), again);
}

/* Returns CTL_FAILED if something remains. */
static int print_remaining(const char *lines)
{
    int status = CTL_OK;
    for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
        len = strcspn(lines, "\n");
        status = ctl_fail(VERB, "not erased: %.*s", (int)len, lines);
    }
    return status;
}

/* Prints how long the journal keeps the data; exactly if the configuration is at hand. */
static void print_journal(const struct ctl_call *call)
{
    struct conf *conf = call->db && !call->file ? NULL : ctl_load(call->file);
    if (conf) {
        char until[CTL_LOCAL_TIME_SIZE];
        ctl_use_zone(conf->timezone);
        ctl_local_time(journal_held_until_us(conf->journal.keep_us, clock_wall_us()), until);
        fprintf(
            stderr,
            "the journal of this machine keeps the data until %s at the latest, if the daemon runs (journal.keep)\n",
            until);
    } else {
        fputs("the journals of the daemons keep the data for the time of their journal.keep\n", stderr);
    }
    conf_free(&conf);
}

/* Whether the file on standard output, of that size, ends in the middle of a line, as an interrupted write leaves it.
 */
static bool ends_within_line(off_t size)
{
    char last = '\n';
    int fd = size > 0 ? open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC) : -1;
    bool read_it = fd >= 0 && pread(fd, &last, 1, size - 1) == 1;
    if (fd >= 0)
        close(fd);
    return read_it && last != '\n';
}

/* Writes lines to standard output. To a file: appended and synced, or on failure (-1 with errno) not there at all. */
static int write_lines(struct str lines)
{
    struct stat st;
    if (lines.len == 0)
        return 0;
    if (fstat(STDOUT_FILENO, &st) != 0)
        return -1;
    if (!S_ISREG(st.st_mode))
        return file_write(STDOUT_FILENO, lines) == 0 || errno == EINVAL || errno == EROFS ? 0 : -1;
    off_t end = lseek(STDOUT_FILENO, 0, SEEK_END);
    if ((!ends_within_line(end) || write(STDOUT_FILENO, "\n", 1) == 1) && file_write(STDOUT_FILENO, lines) == 0)
        return 0;
    int why = errno;
    if (ftruncate(STDOUT_FILENO, end) == 0)
        lseek(STDOUT_FILENO, end, SEEK_SET);
    errno = why;
    return -1;
}

/* Prints what was erased since, one line each. false: the lines could not be written. */
static bool print_log(PGconn *conn, const char *since)
{
    PGresult *log =
        ctl_query(conn, VERB, "the log",
                  "select jsonb_build_object('device_id', device_id, 'device_uuid', device_uuid, 'during', during,"
                  " 'names', names, 'at', at)::text"
                  " from (select * from mobeye.erasure where erasure_id > $1::bigint and what = 'subject'"
                  " order by erasure_id) e"
                  " union all select jsonb_build_object('burglary', reference, 'at', at)::text"
                  " from mobeye.burglary_erased where at = now()",
                  1, &since);
    if (!log)
        return false;
    struct buf lines = {0};
    for (int i = 0; i < PQntuples(log); i++)
        buf_printf(&lines, "%s\n", PQgetvalue(log, i, 0));
    PQclear(log);
    bool written = write_lines((struct str){lines.data, lines.len}) == 0;
    if (!written)
        ctl_fail(VERB, "standard output: %s; nothing was erased", strerror(errno));
    buf_free(&lines);
    return written;
}

static bool end_transaction(PGconn *conn, bool commit)
{
    PGresult *end = PQexec(conn, commit ? "commit" : "rollback");
    bool done = PQresultStatus(end) == PGRES_COMMAND_OK;
    if (!done)
        ctl_fail_sql(VERB, commit ? "commit" : "rollback", end);
    PQclear(end);
    return done && commit;
}

/* In a transaction that stays open. A deadlock with somebody who edits a placement is possible: then tries once more.
 * NULL: the error was printed. */
static PGresult *query_erased(PGconn *conn, const char *what, const char *sql, int n, const char *const *values)
{
    PQclear(PQexec(conn, "begin"));
    PGresult *rows = PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0);
    const char *sqlstate = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    if (sqlstate && strcmp(sqlstate, DEADLOCK_DETECTED) == 0) {
        PQclear(rows);
        PQclear(PQexec(conn, "rollback"));
        PQclear(PQexec(conn, "begin"));
        rows = PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0);
    }
    if (PQresultStatus(rows) == PGRES_TUPLES_OK)
        return rows;
    ctl_fail_sql(VERB, what, rows);
    PQclear(rows);
    return NULL;
}

/* Writes the log before the commit: if it cannot be written, nothing is erased. */
static int erase_subject(PGconn *conn, const struct subject_request *request)
{
    if (!confirmed(request))
        return ctl_fail(VERB, "nothing was erased");
    PGresult *rows =
        query_erased(conn, "erase",
                     "with done as materialized (select coalesce(max(erasure_id), 0) as before from mobeye.erasure)"
                     " select before, " ERASED_COLUMNS " from done cross join lateral"
                     " mobeye.subject_erase($1, $2, $3::timestamptz, $4::timestamptz)",
                     4, request->subject);
    bool logged = rows && print_log(conn, PQgetvalue(rows, 0, 0));
    int status = end_transaction(conn, logged) ? CTL_OK : CTL_FAILED;
    if (status == CTL_OK) {
        bool any = strcmp(PQgetvalue(rows, 0, 1), "0") != 0;
        status = print_remaining(PQgetvalue(rows, 0, 2));
        if (any) {
            print_erased(stderr, PQgetvalue(rows, 0, 1), "");
            print_journal(&request->call);
            print_not_meant(conn, request);
        } else if (status == CTL_OK) {
            status = fail_not_found(conn, request);
        }
    }
    PQclear(rows);
    return status;
}

/* Appends a line of the log, if it is one, to the JSON array. */
static int add_line(PGconn *conn, const char *where, const char *line, size_t len, struct buf *out)
{
    if (strlen(line) < len)
        return ctl_fail(VERB, "%s: contains NUL bytes (expected a line that erase printed)", where);
    if (!line[strspn(line, " \t\r\n")])
        return CTL_OK;
    PGresult *checked = ctl_query(conn, VERB, where, "select mobeye.check_logged($1::jsonb)", 1, &line);
    if (!checked)
        return CTL_FAILED;
    PQclear(checked);
    buf_printf(out, "%s%s", out->len > 1 ? "," : "", line);
    return CTL_OK;
}

/* Appends the lines of the log as one JSON array. Every bad line is reported. */
static int read_log(PGconn *conn, const char *file, struct buf *out)
{
    char *line = NULL;
    size_t size = 0;
    int status = CTL_OK;
    bool named = strcmp(file, "-") != 0;
    FILE *in = named ? fopen(file, "re") : stdin;
    if (!in)
        return ctl_fail(VERB, "%s: %s", file, strerror(errno));
    buf_printf(out, "[");
    ssize_t len;
    for (unsigned number = 1; (len = getline(&line, &size, in)) > 0; number++) {
        struct buf where = {0};
        buf_printf(&where, "%s:%u", file, number);
        if (add_line(conn, where.data, line, (size_t)len, out) != CTL_OK)
            status = CTL_FAILED;
        buf_free(&where);
    }
    buf_printf(out, "]");
    free(line);
    if (ferror(in))
        status = ctl_fail(VERB, "%s: cannot be read", file);
    if (named)
        fclose(in);
    return status == CTL_OK ? CTL_OK : ctl_fail(VERB, "nothing was erased");
}

static int erase_again(PGconn *conn, const struct subject_request *request)
{
    struct buf log = {0};
    const char *file = request->call.arguments[0];
    int status = read_log(conn, file, &log);
    if (status == CTL_OK) {
        const char *values[] = {log.data};
        PGresult *rows =
            query_erased(conn, file, "select " ERASED_COLUMNS " from mobeye.erase_again($1::jsonb)", 1, values);
        bool done = end_transaction(conn, rows != NULL);
        if (done)
            print_erased(stdout, PQgetvalue(rows, 0, 0), " again");
        status = done ? print_remaining(PQgetvalue(rows, 0, 1)) : CTL_FAILED;
        PQclear(rows);
    }
    buf_free(&log);
    return status;
}

enum { EXPORT, ERASE, AGAIN };

static const struct ctl_verb actions[] = {
    [EXPORT] = {"export", .takes = "address device from until images config db"},
    [ERASE] = {"erase", .takes = "address device from until yes config db"},
    [AGAIN] = {"again", .takes = "config db", .argument = "FILE", .least = 1, .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};
static int (*const runs[])(PGconn *conn, const struct subject_request *request) = {
    [EXPORT] = export_subject, [ERASE] = erase_subject, [AGAIN] = erase_again};

int ctl_subject(int argc, char **argv)
{
    struct subject_request request = {0};
    const char **s = request.subject;
    char from[CLOCK_RFC3339_SIZE], until[CLOCK_RFC3339_SIZE];
    const struct ctl_option options[] = {{"address", .text = &s[ADDRESS]},    {"device", .text = &s[DEVICE]},
                                         {"from", .text = &s[FROM]},          {"until", .text = &s[UNTIL]},
                                         {"images", .text = &request.images}, {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    if (request.call.action != AGAIN && !s[ADDRESS] && !(s[DEVICE] && s[FROM] && s[UNTIL]))
        return ctl_usage(VERB, "missing subject (expected --address, or --device with --from and --until)");
    PGconn *conn = ctl_connect(VERB, request.call.file, request.call.db);
    status = conn ? CTL_OK : CTL_FAILED;
    if (status == CTL_OK)
        status = local_time_option(VERB, &request.call, conn, "--from", s[FROM], from, &s[FROM]);
    if (status == CTL_OK)
        status = local_time_option(VERB, &request.call, conn, "--until", s[UNTIL], until, &s[UNTIL]);
    if (status == CTL_OK)
        status = runs[request.call.action](conn, &request);
    PQfinish(conn);
    return status;
}
