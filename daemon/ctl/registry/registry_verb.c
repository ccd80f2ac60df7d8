#include "ctl/registry/registry_verb.h"

#include <stdio.h>

#include "base/nearest.h"
#include "ctl/lib/csv_write.h"
#include "ctl/lib/table.h"

static PGresult *run_query(const char *verb, const struct ctl_call *call, const struct registry_query *query)
{
    PGconn *conn = ctl_connect(verb, call->file, call->db);
    PGresult *rows = conn ? ctl_query(conn, verb, "query", query->sql, query->n_values, query->values) : NULL;
    PQfinish(conn);
    return rows;
}

int registry_list(const char *verb, const struct ctl_call *call, const struct registry_query *query)
{
    PGresult *rows = run_query(verb, call, query);
    int status = rows ? CTL_OK : CTL_FAILED;
    if (rows)
        ctl_print_rows(rows, call->json);
    PQclear(rows);
    return status;
}

int registry_export(const char *verb, const struct ctl_call *call, const struct registry_query *query)
{
    struct buf out = {0};
    PGresult *rows = run_query(verb, call, query);
    int status = rows ? CTL_OK : CTL_FAILED;
    if (rows)
        csv_write(rows, ',', false, &out);
    if (out.len > 0)
        fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    PQclear(rows);
    return status;
}

static int show_tables(const char *verb, PGconn *conn, const struct registry_section *sections, int n_values,
                       const char *const *values)
{
    bool printed = false;
    for (const struct registry_section *section = sections; section->name; section++) {
        PGresult *rows = ctl_query(conn, verb, section->name, section->sql, n_values, values);
        if (!rows)
            return CTL_FAILED;
        if (PQntuples(rows) > 0) {
            printf("%s%s:\n", printed ? "\n" : "", section->name);
            ctl_print_rows(rows, false);
            printed = true;
        }
        PQclear(rows);
    }
    return CTL_OK;
}

static int show_json(const char *verb, PGconn *conn, const struct registry_section *sections, int n_values,
                     const char *const *values)
{
    struct buf sql = {0};
    buf_printf(&sql, "select jsonb_pretty(jsonb_build_object(");
    for (const struct registry_section *section = sections; section->name; section++)
        buf_printf(&sql, "%s'%s', (select %s from (%s) x)", section == sections ? "" : ", ", section->name,
                   section->many ? "coalesce(jsonb_agg(to_jsonb(x)), '[]')" : "to_jsonb(x)", section->sql);
    buf_append(&sql, "))", sizeof("))"));
    PGresult *zone = ctl_query(conn, verb, "time zone", "set timezone = 'UTC'", 0, NULL);
    PGresult *row = zone ? ctl_query(conn, verb, "show", sql.data, n_values, values) : NULL;
    PQclear(zone);
    if (row)
        puts(PQgetvalue(row, 0, 0));
    int status = row ? CTL_OK : CTL_FAILED;
    PQclear(row);
    buf_free(&sql);
    return status;
}

int registry_show(const char *verb, PGconn *conn, bool json, const struct registry_section *sections, int n_values,
                  const char *const *values)
{
    return json ? show_json(verb, conn, sections, n_values, values)
                : show_tables(verb, conn, sections, n_values, values);
}

int registry_print(const char *verb, PGconn *conn, bool json, const char *what, const struct registry_query *query)
{
    PGresult *row = ctl_query(conn, verb, what, query->sql, query->n_values, query->values);
    int status = row ? CTL_OK : CTL_FAILED;
    if (row)
        ctl_print_rows(row, json);
    PQclear(row);
    return status;
}

void registry_missing(const char *verb, PGconn *conn, const char *kind, const char *name, const char *missing,
                      const char *names_sql)
{
    PGresult *names = ctl_query(conn, verb, kind, names_sql, 0, NULL);
    if (names)
        ctl_fail(verb, "%s \"%s\" %s%s", kind, name, missing, nearest_hint(name, ctl_name_of_row, names).text);
    PQclear(names);
}

bool registry_exists(const char *verb, PGconn *conn, const char *kind, const char *name, const char *exists_sql,
                     const char *names_sql)
{
    PGresult *rows = ctl_query(conn, verb, kind, exists_sql, 1, &name);
    bool known = PQntuples(rows) > 0;
    if (rows && !known)
        registry_missing(verb, conn, kind, name, "does not exist", names_sql);
    PQclear(rows);
    return known;
}
