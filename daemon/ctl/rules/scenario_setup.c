/* The database backend: writes the state before a scenario begins, and shifts times. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/rules/scenario_database.h"

/* Removes everything of the previous scenario, but nothing that the migrations wrote. */
static const char clear_statement[] =
    "do $$\n"
    "begin\n"
    "    execute (select 'truncate ' || string_agg(format('mobeye.%I', t.relname), ', ') || ' cascade'\n"
    "               from pg_class t\n"
    "              where t.relnamespace = 'mobeye'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition\n"
    "                and t.relname in ('alert', 'alert_identity', 'journal_position', 'incident', "
    "'incident_condition',\n"
    "                                  'change', 'incident_history', 'device', 'placement', 'area', 'team', "
    "'team_area',\n"
    "                                  'device_address', 'device_status', 'daemon', 'endpoint_status'));\n"
    "end $$";

const char *database_time(const struct scenario_database *d, int64_t us, char out[32])
{
    if (us == INT64_MAX || us == ALERT_NO_TIME)
        return NULL;
    snprintf(out, 32, "%.6f", (double)(us + d->shift_us) / 1e6);
    return out;
}

static int write_placement(struct scenario_database *d, const struct scenario_device *device,
                           const struct placement *placement, struct err *err)
{
    char id[32], lon[32], lat[32], from[32], until[32], team[ALERT_DEVICE_MAX + 1];
    snprintf(id, sizeof(id), "%" PRIu64, placement->id);
    snprintf(lon, sizeof(lon), "%.9f", placement->lon);
    snprintf(lat, sizeof(lat), "%.9f", placement->lat);
    snprintf(team, sizeof(team), "%.*s", (int)placement->team.len, placement->team.p ? placement->team.p : "");
    const char *values[] = {
        id,  device->id, database_time(d, placement->from_us, from), database_time(d, placement->until_us, until), lon,
        lat, team};
    return server_run(
        d->server->conn, "place a device",
        "insert into mobeye.placement (placement_id, device_id, during, geom, team) overriding system value "
        "values ($1::bigint, $2, tstzrange(to_timestamp($3::float8), to_timestamp($4::float8)), "
        "public.st_setsrid(public.st_makepoint($5::float8, $6::float8), 4326), nullif($7, ''))",
        7, values, err);
}

/* Rewrites devices and placements with shifted times. */
static int write_devices(struct scenario_database *d, struct err *err)
{
    if (server_run(d->server->conn, "devices", "delete from mobeye.placement", 0, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < d->fixture->n_devices; i++) {
        const struct fixture_device *device = &d->fixture->devices[i];
        char registered[32], heartbeat[48], grace[48];
        snprintf(heartbeat, sizeof(heartbeat), "%" PRId64 " microseconds", device->device->heartbeat_us);
        snprintf(grace, sizeof(grace), "%" PRId64 " microseconds", device->device->grace_us);
        const char *values[] = {device->device->id,
                                device->device->model,
                                device->device->group,
                                device->device->heartbeat_us ? heartbeat : NULL,
                                grace,
                                database_time(d, device->registered_us, registered)};
        if (server_run(d->server->conn, "register a device",
                       "insert into mobeye.device (device_id, model, device_group, heartbeat, grace, registered_at) "
                       "values ($1, $2, $3, $4::interval, $5::interval, to_timestamp($6::float8)) "
                       "on conflict (device_id) do update set registered_at = excluded.registered_at",
                       6, values, err) < 0)
            return -1;
        for (size_t k = 0; k < device->n_placements; k++)
            if (write_placement(d, device->device, &device->placements[k], err) < 0)
                return -1;
    }
    return 0;
}

static int write_team(struct scenario_database *d, const char *team, const struct scenario_area *area, struct err *err)
{
    const char *values[] = {team, area ? area->layer : NULL, area ? area->code : NULL};
    if (server_run(d->server->conn, "a team", "insert into mobeye.team (team) values ($1) on conflict do nothing", 1,
                   values, err) < 0)
        return -1;
    return area ? server_run(d->server->conn, "a team's area",
                             "insert into mobeye.team_area (team, layer, code) values ($1, $2, $3)", 3, values, err)
                : 0;
}

static int write_team_of(struct scenario_database *d, struct str team, struct err *err)
{
    char *name = mem_strndup(team.p ? team.p : "", team.len);
    int rc = team.len > 0 ? write_team(d, name, NULL, err) : 0;
    free(name);
    return rc;
}

/* Writes the teams of areas, placements and rules. */
static int write_teams(struct scenario_database *d, struct err *err)
{
    for (size_t i = 0; i < d->fixture->n_teams; i++)
        if (write_team(d, d->fixture->team_names[i], d->fixture->teams[i], err) < 0)
            return -1;
    for (size_t i = 0; i < d->fixture->n_devices; i++)
        for (size_t k = 0; k < d->fixture->devices[i].n_placements; k++)
            if (write_team_of(d, d->fixture->devices[i].placements[k].team, err) < 0)
                return -1;
    for (size_t i = 0; i < d->fixture->conf->n_rules; i++)
        if (write_team_of(d, d->fixture->conf->rules[i].terms.team, err) < 0)
            return -1;
    return 0;
}

static int write_areas(struct scenario_database *d, struct err *err)
{
    const struct area_rows *rows = d->fixture->area_rows;
    int rc = 0;
    for (size_t i = 0; i < rows->n && rc == 0; i++) {
        struct str layer = area_row_layer(rows, i), code = area_row_code(rows, i), wkb = area_row_wkb(rows, i);
        const char *values[] = {layer.p, code.p, wkb.p};
        const int lengths[] = {(int)layer.len, (int)code.len, (int)wkb.len}, binary[] = {1, 1, 1};
        const Oid types[] = {25, 25, 17}; /* text, text, bytea */
        PGresult *result =
            PQexecParams(d->server->conn,
                         "insert into mobeye.area (layer, code, name, geom) "
                         "values ($1, $2, $2, public.st_multi(public.st_setsrid(public.st_geomfromwkb($3), 4326)))",
                         3, types, values, lengths, binary, 0);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            rc = err_set(err, "area %.*s: %s", (int)code.len, code.p, PQresultErrorMessage(result));
        PQclear(result);
    }
    return rc;
}

int database_set_now(struct scenario_database *d, int64_t now_us, struct err *err)
{
    char by[48];
    int64_t shift_us = clock_wall_us() - now_us;
    snprintf(by, sizeof(by), "%" PRId64 " microseconds", shift_us - d->shift_us);
    const char *values[] = {by};
    d->shift_us = shift_us;
    if (server_run(d->server->conn, "move the times", "select pg_temp.shift($1::interval)", 1, values, err) < 0)
        return -1;
    return write_devices(d, err);
}

int database_set_up(struct scenario_database *d, struct err *err)
{
    bool good = server_run(d->server->conn, "clear the database", clear_statement, 0, NULL, err) == 0 &&
                write_teams(d, err) == 0 && write_devices(d, err) == 0 && write_areas(d, err) == 0;
    return good ? 0 : -1;
}
