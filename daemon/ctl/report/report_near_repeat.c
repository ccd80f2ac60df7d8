/* mobeyectl report near-repeat: the Knox test, as JSON or as sentences and a table. */
#include <stdio.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/table.h"
#include "ctl/report/report.h"

/* The words of a band from "low" up to "high"; in metres, below 1 m is the same place. */
#define BAND(low, high, unit)                                                                                          \
    "case when " high " is null then " low " || ' " unit " or more' else " low " || ' to ' || " high " || ' " unit     \
    "' end"

/* One row for each cell of the report in $1, in the order of the table; ratio and p are null if there are none. */
#define CELLS                                                                                                          \
    "with report as (select $1::jsonb as r), cell as ("                                                                \
    "select i, j, (r->'distances'->>i)::numeric as near, (r->'distances'->>(i + 1))::numeric as far,"                  \
    " (r->'days'->>j)::int as soon, (r->'days'->>(j + 1))::int as late, (r->'observed'->i->>j)::bigint as observed,"   \
    " (r->'ratio'->i->>j)::float8 as ratio, (r->'p'->i->>j)::float8 as p"                                              \
    " from report cross join lateral generate_series(0, jsonb_array_length(r->'distances') - 1) as i"                  \
    " cross join lateral generate_series(0, jsonb_array_length(r->'days') - 1) as j) "

static const char heading_sql[] =
    "select format('%s %s from %s until %s%s%s; %s of their days (seed %s), distances %s', r->>'n',"
    " case r->>'n' when '1' then case r->>'of' when 'alarms' then 'alarm' else 'burglary' end else r->>'of' end,"
    " r->>'from', r->>'until',"
    " case when r->>'of' = 'burglaries' and r->>'attempts' is null then ', attempts included'"
    " when r->>'attempts' = '1' then ', 1 of them an attempt'"
    " else ', ' || nullif(r->>'attempts', '0') || ' of them attempts' end,"
    " ', and ' || nullif(r->>'without_place', '0') || ' without a place left out',"
    " (r->>'simulations') || case r->>'simulations' when '1' then ' permutation' else ' permutations' end,"
    " r->>'seed', r->>'metric') from (select $1::jsonb as r) as report";

static const char table_sql[] = CELLS "select " BAND("near", "far", "m") " as distance, " BAND(
    "soon", "late",
    "days") " as days, observed as pairs,"
            " round(ratio::numeric, 2) as \"times chance\", round(p::numeric, 4) as p from cell order by i, j";

/* What is significant at 5 %, except for the last bands: whether more is near than expected by chance. */
static const char sentences_sql[] = CELLS
    "select format('%s and %s of %s: %s %s, %s times the number expected by chance, p = %s',"
    " case when near = 0 and far <= 1 then 'at the same place' when near <= 1 then 'within ' || far || ' m'"
    " else near || ' to ' || far || ' m' end,"
    " case when soon > 0 then soon || ' to ' || late || ' days' when near <= 1 and far > 1 then late || ' days'"
    " else 'within ' || late || ' days' end,"
    " case r->>'of' when 'alarms' then 'an alarm' else 'a burglary' end, observed,"
    " case observed when 1 then 'pair' else 'pairs' end, round(ratio::numeric, 1), p)"
    " from cell cross join report where p <= 0.05 and ratio > 1 and far is not null and late is not null order by i, j";

static int print_text(PGconn *conn, const char *report)
{
    PGresult *heading = ctl_query(conn, REPORT_VERB, "near-repeat", heading_sql, 1, &report);
    PGresult *sentences = ctl_query(conn, REPORT_VERB, "near-repeat", sentences_sql, 1, &report);
    PGresult *table = ctl_query(conn, REPORT_VERB, "near-repeat", table_sql, 1, &report);
    int status = heading && sentences && table ? CTL_OK : CTL_FAILED;
    if (status == CTL_OK) {
        printf("%s\n\n", PQgetvalue(heading, 0, 0));
        for (int i = 0; i < PQntuples(sentences); i++)
            puts(PQgetvalue(sentences, i, 0));
        if (PQntuples(sentences) == 0)
            puts("No near band has more pairs than expected by chance (p above 0.05).");
        puts("");
        ctl_print_rows(table, false);
    }
    PQclear(table);
    PQclear(sentences);
    PQclear(heading);
    return status;
}

int report_near_repeat(PGconn *conn, const struct report_request *request)
{
    const char *const values[] = {request->from, request->until,  request->of,          request->distances,
                                  request->days, request->metric, request->simulations, request->seed};
    PGresult *rows = ctl_query(conn, REPORT_VERB, "near-repeat",
                               "select patrol.near_repeat($1::date, $2::date, coalesce($3, 'burglaries'),"
                               " ('{' || coalesce($4, '0,1,100,200,300') || '}')::numeric[],"
                               " ('{' || coalesce($5, '0,7,14,21') || '}')::integer[], coalesce($6, 'euclidean'),"
                               " coalesce($7::integer, 999), coalesce($8::bigint, 1))",
                               8, values);
    if (!rows)
        return CTL_FAILED;
    int status = CTL_OK;
    if (request->format == REPORT_JSON)
        puts(PQgetvalue(rows, 0, 0));
    else
        status = print_text(conn, PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return status;
}
