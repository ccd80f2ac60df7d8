/* mobeyectl report devices: how devices were used, what their alarms were, and the cards that they earned. */
#include <stdio.h>

#include "ctl/lib/csv_write.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/table.h"
#include "ctl/report/report.h"

#define FROM_REPORT " from patrol.device_report($1::date, $2::date) as d"

static const char json_sql[] = "select coalesce(jsonb_agg(to_jsonb(d) order by d.device_id), '[]')" FROM_REPORT;

static const char rows_sql[] =
    "select d.device_id, coalesce(d.model, '') as model, d.placements, d.nights, d.alarms,"
    " d.outcomes->'confirmed' as confirmed, d.outcomes->'false_alarm' as false_alarms, d.outcomes->'technical' as "
    "technical,"
    " d.outcomes->'no_trace' as no_trace, d.outcomes->'unattended' as unattended, d.outcomes->'restored' as restored,"
    " d.outcomes->'open' as open, coalesce(d.card, '') as card" FROM_REPORT " order by d.device_id";

static void print_csv(const PGresult *rows)
{
    struct buf csv = {0};
    csv_write(rows, ',', false, &csv);
    fwrite(csv.data, 1, csv.len, stdout);
    buf_free(&csv);
}

/* An analyst gets no figures of a device that was in only a few homes, nor anything from which they could be
 * computed. */
static void print_left_out(const PGresult *rows)
{
    int n = 0;
    for (int row = 0; row < PQntuples(rows); row++)
        n += PQgetisnull(rows, row, PQfnumber(rows, "placements"));
    if (n > 0)
        fprintf(stderr, "no figures of %d device%s (with fewer than 5 placements, or needed to conceal those)\n", n,
                ctl_plural((unsigned long)n));
}

int report_devices(PGconn *conn, const struct report_request *request)
{
    const char *const values[] = {request->from, request->until};
    PGresult *rows =
        ctl_query(conn, REPORT_VERB, "devices", request->format == REPORT_JSON ? json_sql : rows_sql, 2, values);
    if (!rows)
        return CTL_FAILED;
    if (request->format == REPORT_JSON)
        puts(PQgetvalue(rows, 0, 0));
    else if (request->format == REPORT_CSV)
        print_csv(rows);
    else
        ctl_print_rows(rows, false);
    if (request->format != REPORT_JSON)
        print_left_out(rows);
    PQclear(rows);
    return CTL_OK;
}
