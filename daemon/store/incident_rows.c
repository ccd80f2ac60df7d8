#include "store/incident_rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/column.h"
#include "store/copyrow.h"
#include "store/param.h"

#define AREA_SEPARATOR '\x1f'

/* The marks of mobeye.store_incidents(). */
enum {
    IS_ACCEPTING = 1,
    IS_URGENT = 2,
    IS_VERIFIED = 4,
    IS_RESTORED = 8,
    IS_DRILL = 16,
    IS_SERVICE = 32,
    IS_SECRET_OF_SEVERAL = 64
};

/* Parameters of mobeye.store_incidents(): those of incidents that the database has, then the same of new ones, and what
 * is fixed when they are created, then those of conditions. */
enum { STATE = 17, RULES = 0, OLD, NEW = OLD + STATE, NEW_ONLY = NEW + STATE, CONDITIONS = NEW_ONLY + 13 };
_Static_assert(CONDITIONS + 7 == INCIDENT_STORE_PARAMS, "as many as the function has");

/* Elements of the arrays, from OLD or NEW on: id or key, and what alerts change. */
static const uint32_t state_types[STATE] = {
    TYPE_INT8,        TYPE_INT4,        TYPE_INT4, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ,
    TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_INT4, TYPE_INT4,        TYPE_INT4,        TYPE_BYTEA,
    TYPE_REAL,        TYPE_TEXT,        TYPE_TEXT, TYPE_INT8,        TYPE_INT8,
};

static const uint32_t new_types[13] = {
    TYPE_TEXT,     TYPE_TEXT, TYPE_TEXT,     TYPE_TEXT, TYPE_INTERVAL, TYPE_INTERVAL, TYPE_INTERVAL,
    TYPE_INTERVAL, TYPE_REAL, TYPE_INTERVAL, TYPE_REAL, TYPE_INT4,     TYPE_INT8,
};

static const uint32_t condition_types[7] = {TYPE_UUID, TYPE_INT8, TYPE_BOOL, TYPE_TIMESTAMPTZ,
                                            TYPE_TEXT, TYPE_INT4, TYPE_BOOL};

const char incident_store_sql[] =
    "select mobeye.store_incidents($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, "
    "$19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, "
    "$41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55)";

#define STATE_ARRAYS                                                                                                   \
    TYPE_INT4_ARRAY, TYPE_INT4_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY,          \
        TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_INT4_ARRAY, TYPE_INT4_ARRAY, TYPE_INT4_ARRAY,             \
        TYPE_BYTEA_ARRAY, TYPE_REAL_ARRAY, TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY, TYPE_INT8_ARRAY, TYPE_INT8_ARRAY

const Oid incident_store_types[INCIDENT_STORE_PARAMS] = {
    TYPE_UUID,           TYPE_INT8_ARRAY,        STATE_ARRAYS,        TYPE_UUID_ARRAY, STATE_ARRAYS,
    TYPE_TEXT_ARRAY,     TYPE_TEXT_ARRAY,        TYPE_TEXT_ARRAY,     TYPE_TEXT_ARRAY, TYPE_INTERVAL_ARRAY,
    TYPE_INTERVAL_ARRAY, TYPE_INTERVAL_ARRAY,    TYPE_INTERVAL_ARRAY, TYPE_REAL_ARRAY, TYPE_INTERVAL_ARRAY,
    TYPE_REAL_ARRAY,     TYPE_INT4_ARRAY,        TYPE_INT8_ARRAY,     TYPE_UUID_ARRAY, TYPE_INT8_ARRAY,
    TYPE_BOOL_ARRAY,     TYPE_TIMESTAMPTZ_ARRAY, TYPE_TEXT_ARRAY,     TYPE_INT4_ARRAY, TYPE_BOOL_ARRAY,
};

void incident_rows_free(struct incident_rows *rows)
{
    incident_set_free(&rows->set);
    free(rows->was_verified);
    free(rows->fresh);
    free(rows->changes);
    *rows = (struct incident_rows){0};
}

void incident_rows_clear(struct incident_rows *rows)
{
    incident_set_clear(&rows->set);
    rows->n_known = rows->n_fresh = rows->n_changes = 0;
}

static int32_t marks_of(const struct incident *incident)
{
    return (incident->accepting ? IS_ACCEPTING : 0) | (incident->urgent ? IS_URGENT : 0) |
           (incident->restored ? IS_RESTORED : 0) | (incident->drill ? IS_DRILL : 0) |
           (incident->terms.category == CATEGORY_SERVICE ? IS_SERVICE : 0) |
           (incident->secret_of_several ? IS_SECRET_OF_SEVERAL : 0);
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

static void put_id_or_null(struct buf *array, uint64_t id)
{
    if (id > 0)
        param_int8(array, (int64_t)id);
    else
        param_null(array);
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
    put_id_or_null(&values[14], incident->placement_id);
    put_id_or_null(&values[15], incident->secret_placement_id);
}

/* What is fixed when it is created. */
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
    put_id_or_null(&values[12], incident->previous_id);
}

static int compare_keys(const void *a, const void *b, void *arg)
{
    const struct incident *x = &((const struct incident_set *)arg)->incidents[*(const size_t *)a],
                          *y = &((const struct incident_set *)arg)->incidents[*(const size_t *)b];
    int by_key = memcmp(x->key, y->key, sizeof(x->key));
    return by_key ? by_key : x < y ? -1 : 1;
}

/* Returns how many incidents and conditions are to be stored. */
static size_t find_fresh(struct incident_rows *rows, size_t *ret_changed, size_t *ret_conditions)
{
    struct incident_set *set = &rows->set;
    *ret_changed = *ret_conditions = rows->n_fresh = 0;
    if (set->n_incidents > rows->cap_fresh) {
        rows->cap_fresh = set->n_incidents;
        rows->fresh = mem_realloc(rows->fresh, rows->cap_fresh, sizeof(*rows->fresh));
    }
    for (size_t i = 0; i < set->n_incidents; i++)
        if (set->incidents[i].fresh)
            rows->fresh[rows->n_fresh++] = i;
        else
            *ret_changed += set->incidents[i].changed;
    for (size_t i = 0; i < set->n_conditions; i++)
        *ret_conditions += set->conditions[i].fresh || set->conditions[i].changed;
    if (rows->n_fresh > 0) /* there may be no array yet */
        qsort_r(rows->fresh, rows->n_fresh, sizeof(*rows->fresh), compare_keys, set);
    return *ret_changed + *ret_conditions + rows->n_fresh;
}

static void begin_arrays(struct buf *values, const uint32_t *types, size_t n_arrays, size_t n)
{
    for (size_t i = 0; i < n_arrays; i++)
        param_array(&values[i], types[i], n);
}

static void put_incidents(const struct incident_rows *rows, struct buf *values)
{
    const struct incident *incidents = rows->set.incidents;
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

static int compare_conditions(const void *a, const void *b, void *arg)
{
    const struct condition *conditions = ((const struct incident_set *)arg)->conditions;
    return memcmp(conditions[*(const size_t *)a].id, conditions[*(const size_t *)b].id, INCIDENT_KEY_BYTES);
}

static void put_conditions(const struct incident_rows *rows, const struct incident_lookup *lookup,
                           const struct batch *batch, size_t n, struct buf *values)
{
    const struct incident_set *set = &rows->set;
    size_t *order = mem_realloc(NULL, n ? n : 1, sizeof(*order)), found = 0;
    for (size_t i = 0; i < set->n_conditions; i++)
        if (set->conditions[i].fresh || set->conditions[i].changed)
            order[found++] = i;
    qsort_r(order, n, sizeof(*order), compare_conditions, (void *)set);
    for (size_t i = 0; i < n; i++) {
        const struct condition *condition = &set->conditions[order[i]];
        const struct alert *alert = &batch->rows[incident_lookup_row(lookup, condition->id)].alert;
        param_bytes(&values[0], condition->id, sizeof(condition->id));
        param_int8(&values[1], (int64_t)set->incidents[condition->incident].id);
        param_bool(&values[2], condition->active);
        param_time(&values[3], condition->since_us);
        param_text(&values[4], alert->device);
        param_int4(&values[5], alert->input);
        param_bool(&values[6], condition->fresh);
    }
    free(order);
}

bool incident_rows_encode(struct incident_rows *rows, const struct incident_lookup *lookup, const struct batch *batch,
                          const uint8_t *rules, struct buf values[INCIDENT_STORE_PARAMS])
{
    size_t changed, conditions;
    if (find_fresh(rows, &changed, &conditions) == 0)
        return false;
    /* Conditions name a new incident by minus its number, from 1. */
    for (size_t i = 0; i < rows->n_fresh; i++)
        rows->set.incidents[rows->fresh[i]].id = (uint64_t) - (int64_t)(i + 1);
    if (rules)
        buf_append(&values[RULES], rules, COPYROW_RULES_BYTES);
    begin_arrays(&values[OLD], state_types, STATE, changed);
    begin_arrays(&values[NEW], state_types, STATE, rows->n_fresh);
    values[NEW].len = 0;
    param_array(&values[NEW], TYPE_UUID, rows->n_fresh);
    begin_arrays(&values[NEW_ONLY], new_types, 13, rows->n_fresh);
    begin_arrays(&values[CONDITIONS], condition_types, 7, conditions);
    put_incidents(rows, values);
    put_conditions(rows, lookup, batch, conditions, &values[CONDITIONS]);
    return true;
}

static void add_change(struct incident_rows *rows, uint64_t id, enum incident_op op, bool urgent)
{
    if (rows->n_changes == rows->cap_changes) {
        rows->cap_changes = rows->cap_changes ? 2 * rows->cap_changes : 64;
        rows->changes = mem_realloc(rows->changes, rows->cap_changes, sizeof(*rows->changes));
    }
    rows->changes[rows->n_changes++] = (struct incident_change){id, op, urgent};
}

static void list_changes(struct incident_rows *rows)
{
    for (size_t i = 0; i < rows->set.n_incidents; i++) {
        const struct incident *incident = &rows->set.incidents[i];
        if (incident->fresh)
            add_change(rows, incident->id, INCIDENT_NEW, incident->began_urgent);
        if (incident->fresh ? incident->urgent_joined : incident->joined)
            add_change(rows, incident->id, INCIDENT_ALERT, incident->urgent_joined);
        if (incident->verified && (incident->fresh || !rows->was_verified[i]))
            add_change(rows, incident->id, INCIDENT_VERIFIED, false);
        if (incident->restored)
            add_change(rows, incident->id, INCIDENT_STATUS, false);
    }
}

bool incident_rows_stored(struct incident_rows *rows, const PGresult *result)
{
    if (PQntuples(result) != 1 || column_int8_array_length(result, 0, 0) != rows->n_fresh)
        return false;
    for (size_t i = 0; i < rows->n_fresh; i++)
        rows->set.incidents[rows->fresh[i]].id = column_int8_array_at(result, 0, 0, i);
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
    buf_printf(sql, "}', '{");
    for (size_t i = 0; i < rows->n_changes; i++)
        buf_printf(sql, "%s%s", i > 0 ? "," : "", rows->changes[i].urgent ? "t" : "f");
    buf_printf(sql, "}'");
}
