/* mobeyectl queue: the patrol queue in a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/stop_signal.h"
#include "ctl/lib/table.h"
#include "ctl/operate/team_check.h"

#define VERB "queue"

/* NOTIFY is only a hint, and waiting times rise: without one the queue is read this often. */
#define LOOK_MS 5000

static const char help[] =
    "Usage: mobeyectl queue [OPTION]...\n"
    "Shows the patrol queue: the open alarm incidents in the order in which patrols take them, as far as the role "
    "sees\n"
    "them. Times are in the time zone of the database.\n\n"
    "      --follow           show it again after each change, until Ctrl-C; on a terminal in place\n"
    "      --team TEAM        only incidents of TEAM and incidents without a team\n"
    "      --json             print JSON: an array of incidents; with --follow one per line\n"
    "  -c, --config FILE      configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO      libpq connection string; overrides database.conninfo\n"
    "  -h, --help             print this help\n\n"
    "Columns: place in the queue, reference for the radio, priority (1 first), since when, kind of the first alert, "
    "what\n"
    "the latest alert said or its camera recognised (person 87 %, oprit), address or district, status and who has "
    "it.\n\n"
    "On a terminal, unacknowledged incidents are bold, and overdue ones red; NO_COLOR turns that off.\n\n"
    "Example:\n"
    "  $ mobeyectl queue --follow --team noord\n\n" CTL_EXIT_HELP;

struct queue {
    struct ctl_call call;
    const char *team;
    bool follow;
    PGconn *conn;
    char *shown; /* what was last printed as data, to print it again only if it has changed; NULL: nothing */
};

#define OF_TEAM " from patrol.queue where $1::text is null or team is null or team = $1"

/* The last two columns are not printed: whether it waits, and whether it is overdue. */
/* clang-format off */
static const char table_sql[] =
    "select place as \"#\", reference, priority as prio,"
    " case when first_seen > now() - interval '20 hours' then to_char(first_seen, 'HH24:MI')"
    "      when first_seen > now() - interval '6 days' then to_char(first_seen, 'Dy HH24:MI')"
    "      else to_char(first_seen, 'DD-MM HH24:MI') end as since,"
    " concat_ws(' ', kind, case when verified_by is not null then 'verified' end, case when drill then 'DRILL' end,"
    "           case when delayed then 'late' end) as kind,"
    " case when length(said) > 18 then left(said, 17) || '…' else said end as what,"
    " case when length(at) > 24 then left(at, 23) || '…' else at end as \"where\","
    " concat_ws(' ', status, assigned_to, case when overdue_since is not null then 'OVERDUE' end) as status,"
    " status in ('new', 'reopened') as waits, overdue_since is not null as overdue"
    " from (select *, coalesce(text, input_label, '') as said, coalesce(address, wijk_name, wijk_code, '') as at"
            OF_TEAM ") as queue order by queue.place";
/* clang-format on */

static const char json_sql[] =
    "select coalesce(jsonb_agg(to_jsonb(q) - 'geom' order by q.place), '[]') from (select *" OF_TEAM ") as q";

static const char total_sql[] =
    "select count(*), count(overdue_since),"
    " extract(epoch from now() - min(coalesce(reopened_at, created_at)) filter (where status in ('new', 'reopened'))),"
    " to_char(now(), 'HH24:MI:SS TZ')" OF_TEAM;

static PGresult *query(struct queue *q, const char *sql)
{
    const char *values[] = {q->team};
    return ctl_query(q->conn, VERB, "cannot read the queue", sql, 1, values);
}

static bool colours(void)
{
    const char *off = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(off && *off);
}

static void print_total(const struct queue *q, const PGresult *total)
{
    printf("%s incident%s in the queue", PQgetvalue(total, 0, 0), strcmp(PQgetvalue(total, 0, 0), "1") == 0 ? "" : "s");
    if (q->team)
        printf(" of %s", q->team);
    if (strcmp(PQgetvalue(total, 0, 1), "0") != 0)
        printf(", %s overdue", PQgetvalue(total, 0, 1));
    if (!PQgetisnull(total, 0, 2)) {
        long s = strtol(PQgetvalue(total, 0, 2), NULL, 10);
        printf(s < 3600 ? "; the oldest has waited %ld min" : "; the oldest has waited %ld h",
               s < 3600 ? s / 60 : s / 3600);
        if (s >= 3600)
            printf(" %ld min", s / 60 % 60);
    }
    printf("  (%s)\n", PQgetvalue(total, 0, 3));
}

static void print_table(const struct queue *q, const PGresult *rows, const PGresult *total)
{
    int n = PQntuples(rows), columns = PQnfields(rows) - 2;
    const char **styles = mem_zalloc((size_t)(n + 1) * sizeof(*styles));
    for (int row = 0; row < n && colours(); row++) {
        bool waits = *PQgetvalue(rows, row, columns) == 't', overdue = *PQgetvalue(rows, row, columns + 1) == 't';
        styles[row] = overdue ? "\033[1;31m" : waits ? "\033[1m" : NULL;
    }
    print_total(q, total);
    if (n > 0)
        ctl_print_columns(rows, columns, styles);
    free(styles);
}

/* Whether the data differ from what was last shown, which they then replace. */
static bool is_news(struct queue *q, const PGresult *rows)
{
    struct buf text = {0};
    for (int row = 0; row < PQntuples(rows); row++)
        for (int column = 0; column < PQnfields(rows); column++)
            buf_printf(&text, "%s\x1f", PQgetvalue(rows, row, column));
    buf_append(&text, "", 1);
    bool news = !q->shown || strcmp(q->shown, text.data) != 0;
    free(q->shown);
    q->shown = mem_strdup(text.data);
    buf_free(&text);
    return news;
}

static int show_json(struct queue *q)
{
    PGresult *rows = query(q, json_sql);
    if (rows && is_news(q, rows))
        puts(PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return rows ? CTL_OK : CTL_FAILED;
}

static int show_table(struct queue *q)
{
    bool in_place = q->follow && isatty(STDOUT_FILENO);
    PGresult *rows = query(q, table_sql), *total = rows ? query(q, total_sql) : NULL;
    if (total && (is_news(q, rows) || in_place)) {
        if (in_place)
            fputs("\033[H\033[2J", stdout);
        print_table(q, rows, total);
    }
    PQclear(rows);
    PQclear(total);
    return total ? CTL_OK : CTL_FAILED;
}

static int show(struct queue *q)
{
    int rc = q->call.json ? show_json(q) : show_table(q);
    return fflush(stdout) == 0 ? rc : ctl_fail(VERB, "standard output: %m");
}

static bool connect_queue(struct queue *q)
{
    if (q->conn && PQstatus(q->conn) == CONNECTION_OK)
        return true;
    PQfinish(q->conn);
    q->conn = ctl_connect(VERB, q->call.file, q->call.db);
    ctl_wait_briefly(q->conn);
    PGresult *listens = q->conn ? ctl_query(q->conn, VERB, "listen", "listen mobeye_incident", 0, NULL) : NULL;
    PQclear(listens);
    return listens != NULL;
}

static void wait_for_change(PGconn *conn)
{
    stop_signal_wait(conn ? PQsocket(conn) : -1, LOOK_MS * CLOCK_MS);
    PGnotify *notify;
    if (conn)
        PQconsumeInput(conn);
    while (conn && (notify = PQnotifies(conn)) != NULL)
        PQfreemem(notify);
}

/* An unreachable database is reported, and ends the verb only at the first reading. */
static int follow_queue(struct queue *q)
{
    stop_signal_catch();
    while (!stop_signal_arrived()) {
        if (connect_queue(q) && show(q) != CTL_OK && ferror(stdout))
            return CTL_FAILED;
        wait_for_change(q->conn && PQstatus(q->conn) == CONNECTION_OK ? q->conn : NULL);
    }
    return CTL_OK;
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

int ctl_queue(int argc, char **argv)
{
    struct queue q = {0};
    const struct ctl_option options[] = {{"team", .text = &q.team}, {"follow", .flag = &q.follow}, {0}};
    int result = ctl_parse(argc, argv, &verb, options, &q.call);
    if (result != CTL_GO)
        return result;
    result = connect_queue(&q) ? team_check(VERB, q.conn, q.team) : CTL_FAILED;
    if (result == CTL_GO)
        result = show(&q);
    if (result == CTL_OK && q.follow)
        result = follow_queue(&q);
    PQfinish(q.conn);
    free(q.shown);
    return result;
}
