/*
 * The world in a database: what the daemon's writer and the functions of the schema really make of a scenario.
 *
 * Functions of the database go by its clock. So that a scenario may play at any time, its times are moved before each
 * step, by as much as makes the scenario's present the real one. What is judged by local time (hours of rules) is
 * judged before that, as it is written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <libpq-fe.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/scenario_world.h"
#include "enrich/fold.h"
#include "store/conninfo.h"
#include "store/writer.h"

#define WAIT_US (60 * CLOCK_SECOND)

/* What all scenarios of a run share. */
struct server {
    PGconn *maintenance; /* to the database that the conninfo names: makes and drops ours */
    PGconn *conn;        /* to ours, as its superuser */
    char name[64];       /* of ours */
    char *conninfo;      /* by which the writer comes into it, as the daemon's role */
};

struct daemon {
    struct database *database;
    uint8_t journal[16];
    const char *instance;
    uint64_t seq;    /* of its last alert */
    uint64_t stored; /* the last that the database has */
    bool ready;
};

struct database {
    struct server *server;
    struct setting *setting;
    struct loop *loop;
    struct event tick; /* so that a turn of the loop ends */
    struct daemon daemons[DAEMONS];
    int64_t shift_us;  /* what is added to the scenario's times */
    int64_t *heard_us; /* of each endpoint of the configuration that there was at first */
    struct buf view;   /* what the last view's strings are slices of */
    struct alert_areas *areas;
};

/* Adds to every time of what alerts and the upkeep have written. Placements and devices are written anew instead. */
static const char shift_function[] =
    "create function pg_temp.shift(by interval) returns void language plpgsql as $$\n"
    "declare one text;\n"
    "begin\n"
    "    set local session_replication_role = replica;\n"
    "    for one in\n"
    "        select format('update mobeye.%I set %s', t.relname,\n"
    "                      string_agg(format('%1$I = %1$I + $1', a.attname), ', '))\n"
    "          from pg_class t join pg_attribute a on a.attrelid = t.oid\n"
    "         where t.relname in ('alert', 'incident', 'incident_thread', 'device_status', 'endpoint_status', "
    "'daemon')\n"
    "           and t.relnamespace = 'mobeye'::regnamespace and a.atttypid = 'timestamptz'::regtype\n"
    "           and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''\n"
    "         group by t.relname\n"
    "    loop\n"
    "        execute one using by;\n"
    "    end loop;\n"
    "    set local session_replication_role = origin;\n"
    "end $$";

/* Everything of the scenario before. What the migrations wrote stays. */
static const char clear_statement[] =
    "do $$\n"
    "begin\n"
    "    execute (select 'truncate ' || string_agg(format('mobeye.%I', t.relname), ', ') || ' cascade'\n"
    "               from pg_class t\n"
    "              where t.relnamespace = 'mobeye'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition\n"
    "                and t.relname in ('alert', 'alert_identity', 'journal_position', 'incident', 'incident_thread',\n"
    "                                  'change', 'incident_history', 'device', 'placement', 'area', 'team', "
    "'team_area',\n"
    "                                  'device_address', 'device_status', 'daemon', 'endpoint_status'));\n"
    "end $$";

static int fail_sql(PGconn *conn, const char *what, PGresult *result, struct err *err)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!text)
        text = PQerrorMessage(conn);
    err_set(err, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
    PQclear(result);
    return -1;
}

/* Up to 8 parameters as text. The rows are to be cleared; NULL: err says why there are none. */
static PGresult *ask(PGconn *conn, const char *what, const char *sql, int n, const char *const *values, struct err *err)
{
    PGresult *result = n ? PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0) : PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    fail_sql(conn, what, result, err);
    return NULL;
}

static int run(PGconn *conn, const char *what, const char *sql, int n, const char *const *values, struct err *err)
{
    PGresult *result = ask(conn, what, sql, n, values, err);
    PQclear(result);
    return result ? 0 : -1;
}

static PGconn *connect_to(const char *conninfo, struct err *err)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    err_set(err, "%.*s", (int)strcspn(PQerrorMessage(conn), "\n"), PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

static void database_close(void *arg)
{
    struct server *server = arg;
    char sql[128];
    if (!server)
        return;
    PQfinish(server->conn);
    if (server->maintenance && server->name[0]) {
        snprintf(sql, sizeof(sql), "drop database if exists %s with (force)", server->name);
        PQclear(PQexec(server->maintenance, sql));
    }
    PQfinish(server->maintenance);
    free(server->conninfo);
    free(server);
}

static int make_database(struct server *server, const char *where, struct err *err)
{
    char sql[128];
    struct buf conninfo = {0};
    snprintf(server->name, sizeof(server->name), "mobeye_scenario_%d", (int)getpid());
    snprintf(sql, sizeof(sql), "create database %s encoding 'UTF8' template template0", server->name);
    if (run(server->maintenance, "create a database", sql, 0, NULL, err) < 0) {
        server->name[0] = '\0';
        return -1;
    }
    if (conninfo_for_database(&conninfo, where, server->name) < 0)
        return err_set(err, "libpq cannot read the conninfo");
    buf_append(&conninfo, "", 1);
    server->conn = connect_to(conninfo.data, err);
    conninfo.len--;
    buf_printf(&conninfo, " options='-c role=mobeye_ingest'");
    server->conninfo = conninfo.data;
    if (!server->conn)
        return -1;
    if (ctl_migrate_schema(server->conn, true) != CTL_OK)
        return err_set(err, "the schema cannot be made");
    return run(server->conn, "prepare the database", shift_function, 0, NULL, err);
}

static int database_open(void **ret_server, const char *where, struct err *err)
{
    struct server *server = mem_zalloc(sizeof(*server));
    log_open(LOG_LEVEL_ERROR);
    server->maintenance = connect_to(where, err);
    if (!server->maintenance || make_database(server, where, err) < 0) {
        database_close(server);
        return -1;
    }
    *ret_server = server;
    return 0;
}

/* A time of the scenario as a timestamptz of the database, by to_timestamp(). */
static const char *db_time(const struct database *d, int64_t us, char out[32])
{
    snprintf(out, 32, "%.6f",
             (double)((us + d->shift_us) / CLOCK_SECOND) + (double)((us + d->shift_us) % CLOCK_SECOND) / 1e6);
    return us == INT64_MAX || us == ALERT_NO_TIME ? NULL : out;
}

static int write_placement(struct database *d, const struct scenario_device *device, const struct placement *placement,
                           struct err *err)
{
    char id[32], lon[32], lat[32], from[32], until[32], team[ALERT_DEVICE_MAX + 1];
    snprintf(id, sizeof(id), "%" PRIu64, placement->id);
    snprintf(lon, sizeof(lon), "%.9f", placement->lon);
    snprintf(lat, sizeof(lat), "%.9f", placement->lat);
    snprintf(team, sizeof(team), "%.*s", (int)placement->team.len, placement->team.p ? placement->team.p : "");
    const char *values[] = {
        id, device->id, db_time(d, placement->from_us, from), db_time(d, placement->until_us, until), lon, lat, team};
    return run(d->server->conn, "place a device",
               "insert into mobeye.placement (placement_id, device_id, during, geom, team) overriding system value "
               "values ($1::bigint, $2, tstzrange(to_timestamp($3::float8), to_timestamp($4::float8)), "
               "public.st_setsrid(public.st_makepoint($5::float8, $6::float8), 4326), nullif($7, ''))",
               7, values, err);
}

/* Anew where they are, by the time of the scenario. */
static int write_devices(struct database *d, struct err *err)
{
    if (run(d->server->conn, "devices", "delete from mobeye.placement", 0, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < d->setting->n_devices; i++) {
        const struct setting_device *device = &d->setting->devices[i];
        char registered[32], heartbeat[48], grace[48];
        snprintf(heartbeat, sizeof(heartbeat), "%" PRId64 " microseconds", device->device->heartbeat_us);
        snprintf(grace, sizeof(grace), "%" PRId64 " microseconds", device->device->grace_us);
        const char *values[] = {device->device->id,
                                device->device->model,
                                device->device->group,
                                device->device->heartbeat_us ? heartbeat : NULL,
                                grace,
                                db_time(d, device->registered_us, registered)};
        if (run(d->server->conn, "register a device",
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

static int write_team(struct database *d, const char *team, const struct scenario_area *area, struct err *err)
{
    const char *values[] = {team, area ? area->layer : NULL, area ? area->code : NULL};
    if (run(d->server->conn, "a team", "insert into mobeye.team (team) values ($1) on conflict do nothing", 1, values,
            err) < 0)
        return -1;
    return area ? run(d->server->conn, "a team's area",
                      "insert into mobeye.team_area (team, layer, code) values ($1, $2, $3)", 3, values, err)
                : 0;
}

static int write_teams(struct database *d, struct err *err)
{
    for (size_t i = 0; i < d->setting->n_teams; i++)
        if (write_team(d, d->setting->team_names[i], d->setting->teams[i], err) < 0)
            return -1;
    for (size_t i = 0; i < d->setting->n_devices; i++)
        for (size_t k = 0; k < d->setting->devices[i].n_placements; k++) {
            struct str team = d->setting->devices[i].placements[k].team;
            char *name = mem_strndup(team.p ? team.p : "", team.len);
            int rc = team.len > 0 ? write_team(d, name, NULL, err) : 0;
            free(name);
            if (rc < 0)
                return -1;
        }
    return 0;
}

static int write_areas(struct database *d, struct err *err)
{
    const struct area_rows *rows = d->setting->area_rows;
    for (size_t i = 0; i < rows->n; i++) {
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
            return fail_sql(d->server->conn, "an area", result, err);
        PQclear(result);
    }
    return 0;
}

/* The scenario's present becomes the real one. */
static int set_now(struct database *d, int64_t now_us, struct err *err)
{
    char by[48];
    int64_t shift_us = clock_wall_us() - now_us;
    snprintf(by, sizeof(by), "%" PRId64 " microseconds", shift_us - d->shift_us);
    const char *values[] = {by};
    d->shift_us = shift_us;
    if (run(d->server->conn, "move the times", "select pg_temp.shift($1::interval)", 1, values, err) < 0)
        return -1;
    return write_devices(d, err);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void database_end(void *world)
{
    struct database *d = world;
    event_del(&d->tick);
    loop_free(&d->loop);
    buf_free(&d->view);
    free(d->areas);
    free(d->heard_us);
    free(d);
}

static int begin_parts(struct database *d, struct err *err)
{
    d->loop = loop_new(err);
    if (!d->loop)
        return -1;
    event_assign(&d->tick, loop_base(d->loop), -1, EV_PERSIST, on_tick, d);
    event_add(&d->tick, &(struct timeval){0, 20000});
    d->shift_us = clock_wall_us() - d->setting->begin_us;
    PGconn *conn = d->server->conn;
    return run(conn, "clear the database", clear_statement, 0, NULL, err) < 0 || write_teams(d, err) < 0 ||
                   write_devices(d, err) < 0 || write_areas(d, err) < 0
               ? -1
               : 0;
}

static int database_begin(void **ret_world, void *server, struct setting *setting, struct err *err)
{
    struct database *d = mem_zalloc(sizeof(*d));
    d->server = server;
    d->setting = setting;
    for (int i = 0; i < DAEMONS; i++) {
        d->daemons[i] = (struct daemon){.database = d, .instance = i ? "b" : "a"};
        memset(d->daemons[i].journal, 'a' + i, sizeof(d->daemons[i].journal));
    }
    d->heard_us = mem_zalloc(setting->conf->n_endpoints * sizeof(*d->heard_us));
    *ret_world = d;
    if (begin_parts(d, err) == 0)
        return 0;
    if (d->loop)
        database_end(d);
    *ret_world = NULL;
    return -1;
}

static uint64_t on_position(void *ctx, struct writer_position position)
{
    struct daemon *daemon = ctx;
    daemon->stored = position.known ? position.position : 0;
    return daemon->stored;
}

static void on_ready(void *ctx)
{
    ((struct daemon *)ctx)->ready = true;
}

static void on_fold(void *ctx, struct book *book, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    fold(book, batch, store);
}

static void on_stale(void *ctx, uint64_t registry_version, uint64_t areas_version)
{
    (void)ctx;
    (void)registry_version;
    (void)areas_version;
}

static void on_stored(void *ctx, const struct writer_stored *stored)
{
    ((struct daemon *)ctx)->stored = stored->last_seq;
}

static void on_done(void *ctx, struct batch *batch)
{
    (void)ctx;
    (void)batch;
}

static void on_up(void *ctx, bool up)
{
    (void)ctx;
    (void)up;
}

/* By a writer that was started for it: nothing that a daemon remembers can bear on what follows. */
static int write_batch(struct daemon *daemon, struct batch *batch, struct err *err)
{
    static const struct writer_calls calls = {.position = on_position,
                                              .ready = on_ready,
                                              .fold = on_fold,
                                              .stale = on_stale,
                                              .stored = on_stored,
                                              .done = on_done,
                                              .up = on_up};
    struct database *d = daemon->database;
    const struct conf *conf = d->setting->conf;
    struct writer_options options = {.conninfo = d->server->conninfo,
                                     .instance = daemon->instance,
                                     .journal_uuid = daemon->journal,
                                     .rules = conf->rules_hash,
                                     .rules_text = conf->rules_text};
    int64_t until_us = clock_mono_us() + WAIT_US;
    bool given = false;
    struct writer *writer = writer_new(d->loop, &options, &calls, daemon);
    writer_start(writer);
    while (!(given && daemon->stored == batch->last_seq && writer_quiet(writer)) && clock_mono_us() < until_us) {
        loop_turn(d->loop);
        if (!given && writer_wants(writer)) {
            writer_submit(writer, batch);
            given = true;
        }
    }
    int rc =
        daemon->stored == batch->last_seq ? 0 : err_set(err, "the writer stored nothing: %s", writer_state(writer));
    writer_free(&writer);
    return rc;
}

static void number_rows(struct daemon *daemon, struct batch *batch)
{
    batch->first_seq = daemon->seq + 1;
    for (size_t i = 0; i < batch->n; i++) {
        struct alert *alert = &batch->rows[i].alert;
        char id[32];
        alert->seq = alert->checksum = ++daemon->seq;
        snprintf(id, sizeof(id), "%s%" PRIu64, daemon->instance, alert->seq);
        alert->event_id = batch_keep_str(batch, str_from(id));
    }
    batch->last_seq = batch->last_checksum = daemon->seq;
}

static void shift_rows(struct batch *batch, int64_t by_us)
{
    for (size_t i = 0; i < batch->n; i++) {
        batch->rows[i].alert.occurred_us += by_us;
        batch->rows[i].alert.received_us += by_us;
    }
}

static void hear(struct database *d, const struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        for (size_t k = 0; k < d->setting->conf->n_endpoints; k++)
            if (str_is(batch->rows[i].alert.endpoint, d->setting->conf->endpoints[k].name) &&
                batch->rows[i].alert.received_us > d->heard_us[k])
                d->heard_us[k] = batch->rows[i].alert.received_us;
}

static int read_versions(struct database *d, struct batch *batch, struct err *err)
{
    PGresult *rows = ask(d->server->conn, "versions",
                         "select (select value from mobeye.counter where name = 'registry'), "
                         "(select value from mobeye.counter where name = 'areas')",
                         0, NULL, err);
    if (!rows)
        return -1;
    batch->registry_version = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
    batch->areas_version = strtoull(PQgetvalue(rows, 0, 1), NULL, 10);
    PQclear(rows);
    return 0;
}

static int read_ids(struct daemon *daemon, const struct batch *batch, uint64_t *ids, struct err *err)
{
    char first[32];
    snprintf(first, sizeof(first), "%" PRIu64, batch->first_seq);
    const char *values[] = {daemon->instance, first};
    PGresult *rows = ask(daemon->database->server->conn, "the alerts",
                         "select journal_seq, coalesce(incident_id, 0) from mobeye.alert "
                         "where instance = $1 and journal_seq >= $2::bigint order by journal_seq",
                         2, values, err);
    if (!rows)
        return -1;
    int n = PQntuples(rows), rc = 0;
    if ((size_t)n != batch->n)
        rc = err_set(err, "%zu alerts went in, %d are there", batch->n, n);
    for (int i = 0; i < n && rc == 0; i++)
        ids[i] = strtoull(PQgetvalue(rows, i, 1), NULL, 10);
    PQclear(rows);
    return rc;
}

static int database_store(void *world, struct batch *batch, int daemon, int64_t now_us, uint64_t *ids, struct err *err)
{
    struct database *d = world;
    char now[32];
    if (set_now(d, now_us, err) < 0 || read_versions(d, batch, err) < 0)
        return -1;
    number_rows(&d->daemons[daemon], batch);
    int64_t by_us = d->shift_us;
    shift_rows(batch, by_us);
    int rc = write_batch(&d->daemons[daemon], batch, err);
    shift_rows(batch, -by_us);
    hear(d, batch);
    /* Storing took a moment; by the scenario it took none. */
    const char *values[] = {db_time(d, now_us, now)};
    if (rc == 0)
        rc = run(d->server->conn, "incidents",
                 "update mobeye.incident set created_at = to_timestamp($1::float8) "
                 "where created_at > to_timestamp($1::float8)",
                 1, values, err);
    return rc == 0 ? read_ids(&d->daemons[daemon], batch, ids, err) : rc;
}

static const struct {
    const char *action, *sql;
    bool has_outcome;
} person_steps[] = {
    {"close", "select patrol.close($1::bigint, $2)", true},
    {"acknowledge", "select patrol.acknowledge($1::bigint)", false},
    {"assign", "select patrol.assign($1::bigint, $2)", true},
    {"on_scene", "select patrol.on_scene($1::bigint)", false},
    {"reopen", "select patrol.reopen($1::bigint, 'scenario')", false},
    {"verify", "select patrol.verify($1::bigint, 'person')", false},
};

static int database_person(void *world, const struct scenario_person *person, uint64_t id, int64_t now_us,
                           struct err *err)
{
    struct database *d = world;
    char number[32], now[32];
    size_t s = 0;
    if (set_now(d, now_us, err) < 0)
        return -1;
    while (strcmp(person_steps[s].action, person->action) != 0)
        s++;
    snprintf(number, sizeof(number), "%" PRIu64, id);
    const char *values[] = {number, person->outcome};
    if (run(d->server->conn, person->action, person_steps[s].sql, person_steps[s].has_outcome ? 2 : 1, values, err) < 0)
        return -1;
    const char *times[] = {number, db_time(d, now_us, now)};
    return run(d->server->conn, person->action,
               "update mobeye.incident set closed_at = to_timestamp($2::float8) "
               "where incident_id = $1::bigint and closed_at is not null",
               2, times, err);
}

/* A daemon says that it lives, what it has stored, and when its endpoints last heard something. */
static int report_in(struct database *d, const struct daemon *daemon, int64_t now_us, struct err *err)
{
    const struct conf *conf = d->setting->conf;
    struct buf names = {0}, every = {0}, heard = {0};
    char journal[33], since[32], now[32], time[32];
    for (int i = 0; i < 16; i++)
        sprintf(journal + 2 * i, "%02x", daemon->journal[i]);
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        const char *comma = i ? "," : "";
        buf_printf(&names, "%s%s", comma, conf->endpoints[i].name);
        if (conf->endpoints[i].expect_every_us)
            buf_printf(&every, "%s%" PRId64 " microseconds", comma, conf->endpoints[i].expect_every_us);
        else
            buf_printf(&every, "%snull", comma);
        int64_t last_us = d->heard_us[i];
        buf_printf(&heard, "%s%s", comma, last_us ? db_time(d, last_us, time) : "null");
    }
    buf_append(&names, "", 1);
    buf_append(&every, "", 1);
    buf_append(&heard, "", 1);
    const char *values[] = {
        journal,    daemon->instance, db_time(d, d->setting->begin_us, since), db_time(d, now_us, now), names.data,
        every.data, heard.data};
    int rc = run(d->server->conn, "a daemon reports",
                 "select mobeye.report_in($1::uuid, $2, to_timestamp($3::float8), to_timestamp($4::float8), "
                 "string_to_array($5, ','), string_to_array($6, ',', 'null')::interval[], "
                 "array(select to_timestamp(t) from unnest(string_to_array($7, ',', 'null')::float8[]) as t))",
                 7, values, err);
    buf_free(&names);
    buf_free(&every);
    buf_free(&heard);
    return rc;
}

static int database_watch(void *world, int64_t now_us, struct err *err)
{
    static const char *const upkeep[] = {"watch_endpoints", "watch_devices", "mark_overdue", "close_unattended"};
    struct database *d = world;
    char sql[64], now[32];
    if (set_now(d, now_us, err) < 0 || report_in(d, &d->daemons[0], now_us, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(upkeep) / sizeof(upkeep[0]); i++) {
        snprintf(sql, sizeof(sql), "select mobeye.%s()", upkeep[i]);
        if (run(d->server->conn, upkeep[i], sql, 0, NULL, err) < 0)
            return -1;
    }
    const char *values[] = {db_time(d, now_us, now)};
    return run(d->server->conn, "overdue",
               "update mobeye.incident set overdue_since = to_timestamp($1::float8) "
               "where overdue_since > to_timestamp($1::float8)",
               1, values, err);
}

/* Each batch has a writer of its own as it is. */
static int database_restart(void *world, int daemon, struct err *err)
{
    (void)world;
    (void)daemon;
    (void)err;
    return 0;
}

static int database_list(void *world, uint64_t **ret_ids, size_t *ret_n, struct err *err)
{
    struct database *d = world;
    PGresult *rows = ask(d->server->conn, "the incidents",
                         "select incident_id from mobeye.incident order by incident_id", 0, NULL, err);
    if (!rows)
        return -1;
    *ret_n = (size_t)PQntuples(rows);
    *ret_ids = mem_realloc(NULL, *ret_n + 1, sizeof(**ret_ids));
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_ids)[i] = strtoull(PQgetvalue(rows, (int)i, 0), NULL, 10);
    PQclear(rows);
    return 0;
}

enum view_column {
    CATEGORY,
    KIND,
    DEVICE,
    RULE,
    STATUS,
    OUTCOME,
    VERIFIED_BY,
    TEAM,
    PLACE,
    WORDS,
    PRIORITY = WORDS,
    ALERTS,
    ACTIVE,
    FLAPS,
    ACCEPTING,
    DRILL,
    URGENT,
    FIRST,
    LAST,
    RESTORED,
    CANCELLED,
    OVERDUE,
    PREVIOUS,
    MERGED,
    AREAS,
};

#define MICROSECONDS(column) "(extract(epoch from " column ") * 1000000)::bigint"

static int64_t view_time(const struct database *d, const PGresult *rows, enum view_column column)
{
    const char *text = PQgetvalue(rows, 0, (int)column);
    return *text ? strtoll(text, NULL, 10) - d->shift_us : ALERT_NO_TIME;
}

static uint64_t view_id(const PGresult *rows, enum view_column column)
{
    return strtoull(PQgetvalue(rows, 0, (int)column), NULL, 10);
}

/* "layer:code", by commas, in text that stays. */
static void view_areas(struct database *d, char *text)
{
    size_t n = 0;
    char *rest = NULL;
    d->areas = mem_realloc(d->areas, sizeof(*d->areas) + (strlen(text) + 1) * sizeof(d->areas->area[0]), 1);
    for (char *area = strtok_r(text, ",", &rest); area; area = strtok_r(NULL, ",", &rest)) {
        char *colon = strchr(area, ':');
        d->areas->area[n].layer = (struct str){area, (size_t)(colon - area)};
        d->areas->area[n++].code = str_from(colon + 1);
    }
    d->areas->n = n;
}

/* The rows stay as long as the strings of the view have been copied. */
static void fill_view(struct database *d, const PGresult *rows, struct incident_view *ret)
{
    struct str *words[] = {
        [CATEGORY] = &ret->category, [KIND] = &ret->kind,       [DEVICE] = &ret->device,           [RULE] = &ret->rule,
        [STATUS] = &ret->status,     [OUTCOME] = &ret->outcome, [VERIFIED_BY] = &ret->verified_by, [TEAM] = &ret->team,
        [PLACE] = &ret->place};
    size_t at = 0;
    d->view.len = 0;
    for (int i = 0; i <= AREAS; i++)
        buf_append(&d->view, PQgetvalue(rows, 0, i), (size_t)PQgetlength(rows, 0, i) + 1);
    for (int i = 0; i < WORDS; i++) {
        *words[i] = str_from(d->view.data + at);
        at += words[i]->len + 1;
    }
    ret->priority = atoi(PQgetvalue(rows, 0, PRIORITY));
    ret->alerts = atoi(PQgetvalue(rows, 0, ALERTS));
    ret->active = atoi(PQgetvalue(rows, 0, ACTIVE));
    ret->flaps = atoi(PQgetvalue(rows, 0, FLAPS));
    ret->accepting = *PQgetvalue(rows, 0, ACCEPTING) == 't';
    ret->drill = *PQgetvalue(rows, 0, DRILL) == 't';
    ret->urgent = *PQgetvalue(rows, 0, URGENT) == 't';
    ret->first_us = view_time(d, rows, FIRST);
    ret->last_us = view_time(d, rows, LAST);
    ret->restored_us = view_time(d, rows, RESTORED);
    ret->cancelled_us = view_time(d, rows, CANCELLED);
    ret->overdue_us = view_time(d, rows, OVERDUE);
    ret->previous_id = view_id(rows, PREVIOUS);
    ret->merged_id = view_id(rows, MERGED);
    view_areas(d, d->view.data + d->view.len - 1 - PQgetlength(rows, 0, AREAS));
    ret->areas = d->areas;
}

static int database_view(void *world, uint64_t id, struct incident_view *ret, struct err *err)
{
    struct database *d = world;
    char number[32];
    snprintf(number, sizeof(number), "%" PRIu64, id);
    const char *values[] = {number};
    PGresult *rows = ask(
        d->server->conn, "the incident",
        "select category, kind, device_id, rule, status, outcome, verified_by, team, location_source, priority,"
        " alert_count, active, flaps, accepting, drill, urgent, " MICROSECONDS("first_seen") ", " MICROSECONDS("last_"
                                                                                                               "seen") ", " MICROSECONDS(
            "restored_at") ", " MICROSECONDS("cancelled_at") ", " MICROSECONDS("overdue_since") ", previous_id, "
                                                                                                "merged_into, "
                                                                                                "array_to_string(areas,"
                                                                                                " ',')"
                                                                                                " from mobeye.incident "
                                                                                                "where incident_id = "
                                                                                                "$1::bigint",
        1, values, err);
    if (!rows)
        return -1;
    int rc = PQntuples(rows) == 1 ? 0 : err_set(err, "incident %s is gone", number);
    if (rc == 0)
        fill_view(d, rows, ret);
    PQclear(rows);
    return rc;
}

const struct world_ops world_in_database = {
    .open = database_open,
    .close = database_close,
    .begin = database_begin,
    .end = database_end,
    .store = database_store,
    .person = database_person,
    .watch = database_watch,
    .restart = database_restart,
    .list = database_list,
    .view = database_view,
};
