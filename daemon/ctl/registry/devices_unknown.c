#include "ctl/registry/devices_unknown.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ctl/lib/table.h"
#include "ctl/registry/near_device.h"

#define VERB "devices"

static const char registered_sql[] =
    "select d.device_id, a.account, a.input from mobeye.device d left join mobeye.device_address a using (device_id) "
    "order by 1, 2, 3 nulls first";

static const char unknown_sql[] =
    "select u.device_id, last_received_at, kind, endpoint, source, alerts, first_received_at, n.near from "
    "mobeye.device_unknown u left join unnest($1::text[], $2::text[]) "
    "as n (device_id, near) on n.device_id = u.device_id order by 2 desc, 1";

static const char *value_or_null(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

/* Appends "NL-HOME (account 3071 input 1)". */
static void describe(const struct near_candidate *near, struct buf *out)
{
    buf_printf(out, "%s", near->device_id);
    if (near->account)
        buf_printf(out, " (account %s%s%s)", near->account, near->input ? " input " : "",
                   near->input ? near->input : "");
}

/* Builds two text arrays: the unknown ids that resemble a registered device, and that device. */
static void find_near(const PGresult *unknown, const PGresult *registered, struct buf *ids, struct buf *nears)
{
    size_t n = (size_t)PQntuples(registered);
    struct near_candidate *candidates = mem_zalloc((n + 1) * sizeof(*candidates));
    for (size_t i = 0; i < n; i++)
        candidates[i] = (struct near_candidate){PQgetvalue(registered, (int)i, 0), value_or_null(registered, (int)i, 1),
                                                value_or_null(registered, (int)i, 2)};
    for (int i = 0; i < PQntuples(unknown); i++) {
        const struct near_candidate *near = near_device(PQgetvalue(unknown, i, 0), candidates, n);
        struct buf text = {0};
        if (!near)
            continue;
        describe(near, &text);
        /* Ids and accounts contain neither quotes nor backslashes. */
        buf_printf(ids, "%s\"%s\"", ids->len ? "," : "{", PQgetvalue(unknown, i, 0));
        buf_printf(nears, "%s\"%s\"", nears->len ? "," : "{", text.data);
        buf_free(&text);
    }
    buf_printf(ids, ids->len ? "}" : "{}");
    buf_printf(nears, nears->len ? "}" : "{}");
    free(candidates);
}

static PGresult *query_unknown(PGconn *conn)
{
    struct buf ids = {0}, nears = {0};
    PGresult *unknown = ctl_query(conn, VERB, "unknown", "select device_id from mobeye.device_unknown", 0, NULL);
    PGresult *registered = unknown ? ctl_query(conn, VERB, "unknown", registered_sql, 0, NULL) : NULL;
    PGresult *rows = NULL;
    if (registered) {
        find_near(unknown, registered, &ids, &nears);
        const char *values[] = {ids.data, nears.data};
        rows = ctl_query(conn, VERB, "unknown", unknown_sql, 2, values);
    }
    PQclear(unknown);
    PQclear(registered);
    buf_free(&ids);
    buf_free(&nears);
    return rows;
}

int devices_unknown(const struct ctl_call *call)
{
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    PGresult *rows = conn ? query_unknown(conn) : NULL;
    if (rows)
        ctl_print_rows(rows, call->json);
    PQclear(rows);
    PQfinish(conn);
    return rows ? CTL_OK : CTL_FAILED;
}
