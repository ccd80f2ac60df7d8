#include "ctl/rules/stored_alerts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/decode_dc09.h"

struct stored {
    PGconn *conn;
    struct cloudevents_decoder *decoder;
    uint64_t count;
};

/* Flags that locating an alert sets, so that they are determined again. */
#define PLACE_FLAGS (FLAG_NULL_ISLAND | FLAG_SWAPPED | FLAG_OUTSIDE_BOUNDS | FLAG_STALE_FIX | FLAG_INACCURATE)

#define MICROSECONDS(column) "(extract(epoch from " column ") * 1000000)::bigint"

enum column {
    SOURCE,
    EVENT_ID,
    DEVICE,
    KIND,
    PHASE,
    INPUT,
    DRILL,
    OCCURRED,
    RECEIVED,
    ENDPOINT,
    FLAGS,
    PAYLOAD,
    PANEL_WORD,
    INCIDENT,
    LOCATION_SOURCE,
    LON,
    LAT,
    ACCURACY,
    HAS_IMAGE,
};

/* Of the table, not of mobeye.alert_decoded: its payload is the message as it was received, and as large at most as one
 * may be. The codes are those of model/alert.h. */
static const char select_text[] =
    "select source, event_id, device_id, kind, phase, input, drill," MICROSECONDS("occurred_at") "," MICROSECONDS(
        "received_at") ", endpoint, flags, payload,"
                       " case when source like '" ALERT_DC09_PREFIX "%' then coalesce(payload::jsonb #>> "
                       "'{event,code}', payload::jsonb #>> '{event,raw}') end,"
                       " coalesce(incident_id, 0), location_source, public.st_x(geom), public.st_y(geom), accuracy_m,"
                       " image_id is not null"
                       " from mobeye.alert left join mobeye.alert_origin using (origin) where ";

static int fail_sql(struct err *err, const char *what, PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    err_set(err, "%s: %s%s", what, text ? text : PQresultErrorMessage(result), ctl_owner_hint(result));
    PQclear(result);
    return -1;
}

static int count_all(struct stored *stored, const char *condition, const char *value, struct err *err)
{
    char sql[256];
    snprintf(sql, sizeof(sql), "select count(*) from mobeye.alert where %s", condition);
    PGresult *result = PQexecParams(stored->conn, sql, 1, NULL, &value, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return fail_sql(err, "count the alerts", result);
    stored->count = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return 0;
}

static int declare_cursor(struct stored *stored, const char *condition, const char *value, struct err *err)
{
    struct buf sql = {0};
    buf_printf(&sql, "declare stored no scroll cursor for %s %s order by received_at, instance, journal_seq%c",
               select_text, condition, '\0');
    PGresult *result = PQexecParams(stored->conn, sql.data, 1, NULL, &value, NULL, NULL, 0);
    buf_free(&sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        return fail_sql(err, "read the alerts", result);
    PQclear(result);
    return 0;
}

struct stored *stored_open(PGconn *conn, const char *incident, const char *since, struct err *err)
{
    struct stored *stored = mem_zalloc(sizeof(*stored));
    const char *condition = incident ? "incident_id = $1::bigint" : "received_at >= now() - $1::interval";
    const char *value = incident ? incident : since;
    stored->conn = conn;
    stored->decoder = cloudevents_decoder_new();
    if (count_all(stored, condition, value, err) < 0 || declare_cursor(stored, condition, value, err) < 0)
        stored_close(&stored);
    return stored;
}

void stored_close(struct stored **stored)
{
    if (!*stored)
        return;
    cloudevents_decoder_free(&(*stored)->decoder);
    free(*stored);
    *stored = NULL;
}

uint64_t stored_count(const struct stored *stored)
{
    return stored->count;
}

static struct str text_column(const PGresult *rows, int row, enum column column)
{
    return (struct str){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

/* Decodes what only the payload of a CloudEvents alert has; of a panel's, the query has read it. */
static struct alert read_message(struct stored *stored, struct str payload, bool panel)
{
    struct alert alert = {.accuracy_m = NAN,
                          .camera.score = NAN,
                          .fix_us = ALERT_NO_TIME,
                          .battery_pct = ALERT_NO_INT,
                          .signal_dbm = ALERT_NO_INT};
    struct alert decoded;
    struct reject reject;
    if (panel || !decode_cloudevents(stored->decoder, payload, &decoded, &reject))
        return alert;
    return decoded;
}

static double number_column(const PGresult *rows, int row, enum column column, double otherwise)
{
    return PQgetisnull(rows, row, (int)column) ? otherwise : atof(PQgetvalue(rows, row, (int)column));
}

static bool is_panel(struct str source)
{
    struct str prefix = STR(ALERT_DC09_PREFIX);
    return source.len > prefix.len && memcmp(source.p, prefix.p, prefix.len) == 0;
}

/* The code of the panel's event, or its text, as the daemon had it. Empty: a link test, which has none. */
static struct str panel_word(const PGresult *rows, int row, char out[ALERT_KIND_MAX])
{
    return (struct str){out, dc09_kind_word(text_column(rows, row, PANEL_WORD), out)};
}

static void set_location(struct alert *alert, const PGresult *rows, int row, bool panel)
{
    double lon = number_column(rows, row, LON, 0), lat = number_column(rows, row, LAT, 0);
    float accuracy_m = (float)number_column(rows, row, ACCURACY, NAN);
    int from = atoi(PQgetvalue(rows, row, LOCATION_SOURCE));
    if (from == LOCATION_LAST_KNOWN) {
        alert->place = (struct place){LOCATION_LAST_KNOWN, lon, lat, accuracy_m};
    } else if (from == LOCATION_MESSAGE && panel) {
        alert->has_location = true;
        alert->lon = lon;
        alert->lat = lat;
        alert->accuracy_m = accuracy_m;
    }
}

static void read_row(struct stored *stored, const PGresult *rows, int row, struct batch *batch)
{
    char word[ALERT_KIND_MAX];
    struct str source = text_column(rows, row, SOURCE);
    bool panel = is_panel(source);
    struct alert alert = read_message(stored, text_column(rows, row, PAYLOAD), panel);
    alert.format = panel ? ALERT_SIA_DC09 : ALERT_CLOUDEVENTS;
    alert.source = batch_copy_str(batch, source);
    alert.event_id = batch_copy_str(batch, text_column(rows, row, EVENT_ID));
    alert.device = batch_copy_str(batch, text_column(rows, row, DEVICE));
    alert.kind = (enum alert_kind)atoi(PQgetvalue(rows, row, KIND));
    alert.kind_word = batch_copy_str(batch, panel ? panel_word(rows, row, word) : alert.kind_word);
    if (alert.kind_word.len == 0)
        alert.kind_word = str_from(alert_kind_word(alert.kind));
    alert.phase = (enum alert_phase)atoi(PQgetvalue(rows, row, PHASE));
    alert.input = PQgetisnull(rows, row, INPUT) ? ALERT_NO_INT : atoi(PQgetvalue(rows, row, INPUT));
    alert.drill = *PQgetvalue(rows, row, DRILL) == 't';
    alert.occurred_us = strtoll(PQgetvalue(rows, row, OCCURRED), NULL, 10);
    alert.received_us = strtoll(PQgetvalue(rows, row, RECEIVED), NULL, 10);
    alert.endpoint = batch_copy_str(batch, text_column(rows, row, ENDPOINT));
    alert.flags = (uint32_t)atoi(PQgetvalue(rows, row, FLAGS)) & ~PLACE_FLAGS;
    alert.camera.label = batch_copy_str(batch, alert.camera.label);
    alert.camera.track = batch_copy_str(batch, alert.camera.track);
    alert.camera.zone = batch_copy_str(batch, alert.camera.zone);
    alert.payload = (struct str){0};
    alert.image.kind = *PQgetvalue(rows, row, HAS_IMAGE) == 't' ? IMAGE_JPEG : IMAGE_NONE; /* of whatever kind */
    if (!PQgetisnull(rows, row, LON))
        set_location(&alert, rows, row, panel);
    batch->rows[batch->n++] = (struct batch_row){.alert = alert};
}

void stored_put_fix(const struct alert *alert, struct registry *registry)
{
    const struct place *place = &alert->place;
    if (place->source == LOCATION_LAST_KNOWN)
        registry_put_fix(registry, alert->device,
                         &(struct fix){alert->occurred_us, place->lon, place->lat, place->accuracy_m, false});
}

int stored_next(struct stored *stored, struct batch *batch, uint64_t *ret_incidents, struct err *err)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "fetch %zu from stored", batch->cap);
    PGresult *rows = PQexec(stored->conn, sql);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK)
        return fail_sql(err, "read the alerts", rows);
    for (int row = 0; row < PQntuples(rows); row++) {
        ret_incidents[batch->n] = strtoull(PQgetvalue(rows, row, INCIDENT), NULL, 10);
        read_row(stored, rows, row, batch);
    }
    PQclear(rows);
    return 0;
}
