/* Reads what mobeye.read_incidents() returns into the incident set. */
#include <string.h>

#include "base/mem.h"
#include "store/column.h"
#include "store/incident_rows.h"

/* Columns of mobeye.read_incidents(), then the arrays of mobeye.read_conditions(). */
enum {
    READ_ID,
    READ_KEY,
    READ_ACCEPTING,
    READ_CLOSED,
    READ_CLOSED_BY_PERSON,
    READ_URGENT,
    READ_VERIFIED,
    READ_DRILL,
    READ_CATEGORY,
    READ_LOCATION_SOURCE,
    READ_PRIORITY,
    READ_VERIFY_PRIORITY,
    READ_KIND,
    READ_DEVICE,
    READ_FIRST_SEEN,
    READ_LAST_SEEN,
    READ_LAST_RECEIVED,
    READ_CLOSED_AT,
    READ_RESTORED,
    READ_CANCELLED,
    READ_ALERTS,
    READ_ACTIVE,
    READ_FLAPS,
    READ_GAP,
    READ_MAX_AGE,
    READ_SETTLE,
    READ_MOVED_OVER,
    READ_GEOM,
    READ_ACCURACY,
    READ_PLACEMENT,
    READ_PLACEMENT_GEOM,
    READ_DEVICE_PLACEMENT,
    READ_DEVICE_PLACED,
    READ_CONDITION_INCIDENTS,
    READ_CONDITIONS,
    READ_CONDITIONS_ACTIVE,
    READ_CONDITIONS_SINCE,
};

/* One row of the result. */
struct result_row {
    const PGresult *result;
    int row;
};

static bool has(const struct result_row *r, int column)
{
    return !PQgetisnull(r->result, r->row, column);
}

static bool is(const struct result_row *r, int column)
{
    return has(r, column) && *PQgetvalue(r->result, r->row, column) != 0;
}

static enum location_source location_source(struct str word)
{
    for (enum location_source source = LOCATION_NONE; source < LOCATION_COUNT; source++)
        if (str_is(word, alert_location_word(source)))
            return source;
    return LOCATION_NONE;
}

static void read_state(const struct result_row *r, struct incident *incident)
{
    incident->accepting = is(r, READ_ACCEPTING);
    incident->closed = is(r, READ_CLOSED);
    incident->by_person = is(r, READ_CLOSED_BY_PERSON);
    incident->urgent = is(r, READ_URGENT);
    incident->verified = is(r, READ_VERIFIED);
    incident->drill = is(r, READ_DRILL);
    incident->place.source = location_source(column_text(r->result, r->row, READ_LOCATION_SOURCE));
    incident->priority = column_int2(r->result, r->row, READ_PRIORITY);
    incident->first_seen_us = column_time(r->result, r->row, READ_FIRST_SEEN, ALERT_NO_TIME);
    incident->last_seen_us = column_time(r->result, r->row, READ_LAST_SEEN, ALERT_NO_TIME);
    incident->last_received_us = column_time(r->result, r->row, READ_LAST_RECEIVED, ALERT_NO_TIME);
    incident->closed_us = column_time(r->result, r->row, READ_CLOSED_AT, ALERT_NO_TIME);
    incident->restored_us = column_time(r->result, r->row, READ_RESTORED, ALERT_NO_TIME);
    incident->cancelled_us = column_time(r->result, r->row, READ_CANCELLED, ALERT_NO_TIME);
    incident->alert_count = (int32_t)column_int4(r->result, r->row, READ_ALERTS, 0);
    incident->active = (int32_t)column_int4(r->result, r->row, READ_ACTIVE, 0);
    incident->flaps = (int32_t)column_int4(r->result, r->row, READ_FLAPS, 0);
    column_point(r->result, r->row, READ_GEOM, &incident->place.lon, &incident->place.lat);
    incident->place.accuracy_m = column_real(r->result, r->row, READ_ACCURACY);
    incident->placement_id = column_int8(r->result, r->row, READ_PLACEMENT);
    column_point(r->result, r->row, READ_PLACEMENT_GEOM, &incident->placement_lon, &incident->placement_lat);
    incident->device_placement_id = column_int8(r->result, r->row, READ_DEVICE_PLACEMENT);
    incident->device_placed_us = column_time(r->result, r->row, READ_DEVICE_PLACED, ALERT_NO_TIME);
}

static void read_terms(const struct result_row *r, struct incident_terms *terms)
{
    terms->category =
        str_is(column_text(r->result, r->row, READ_CATEGORY), "service") ? CATEGORY_SERVICE : CATEGORY_ALARM;
    terms->priority = column_int2(r->result, r->row, READ_PRIORITY);
    terms->verify_priority = column_int2(r->result, r->row, READ_VERIFY_PRIORITY);
    terms->gap_us = column_interval_us(r->result, r->row, READ_GAP);
    terms->max_age_us = column_interval_us(r->result, r->row, READ_MAX_AGE);
    terms->settle_us = column_interval_us(r->result, r->row, READ_SETTLE);
    terms->moved_over_m = has(r, READ_MOVED_OVER) ? (double)column_real(r->result, r->row, READ_MOVED_OVER) : 0;
}

/* Memory for the text of all rows is reserved before. */
static struct str copy_text(struct buf *text_buf, struct str text)
{
    struct str kept = {text_buf->data + text_buf->len, text.len};
    buf_append_str(text_buf, text);
    return kept;
}

static void read_incident(struct incident_rows *rows, const struct result_row *r)
{
    struct incident_set *set = &rows->set;
    size_t i = incident_set_add(set);
    struct incident *incident = &set->incidents[i];
    incident->id = column_int8(r->result, r->row, READ_ID);
    memcpy(incident->key, PQgetvalue(r->result, r->row, READ_KEY), sizeof(incident->key));
    incident->kind = alert_kind_from(column_text(r->result, r->row, READ_KIND));
    incident->device = copy_text(&set->text, column_text(r->result, r->row, READ_DEVICE));
    read_state(r, incident);
    read_terms(r, &incident->terms);
}

static size_t index_of(const struct incident_set *set, uint64_t id)
{
    size_t low = 0, high = set->n_incidents;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->incidents[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n_incidents && set->incidents[low].id == id ? low : NO_INCIDENT;
}

/* The incident with number i. */
static bool read_condition(struct incident_rows *rows, const struct result_row *r, size_t i)
{
    size_t incident = index_of(&rows->set, column_int8_array_at(r->result, r->row, READ_CONDITION_INCIDENTS, i));
    if (incident == NO_INCIDENT)
        return false;
    size_t c = incident_set_add_condition(&rows->set);
    struct condition *condition = &rows->set.conditions[c];
    memcpy(condition->id, column_array_at(r->result, r->row, READ_CONDITIONS, sizeof(condition->id), i),
           sizeof(condition->id));
    condition->incident = incident;
    condition->active = *column_array_at(r->result, r->row, READ_CONDITIONS_ACTIVE, 1, i) != 0;
    condition->since_us = column_time_array_at(r->result, r->row, READ_CONDITIONS_SINCE, i);
    return true;
}

static bool read_conditions(struct incident_rows *rows, const struct result_row *r)
{
    size_t n = column_array_length(r->result, r->row, READ_CONDITION_INCIDENTS, sizeof(uint64_t));
    for (size_t i = 0; n != SIZE_MAX && i < n; i++)
        if (!read_condition(rows, r, i))
            return false;
    return n != SIZE_MAX;
}

static void note_verified(struct incident_rows *rows)
{
    rows->n_known = rows->set.n_incidents;
    if (rows->n_known > rows->cap_known) {
        rows->cap_known = rows->n_known;
        rows->was_verified = mem_realloc(rows->was_verified, rows->cap_known, sizeof(*rows->was_verified));
    }
    for (size_t i = 0; i < rows->n_known; i++)
        rows->was_verified[i] = rows->set.incidents[i].verified;
}

bool incident_rows_read(struct incident_rows *rows, const PGresult *result)
{
    struct result_row r = {.result = result};
    size_t room = 0;
    int n = PQntuples(result);
    for (int row = 0; row < n; row++)
        room += (size_t)PQgetlength(result, row, READ_DEVICE);
    buf_reserve(&rows->set.text, room + 1);
    for (; r.row < n && has(&r, READ_PRIORITY); r.row++)
        read_incident(rows, &r);
    note_verified(rows);
    return r.row == n || read_conditions(rows, &r);
}
