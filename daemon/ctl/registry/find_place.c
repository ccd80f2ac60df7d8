#include "ctl/registry/find_place.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/lib/cell_read.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/incident_reference.h"

static const char rd_sql[] =
    "select public.st_x(g), public.st_y(g), null, null, false, null from public.st_transform(public.st_setsrid("
    "public.st_makepoint($1::float8, $2::float8), 28992), 4326) as g";

/* The newest placement at the address comes first; another place with the same address, more than 50 m away, is a
 * second row. A secret placement makes the address secret. */
static const char address_sql[] =
    "with same as (select p.geom, p.address, p.device_id, lower(p.during) as since, p.secret, p.team"
    "   from mobeye.placement p where mobeye.plain_address(p.address) = mobeye.plain_address($1::text)"
    "   order by lower(p.during) desc),"
    " newest as (select * from same limit 1),"
    " hidden as (select * from same where secret limit 1)"
    " select public.st_x(s.geom), public.st_y(s.geom), s.address,"
    "   format('where %s was placed on %s', s.device_id, to_char(s.since, 'YYYY-MM-DD')), h.device_id is not null,"
    "   case when s.secret or h.device_id is null then s.team else h.team end"
    " from newest s left join hidden h on true"
    " union all (select public.st_x(s.geom), public.st_y(s.geom), s.address, null, null, null"
    "   from same s, newest n"
    "   where public.st_distance(s.geom::public.geography, n.geom::public.geography) > 50 limit 1)";

/* If no place was found: why. */
static const char reference_sql[] =
    "select case when not i.coarse then public.st_x(i.geom) end, public.st_y(i.geom), i.address,"
    "   case when i.coarse then 'is shown to you by its cell only (expected coordinates or an address)'"
    "        when i.geom is null then 'has no place' else format('the place of its device %s', i.device_id) end,"
    "   coalesce(s.secret, false), s.team"
    " from patrol.incidents i left join lateral mobeye.incident_secrecy(i.incident_id) s on true"
    " where i.reference = $1";

static void copy_place(const PGresult *rows, struct found_place *ret)
{
    snprintf(ret->lon, sizeof(ret->lon), "%s", PQgetvalue(rows, 0, 0));
    snprintf(ret->lat, sizeof(ret->lat), "%s", PQgetvalue(rows, 0, 1));
    ret->address = PQgetisnull(rows, 0, 2) ? NULL : mem_strdup(PQgetvalue(rows, 0, 2));
    ret->secret = *PQgetvalue(rows, 0, 4) == 't';
    ret->team = PQgetisnull(rows, 0, 5) ? NULL : mem_strdup(PQgetvalue(rows, 0, 5));
}

static int convert_rd(const char *verb, PGconn *conn, double x, double y, struct found_place *ret)
{
    char x_text[32], y_text[32];
    snprintf(x_text, sizeof(x_text), "%.17g", x);
    snprintf(y_text, sizeof(y_text), "%.17g", y);
    const char *values[] = {x_text, y_text};
    PGresult *row = ctl_query(conn, verb, "RD New", rd_sql, 2, values);
    if (row)
        copy_place(row, ret);
    PQclear(row);
    return row ? CTL_OK : CTL_FAILED;
}

/* Looks in the database. CTL_USAGE: nothing was found there, and nothing was printed. */
static int look_up(const char *verb, PGconn *conn, const char *option, const char *text, const char *sql,
                   const char *value, struct found_place *ret)
{
    PGresult *rows = ctl_query(conn, verb, option, sql, 1, &value);
    int n = rows ? PQntuples(rows) : -1, status = n < 0 ? CTL_FAILED : n == 0 ? CTL_USAGE : CTL_OK;
    if (n > 1)
        status = ctl_fail(verb, "%s: \"%s\" is the address of several placements (give its coordinates)", option, text);
    else if (n == 1 && PQgetisnull(rows, 0, 0))
        status = ctl_fail(verb, "%s: incident %s %s", option, value, PQgetvalue(rows, 0, 3));
    if (status == CTL_OK) {
        copy_place(rows, ret);
        fprintf(stderr, "mobeyectl %s: note: %s: %s is %s,%s, %s\n", verb, option, text, ret->lon, ret->lat,
                PQgetvalue(rows, 0, 3));
    }
    PQclear(rows);
    return status;
}

int find_place(const char *verb, PGconn *conn, const char *option, const char *text, struct found_place *ret)
{
    struct err err;
    double x, y;
    bool rd;
    struct incident_reference reference;
    *ret = (struct found_place){0};
    if (incident_reference_parse(text, &reference)) {
        int found = look_up(verb, conn, option, text, reference_sql, reference.text, ret);
        return found == CTL_USAGE ? ctl_fail(verb, "%s: incident %s does not exist", option, reference.text) : found;
    }
    if (cell_position(str_from(text), &x, &y, &rd, &err) == 0) {
        snprintf(ret->lon, sizeof(ret->lon), "%.17g", x);
        snprintf(ret->lat, sizeof(ret->lat), "%.17g", y);
        return rd ? convert_rd(verb, conn, x, y, ret) : CTL_OK;
    }
    bool has_letters = strpbrk(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (!has_letters)
        return ctl_usage(verb, "%s: %s", option, err.text);
    int found = look_up(verb, conn, option, text, address_sql, text, ret);
    return found == CTL_USAGE
               ? ctl_fail(verb,
                          "%s: no placement has the address \"%s\" (expected LON,LAT in degrees, X Y in RD New, the "
                          "address of a placement, or the reference of an incident)",
                          option, text)
               : found;
}
