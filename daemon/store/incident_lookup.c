#include "store/incident_lookup.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/param.h"

#define CONDITION_SOURCE_BYTES (INCIDENT_KEY_BYTES / 2)

/* The rows of read_incidents(), then those of read_conditions() in their first two columns and two more. */
const char incident_lookup_sql[] =
    "select i.*, null::boolean, null::timestamptz from mobeye.read_incidents($1, $2, $3, $4, $5, $6) i"
    " union all "
    "select c.incident_id, c.condition, null, null, null, null, null, null, null, null, null, null, null, null, null,"
    " null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, c.active, c.since"
    "  from mobeye.read_conditions($1, $2, $3) c";

const Oid incident_lookup_types[INCIDENT_LOOKUP_PARAMS] = {
    TYPE_UUID_ARRAY, TYPE_UUID_ARRAY, TYPE_UUID_ARRAY, TYPE_UUID_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY};

/* Half of an id, as a number that sorts as its bytes do. */
static uint64_t half_of(const uint8_t *bytes)
{
    uint64_t half;
    memcpy(&half, bytes, sizeof(half));
    return be64toh(half);
}

static int compare_ids(const void *a, const void *b)
{
    const struct lookup_id *x = a, *y = b;
    uint64_t left = half_of(x->id), right = half_of(y->id);
    if (left == right) {
        left = half_of(x->id + sizeof(left));
        right = half_of(y->id + sizeof(right));
    }
    if (left != right)
        return left < right ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Sorts, and leaves one of each, with the times of all. Returns how many those are. */
static size_t sort_unique(struct lookup_id *ids, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(ids, n, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < n; i++) {
        struct lookup_id *last = kept > 0 ? &ids[kept - 1] : NULL;
        if (!last || memcmp(last->id, ids[i].id, sizeof(last->id)) != 0) {
            ids[kept++] = ids[i];
            continue;
        }
        last->from_us = ids[i].from_us < last->from_us ? ids[i].from_us : last->from_us;
        last->until_us = ids[i].until_us > last->until_us ? ids[i].until_us : last->until_us;
    }
    return kept;
}

static struct lookup_id lookup_id(const uint8_t id[INCIDENT_KEY_BYTES], size_t row, int64_t occurred_us)
{
    struct lookup_id one = {.row = (uint32_t)row, .from_us = occurred_us, .until_us = occurred_us};
    memcpy(one.id, id, sizeof(one.id));
    return one;
}

static void collect_ids(struct incident_lookup *lookup, const struct batch *batch)
{
    if (batch->n > lookup->cap) {
        lookup->cap = batch->n;
        lookup->conditions = mem_realloc(lookup->conditions, lookup->cap, sizeof(*lookup->conditions));
        lookup->keys = mem_realloc(lookup->keys, lookup->cap, sizeof(*lookup->keys));
    }
    lookup->n_conditions = lookup->n_keys = 0;
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (batch->rows[i].unreadable)
            continue;
        lookup->conditions[lookup->n_conditions++] = lookup_id(alert->condition, i, alert->occurred_us);
        if (alert->terms)
            lookup->keys[lookup->n_keys++] = lookup_id(alert->key, i, alert->occurred_us);
    }
    lookup->n_conditions = sort_unique(lookup->conditions, lookup->n_conditions);
    lookup->n_keys = sort_unique(lookup->keys, lookup->n_keys);
}

static bool concerns_all_of_source(const struct batch_row *row)
{
    return !row->unreadable && (row->alert.phase == PHASE_RESTORE || (row->alert.flags & FLAG_CANCEL));
}

/* The devices and kinds of which a restore may end more than its own condition, and a cancel may mean another one. */
static void put_families(struct incident_lookup *lookup, const struct batch *batch)
{
    struct lookup_id *family = mem_realloc(NULL, batch->n ? batch->n : 1, sizeof(*family));
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++)
        if (concerns_all_of_source(&batch->rows[i])) {
            family[n] = lookup_id(batch->rows[i].alert.condition, i, 0);
            memset(family[n++].id + CONDITION_SOURCE_BYTES, 0, CONDITION_SOURCE_BYTES);
        }
    n = sort_unique(family, n);
    param_array(&lookup->values[1], TYPE_UUID, n);
    param_array(&lookup->values[2], TYPE_UUID, n);
    for (size_t i = 0; i < n; i++) {
        param_bytes(&lookup->values[1], family[i].id, INCIDENT_KEY_BYTES);
        memset(family[i].id + CONDITION_SOURCE_BYTES, 0xff, CONDITION_SOURCE_BYTES);
        param_bytes(&lookup->values[2], family[i].id, INCIDENT_KEY_BYTES);
    }
    free(family);
}

void incident_lookup_fill(struct incident_lookup *lookup, const struct batch *batch)
{
    collect_ids(lookup, batch);
    for (size_t i = 0; i < INCIDENT_LOOKUP_PARAMS; i++)
        lookup->values[i].len = 0;
    param_array(&lookup->values[0], TYPE_UUID, lookup->n_conditions);
    for (size_t i = 0; i < lookup->n_conditions; i++)
        param_bytes(&lookup->values[0], lookup->conditions[i].id, INCIDENT_KEY_BYTES);
    put_families(lookup, batch);
    param_array(&lookup->values[3], TYPE_UUID, lookup->n_keys);
    param_array(&lookup->values[4], TYPE_TIMESTAMPTZ, lookup->n_keys);
    param_array(&lookup->values[5], TYPE_TIMESTAMPTZ, lookup->n_keys);
    for (size_t i = 0; i < lookup->n_keys; i++) {
        param_bytes(&lookup->values[3], lookup->keys[i].id, INCIDENT_KEY_BYTES);
        param_time(&lookup->values[4], lookup->keys[i].from_us);
        param_time(&lookup->values[5], lookup->keys[i].until_us);
    }
}

void incident_lookup_free(struct incident_lookup *lookup)
{
    for (size_t i = 0; i < INCIDENT_LOOKUP_PARAMS; i++)
        buf_free(&lookup->values[i]);
    free(lookup->conditions);
    free(lookup->keys);
    *lookup = (struct incident_lookup){0};
}

/* Neighbours in the order of ids are of one device and kind. */
size_t incident_lookup_row(const struct incident_lookup *lookup, const uint8_t condition[INCIDENT_KEY_BYTES])
{
    size_t low = 0, high = lookup->n_conditions;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(lookup->conditions[middle].id, condition, INCIDENT_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool next =
        low < lookup->n_conditions && memcmp(lookup->conditions[low].id, condition, CONDITION_SOURCE_BYTES) == 0;
    return lookup->conditions[next || low == 0 ? low : low - 1].row;
}
