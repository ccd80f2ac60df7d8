#include "store/incident_lookup.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/param.h"

#define CONDITION_SOURCE_BYTES (INCIDENT_KEY_BYTES / 2)

/* The rows of read_incidents(), then one with all of read_conditions() as arrays, if there are any: rows of their own
 * would take 600 bytes each in libpq. */
const char incident_lookup_sql[] =
    "select i.*, null::bigint[], null::uuid[], null::boolean[], null::timestamptz[]"
    "  from mobeye.read_incidents($1, $2, $3, $4, $5, $6) i"
    " union all "
    "select null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,"
    " null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,"
    " array_agg(c.incident_id), array_agg(c.condition), array_agg(c.active),"
    " array_agg(coalesce(c.since, timestamptz '-infinity'))"
    "  from mobeye.read_conditions($1, $2, $3) c having count(*) > 0";

const Oid incident_lookup_types[INCIDENT_LOOKUP_PARAMS] = {
    TYPE_UUID_ARRAY, TYPE_UUID_ARRAY, TYPE_UUID_ARRAY, TYPE_UUID_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY};

/* Half of an id, as a number that sorts as its bytes do. */
static uint64_t half_of(const uint8_t *bytes)
{
    uint64_t half;
    memcpy(&half, bytes, sizeof(half));
    return be64toh(half);
}

/* Different ids. */
static int compare_ids(const void *a, const void *b)
{
    const struct lookup_id *x = a, *y = b;
    uint64_t left = half_of(x->id), right = half_of(y->id);
    if (left == right) {
        left = half_of(x->id + sizeof(left));
        right = half_of(y->id + sizeof(right));
    }
    return left < right ? -1 : left > right;
}

static void list_clear(struct lookup_list *list, size_t n)
{
    list->bits = 4;
    while (((size_t)1 << list->bits) < 2 * n) /* at most half full */
        list->bits++;
    size_t slots = (size_t)1 << list->bits;
    if (list->cap < slots) {
        list->cap = slots;
        list->ids = mem_realloc(list->ids, slots / 2, sizeof(*list->ids));
        list->slots = mem_realloc(list->slots, slots, sizeof(*list->slots));
    }
    if (list->factor == 0) {
        arc4random_buf(&list->factor, sizeof(list->factor));
        list->factor |= 1;
    }
    list->n = 0;
    memset(list->slots, 0, slots * sizeof(*list->slots));
}

/* Multiply-shift hashing: which ids share a slot depends on the odd factor, which no sender knows. */
static size_t home_slot(const struct lookup_list *list, const uint8_t id[INCIDENT_KEY_BYTES])
{
    uint64_t both = half_of(id) ^ half_of(id + INCIDENT_KEY_BYTES / 2) << 1;
    return (size_t)(both * list->factor >> (64 - list->bits));
}

/* An id that the list already has keeps its row; its times are extended. Finding it here is cheaper than sorting all of
 * them: a few devices send most alerts. */
static void list_add(struct lookup_list *list, const uint8_t id[INCIDENT_KEY_BYTES], size_t row, int64_t occurred_us)
{
    size_t at = home_slot(list, id), mask = ((size_t)1 << list->bits) - 1;
    while (list->slots[at] != 0 && memcmp(list->ids[list->slots[at] - 1].id, id, INCIDENT_KEY_BYTES) != 0)
        at = (at + 1) & mask;
    if (list->slots[at] == 0) {
        struct lookup_id *one = &list->ids[list->n++];
        memcpy(one->id, id, sizeof(one->id));
        one->row = (uint32_t)row;
        one->from_us = one->until_us = occurred_us;
        list->slots[at] = (uint32_t)list->n;
        return;
    }
    struct lookup_id *found = &list->ids[list->slots[at] - 1];
    found->from_us = occurred_us < found->from_us ? occurred_us : found->from_us;
    found->until_us = occurred_us > found->until_us ? occurred_us : found->until_us;
}

static void list_sort(struct lookup_list *list)
{
    qsort(list->ids, list->n, sizeof(*list->ids), compare_ids);
}

static void list_free(struct lookup_list *list)
{
    free(list->ids);
    free(list->slots);
}

static void collect_ids(struct incident_lookup *lookup, const struct batch *batch)
{
    list_clear(&lookup->conditions, batch->n);
    list_clear(&lookup->keys, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (batch->rows[i].unreadable)
            continue;
        list_add(&lookup->conditions, alert->condition, i, alert->occurred_us);
        if (alert->terms)
            list_add(&lookup->keys, alert->key, i, alert->occurred_us);
    }
    list_sort(&lookup->conditions);
    list_sort(&lookup->keys);
}

static bool concerns_all_of_source(const struct batch_row *row)
{
    return !row->unreadable && (row->alert.phase == PHASE_RESTORE || (row->alert.flags & FLAG_CANCEL));
}

/* The devices and kinds whose restore may end more than its own condition, or whose cancel may mean another one. */
static void put_sources(struct incident_lookup *lookup, const struct batch *batch)
{
    struct lookup_list *sources = &lookup->sources;
    list_clear(sources, batch->n);
    for (size_t i = 0; i < batch->n; i++)
        if (concerns_all_of_source(&batch->rows[i])) {
            uint8_t source[INCIDENT_KEY_BYTES] = {0};
            memcpy(source, batch->rows[i].alert.condition, CONDITION_SOURCE_BYTES);
            list_add(sources, source, i, 0);
        }
    list_sort(sources);
    param_array(&lookup->values[1], TYPE_UUID, sources->n);
    param_array(&lookup->values[2], TYPE_UUID, sources->n);
    for (size_t i = 0; i < sources->n; i++) {
        param_bytes(&lookup->values[1], sources->ids[i].id, INCIDENT_KEY_BYTES);
        memset(sources->ids[i].id + CONDITION_SOURCE_BYTES, 0xff, CONDITION_SOURCE_BYTES);
        param_bytes(&lookup->values[2], sources->ids[i].id, INCIDENT_KEY_BYTES);
    }
}

void incident_lookup_fill(struct incident_lookup *lookup, const struct batch *batch)
{
    collect_ids(lookup, batch);
    for (size_t i = 0; i < INCIDENT_LOOKUP_PARAMS; i++)
        lookup->values[i].len = 0;
    param_array(&lookup->values[0], TYPE_UUID, lookup->conditions.n);
    for (size_t i = 0; i < lookup->conditions.n; i++)
        param_bytes(&lookup->values[0], lookup->conditions.ids[i].id, INCIDENT_KEY_BYTES);
    put_sources(lookup, batch);
    param_array(&lookup->values[3], TYPE_UUID, lookup->keys.n);
    param_array(&lookup->values[4], TYPE_TIMESTAMPTZ, lookup->keys.n);
    param_array(&lookup->values[5], TYPE_TIMESTAMPTZ, lookup->keys.n);
    for (size_t i = 0; i < lookup->keys.n; i++) {
        param_bytes(&lookup->values[3], lookup->keys.ids[i].id, INCIDENT_KEY_BYTES);
        param_time(&lookup->values[4], lookup->keys.ids[i].from_us);
        param_time(&lookup->values[5], lookup->keys.ids[i].until_us);
    }
}

void incident_lookup_free(struct incident_lookup *lookup)
{
    for (size_t i = 0; i < INCIDENT_LOOKUP_PARAMS; i++)
        buf_free(&lookup->values[i]);
    list_free(&lookup->conditions);
    list_free(&lookup->keys);
    list_free(&lookup->sources);
    *lookup = (struct incident_lookup){0};
}

/* Ids of one device and kind are neighbours in the order of ids. */
size_t incident_lookup_row(const struct incident_lookup *lookup, const uint8_t condition[INCIDENT_KEY_BYTES])
{
    size_t low = 0, high = lookup->conditions.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(lookup->conditions.ids[middle].id, condition, INCIDENT_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool next =
        low < lookup->conditions.n && memcmp(lookup->conditions.ids[low].id, condition, CONDITION_SOURCE_BYTES) == 0;
    return lookup->conditions.ids[next || low == 0 ? low : low - 1].row;
}
