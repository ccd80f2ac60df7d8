/* mobeyectl quarantine: lists, retries or discards accepted alerts that the database refused. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/enrich_tool.h"
#include "ctl/lib/options.h"
#include "ctl/lib/table.h"
#include "enrich/correlate.h"
#include "store/quarantine_retry.h"

#define VERB "quarantine"

static const char help[] =
    "Usage: mobeyectl quarantine list [OPTION]...\n"
    "       mobeyectl quarantine show [OPTION]... ID\n"
    "       mobeyectl quarantine retry [OPTION]... [ID...]\n"
    "       mobeyectl quarantine discard [OPTION]... [--yes] ID...\n"
    "Lists, shows, retries or discards accepted alerts that the database refused.\n\n"
    "They are kept with their bytes and the reason. After the cause has been corrected, retry stores the alerts with\n"
    "the given IDs, or all of them, as the daemon would do now: with the bounds and rules of the configuration and "
    "the\n"
    "devices and areas of the database. discard deletes the given ones permanently, either all or none of them. It\n"
    "asks for confirmation and requires --yes if standard input is not a terminal. Only root and members of\n"
    "mobeye_owner may discard.\n\n"
    "      --json         list, show: print JSON\n"
    "      --yes          discard: do not ask for confirmation\n"
    "  -c, --config FILE  configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Examples:\n"
    "  $ mobeyectl quarantine list\n"
    "  $ mobeyectl quarantine discard --yes 17 18\n\n" CTL_EXIT_HELP;

struct quarantine_request {
    struct ctl_call call;
    char **ids; /* valid decimal numbers */
    int n_ids;
    struct conf *conf; /* for retry, otherwise NULL */
};

#define SUMMARY                                                                                                        \
    "id, quarantined_at, instance, journal_seq, endpoint, device_id, source, event_id, sqlstate, "                     \
    "reason"

static int list_records(PGconn *conn, const struct quarantine_request *request)
{
    PGresult *rows = ctl_query(conn, VERB, "list", "select " SUMMARY " from mobeye.quarantine order by id", 0, NULL);
    if (!rows)
        return CTL_FAILED;
    ctl_print_rows(rows, request->call.json);
    PQclear(rows);
    return CTL_OK;
}

/* Prints each column that has a value on a line; then the payload or, if the record is not readable, its bytes. */
static void print_one(const PGresult *rows)
{
    int record = PQnfields(rows) - 1, payload = record - 1;
    struct buf out = {0};
    for (int column = 0; column < payload; column++) {
        if (PQgetisnull(rows, 0, column))
            continue;
        buf_printf(&out, "%s: ", PQfname(rows, column));
        ctl_escape(&out, str_from(PQgetvalue(rows, 0, column)), false);
        buf_append_str(&out, STR("\n"));
    }
    if (PQgetisnull(rows, 0, payload)) {
        buf_printf(&out, "record, in hex:\n%s\n", PQgetvalue(rows, 0, record));
    } else {
        struct buf bytes = {0};
        ctl_append_bytea(&bytes, PQgetvalue(rows, 0, payload));
        buf_append_str(&out, STR("payload:\n"));
        ctl_escape(&out, buf_str(&bytes), true);
        buf_append_str(&out, STR("\n"));
        buf_free(&bytes);
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
}

static int show_record(PGconn *conn, const struct quarantine_request *request)
{
    PGresult *rows =
        ctl_query(conn, VERB, "show",
                  "select " SUMMARY ", received_at, journal, identity, payload, encode(record, 'hex') as record"
                  " from mobeye.quarantine where id = $1",
                  1, (const char *const *)request->ids);
    if (!rows)
        return CTL_FAILED;
    int status = CTL_OK;
    if (PQntuples(rows) == 0)
        status = ctl_fail(VERB, "%s is not in quarantine", request->ids[0]);
    else if (request->call.json)
        ctl_print_rows(rows, true);
    else
        print_one(rows);
    PQclear(rows);
    return status;
}

static void on_enrich(void *ctx, struct batch *batch)
{
    enrich_tool_enrich_batch(ctx, batch);
}

static void on_correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    correlate(set, batch, store);
}

/* false: it is still refused. */
static bool retry_one(PGconn *conn, const char *id, struct enrich_tool *tool)
{
    const struct conf *conf = tool->context.conf;
    struct quarantine_retry_calls calls = {
        .enrich = on_enrich, .correlate = on_correlate, .rules = conf->rules_text ? conf->rules_hash : NULL};
    calls.verifies = conf_verifies(conf, &calls.verify_radius_m);
    struct err err;
    switch (quarantine_retry(conn, strtoll(id, NULL, 10), &calls, tool, &err)) {
    case QUARANTINE_RETRY_STORED:
        printf("%s: stored\n", id);
        return true;
    case QUARANTINE_RETRY_DUPLICATE:
        printf("%s: already stored\n", id);
        return true;
    case QUARANTINE_RETRY_REFUSED:
        break;
    }
    ctl_fail(VERB, "%s: %s", id, err.text);
    return false;
}

static int retry_records(PGconn *conn, const struct quarantine_request *request)
{
    PGresult *rows = request->n_ids == 0
                         ? ctl_query(conn, VERB, "retry", "select id from mobeye.quarantine order by id", 0, NULL)
                         : NULL;
    if (request->n_ids == 0 && !rows)
        return CTL_FAILED;
    struct err err;
    struct enrich_tool tool;
    int n = rows ? PQntuples(rows) : request->n_ids, refused = 0;
    if (enrich_tool_load(&tool, conn, request->conf, &err) != 0) {
        PQclear(rows);
        return ctl_fail(VERB, "%s", err.text);
    }
    for (int i = 0; i < n && PQstatus(conn) == CONNECTION_OK; i++)
        refused += !retry_one(conn, rows ? PQgetvalue(rows, i, 0) : request->ids[i], &tool);
    enrich_tool_free(&tool);
    PQclear(rows);
    return refused ? CTL_FAILED : CTL_OK;
}

static int confirm(const struct quarantine_request *request)
{
    if (request->call.yes || ctl_confirm(VERB, "Permanently delete %d accepted alert%s?", request->n_ids,
                                         ctl_plural((unsigned long)request->n_ids)))
        return CTL_OK;
    return ctl_fail(VERB, "nothing was deleted");
}

/* The ids as a PostgreSQL array literal. */
static char *id_array(const struct quarantine_request *request)
{
    struct buf out = {0};
    for (int i = 0; i < request->n_ids; i++)
        buf_printf(&out, "%s%s", i ? "," : "{", request->ids[i]);
    buf_append(&out, "}", sizeof("}"));
    return out.data;
}

static int discard_records(PGconn *conn, const struct quarantine_request *request)
{
    int status = confirm(request);
    if (status != CTL_OK)
        return status;
    char *ids = id_array(request);
    PGresult *rows = ctl_query(conn, VERB, "discard",
                               "with wanted as (select distinct unnest($1::bigint[]) as id),"
                               " missing as (select id from wanted except select id from mobeye.quarantine),"
                               " deleted as (delete from mobeye.quarantine where id in (select id from wanted)"
                               " and not exists (select from missing) returning id)"
                               " select id, true from deleted union all select id, false from missing order by id",
                               1, (const char *const *)&ids);
    free(ids);
    if (!rows)
        return CTL_FAILED;
    for (int i = 0; i < PQntuples(rows); i++) {
        if (*PQgetvalue(rows, i, 1) == 't')
            printf("%s: deleted\n", PQgetvalue(rows, i, 0));
        else
            status = ctl_fail(VERB, "%s is not in quarantine; nothing was deleted", PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
    return status;
}

static bool is_id(const char *text)
{
    char *end;
    errno = 0;
    return *text >= '1' && *text <= '9' && strtoll(text, &end, 10) > 0 && !*end && errno == 0;
}

/* Loads the configuration for its bounds and rules; NULL if it has errors. */
static struct conf *load_rules(const struct quarantine_request *request)
{
    if (!request->call.db || request->call.file || access(CONF_DEFAULT_FILE, F_OK) == 0) {
        struct conf *conf = ctl_load(request->call.file);
        if (conf)
            ctl_use_zone(conf->timezone); /* rules_match() uses local time */
        return conf;
    }
    ctl_fail(VERB,
             "warning: no configuration (neither " CONF_DEFAULT_FILE " nor -c): no bounds and no rules are applied");
    return mem_zalloc(sizeof(struct conf));
}

enum { LIST, SHOW, RETRY, DISCARD };

static const struct ctl_verb actions[] = {
    [LIST] = {"list", .takes = "config db json"},
    [SHOW] = {"show", .takes = "config db json", .argument = "ID", .least = 1, .most = 1},
    [RETRY] = {"retry", .takes = "config db", .argument = "ID", .most = INT_MAX},
    [DISCARD] = {"discard", .takes = "config db yes", .argument = "ID", .least = 1, .most = INT_MAX},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};
static int (*const runs[])(PGconn *conn, const struct quarantine_request *request) = {
    [LIST] = list_records, [SHOW] = show_record, [RETRY] = retry_records, [DISCARD] = discard_records};

static int run_quarantine(struct quarantine_request *request)
{
    if (request->call.action == RETRY && !(request->conf = load_rules(request)))
        return CTL_FAILED;
    PGconn *conn = request->conf ? ctl_connect_to(VERB, request->conf, request->call.db)
                                 : ctl_connect(VERB, request->call.file, request->call.db);
    int status = conn ? runs[request->call.action](conn, request) : CTL_FAILED;
    PQfinish(conn);
    conf_free(&request->conf);
    return status;
}

int ctl_quarantine(int argc, char **argv)
{
    struct quarantine_request request = {0};
    const struct ctl_option options[] = {{0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    request.ids = request.call.arguments;
    request.n_ids = request.call.n_arguments;
    for (int i = 0; i < request.n_ids; i++)
        if (!is_id(request.ids[i]))
            return ctl_usage(VERB, "\"%s\" is not an ID ('mobeyectl quarantine list' prints them)", request.ids[i]);
    return run_quarantine(&request);
}
