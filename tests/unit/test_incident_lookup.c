/* What a batch asks the database for: each id once, in order, with the first and last time of all alerts that have it.
 */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/mem.h"
#include "store/incident_lookup.h"
#include "store/param.h"

enum { CONDITIONS, FAMILIES_FROM, FAMILIES_UNTIL, KEYS, KEYS_FROM, KEYS_UNTIL };

static const struct incident_terms terms;
static struct incident_lookup lookup;

static void teardown(void)
{
    incident_lookup_free(&lookup);
}

TestSuite(incident_lookup, .fini = teardown);

/* Ids sort as their numbers do. The first half, the device and kind, is that of a pair. */
static void set_id(uint8_t id[INCIDENT_KEY_BYTES], unsigned number)
{
    memset(id, 0, INCIDENT_KEY_BYTES);
    id[0] = (uint8_t)(number >> 9);
    id[1] = (uint8_t)(number >> 1);
    id[INCIDENT_KEY_BYTES - 1] = (uint8_t)(number & 1);
}

/* Row i has the ids of number i * step % ids, and occurred i seconds after the epoch of 2000; each third restores. */
static struct batch *batch_of(size_t n, unsigned ids, unsigned step)
{
    struct batch *batch = batch_new(n);
    for (unsigned i = 0; i < n; i++) {
        struct batch_row *row = &batch->rows[batch->n++];
        *row = (struct batch_row){.alert.occurred_us = pgtype_wall_us(i * CLOCK_SECOND)};
        row->alert.phase = i % 3 == 0 ? PHASE_RESTORE : PHASE_RAISE;
        row->alert.terms = i % 2 == 0 ? &terms : NULL;
        set_id(row->alert.condition, i * step % ids);
        set_id(row->alert.key, i * step % ids);
    }
    return batch;
}

/* The parameter that an array of the elements would be. */
static void expect_array(int parameter, struct buf *expected)
{
    cr_expect_eq(lookup.values[parameter].len, expected->len, "parameter %d", parameter);
    cr_expect(expected->len == lookup.values[parameter].len &&
                  memcmp(lookup.values[parameter].data, expected->data, expected->len) == 0,
              "parameter %d", parameter);
    buf_free(expected);
}

/* Each as found by a plain search through the rows. */
static void expect_ids(const struct batch *batch, unsigned ids)
{
    struct buf expected[6] = {0};
    size_t found[6] = {0};
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            for (int i = 0; i < 6; i++)
                param_array(&expected[i], i < KEYS_FROM ? TYPE_UUID : TYPE_TIMESTAMPTZ, found[i]);
        for (unsigned number = 0; number < ids; number++) {
            uint8_t id[INCIDENT_KEY_BYTES];
            bool condition = false, family = false;
            int64_t from_us = INT64_MAX, until_us = INT64_MIN;
            set_id(id, number);
            for (size_t i = 0; i < batch->n; i++) {
                const struct batch_row *row = &batch->rows[i];
                bool same = !row->unreadable && memcmp(row->alert.condition, id, sizeof(id)) == 0;
                condition |= same;
                family |= !row->unreadable && row->alert.phase == PHASE_RESTORE && number % 2 == 0 &&
                          memcmp(row->alert.condition, id, sizeof(id) / 2) == 0;
                if (!same || !row->alert.terms)
                    continue;
                from_us = row->alert.occurred_us < from_us ? row->alert.occurred_us : from_us;
                until_us = row->alert.occurred_us > until_us ? row->alert.occurred_us : until_us;
            }
            bool key = from_us <= until_us;
            if (pass == 0) {
                found[CONDITIONS] += condition;
                found[FAMILIES_FROM] = found[FAMILIES_UNTIL] += family;
                found[KEYS] = found[KEYS_FROM] = found[KEYS_UNTIL] += key;
                continue;
            }
            if (condition)
                param_bytes(&expected[CONDITIONS], id, sizeof(id));
            if (key) {
                param_bytes(&expected[KEYS], id, sizeof(id));
                param_time(&expected[KEYS_FROM], from_us);
                param_time(&expected[KEYS_UNTIL], until_us);
            }
            if (family) {
                param_bytes(&expected[FAMILIES_FROM], id, sizeof(id));
                memset(id + sizeof(id) / 2, 0xff, sizeof(id) / 2);
                param_bytes(&expected[FAMILIES_UNTIL], id, sizeof(id));
            }
        }
    }
    for (int i = 0; i < 6; i++)
        expect_array(i, &expected[i]);
}

Test(incident_lookup, each_id_is_asked_for_once_in_order_with_its_times)
{
    /* Few ids and many, in coprime steps so that they are unordered; with memory of an earlier larger and smaller
     * batch. */
    static const struct {
        size_t n;
        unsigned ids, step;
    } batches[] = {{500, 7, 3}, {40, 40, 17}, {1, 1, 1}, {3000, 1009, 611}, {500, 499, 77}};
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        struct batch *batch = batch_of(batches[i].n, batches[i].ids, batches[i].step);
        incident_lookup_fill(&lookup, batch);
        expect_ids(batch, batches[i].ids);
        batch_free(&batch);
    }
}

Test(incident_lookup, unreadable_rows_and_empty_batches_ask_for_nothing)
{
    struct batch *batch = batch_of(10, 10, 1);
    for (size_t i = 0; i < batch->n; i++)
        batch->rows[i].unreadable = "damaged";
    incident_lookup_fill(&lookup, batch);
    expect_ids(batch, 10);
    batch->n = 0;
    incident_lookup_fill(&lookup, batch);
    expect_ids(batch, 10);
    batch_free(&batch);
}

Test(incident_lookup, a_condition_leads_to_its_first_row_or_to_one_of_its_device_and_kind)
{
    struct batch *batch = batch_of(90, 30, 7);
    uint8_t id[INCIDENT_KEY_BYTES];
    incident_lookup_fill(&lookup, batch);
    for (unsigned number = 0; number < 30; number++) {
        size_t first = 0;
        set_id(id, number);
        while (memcmp(batch->rows[first].alert.condition, id, sizeof(id)) != 0)
            first++;
        cr_expect_eq(incident_lookup_row(&lookup, id), first, "condition %u", number);
        id[INCIDENT_KEY_BYTES - 1] = 0x77; /* in no row */
        size_t row = incident_lookup_row(&lookup, id);
        cr_expect(memcmp(batch->rows[row].alert.condition, id, sizeof(id) / 2) == 0, "condition %u", number);
    }
    batch_free(&batch);
}
