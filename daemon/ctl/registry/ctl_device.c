/* mobeyectl device: places, retrieves and shows one device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/local_zone.h"
#include "ctl/lib/options.h"
#include "ctl/registry/bounds.h"
#include "ctl/registry/find_device.h"
#include "ctl/registry/find_place.h"
#include "ctl/registry/registry_verb.h"

#define VERB "device"

static const char help[] =
    "Usage: mobeyectl device place DEVICE --at PLACE [OPTION]...\n"
    "       mobeyectl device retrieve DEVICE [--at TIME] [OPTION]...\n"
    "       mobeyectl device undo DEVICE [OPTION]...\n"
    "       mobeyectl device show DEVICE [OPTION]...\n"
    "       mobeyectl device repair DEVICE [OPTION]...\n"
    "       mobeyectl device retire DEVICE [OPTION]...\n"
    "       mobeyectl device stock DEVICE [OPTION]...\n"
    "       mobeyectl device remove DEVICE [OPTION]...\n"
    "Places, retrieves, shows or removes one device.\n\n"
    "DEVICE is its id in any case, or the account of its DC-09 messages, with or without the input: 3071/1.\n"
    "place records where a device stands from now on, or during a period, and ends its open placement; one with the\n"
    "same start it corrects, keeping its address, team, secrecy and instructions where they are not given; without\n"
    "--from, also one that becomes secret where the device stands already. At the address or the point of a secret\n"
    "placement, or at the incident of one, it is secret too, with its team; so it is at most 50 m from a secret\n"
    "placement of the device, or after one unless both have addresses, and others. It prints the wijk and the RD New\n"
    "coordinates of the place. retrieve ends the current placement. undo removes the newest placement, prints it and\n"
    "reopens the one that it ended. show prints everything that is registered about a device, and its last message.\n"
    "repair and retire exclude a device from being placed, stock allows it again; the device must have been\n"
    "retrieved. remove deletes a device that was registered by mistake; one that incidents refer to is kept, and one\n"
    "with a placement that was erased at a person's request and that alerts may follow.\n\n"
    "      --at PLACE         place: in degrees (WGS84), such as 5.38421,52.19634; in RD New, such as\n"
    "                         \"155990.61 464256.19\"; an address where a device is or was placed; or the reference\n"
    "                         of an incident, such as 2026-000010\n"
    "      --at TIME          retrieve: end of the placement (default: now)\n"
    "      --from TIME        place: start, RFC 3339, such as 2026-11-23T21:00:00+01:00, or local time, such as\n"
    "                         \"23-11-2026 21:00\" (default: now)\n"
    "      --until TIME       place: end, excluded (default: until further notice)\n"
    "      --address TEXT     place: its address\n"
    "      --team TEAM        place: the team of the placement; overrides the team of the area\n"
    "      --secret           place: show the place to its team only\n"
    "      --instructions TEXT\n"
    "                         place: what a patrol should know before going there\n"
    "      --anyway           place: accept a place outside the bounds of the configuration\n"
    "      --yes              remove: do not ask for confirmation\n" CTL_COMMON_HELP "\nExample:\n"
    "  $ mobeyectl device place NL-0307-00042 --at 5.38421,52.19634 --address \"Kerkstraat 1\"\n\n"
    "All but show require a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

struct device_request {
    struct ctl_call call;
    PGconn *conn;
    struct device_name device;
    const char *at, *from, *until, *address, *team, *instructions;
    bool secret, anyway;
};

/* A warning of the server, such as that a team does not exist. */
static void on_notice(void *ctx, const PGresult *notice)
{
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    (void)ctx;
    ctl_fail(VERB, "warning: %s", text ? text : "");
}

static int change_device(const struct device_request *request, const char *what, const char *sql, int n,
                         const char *const *values)
{
    const struct registry_query query = {sql, n, values};
    return registry_print(VERB, request->conn, request->call.json, what, &query);
}

static int parse_time(const struct device_request *request, const char *option, const char *text,
                      char formatted[CLOCK_RFC3339_SIZE], const char **ret_text)
{
    return local_time_option(VERB, &request->call, request->conn, option, text, formatted, ret_text);
}

/* Refuses a place outside the bounds. The database decides, as for the imports. */
static int check_place(const struct device_request *request, const char *lon, const char *lat)
{
    char bounds[BOUNDS_SIZE];
    if (bounds_read(&request->call, request->anyway, bounds) != CTL_OK)
        return CTL_FAILED;
    const char *values[] = {lon, lat, bounds[0] ? bounds : NULL};
    PGresult *why =
        ctl_query(request->conn, VERB, "place",
                  "select mobeye.implausible(public.st_setsrid(public.st_makepoint($1::float8, $2::float8), "
                  "4326), $3::float8[])",
                  3, values);
    int status = why ? CTL_OK : CTL_FAILED;
    if (why && !PQgetisnull(why, 0, 0))
        status = ctl_fail(VERB, "--at: %s", PQgetvalue(why, 0, 0));
    PQclear(why);
    return status;
}

/* As for the imports (mobeye.keep_secrecy()), a new placement is secret, with its team, by a secret one of its device:
 * at most 50 m away, or that it ends or continues unless both have addresses, and others ("left"). Otherwise the place
 * may be that of a secret placement: by its address ($3 or, of an incident, $4; else that of the placement which is
 * corrected, or stands there) or, if no placement has the address that is given, by its point. Flats may have the same
 * point; coordinates that were converted differ by millimetres. A secret placement that is corrected stays what it is.
 */
static const char secret_sql[] =
    "with place as (select"
    "   public.st_setsrid(public.st_makepoint($1::float8, $2::float8), 4326)::public.geography as g),"
    " corrected as (select p.address, p.secret from mobeye.placement p, place"
    "   where p.device_id = $5 and upper_inf(p.during)"
    "   and (lower(p.during) = $6::timestamptz"
    "     or $6 is null and public.st_dwithin(p.geom::public.geography, place.g, 1))),"
    " given as (select mobeye.plain_address(coalesce($3::text, $4, (select address from corrected))) as home),"
    " before as (select p.team, lower(p.during) as since,"
    "   public.st_dwithin(p.geom::public.geography, place.g, 50) as near,"
    "   lower(p.during) < f.start and coalesce(upper(p.during), 'infinity') >= f.start as until_then,"
    "   coalesce(mobeye.plain_address(p.address) <> g.home, false) as elsewhere"
    "   from mobeye.placement p, place, given g, (select coalesce($6::timestamptz, now()) as start) f"
    "   where p.device_id = $5 and p.secret"
    "   and not exists (select from corrected c where $6 is not null or not c.secret)),"
    " named as (select p.secret, p.team, lower(p.during) as since, mobeye.plain_address(p.address) = g.home as is_given"
    "   from mobeye.placement p, given g"
    "   where mobeye.plain_address(p.address) in (g.home, mobeye.plain_address($4::text))),"
    " near as (select p.secret, p.team, lower(p.during) as since, false from mobeye.placement p, place"
    "   where not exists (select from named where is_given)"
    "   and public.st_dwithin(p.geom::public.geography, place.g, 1))"
    " select team, found from ("
    "   select 1 as rank, 'before' as found, team, since from before where near or until_then and not elsewhere"
    "   union all select 2, case when is_given then 'given' else 'there' end, team, since"
    "     from (table named union all table near) f where secret"
    "   union all select 3, 'left', null, since from before where until_then) f"
    " where not exists (select from corrected c where c.secret and $6 is not null and num_nonnulls($3, $4) = 0)"
    " order by rank, since desc limit 1";

/* ret_what: the placement that is secret, and the option by which it was found. */
static int find_secrecy(const struct device_request *request, struct found_place *at, const char *from,
                        const char **ret_what)
{
    *ret_what = "--at: the placement there";
    if (at->secret)
        return CTL_OK;
    const char *values[] = {at->lon, at->lat, request->address, at->address, request->device.text, from};
    PGresult *row = ctl_query(request->conn, VERB, "place", secret_sql, 6, values);
    int status = row ? CTL_OK : CTL_FAILED;
    const char *found = row && PQntuples(row) > 0 ? PQgetvalue(row, 0, 1) : NULL;
    if (found && strcmp(found, "left") == 0) {
        if (!request->secret)
            fputs("mobeyectl " VERB ": note: --at: the placement of the device before is secret; this one, at another "
                  "address, is not (--secret if it is)\n",
                  stderr);
    } else if (found) {
        at->secret = true;
        if (strcmp(found, "before") == 0)
            *ret_what = "--at: the placement of the device before";
        else if (request->address && strcmp(found, "given") == 0)
            *ret_what = "--address: the placement there";
        free(at->team);
        at->team = PQgetisnull(row, 0, 0) ? NULL : mem_strdup(PQgetvalue(row, 0, 0));
    }
    PQclear(row);
    return status;
}

/* A secret home stays secret, with another device too. */
static const char *take_over_secrecy(const struct device_request *request, const struct found_place *at,
                                     const char *what)
{
    if (!at->secret || (request->secret && request->team))
        return request->team;
    fprintf(stderr, "mobeyectl " VERB ": note: %s is secret%s%s; this one is too\n", what, at->team ? ", of team " : "",
            at->team ? at->team : "");
    return request->team ? request->team : at->team;
}

static const char standing_sql[] =
    "select to_char(lower(p.during) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from mobeye.placement p"
    " where p.device_id = $1 and upper_inf(p.during) and lower(p.during) < now() and not p.secret"
    "   and public.st_dwithin(p.geom::public.geography,"
    "     public.st_setsrid(public.st_makepoint($2::float8, $3::float8), 4326)::public.geography, 1)"
    "   and ($4::text is null or p.address is null"
    "     or mobeye.plain_address(p.address) = mobeye.plain_address($4::text))";

/* If a home becomes secret while the device is already there, it is secret from the beginning of the placement: what
 * has been stored is hidden too. */
static int find_standing(const struct device_request *request, const struct found_place *at,
                         char text[CLOCK_RFC3339_SIZE], const char **from)
{
    if (*from || !(request->secret || at->secret))
        return CTL_OK;
    const char *values[] = {request->device.text, at->lon, at->lat, request->address ? request->address : at->address};
    PGresult *row = ctl_query(request->conn, VERB, "place", standing_sql, 4, values);
    int status = row ? CTL_OK : CTL_FAILED;
    if (row && PQntuples(row) > 0) {
        snprintf(text, CLOCK_RFC3339_SIZE, "%s", PQgetvalue(row, 0, 0));
        *from = text;
        fprintf(stderr, "mobeyectl " VERB ": note: the device has been there since %s: that placement becomes secret\n",
                text);
    }
    PQclear(row);
    return status;
}

static int place_device(const struct device_request *request)
{
    struct found_place at;
    char from_text[CLOCK_RFC3339_SIZE], until_text[CLOCK_RFC3339_SIZE];
    const char *from, *until, *secret;
    if (!request->at)
        return ctl_usage(VERB, "missing option --at PLACE");
    int status = find_place(VERB, request->conn, "--at", request->at, &at);
    if (status == CTL_OK)
        status = parse_time(request, "--from", request->from, from_text, &from);
    if (status == CTL_OK)
        status = parse_time(request, "--until", request->until, until_text, &until);
    if (status == CTL_OK)
        status = check_place(request, at.lon, at.lat);
    if (status == CTL_OK)
        status = find_secrecy(request, &at, from, &secret);
    if (status == CTL_OK)
        status = find_standing(request, &at, from_text, &from);
    if (status == CTL_OK) {
        const char *team = take_over_secrecy(request, &at, secret);
        const char *values[] = {request->device.text,
                                at.lon,
                                at.lat,
                                from,
                                until,
                                request->address ? request->address : at.address,
                                team,
                                request->secret || at.secret ? "t" : NULL,
                                request->instructions};
        status = change_device(
            request, "place",
            "select p.placement_id, $1 as device_id, w.*"
            "  from mobeye.device_place($1, $2, $3, coalesce($4::timestamptz, now()), $5, $6, $7, $8, $9) as "
            "p(placement_id), mobeye.whereabouts(public.st_setsrid(public.st_makepoint($2, $3), 4326), "
            "coalesce($4::timestamptz, now())) as w",
            9, values);
    }
    free(at.address);
    free(at.team);
    return status;
}

static int retrieve_device(const struct device_request *request)
{
    char at_text[CLOCK_RFC3339_SIZE];
    const char *at;
    int status = parse_time(request, "--at", request->at, at_text, &at);
    if (status != CTL_OK)
        return status;
    const char *values[] = {request->device.text, at};
    return change_device(
        request, "retrieve",
        "select mobeye.device_retrieve($1, coalesce($2::timestamptz, now())) as placement_id, $1 as device_id", 2,
        values);
}

/* The sections that show prints about device $1. */
static const struct registry_section sections[] = {
    {"device", false,
     "select device_id, model, device_group as \"group\", state, heartbeat::text, grace::text, registered_at, note "
     "from mobeye.device where device_id = $1"},
    {"addresses", true,
     "select account, input from mobeye.device_address where device_id = $1 order by account, input nulls first"},
    {"inputs", true, "select input, label from mobeye.device_input where device_id = $1 order by input"},
    {"placements", true,
     "select placement_id, placed_from, placed_until, lon, lat, address, team, secret, instructions from (select *,"
     " public.st_x(geom) as lon, public.st_y(geom) as lat,"
     " lower(during) as placed_from,"
     " upper(during) as placed_until"
     " from mobeye.placement where device_id = $1) p order by during"},
    {"status", false,
     "select last_received_at, endpoint, battery_pct, signal_dbm, silent_since, alerts from mobeye.device_status where "
     "device_id = $1"},
    {0}};

static int show_device(const struct device_request *request)
{
    const char *values[] = {request->device.text};
    return registry_show(VERB, request->conn, request->call.json, sections, 1, values);
}

/* Takes back the newest placement. */
static int undo_placement(const struct device_request *request)
{
    const char *values[] = {request->device.text};
    return change_device(request, "undo", "select $1 as device_id, u.* from mobeye.device_undo($1) as u", 1, values);
}

static int set_state(const struct device_request *request, const char *state)
{
    const char *values[] = {request->device.text, state};
    return change_device(request, state,
                         "update mobeye.device set state = $2 where device_id = $1 returning device_id, state", 2,
                         values);
}

static int repair_device(const struct device_request *request)
{
    return set_state(request, "repair");
}

static int retire_device(const struct device_request *request)
{
    return set_state(request, "retired");
}

static int stock_device(const struct device_request *request)
{
    return set_state(request, "stock");
}

static int remove_device(const struct device_request *request)
{
    const char *values[] = {request->device.text};
    if (!request->call.yes &&
        !ctl_confirm(VERB, "Remove device %s and all its placements? Its alerts are kept.", values[0]))
        return CTL_FAILED;
    return change_device(
        request, "remove",
        "with kept as materialized (select mobeye.require_unnamed($1)),"
        " removed as (delete from mobeye.device using kept where device_id = $1 returning device_id)"
        " select device_id, (select count(*) from mobeye.placement p where p.device_id = $1) as placements"
        " from removed",
        1, values);
}

enum { PLACE, RETRIEVE, UNDO, SHOW, REPAIR, RETIRE, STOCK, REMOVE };

#define ON_DEVICE .argument = "DEVICE", .least = 1, .most = 1

static const struct ctl_verb actions[] = {
    [PLACE] = {"place", .takes = "at from until address team secret instructions anyway config db json", ON_DEVICE},
    [RETRIEVE] = {"retrieve", .takes = "at config db json", ON_DEVICE},
    [UNDO] = {"undo", .takes = "config db json", ON_DEVICE},
    [SHOW] = {"show", .takes = "config db json", ON_DEVICE},
    [REPAIR] = {"repair", .takes = "config db json", ON_DEVICE},
    [RETIRE] = {"retire", .takes = "config db json", ON_DEVICE},
    [STOCK] = {"stock", .takes = "config db json", ON_DEVICE},
    [REMOVE] = {"remove", .takes = "yes config db json", ON_DEVICE},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};
static int (*const runs[])(const struct device_request *request) = {
    [PLACE] = place_device,   [RETRIEVE] = retrieve_device, [UNDO] = undo_placement, [SHOW] = show_device,
    [REPAIR] = repair_device, [RETIRE] = retire_device,     [STOCK] = stock_device,  [REMOVE] = remove_device};

int ctl_device(int argc, char **argv)
{
    struct device_request request = {0};
    const struct ctl_option options[] = {{"at", .text = &request.at},
                                         {"from", .text = &request.from},
                                         {"until", .text = &request.until},
                                         {"address", .text = &request.address},
                                         {"team", .text = &request.team},
                                         {"secret", .flag = &request.secret},
                                         {"instructions", .text = &request.instructions},
                                         {"anyway", .flag = &request.anyway},
                                         {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    request.conn = ctl_connect(VERB, request.call.file, request.call.db);
    if (!request.conn)
        return CTL_FAILED;
    PQsetNoticeReceiver(request.conn, on_notice, NULL);
    status = find_device(VERB, request.conn, request.call.arguments[0], &request.device)
                 ? runs[request.call.action](&request)
                 : CTL_FAILED;
    PQfinish(request.conn);
    return status;
}
