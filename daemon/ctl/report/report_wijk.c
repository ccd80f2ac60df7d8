/* mobeyectl report wijk: the district safety report, as HTML, CSV or JSON. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/lib/csv_write.h"
#include "ctl/lib/ctl.h"
#include "ctl/report/report.h"

#define ARGUMENTS "($1::date, $2::date, coalesce($3, 'wijk'), coalesce($4::integer, 5), $5::text[])"

/* By format. Numbers in CSV have a decimal comma, for a spreadsheet in Dutch. */
static const char *const queries[] = {
    [REPORT_HTML] = "select patrol.wijk_report_html" ARGUMENTS,
    [REPORT_JSON] =
        "select jsonb_pretty(case when $5::text[] is null then r else r || jsonb_build_object('areas',"
        " (select coalesce(jsonb_agg(a order by i), '[]') from jsonb_array_elements(r->'areas') with ordinality"
        " as t(a, i) where a->>'code' = any ($5::text[]))) end)"
        " from patrol.wijk_report($1::date, $2::date, coalesce($3, 'wijk'), coalesce($4::integer, 5)) as r",
    [REPORT_CSV] = "select code, name, figure, replace(value::text, '.', ',') as value,"
                   " replace(previous::text, '.', ',') as previous, replace(year_before::text, '.', ',') as year_before"
                   " from patrol.wijk_report_rows" ARGUMENTS,
};

/* The codes as an array literal; nothing if there are none. */
static void list_codes(const struct report_request *request, struct buf *out)
{
    for (size_t i = 0; i < request->n_codes; i++) {
        buf_printf(out, "%s", i ? ",\"" : "{\"");
        for (const char *c = request->codes[i]; *c; c++)
            buf_printf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
        buf_printf(out, "\"");
    }
    if (out->len > 0)
        buf_append(out, "}", sizeof("}"));
}

static int write_output(const struct report_request *request, const struct buf *text)
{
    const char *output = request->output;
    FILE *file = output ? fopen(output, "w") : stdout;
    if (!file)
        return ctl_fail(REPORT_VERB, "%s: %s", output, strerror(errno));
    bool written = fwrite(text->data, 1, text->len, file) == text->len;
    if (output && (fclose(file) != 0 || !written))
        return ctl_fail(REPORT_VERB, "%s: %s", output, strerror(errno));
    return CTL_OK;
}

/* An area that is named must be in the report: otherwise a typing error would pass for an area without burglaries. */
static int check_codes(PGconn *conn, const char *layer, const char *codes)
{
    const char *const values[] = {layer, codes};
    PGresult *rows = ctl_query(conn, REPORT_VERB, "codes",
                               "select patrol.unknown_areas(coalesce($1, 'wijk'), $2::text[])", 2, values);
    int status = rows ? CTL_OK : CTL_FAILED;
    for (int row = 0; row < PQntuples(rows); row++)
        status = ctl_fail(REPORT_VERB, "--code \"%s\": is not an area of layer %s", PQgetvalue(rows, row, 0),
                          layer ? layer : "wijk");
    PQclear(rows);
    return status;
}

int report_wijk(PGconn *conn, const struct report_request *request)
{
    struct buf codes = {0}, text = {0};
    list_codes(request, &codes);
    const char *const values[] = {request->from, request->until, request->layer, request->min_cell, codes.data};
    PGresult *rows = ctl_query(conn, REPORT_VERB, "wijk", queries[request->format], 5, values);
    int status = rows ? CTL_OK : CTL_FAILED;
    if (status == CTL_OK && request->n_codes)
        status = check_codes(conn, request->layer, codes.data);
    if (status == CTL_OK && request->format == REPORT_CSV) {
        buf_printf(&text, "%s", request->excel ? "\xef\xbb\xbf" : "");
        csv_write(rows, ';', request->excel, &text);
    } else if (status == CTL_OK) {
        buf_printf(&text, "%s\n", PQgetvalue(rows, 0, 0));
    }
    if (status == CTL_OK)
        status = write_output(request, &text);
    PQclear(rows);
    buf_free(&codes);
    buf_free(&text);
    return status;
}
