#include "store/incident_rows.h"

#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/copyrow.h"
#include "store/param.h"

#define AREA_SEPARATOR '\x1f'

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

/* The marks of mobeye.store_incidents(). */
enum { IS_ACCEPTING = 1, IS_URGENT = 2, IS_VERIFIED = 4, IS_RESTORED = 8, IS_DRILL = 16, IS_SERVICE = 32 };

/* Parameters of mobeye.store_incidents(): those of incidents that the database has, then the same of new ones, and what
 * is settled when they are made, then those of threads. */
enum { RULES, OLD, NEW = OLD + 16, NEW_ONLY = NEW + 16, THREADS = NEW_ONLY + 13 };
_Static_assert(THREADS + 6 == INCIDENT_STORE_PARAMS, "as many as the function has");

/* Elements of the arrays, from OLD or NEW on: id or key, and what alerts change. */
static const uint32_t state_types[16] = {
    TYPE_INT8,        TYPE_INT4,        TYPE_INT4, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ,
    TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_INT4, TYPE_INT4,        TYPE_INT4,        TYPE_BYTEA,
    TYPE_REAL,        TYPE_TEXT,        TYPE_TEXT, TYPE_INT8,
};

static const uint32_t new_types[13] = {
    TYPE_TEXT,     TYPE_TEXT, TYPE_TEXT,     TYPE_TEXT, TYPE_INTERVAL, TYPE_INTERVAL, TYPE_INTERVAL,
    TYPE_INTERVAL, TYPE_REAL, TYPE_INTERVAL, TYPE_REAL, TYPE_INT4,     TYPE_INT8,
};

static const uint32_t thread_types[6] = {TYPE_UUID, TYPE_INT8, TYPE_BOOL, TYPE_TIMESTAMPTZ, TYPE_TEXT, TYPE_INT4};

const char incident_store_sql[] =
    "select mobeye.store_incidents($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, "
    "$19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, "
    "$41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52)";

#define STATE_ARRAYS                                                                                                   \
    TYPE_INT4_ARRAY, TYPE_INT4_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY,          \
        TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_INT4_ARRAY, TYPE_INT4_ARRAY, TYPE_INT4_ARRAY,             \
        TYPE_BYTEA_ARRAY, TYPE_REAL_ARRAY, TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY, TYPE_INT8_ARRAY

const Oid incident_store_types[INCIDENT_STORE_PARAMS] = {
    TYPE_UUID,           TYPE_INT8_ARRAY,        STATE_ARRAYS,        TYPE_UUID_ARRAY, STATE_ARRAYS,
    TYPE_TEXT_ARRAY,     TYPE_TEXT_ARRAY,        TYPE_TEXT_ARRAY,     TYPE_TEXT_ARRAY, TYPE_INTERVAL_ARRAY,
    TYPE_INTERVAL_ARRAY, TYPE_INTERVAL_ARRAY,    TYPE_INTERVAL_ARRAY, TYPE_REAL_ARRAY, TYPE_INTERVAL_ARRAY,
    TYPE_REAL_ARRAY,     TYPE_INT4_ARRAY,        TYPE_INT8_ARRAY,     TYPE_UUID_ARRAY, TYPE_INT8_ARRAY,
    TYPE_BOOL_ARRAY,     TYPE_TIMESTAMPTZ_ARRAY, TYPE_TEXT_ARRAY,     TYPE_INT4_ARRAY,
};

void incident_rows_free(struct incident_rows *rows)
{
    book_free(&rows->book);
    free(rows->was_verified);
    free(rows->fresh);
    free(rows->changes);
    *rows = (struct incident_rows){0};
}

void incident_rows_clear(struct incident_rows *rows)
{
    book_clear(&rows->book);
    rows->n_known = rows->n_fresh = rows->n_changes = 0;
}

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
    struct incident *incident = &book->incidents[book_add_incident(book)];
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
    struct thread *thread = &rows->book.threads[book_add_thread(&rows->book)];
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

static int32_t marks_of(const struct incident *incident)
{
    return (incident->accepting ? IS_ACCEPTING : 0) | (incident->urgent ? IS_URGENT : 0) |
           (incident->restored ? IS_RESTORED : 0) | (incident->drill ? IS_DRILL : 0) |
           (incident->terms.category == CATEGORY_SERVICE ? IS_SERVICE : 0);
}

/* NULL areas: as they were. */
static void put_areas(struct buf *array, const struct alert_areas *areas)
{
    if (!areas) {
        param_null(array);
        return;
    }
    struct buf text = {0};
    for (size_t i = 0; i < areas->n; i++) {
        if (i > 0)
            buf_append(&text, &(char){AREA_SEPARATOR}, 1);
        buf_append_str(&text, areas->area[i].layer);
        buf_append_str(&text, STR(":"));
        buf_append_str(&text, areas->area[i].code);
    }
    param_text(array, buf_str(&text));
    buf_free(&text);
}

/* What alerts change, from the marks on. */
static void put_state(const struct incident *incident, bool verified, struct buf *values)
{
    param_int4(&values[0], marks_of(incident) | (verified ? IS_VERIFIED : 0));
    param_int4(&values[1], incident->priority);
    param_time(&values[2], incident->first_seen_us);
    param_time(&values[3], incident->last_seen_us);
    param_time(&values[4], incident->last_received_us);
    param_time(&values[5], incident->restored_us);
    param_time(&values[6], incident->cancelled_us);
    param_int4(&values[7], incident->alert_count);
    param_int4(&values[8], incident->active);
    param_int4(&values[9], incident->flaps);
    if (incident->location_source == LOCATION_NONE)
        param_null(&values[10]);
    else
        param_point(&values[10], incident->lon, incident->lat);
    param_real(&values[11], incident->accuracy_m);
    param_text(&values[12], str_from(alert_location_word(incident->location_source)));
    put_areas(&values[13], incident->areas);
    if (incident->placement_id > 0)
        param_int8(&values[14], (int64_t)incident->placement_id);
    else
        param_null(&values[14]);
}

/* What is settled when it is made. */
static void put_new(const struct incident *incident, struct buf *values)
{
    const struct incident_terms *terms = &incident->terms;
    param_text(&values[0], str_from(alert_kind_word(incident->kind)));
    param_text(&values[1], incident->device);
    param_text(&values[2], terms->rule);
    param_text_or_null(&values[3], terms->team);
    param_interval(&values[4], terms->gap_us);
    param_interval(&values[5], terms->max_age_us);
    param_interval(&values[6], terms->settle_us);
    param_interval(&values[7], terms->overdue_us);
    param_real(&values[8], terms->moved_over_m > 0 ? (float)terms->moved_over_m : NAN);
    param_interval(&values[9], terms->verify_within_us);
    param_real(&values[10], terms->verify_radius_m > 0 ? (float)terms->verify_radius_m : NAN);
    param_int4(&values[11], terms->verify_priority > 0 ? terms->verify_priority : ALERT_NO_INT);
    if (incident->previous_id > 0)
        param_int8(&values[12], (int64_t)incident->previous_id);
    else
        param_null(&values[12]);
}

static int compare_keys(const void *a, const void *b, void *arg)
{
    const struct incident *x = &((const struct book *)arg)->incidents[*(const size_t *)a],
                          *y = &((const struct book *)arg)->incidents[*(const size_t *)b];
    int by_key = memcmp(x->key, y->key, sizeof(x->key));
    return by_key ? by_key : x < y ? -1 : 1;
}

/* Returns how many incidents and threads are to be stored. */
static size_t find_fresh(struct incident_rows *rows, size_t *ret_changed, size_t *ret_threads)
{
    struct book *book = &rows->book;
    *ret_changed = *ret_threads = rows->n_fresh = 0;
    if (book->n_incidents > rows->cap_fresh) {
        rows->cap_fresh = book->n_incidents;
        rows->fresh = mem_realloc(rows->fresh, rows->cap_fresh, sizeof(*rows->fresh));
    }
    for (size_t i = 0; i < book->n_incidents; i++)
        if (book->incidents[i].fresh)
            rows->fresh[rows->n_fresh++] = i;
        else
            *ret_changed += book->incidents[i].changed;
    for (size_t i = 0; i < book->n_threads; i++)
        *ret_threads += book->threads[i].fresh || book->threads[i].changed;
    qsort_r(rows->fresh, rows->n_fresh, sizeof(*rows->fresh), compare_keys, book);
    return *ret_changed + *ret_threads + rows->n_fresh;
}

static void begin_arrays(struct buf *values, const uint32_t *types, size_t n_arrays, size_t n)
{
    for (size_t i = 0; i < n_arrays; i++)
        copyrow_array(&values[i], types[i], n);
}

static void put_incidents(const struct incident_rows *rows, struct buf *values)
{
    const struct incident *incidents = rows->book.incidents;
    for (size_t i = 0; i < rows->n_known; i++)
        if (incidents[i].changed) {
            param_int8(&values[OLD], (int64_t)incidents[i].id);
            put_state(&incidents[i], incidents[i].verified && !rows->was_verified[i], &values[OLD + 1]);
        }
    for (size_t i = 0; i < rows->n_fresh; i++) {
        const struct incident *incident = &incidents[rows->fresh[i]];
        param_bytes(&values[NEW], incident->key, sizeof(incident->key));
        put_state(incident, incident->verified, &values[NEW + 1]);
        put_new(incident, &values[NEW_ONLY]);
    }
}

static int compare_threads(const void *a, const void *b, void *arg)
{
    const struct thread *threads = ((const struct book *)arg)->threads;
    return memcmp(threads[*(const size_t *)a].id, threads[*(const size_t *)b].id, INCIDENT_KEY_BYTES);
}

static void put_threads(const struct incident_rows *rows, const struct incident_ask *ask, const struct batch *batch,
                        size_t n, struct buf *values)
{
    const struct book *book = &rows->book;
    size_t *order = mem_realloc(NULL, n ? n : 1, sizeof(*order)), found = 0;
    for (size_t i = 0; i < book->n_threads; i++)
        if (book->threads[i].fresh || book->threads[i].changed)
            order[found++] = i;
    qsort_r(order, n, sizeof(*order), compare_threads, (void *)book);
    for (size_t i = 0; i < n; i++) {
        const struct thread *thread = &book->threads[order[i]];
        const struct alert *alert = &batch->rows[incident_ask_row(ask, thread->id)].alert;
        param_bytes(&values[0], thread->id, sizeof(thread->id));
        param_int8(&values[1], (int64_t)book->incidents[thread->incident].id);
        param_bool(&values[2], thread->active);
        param_time(&values[3], thread->since_us);
        param_text(&values[4], alert->device);
        param_int4(&values[5], alert->input);
    }
    free(order);
}

bool incident_rows_encode(struct incident_rows *rows, const struct incident_ask *ask, const struct batch *batch,
                          const uint8_t *rules, struct buf values[INCIDENT_STORE_PARAMS])
{
    size_t changed, threads;
    if (find_fresh(rows, &changed, &threads) == 0)
        return false;
    /* Threads name a new incident by minus its number, from 1. */
    for (size_t i = 0; i < rows->n_fresh; i++)
        rows->book.incidents[rows->fresh[i]].id = (uint64_t) - (int64_t)(i + 1);
    if (rules)
        buf_append(&values[RULES], rules, COPYROW_RULES_BYTES);
    begin_arrays(&values[OLD], state_types, 16, changed);
    begin_arrays(&values[NEW], state_types, 16, rows->n_fresh);
    values[NEW].len = 0;
    copyrow_array(&values[NEW], TYPE_UUID, rows->n_fresh);
    begin_arrays(&values[NEW_ONLY], new_types, 13, rows->n_fresh);
    begin_arrays(&values[THREADS], thread_types, 6, threads);
    put_incidents(rows, values);
    put_threads(rows, ask, batch, threads, &values[THREADS]);
    return true;
}

static void add_change(struct incident_rows *rows, uint64_t id, enum incident_op op)
{
    if (rows->n_changes == rows->cap_changes) {
        rows->cap_changes = rows->cap_changes ? 2 * rows->cap_changes : 64;
        rows->changes = mem_realloc(rows->changes, rows->cap_changes, sizeof(*rows->changes));
    }
    rows->changes[rows->n_changes++] = (struct incident_change){id, op};
}

static void list_changes(struct incident_rows *rows)
{
    for (size_t i = 0; i < rows->book.n_incidents; i++) {
        const struct incident *incident = &rows->book.incidents[i];
        if (incident->fresh || incident->joined)
            add_change(rows, incident->id, incident->fresh ? INCIDENT_NEW : INCIDENT_ALERT);
        if (incident->verified && (incident->fresh || !rows->was_verified[i]))
            add_change(rows, incident->id, INCIDENT_VERIFIED);
        if (incident->restored)
            add_change(rows, incident->id, INCIDENT_STATUS);
    }
}

/* An int8[] as PostgreSQL sends it: dimensions, nulls, type; length, first index; then the elements. */
bool incident_rows_stored(struct incident_rows *rows, const PGresult *result)
{
    enum { HEAD = 20, ELEMENT = 12 };
    size_t n = rows->n_fresh, len = n > 0 ? HEAD + n * ELEMENT : 12;
    if (PQntuples(result) != 1 || (size_t)PQgetlength(result, 0, 0) != len)
        return false;
    const char *ids = PQgetvalue(result, 0, 0) + HEAD;
    for (size_t i = 0; i < n; i++) {
        uint64_t id;
        memcpy(&id, ids + i * ELEMENT + 4, sizeof(id));
        rows->book.incidents[rows->fresh[i]].id = be64toh(id);
    }
    list_changes(rows);
    return true;
}

const char *incident_op_word(enum incident_op op)
{
    static const char *const words[] = {
        [INCIDENT_NEW] = "new",
        [INCIDENT_ALERT] = "alert",
        [INCIDENT_STATUS] = "status",
        [INCIDENT_VERIFIED] = "verified",
    };
    return words[op];
}

void incident_rows_print_changes(const struct incident_rows *rows, struct buf *sql)
{
    buf_printf(sql, "'{");
    for (size_t i = 0; i < rows->n_changes; i++)
        buf_printf(sql, "%s%" PRIu64, i > 0 ? "," : "", rows->changes[i].id);
    buf_printf(sql, "}', '{");
    for (size_t i = 0; i < rows->n_changes; i++)
        buf_printf(sql, "%s%s", i > 0 ? "," : "", incident_op_word(rows->changes[i].op));
    buf_printf(sql, "}'");
}
