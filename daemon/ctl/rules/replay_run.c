#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/enrich_tool.h"
#include "ctl/rules/replay.h"
#include "ctl/rules/stored_alerts.h"

enum { BATCH = 5000 };

static int by_id(const void *a, const void *b)
{
    uint64_t left = ((const struct replay_incident *)a)->id, right = ((const struct replay_incident *)b)->id;
    return (left > right) - (left < right);
}

static struct replay_incident *find_stored(const struct replay *replay, uint64_t id)
{
    const struct replay_incident key = {.id = id};
    if (id == 0 || replay->n_stored == 0)
        return NULL;
    return bsearch(&key, replay->stored, replay->n_stored, sizeof(key), by_id);
}

static void read_incident(struct replay_incident *ret, const PGresult *rows, int row)
{
    *ret = (struct replay_incident){
        .id = strtoull(PQgetvalue(rows, row, 0), NULL, 10),
        .reference = mem_strdup(PQgetvalue(rows, row, 1)),
        .device = mem_strdup(PQgetvalue(rows, row, 2)),
        .rule = mem_strdup(PQgetvalue(rows, row, 3)),
        .category = strcmp(PQgetvalue(rows, row, 4), "service") == 0 ? CATEGORY_SERVICE : CATEGORY_ALARM,
        .priority = atoi(PQgetvalue(rows, row, 5)),
        .first_seen_us = strtoll(PQgetvalue(rows, row, 6), NULL, 10),
        .closed_us = PQgetisnull(rows, row, 7) ? ALERT_NO_TIME : strtoll(PQgetvalue(rows, row, 7), NULL, 10),
        .verified_by_person = *PQgetvalue(rows, row, 8) == 't',
        .replayed = NO_INCIDENT,
    };
}

static int compare_closings(const void *a, const void *b, void *arg)
{
    const struct replay *replay = arg;
    int64_t left = replay->stored[*(const size_t *)a].closed_us, right = replay->stored[*(const size_t *)b].closed_us;
    return (left > right) - (left < right);
}

static void sort_closings(struct replay *replay)
{
    replay->closings = mem_realloc(NULL, replay->n_stored + 1, sizeof(*replay->closings));
    for (size_t i = 0; i < replay->n_stored; i++)
        if (replay->stored[i].closed_us != ALERT_NO_TIME)
            replay->closings[replay->n_closings++] = i;
    qsort_r(replay->closings, replay->n_closings, sizeof(*replay->closings), compare_closings, replay);
}

static int read_incidents(struct replay *replay, PGconn *conn, const char *since, struct err *err)
{
    PGresult *rows =
        PQexecParams(conn,
                     "select incident_id, reference, coalesce(device_id, ''), coalesce(rule, ''), category, priority, "
                     "(extract(epoch from first_seen) * 1000000)::bigint,"
                     " case when closed_by_person then (extract(epoch from closed_at) * 1000000)::bigint end,"
                     " verified_by = 'person' is true"
                     " from mobeye.incident where last_received_at >= now() - $1::interval order by incident_id",
                     1, NULL, &since, NULL, NULL, 0);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) {
        err_set(err, "read the incidents: %s%s", PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY),
                ctl_owner_hint(rows));
        PQclear(rows);
        return -1;
    }
    replay->n_stored = (size_t)PQntuples(rows);
    replay->stored = mem_realloc(NULL, replay->n_stored + 1, sizeof(*replay->stored));
    for (size_t i = 0; i < replay->n_stored; i++)
        read_incident(&replay->stored[i], rows, (int)i);
    PQclear(rows);
    sort_closings(replay);
    return 0;
}

static void close_what_people_closed(struct replay *replay, int64_t until_us)
{
    for (; replay->closed < replay->n_closings; replay->closed++) {
        const struct replay_incident *closed = &replay->stored[replay->closings[replay->closed]];
        if (closed->closed_us >= until_us)
            return;
        for (size_t i = 0; i < replay->store.set.n_incidents; i++)
            if (replay->stored_of[i] == closed->id)
                memory_store_close(&replay->store, i, "by a person", true, closed->closed_us);
    }
}

static void person_verified(struct memory_store *store, size_t i)
{
    struct incident *incident = &store->set.incidents[i];
    int priority = incident->terms.verify_priority;
    incident->verified = true;
    incident->priority = priority > 0 && priority < incident->priority ? priority : incident->priority;
}

static void link_up(struct replay *replay, const struct batch *part, const uint64_t *ids)
{
    if (replay->cap_stored_of < replay->store.set.cap_incidents) {
        size_t before = replay->cap_stored_of;
        replay->cap_stored_of = replay->store.set.cap_incidents;
        replay->stored_of = mem_realloc(replay->stored_of, replay->cap_stored_of, sizeof(*replay->stored_of));
        memset(replay->stored_of + before, 0, (replay->cap_stored_of - before) * sizeof(*replay->stored_of));
    }
    for (size_t i = 0; i < part->n; i++) {
        size_t replayed = part->rows[i].alert.incident;
        struct replay_incident *stored = find_stored(replay, ids[i]);
        if (stored)
            stored->has_alerts = true;
        if (replayed == NO_INCIDENT || !stored)
            continue;
        if (replay->stored_of[replayed] == 0)
            replay->stored_of[replayed] = stored->id;
        if (stored->replayed == NO_INCIDENT)
            stored->replayed = replayed;
        if (stored->verified_by_person)
            person_verified(&replay->store, replayed);
    }
}

/* Applies the batch in parts, split where people closed an incident. */
static void apply_batch(struct replay *replay, struct batch *batch, const uint64_t *ids)
{
    for (size_t i = 0; i < batch->n;) {
        close_what_people_closed(replay, batch->rows[i].alert.received_us);
        int64_t next_us = INT64_MAX;
        if (replay->closed < replay->n_closings)
            next_us = replay->stored[replay->closings[replay->closed]].closed_us;
        size_t end = i + 1;
        while (end < batch->n && batch->rows[end].alert.received_us <= next_us)
            end++;
        struct batch part = {.rows = batch->rows + i, .n = end - i};
        memory_store_batch(&replay->store, &part, batch->rows[end - 1].alert.received_us);
        link_up(replay, &part, ids + i);
        i = end;
    }
}

static int replay_alerts(struct replay *replay, struct enrich_tool *tool, struct stored *stored, struct err *err)
{
    struct batch *batch = batch_new(BATCH);
    uint64_t *ids = mem_realloc(NULL, BATCH, sizeof(*ids));
    int rc = 0;
    do {
        batch_clear(batch);
        rc = stored_next(stored, batch, ids, err);
        enrich_begin(tool->enrich, &tool->context, batch);
        for (size_t i = 0; i < batch->n; i++) {
            stored_put_fix(&batch->rows[i].alert, tool->registry);
            enrich_alert(tool->enrich, &batch->rows[i].alert);
        }
        apply_batch(replay, batch, ids);
        replay->alerts += batch->n;
        if (batch->n > 0)
            ctl_progress("replay", replay->alerts, stored_count(stored));
    } while (rc == 0 && batch->n > 0);
    free(ids);
    batch_free(&batch);
    return rc;
}

int replay_run(struct replay *replay, PGconn *conn, const struct conf *conf, int64_t since_us, struct err *err)
{
    struct enrich_tool tool;
    char since[64];
    *replay = (struct replay){0};
    memory_store_init(&replay->store);
    snprintf(since, sizeof(since), "%" PRId64 " microseconds", since_us);
    ctl_use_zone(conf->timezone);
    if (enrich_tool_load(&tool, conn, conf, err) < 0)
        return -1;
    registry_forget_fixes(tool.registry);
    PQclear(PQexec(conn, "begin isolation level repeatable read read only"));
    struct stored *stored = read_incidents(replay, conn, since, err) < 0 ? NULL : stored_open(conn, NULL, since, err);
    int rc = stored ? replay_alerts(replay, &tool, stored, err) : -1;
    stored_close(&stored);
    PQclear(PQexec(conn, "rollback"));
    enrich_tool_free(&tool);
    return rc;
}

void replay_free(struct replay *replay)
{
    for (size_t i = 0; i < replay->n_stored; i++) {
        free(replay->stored[i].reference);
        free(replay->stored[i].device);
        free(replay->stored[i].rule);
    }
    free(replay->stored);
    free(replay->stored_of);
    free(replay->closings);
    memory_store_free(&replay->store);
}

const struct replay_incident *replay_same(const struct replay *replay, size_t incident)
{
    const struct replay_incident *stored = find_stored(replay, replay->stored_of[incident]);
    return stored && stored->replayed == incident ? stored : NULL;
}

bool replay_lost(const struct replay *replay, const struct replay_incident *stored)
{
    return stored->has_alerts && (stored->replayed == NO_INCIDENT || replay_same(replay, stored->replayed) != stored);
}

struct replay_counts replay_count(const struct replay *replay)
{
    struct replay_counts counts = {.replayed = replay->store.set.n_incidents};
    for (size_t i = 0; i < replay->n_stored; i++) {
        counts.stored += replay->stored[i].has_alerts;
        counts.lost += replay_lost(replay, &replay->stored[i]);
    }
    for (size_t i = 0; i < counts.replayed; i++) {
        const struct replay_incident *stored = replay_same(replay, i);
        int priority = replay->store.set.incidents[i].priority;
        counts.gained += stored == NULL;
        counts.more_urgent += stored && priority < stored->priority;
        counts.less_urgent += stored && priority > stored->priority;
    }
    counts.same = counts.replayed - counts.gained;
    return counts;
}

void replay_summary(const struct replay *replay, struct buf *out)
{
    struct replay_counts counts = replay_count(replay);
    buf_printf(out,
               "%" PRIu64 " alerts; incidents: %zu stored, %zu with these rules; %zu the same, %zu gained, %zu lost, "
               "%zu more urgent, %zu less urgent\n",
               replay->alerts, counts.stored, counts.replayed, counts.same, counts.gained, counts.lost,
               counts.more_urgent, counts.less_urgent);
}
