#include "ctl/registry/find_device.h"

#include <stdio.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/registry/registry_verb.h"

/* In the order of their rank: the id, the id in another case, the account and input. */
static const char candidates_sql[] =
    "with wanted as (select $1::text as id, upper(regexp_replace(split_part($1, '/', 1), '^dc09:', '', 'i')) as "
    "account,"
    "   split_part($1, '/', 2) as input),"
    " candidate as (select device_id, 1 as rank from mobeye.device, wanted where device_id = id"
    "   union select device_id, 2 from mobeye.device, wanted where lower(device_id) = lower(id)"
    "   union select a.device_id, 3 from mobeye.device_address a, wanted w"
    "     where ltrim(a.account, '0') = ltrim(w.account, '0') and (w.input = '' or a.input::text = w.input))"
    " select device_id from candidate where rank = (select min(rank) from candidate) order by 1";

static void report_several(const char *verb, const char *text, const PGresult *rows)
{
    enum { SHOWN = 5 };
    struct buf names = {0};
    for (int row = 0; row < PQntuples(rows) && row < SHOWN; row++)
        buf_printf(&names, "%s%s", row ? ", " : "", PQgetvalue(rows, row, 0));
    ctl_fail(verb, "\"%s\" is more than one device (%.*s%s)", text, (int)names.len, names.data,
             PQntuples(rows) > SHOWN ? ", ..." : "");
    buf_free(&names);
}

bool find_device(const char *verb, PGconn *conn, const char *text, struct device_name *ret)
{
    PGresult *rows = ctl_query(conn, verb, "device", candidates_sql, 1, &text);
    bool found = PQntuples(rows) == 1;
    if (found)
        snprintf(ret->text, sizeof(ret->text), "%s", PQgetvalue(rows, 0, 0));
    else if (PQntuples(rows) > 1)
        report_several(verb, text, rows);
    else if (rows)
        registry_missing(verb, conn, "device", text, "is not registered",
                         "select device_id from mobeye.device order by 1");
    if (found && strcmp(text, ret->text) != 0)
        fprintf(stderr, "mobeyectl %s: note: %s is device %s\n", verb, text, ret->text);
    PQclear(rows);
    return found;
}
