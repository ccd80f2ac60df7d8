/* mobeyectl report hotspots: GeoJSON, as areas import takes it. */
#include <stdio.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/report/report.h"

int report_hotspots(PGconn *conn, const struct report_request *request)
{
    const char *const values[] = {request->from, request->until, request->of, request->cell, request->min};
    PGresult *rows =
        ctl_query(conn, REPORT_VERB, "hotspots",
                  "select h, jsonb_array_length(h->'features') from patrol.hotspots($1::date, $2::date,"
                  " coalesce($3, 'burglaries'), coalesce($4::integer, 125), coalesce($5::integer, 3)) as h",
                  5, values);
    if (!rows)
        return CTL_FAILED;
    puts(PQgetvalue(rows, 0, 0));
    const char *n = PQgetvalue(rows, 0, 1);
    fprintf(stderr, "%s hotspot%s\n", n, strcmp(n, "1") == 0 ? "" : "s");
    PQclear(rows);
    return CTL_OK;
}
