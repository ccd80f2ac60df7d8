/* What mobeye.read_incidents() returns, into the book. */
#include <endian.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/copyrow.h"
#include "store/incident_rows.h"

/* Columns of mobeye.read_incidents(). */
enum {
    READ_ID,
    READ_KEY,
    READ_MARKS,
    READ_PRIORITY,
    READ_VERIFY_PRIORITY,
    READ_KIND,
    READ_DEVICE,
    READ_FIRST_SEEN,
    READ_LAST_SEEN,
    READ_LAST_RECEIVED,
    READ_CLOSED,
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
};

/* Its marks. */
enum {
    WAS_ACCEPTING = 1,
    WAS_CLOSED = 2,
    WAS_CLOSED_BY_PERSON = 4,
    WAS_URGENT = 8,
    WAS_VERIFIED = 16,
    WAS_DRILL = 32,
    WAS_SERVICE = 64,
    WAS_PLACED_SHIFT = 8,
};

/* One row of the result. */
struct reader {
    const PGresult *result;
    int row;
};

static bool has(const struct reader *r, int column)
{
    return !PQgetisnull(r->result, r->row, column);
}

static const char *bytes(const struct reader *r, int column)
{
    return PQgetvalue(r->result, r->row, column);
}

static uint64_t int8(const struct reader *r, int column)
{
    uint64_t v = 0;
    if (has(r, column))
        memcpy(&v, bytes(r, column), sizeof(v));
    return be64toh(v);
}

static int32_t int4(const struct reader *r, int column)
{
    uint32_t v = 0;
    if (has(r, column))
        memcpy(&v, bytes(r, column), sizeof(v));
    return (int32_t)be32toh(v);
}

static int int2(const struct reader *r, int column)
{
    uint16_t v = 0;
    if (has(r, column))
        memcpy(&v, bytes(r, column), sizeof(v));
    return (int16_t)be16toh(v);
}

static float real(const struct reader *r, int column)
{
    uint32_t bits = (uint32_t)int4(r, column);
    float v;
    memcpy(&v, &bits, sizeof(v));
    return has(r, column) ? v : NAN;
}

static int64_t time_us(const struct reader *r, int column)
{
    return has(r, column) ? copyrow_wall_us((int64_t)int8(r, column)) : ALERT_NO_TIME;
}

/* Microseconds, days, months; this program writes no days and months. */
static int64_t interval_us(const struct reader *r, int column)
{
    uint32_t days, months;
    if (!has(r, column))
        return 0;
    memcpy(&days, bytes(r, column) + 8, sizeof(days));
    memcpy(&months, bytes(r, column) + 12, sizeof(months));
    return (int64_t)int8(r, column) + ((int32_t)be32toh(days) + 30 * (int64_t)(int32_t)be32toh(months)) * CLOCK_DAY;
}

static struct str text(const struct reader *r, int column)
{
    return (struct str){bytes(r, column), (size_t)PQgetlength(r->result, r->row, column)};
}

/* A point as EWKB, in the byte order of the server. */
static void point(const struct reader *r, struct incident *incident)
{
    const char *at = bytes(r, READ_GEOM);
    if (PQgetlength(r->result, r->row, READ_GEOM) != COPYROW_POINT_BYTES)
        return;
    uint64_t halves[2];
    double degrees[2];
    memcpy(halves, at + 9, sizeof(halves));
    for (size_t i = 0; i < 2; i++) {
        halves[i] = at[0] ? le64toh(halves[i]) : be64toh(halves[i]);
        memcpy(&degrees[i], &halves[i], sizeof(degrees[i]));
    }
    incident->lon = degrees[0];
    incident->lat = degrees[1];
}

static void read_state(const struct reader *r, struct incident *incident)
{
    int32_t marks = int4(r, READ_MARKS);
    incident->accepting = marks & WAS_ACCEPTING;
    incident->closed = marks & WAS_CLOSED;
    incident->by_person = marks & WAS_CLOSED_BY_PERSON;
    incident->urgent = marks & WAS_URGENT;
    incident->verified = marks & WAS_VERIFIED;
    incident->drill = marks & WAS_DRILL;
    incident->location_source = (enum location_source)(marks >> WAS_PLACED_SHIFT & 3);
    incident->priority = int2(r, READ_PRIORITY);
    incident->first_seen_us = time_us(r, READ_FIRST_SEEN);
    incident->last_seen_us = time_us(r, READ_LAST_SEEN);
    incident->last_received_us = time_us(r, READ_LAST_RECEIVED);
    incident->closed_us = time_us(r, READ_CLOSED);
    incident->restored_us = time_us(r, READ_RESTORED);
    incident->cancelled_us = time_us(r, READ_CANCELLED);
    incident->alert_count = int4(r, READ_ALERTS);
    incident->active = int4(r, READ_ACTIVE);
    incident->flaps = int4(r, READ_FLAPS);
    point(r, incident);
    incident->accuracy_m = real(r, READ_ACCURACY);
    incident->placement_id = int8(r, READ_PLACEMENT);
}

static void read_terms(const struct reader *r, struct incident_terms *terms)
{
    terms->category = int4(r, READ_MARKS) & WAS_SERVICE ? CATEGORY_SERVICE : CATEGORY_ALARM;
    terms->priority = int2(r, READ_PRIORITY);
    terms->verify_priority = int2(r, READ_VERIFY_PRIORITY);
    terms->gap_us = interval_us(r, READ_GAP);
    terms->max_age_us = interval_us(r, READ_MAX_AGE);
    terms->settle_us = interval_us(r, READ_SETTLE);
    terms->moved_over_m = has(r, READ_MOVED_OVER) ? (double)real(r, READ_MOVED_OVER) : 0;
}

/* Room for the text of all rows was made before. */
static struct str keep(struct buf *text_buf, struct str text)
{
    struct str kept = {text_buf->data + text_buf->len, text.len};
    buf_append_str(text_buf, text);
    return kept;
}

static void read_incident(struct incident_rows *rows, const struct reader *r)
{
    struct book *book = &rows->book;
    size_t i = book_add_incident(book);
    struct incident *incident = &book->incidents[i];
    incident->id = int8(r, READ_ID);
    memcpy(incident->key, bytes(r, READ_KEY), sizeof(incident->key));
    incident->kind = alert_kind_from(text(r, READ_KIND));
    incident->device = keep(&book->text, text(r, READ_DEVICE));
    read_state(r, incident);
    read_terms(r, &incident->terms);
}

static size_t index_of(const struct book *book, uint64_t id)
{
    size_t low = 0, high = book->n_incidents;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (book->incidents[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < book->n_incidents && book->incidents[low].id == id ? low : NO_INCIDENT;
}

static bool read_thread(struct incident_rows *rows, const struct reader *r)
{
    size_t incident = index_of(&rows->book, int8(r, READ_ID));
    if (incident == NO_INCIDENT)
        return false;
    size_t t = book_add_thread(&rows->book);
    struct thread *thread = &rows->book.threads[t];
    memcpy(thread->id, bytes(r, READ_KEY), sizeof(thread->id));
    thread->incident = incident;
    thread->active = int4(r, READ_MARKS) != 0;
    thread->since_us = time_us(r, READ_FIRST_SEEN);
    return true;
}

static void note_verified(struct incident_rows *rows)
{
    rows->n_known = rows->book.n_incidents;
    if (rows->n_known > rows->cap_known) {
        rows->cap_known = rows->n_known;
        rows->was_verified = mem_realloc(rows->was_verified, rows->cap_known, sizeof(*rows->was_verified));
    }
    for (size_t i = 0; i < rows->n_known; i++)
        rows->was_verified[i] = rows->book.incidents[i].verified;
}

bool incident_rows_read(struct incident_rows *rows, const PGresult *result)
{
    struct reader r = {.result = result};
    size_t room = 0;
    int n = PQntuples(result);
    for (int row = 0; row < n; row++)
        room += (size_t)PQgetlength(result, row, READ_DEVICE);
    buf_reserve(&rows->book.text, room + 1);
    for (; r.row < n && has(&r, READ_PRIORITY); r.row++)
        read_incident(rows, &r);
    note_verified(rows);
    for (; r.row < n; r.row++)
        if (!read_thread(rows, &r))
            return false;
    return true;
}
