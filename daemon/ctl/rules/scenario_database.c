/*
 * The database backend: what the daemon's writer and the functions of the schema really make of a scenario.
 *
 * Functions of the database use its clock. So that a scenario can play at any time, all stored times are shifted before
 * each step so that the scenario's present is the server's. What depends on local time (hours of rules) is evaluated
 * before that, with the times as written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ctl/rules/scenario_database.h"
#include "enrich/correlate.h"
#include "store/writer.h"

#define WAIT_US (60 * CLOCK_SECOND)
/* Maintenance, which runs every 20 seconds, runs this long before the time of a step: it does the jobs that fall due
 * earlier, but not those that fall due at that very time, however slow the machine is. */
#define BEFORE_US (20 * CLOCK_SECOND)

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void database_end(void *backend)
{
    struct scenario_database *d = backend;
    event_del(&d->tick);
    loop_free(&d->loop);
    buf_free(&d->view);
    free(d->areas);
    free(d->last_received_us);
    free(d);
}

static int begin_parts(struct scenario_database *d, struct err *err)
{
    d->loop = loop_new(err);
    if (!d->loop)
        return -1;
    event_assign(&d->tick, loop_base(d->loop), -1, EV_PERSIST, on_tick, d);
    event_add(&d->tick, &(struct timeval){0, 20000});
    d->shift_us = clock_wall_us() - d->fixture->begin_us;
    return database_set_up(d, err);
}

static int database_begin(void **ret_backend, void *server, struct fixture *fixture, struct err *err)
{
    struct scenario_database *d = mem_zalloc(sizeof(*d));
    d->server = server;
    d->fixture = fixture;
    for (int i = 0; i < DAEMONS; i++) {
        d->daemons[i] = (struct scenario_daemon){.database = d, .instance = i ? "b" : "a"};
        memset(d->daemons[i].journal, 'a' + i, sizeof(d->daemons[i].journal));
    }
    d->last_received_us = mem_zalloc(fixture->conf->n_endpoints * sizeof(*d->last_received_us));
    *ret_backend = d;
    if (begin_parts(d, err) == 0)
        return 0;
    if (d->loop)
        database_end(d);
    *ret_backend = NULL;
    return -1;
}

static uint64_t on_position(void *ctx, struct writer_position position)
{
    struct scenario_daemon *daemon = ctx;
    daemon->stored = position.known ? position.position : 0;
    return daemon->stored;
}

static void on_ready(void *ctx)
{
    (void)ctx;
}

static void on_correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    correlate(set, batch, store);
}

static void on_stale(void *ctx, uint64_t registry_version, uint64_t areas_version)
{
    (void)ctx;
    (void)registry_version;
    (void)areas_version;
}

static void on_stored(void *ctx, const struct writer_stored *stored)
{
    ((struct scenario_daemon *)ctx)->stored = stored->last_seq;
}

static void on_done(void *ctx, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    (void)batch;
    (void)store;
}

static void on_up(void *ctx, bool up)
{
    (void)ctx;
    (void)up;
}

/* Uses a new writer for each batch, so that no state of a daemon affects later batches. */
static int write_batch(struct scenario_daemon *daemon, struct batch *batch, struct err *err)
{
    static const struct writer_calls calls = {.on_position = on_position,
                                              .on_ready = on_ready,
                                              .correlate = on_correlate,
                                              .on_stale = on_stale,
                                              .on_stored = on_stored,
                                              .on_done = on_done,
                                              .on_up = on_up};
    struct scenario_database *d = daemon->database;
    const struct conf *conf = d->fixture->conf;
    struct writer_options options = {.conninfo = d->server->conninfo,
                                     .instance = daemon->instance,
                                     .journal_uuid = daemon->journal,
                                     .rules = conf->rules_hash,
                                     .rules_text = conf->rules_text};
    options.verifies = conf_verifies(conf, &options.verify_radius_m);
    int64_t until_us = clock_mono_us() + WAIT_US;
    bool given = false;
    struct writer *writer = writer_new(d->loop, &options, &calls, daemon);
    writer_start(writer);
    while (!(given && daemon->stored == batch->last_seq && writer_drained(writer)) && clock_mono_us() < until_us) {
        loop_turn(d->loop);
        if (!given && writer_wants(writer)) {
            writer_submit(writer, batch);
            writer_flush_now(writer); /* the device status too is written before the writer counts as drained */
            given = true;
        }
    }
    int rc =
        daemon->stored == batch->last_seq ? 0 : err_set(err, "the writer stored nothing: %s", writer_state(writer));
    writer_free(&writer);
    return rc;
}

static void number_rows(struct scenario_daemon *daemon, struct batch *batch)
{
    batch->first_seq = daemon->seq + 1;
    for (size_t i = 0; i < batch->n; i++) {
        struct alert *alert = &batch->rows[i].alert;
        char id[32];
        alert->seq = alert->checksum = ++daemon->seq;
        snprintf(id, sizeof(id), "%s%" PRIu64, daemon->instance, alert->seq);
        alert->event_id = batch_copy_str(batch, str_from(id));
    }
    batch->last_seq = batch->last_checksum = daemon->seq;
}

static void shift_rows(struct batch *batch, int64_t by_us)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct alert *alert = &batch->rows[i].alert;
        alert->occurred_us += by_us;
        alert->received_us += by_us;
        alert->placed_us += by_us;
        if (alert->placed_until_us != INT64_MAX)
            alert->placed_until_us += by_us;
    }
}

static void note_received(struct scenario_database *d, const struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        for (size_t k = 0; k < d->fixture->conf->n_endpoints; k++)
            if (str_is(batch->rows[i].alert.endpoint, d->fixture->conf->endpoints[k].name) &&
                batch->rows[i].alert.received_us > d->last_received_us[k])
                d->last_received_us[k] = batch->rows[i].alert.received_us;
}

static int read_versions(struct scenario_database *d, struct batch *batch, struct err *err)
{
    PGresult *rows = server_query(d->server->conn, "versions",
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

static int read_ids(struct scenario_daemon *daemon, const struct batch *batch, uint64_t *ids, struct err *err)
{
    char first[32];
    snprintf(first, sizeof(first), "%" PRIu64, batch->first_seq);
    const char *values[] = {daemon->instance, first};
    PGresult *rows = server_query(daemon->database->server->conn, "the alerts",
                                  "select journal_seq, coalesce(incident_id, 0) from mobeye.alert_decoded "
                                  "where instance = $1 and journal_seq >= $2::bigint order by journal_seq",
                                  2, values, err);
    if (!rows)
        return -1;
    int n = PQntuples(rows), rc = 0;
    if ((size_t)n != batch->n)
        rc = err_set(err, "sent %zu alerts, found %d", batch->n, n);
    for (int i = 0; i < n && rc == 0; i++)
        ids[i] = strtoull(PQgetvalue(rows, i, 1), NULL, 10);
    PQclear(rows);
    return rc;
}

static int database_store_batch(void *backend, struct batch *batch, int daemon, int64_t now_us, uint64_t *ids,
                                struct err *err)
{
    struct scenario_database *d = backend;
    char now[32];
    if (database_set_now(d, now_us, err) < 0 || read_versions(d, batch, err) < 0)
        return -1;
    number_rows(&d->daemons[daemon], batch);
    int64_t by_us = d->shift_us;
    shift_rows(batch, by_us);
    int rc = write_batch(&d->daemons[daemon], batch, err);
    shift_rows(batch, -by_us);
    note_received(d, batch);
    /* Storing takes time, but none in the scenario. */
    const char *values[] = {database_time(d, now_us, now)};
    if (rc == 0)
        rc = server_run(d->server->conn, "incidents",
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

static int database_act(void *backend, const struct scenario_person *person, uint64_t id, int64_t now_us,
                        struct err *err)
{
    struct scenario_database *d = backend;
    char number[32], now[32];
    size_t s = 0;
    if (database_set_now(d, now_us, err) < 0)
        return -1;
    while (strcmp(person_steps[s].action, person->action) != 0)
        s++;
    snprintf(number, sizeof(number), "%" PRIu64, id);
    const char *values[] = {number, person->outcome};
    if (server_run(d->server->conn, person->action, person_steps[s].sql, person_steps[s].has_outcome ? 2 : 1, values,
                   err) < 0)
        return -1;
    const char *times[] = {number, database_time(d, now_us, now)};
    return server_run(d->server->conn, person->action,
                      "update mobeye.incident set closed_at = to_timestamp($2::float8) "
                      "where incident_id = $1::bigint and closed_at is not null",
                      2, times, err);
}

/* Reports, as a daemon does, that it is alive, and when its endpoints last received something. */
static int report_in(struct scenario_database *d, const struct scenario_daemon *daemon, int64_t now_us, struct err *err)
{
    const struct conf *conf = d->fixture->conf;
    struct buf names = {0}, every = {0}, received = {0};
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
        int64_t last_us = d->last_received_us[i];
        buf_printf(&received, "%s%s", comma, last_us ? database_time(d, last_us, time) : "null");
    }
    buf_append(&names, "", 1);
    buf_append(&every, "", 1);
    buf_append(&received, "", 1);
    const char *values[] = {journal,
                            daemon->instance,
                            database_time(d, d->fixture->begin_us, since),
                            database_time(d, now_us, now),
                            names.data,
                            every.data,
                            received.data};
    int rc = server_run(
        d->server->conn, "a daemon reports",
        "select mobeye.report_daemon($1::uuid, $2, to_timestamp($3::float8), to_timestamp($4::float8), "
        "string_to_array($5, ','), string_to_array($6, ',', 'null')::interval[], "
        "array(select to_timestamp(t) from unnest(string_to_array($7, ',', 'null')::float8[]) as t), interval '0')",
        7, values, err);
    buf_free(&names);
    buf_free(&every);
    buf_free(&received);
    return rc;
}

static int database_maintain(void *backend, int64_t now_us, struct err *err)
{
    static const char *const jobs[] = {"watch_endpoints", "watch_devices", "mark_overdue", "close_unattended"};
    struct scenario_database *d = backend;
    char sql[64], now[32];
    if (database_set_now(d, now_us - BEFORE_US, err) < 0 || report_in(d, &d->daemons[0], now_us, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        snprintf(sql, sizeof(sql), "select mobeye.%s()", jobs[i]);
        if (server_run(d->server->conn, jobs[i], sql, 0, NULL, err) < 0)
            return -1;
    }
    const char *values[] = {database_time(d, now_us, now)};
    return server_run(d->server->conn, "overdue",
                      "update mobeye.incident set overdue_since = to_timestamp($1::float8) "
                      "where overdue_since > to_timestamp($1::float8) - interval '1 minute'",
                      1, values, err);
}

const struct backend_ops backend_in_database = {
    .open_server = database_open_server,
    .close_server = database_close_server,
    .begin = database_begin,
    .end = database_end,
    .store_batch = database_store_batch,
    .act = database_act,
    .maintain = database_maintain,
    .list_incidents = database_list_incidents,
    .view_incident = database_view_incident,
};
