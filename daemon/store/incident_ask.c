#include "store/incident_ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/copyrow.h"
#include "store/param.h"

#define FAMILY_BYTES (INCIDENT_KEY_BYTES / 2)

const char incident_ask_sql[] = "select * from mobeye.read_incidents($1, $2, $3, $4, $5, $6)";

const Oid incident_ask_types[INCIDENT_ASK_PARAMS] = {TYPE_UUID_ARRAY, TYPE_UUID_ARRAY,        TYPE_UUID_ARRAY,
                                                     TYPE_UUID_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY};

static int compare(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    int by_id = memcmp(x->id, y->id, sizeof(x->id));
    return by_id ? by_id : x->row < y->row ? -1 : x->row > y->row;
}

/* Sorts, and leaves one of each, with the times of all. Returns how many those are. */
static size_t sort(struct asked *asked, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(asked, n, sizeof(*asked), compare);
    for (size_t i = 0; i < n; i++) {
        struct asked *last = kept > 0 ? &asked[kept - 1] : NULL;
        if (!last || memcmp(last->id, asked[i].id, sizeof(last->id)) != 0) {
            asked[kept++] = asked[i];
            continue;
        }
        last->from_us = asked[i].from_us < last->from_us ? asked[i].from_us : last->from_us;
        last->until_us = asked[i].until_us > last->until_us ? asked[i].until_us : last->until_us;
    }
    return kept;
}

static struct asked asked(const uint8_t id[INCIDENT_KEY_BYTES], size_t row, int64_t occurred_us)
{
    struct asked one = {.row = (uint32_t)row, .from_us = occurred_us, .until_us = occurred_us};
    memcpy(one.id, id, sizeof(one.id));
    return one;
}

static void collect(struct incident_ask *ask, const struct batch *batch)
{
    if (batch->n > ask->cap) {
        ask->cap = batch->n;
        ask->threads = mem_realloc(ask->threads, ask->cap, sizeof(*ask->threads));
        ask->keys = mem_realloc(ask->keys, ask->cap, sizeof(*ask->keys));
    }
    ask->n_threads = ask->n_keys = 0;
    for (size_t i = 0; i < batch->n; i++) {
        const struct alert *alert = &batch->rows[i].alert;
        if (batch->rows[i].unreadable)
            continue;
        ask->threads[ask->n_threads++] = asked(alert->thread, i, alert->occurred_us);
        if (alert->terms)
            ask->keys[ask->n_keys++] = asked(alert->key, i, alert->occurred_us);
    }
    ask->n_threads = sort(ask->threads, ask->n_threads);
    ask->n_keys = sort(ask->keys, ask->n_keys);
}

static bool asks_for_family(const struct batch_row *row)
{
    return !row->unreadable && (row->alert.phase == PHASE_RESTORE || (row->alert.flags & FLAG_CANCEL));
}

/* The devices and kinds of which a restore may end more than its own thread, and a cancel speak of another one. */
static void put_families(struct incident_ask *ask, const struct batch *batch)
{
    struct asked *family = mem_realloc(NULL, batch->n ? batch->n : 1, sizeof(*family));
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++)
        if (asks_for_family(&batch->rows[i])) {
            family[n] = asked(batch->rows[i].alert.thread, i, 0);
            memset(family[n++].id + FAMILY_BYTES, 0, FAMILY_BYTES);
        }
    n = sort(family, n);
    copyrow_array(&ask->values[1], TYPE_UUID, n);
    copyrow_array(&ask->values[2], TYPE_UUID, n);
    for (size_t i = 0; i < n; i++) {
        param_bytes(&ask->values[1], family[i].id, INCIDENT_KEY_BYTES);
        memset(family[i].id + FAMILY_BYTES, 0xff, FAMILY_BYTES);
        param_bytes(&ask->values[2], family[i].id, INCIDENT_KEY_BYTES);
    }
    free(family);
}

void incident_ask_fill(struct incident_ask *ask, const struct batch *batch)
{
    collect(ask, batch);
    for (size_t i = 0; i < INCIDENT_ASK_PARAMS; i++)
        ask->values[i].len = 0;
    copyrow_array(&ask->values[0], TYPE_UUID, ask->n_threads);
    for (size_t i = 0; i < ask->n_threads; i++)
        param_bytes(&ask->values[0], ask->threads[i].id, INCIDENT_KEY_BYTES);
    put_families(ask, batch);
    copyrow_array(&ask->values[3], TYPE_UUID, ask->n_keys);
    copyrow_array(&ask->values[4], TYPE_TIMESTAMPTZ, ask->n_keys);
    copyrow_array(&ask->values[5], TYPE_TIMESTAMPTZ, ask->n_keys);
    for (size_t i = 0; i < ask->n_keys; i++) {
        param_bytes(&ask->values[3], ask->keys[i].id, INCIDENT_KEY_BYTES);
        param_time(&ask->values[4], ask->keys[i].from_us);
        param_time(&ask->values[5], ask->keys[i].until_us);
    }
}

void incident_ask_free(struct incident_ask *ask)
{
    for (size_t i = 0; i < INCIDENT_ASK_PARAMS; i++)
        buf_free(&ask->values[i]);
    free(ask->threads);
    free(ask->keys);
    *ask = (struct incident_ask){0};
}

/* Neighbours in the order of ids are of one device and kind. */
size_t incident_ask_row(const struct incident_ask *ask, const uint8_t thread[INCIDENT_KEY_BYTES])
{
    size_t low = 0, high = ask->n_threads;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(ask->threads[middle].id, thread, INCIDENT_KEY_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool next = low < ask->n_threads && memcmp(ask->threads[low].id, thread, FAMILY_BYTES) == 0;
    return ask->threads[next || low == 0 ? low : low - 1].row;
}
