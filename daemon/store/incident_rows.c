#include "store/incident_rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/column.h"
#include "store/copyrow.h"
#include "store/origin.h"
#include "store/param.h"

#define AREA_SEPARATOR '\x1f'

#define PARAM(number, name, type) ", " #name " => $" #number
const char incident_store_sql[] = "select mobeye.store_incidents(rules => $1"
#include "store/store_incidents.def"
                                  ")";
#undef PARAM

#define PARAM(number, name, type) TYPE_##type##_ARRAY,
const Oid incident_store_types[INCIDENT_STORE_PARAMS] = {
    TYPE_UUID,
#include "store/store_incidents.def"
};
#undef PARAM

#define PARAM(number, name, type) TYPE_##type,
static const uint32_t element_types[INCIDENT_STORE_PARAMS] = {
    0,
#include "store/store_incidents.def"
};
#undef PARAM

#define PARAM(number, name, type) STORE_##name = (number)-1,
enum {
    STORE_rules,
#include "store/store_incidents.def"
    STORE_PARAMS
};
#undef PARAM

_Static_assert((int)STORE_PARAMS == (int)INCIDENT_STORE_PARAMS, "as many as in the list");
_Static_assert(STORE_new_extent - STORE_new_accepting == STORE_old_extent - STORE_old_accepting, "one state, twice");

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

void incident_areas_text(const struct alert_areas *areas, struct buf *out)
{
    for (size_t i = 0; i < areas->n; i++) {
        if (i > 0)
            buf_append(out, &(char){AREA_SEPARATOR}, 1);
        buf_append_str(out, areas->area[i].layer);
        buf_append_str(out, STR(":"));
        buf_append_str(out, areas->area[i].code);
    }
}

/* NULL areas: as they were. */
static void put_areas(struct buf *array, const struct alert_areas *areas)
{
    if (!areas) {
        param_null(array);
        return;
    }
    struct buf text = {0};
    incident_areas_text(areas, &text);
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

/* What alerts change: from old_accepting or new_accepting on. */
static void put_state(const struct incident *incident, bool verified, struct buf *values)
{
    param_bool(values++, incident->accepting);
    param_bool(values++, incident->urgent);
    param_bool(values++, verified);
    param_bool(values++, incident->restored);
    param_bool(values++, incident->secret_of_several);
    param_int4(values++, incident->priority);
    param_time(values++, incident->first_seen_us);
    param_time(values++, incident->last_seen_us);
    param_time(values++, incident->first_received_us);
    param_time(values++, incident->last_received_us);
    param_time(values++, incident->restored_us);
    param_time(values++, incident->restore_received_us);
    param_time(values++, incident->cancelled_us);
    param_int4(values++, incident->alert_count);
    param_int4(values++, incident->active);
    param_int4(values++, incident->flaps);
    if (incident->place.source == LOCATION_NONE)
        param_null(values++);
    else
        param_point(values++, incident->place.lon, incident->place.lat);
    param_real(values++, incident->place.accuracy_m);
    param_text(values++, str_from(alert_location_word(incident->place.source)));
    put_areas(values++, incident->areas);
    put_id_or_null(values++, incident->placement_id);
    put_id_or_null(values++, incident->device_placement_id);
    put_id_or_null(values++, incident->secret_placement_id);
    param_box(values++, &incident->extent);
}

/* As interval[] in text form, since the steps of rows differ in number. */
static void put_steps(struct buf *array, const int64_t *steps_us)
{
    char text[OVERDUE_STEPS * 40];
    int len = 0;
    for (size_t i = 0; i < OVERDUE_STEPS && steps_us[i] > 0; i++)
        len +=
            snprintf(text + len, sizeof(text) - (size_t)len, "%c%" PRId64 " microseconds", i ? ',' : '{', steps_us[i]);
    if (len == 0)
        param_null(array);
    else {
        text[len++] = '}';
        param_text(array, (struct str){text, (size_t)len});
    }
}

/* What is fixed when it is created: from new_drill on. */
static void put_new(const struct incident *incident, struct buf *values)
{
    const struct incident_terms *terms = &incident->terms;
    param_bool(values++, incident->drill);
    param_text(values++, terms->category == CATEGORY_SERVICE ? STR("service") : STR("alarm"));
    param_text(values++, str_from(alert_kind_word(incident->kind)));
    param_text(values++, incident->device);
    param_text(values++, terms->rule);
    param_text_or_null(values++, terms->team);
    param_interval(values++, terms->gap_us);
    param_interval(values++, terms->max_age_us);
    param_interval(values++, terms->settle_us);
    put_steps(values++, terms->overdue_us);
    param_real(values++, terms->moved_over_m > 0 ? (float)terms->moved_over_m : NAN);
    param_interval(values++, terms->verify_within_us);
    param_real(values++, terms->verify_radius_m > 0 ? (float)terms->verify_radius_m : NAN);
    param_int4(values++, terms->verify_priority > 0 ? terms->verify_priority : ALERT_NO_INT);
    put_id_or_null(values++, incident->previous_id);
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
    *ret_changed = rows->n_fresh = 0;
    if (set->n_incidents > rows->cap_fresh) {
        rows->cap_fresh = set->n_incidents;
        rows->fresh = mem_realloc(rows->fresh, rows->cap_fresh, sizeof(*rows->fresh));
    }
    for (size_t i = 0; i < set->n_incidents; i++)
        if (set->incidents[i].fresh)
            rows->fresh[rows->n_fresh++] = i;
        else
            *ret_changed += set->incidents[i].changed;
    *ret_conditions = set->n_departures;
    for (size_t i = 0; i < set->n_conditions; i++)
        *ret_conditions += set->conditions[i].fresh || set->conditions[i].changed;
    if (rows->n_fresh > 0) /* there may be no array yet */
        qsort_r(rows->fresh, rows->n_fresh, sizeof(*rows->fresh), compare_keys, set);
    return *ret_changed + *ret_conditions + rows->n_fresh;
}

/* Begins the parameters from first to last, arrays of n elements each. */
static void begin_arrays(struct buf *values, size_t first, size_t last, size_t n)
{
    for (size_t i = first; i <= last; i++)
        param_array(&values[i], element_types[i], n);
}

static void put_incidents(const struct incident_rows *rows, struct buf *values)
{
    const struct incident *incidents = rows->set.incidents;
    for (size_t i = 0; i < rows->n_known; i++)
        if (incidents[i].changed) {
            param_int8(&values[STORE_old_id], (int64_t)incidents[i].id);
            put_state(&incidents[i], incidents[i].verified && !rows->was_verified[i], &values[STORE_old_accepting]);
            param_time(&values[STORE_old_unmuted], incidents[i].unmuted_us);
        }
    for (size_t i = 0; i < rows->n_fresh; i++) {
        const struct incident *incident = &incidents[rows->fresh[i]];
        param_bytes(&values[STORE_new_key], incident->key, sizeof(incident->key));
        put_state(incident, incident->verified, &values[STORE_new_accepting]);
        put_new(incident, &values[STORE_new_drill]);
    }
}

static int compare_conditions(const void *a, const void *b, void *arg)
{
    const struct condition *conditions = ((const struct incident_set *)arg)->conditions;
    return memcmp(conditions[*(const size_t *)a].id, conditions[*(const size_t *)b].id, INCIDENT_KEY_BYTES);
}

/* As inactive conditions without an id. */
static void put_departures(const struct incident_set *set, struct buf *values)
{
    for (size_t i = 0; i < set->n_departures; i++) {
        const struct departure *departure = &set->departures[i];
        param_null(&values[0]);
        param_int8(&values[1], (int64_t)set->incidents[departure->incident].id);
        param_bool(&values[2], false);
        param_time(&values[3], departure->since_us);
        param_text(&values[4], departure->device);
        param_int4(&values[5], ALERT_NO_INT);
        param_bool(&values[6], true);
    }
}

static void put_conditions(const struct incident_rows *rows, const struct incident_lookup *lookup,
                           const struct batch *batch, size_t n, struct buf *values)
{
    const struct incident_set *set = &rows->set;
    size_t *order = mem_realloc(NULL, n ? n : 1, sizeof(*order)), found = 0;
    for (size_t i = 0; i < set->n_conditions; i++)
        if (set->conditions[i].fresh || set->conditions[i].changed)
            order[found++] = i;
    qsort_r(order, found, sizeof(*order), compare_conditions, (void *)set);
    for (size_t i = 0; i < found; i++) {
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
    put_departures(set, values);
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
        buf_append(&values[STORE_rules], rules, ORIGIN_RULES_BYTES);
    begin_arrays(values, STORE_old_id, STORE_old_unmuted, changed);
    begin_arrays(values, STORE_new_key, STORE_new_previous, rows->n_fresh);
    begin_arrays(values, STORE_condition_id, STORE_condition_fresh, conditions);
    put_incidents(rows, values);
    put_conditions(rows, lookup, batch, conditions, &values[STORE_condition_id]);
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
        /* A restore that comes too late to join still ends the alarm. */
        bool changed = incident->joined || (incident->inactive_us != ALERT_NO_TIME && !incident->restored);
        if (incident->fresh ? incident->urgent_joined : changed)
            add_change(rows, incident->id, INCIDENT_ALERT, incident->urgent_joined);
        if (incident->verified && (incident->fresh || !rows->was_verified[i]))
            add_change(rows, incident->id, INCIDENT_VERIFIED, false);
        if (incident->restored)
            add_change(rows, incident->id, INCIDENT_STATUS, false);
    }
}

bool incident_rows_stored(struct incident_rows *rows, const PGresult *result)
{
    if (PQntuples(result) != 1 || column_array_length(result, 0, 0, sizeof(uint64_t)) != rows->n_fresh)
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
