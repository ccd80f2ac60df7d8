#include "store/batch_identities.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/column.h"
#include "store/copyrow.h"
#include "store/param.h"

static int compare_identity(const struct row_identity *x, const struct row_identity *y)
{
    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    return x->low < y->low ? -1 : x->low > y->low;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row_identity *x = a, *y = b;
    int by_identity = compare_identity(x, y);
    return by_identity ? by_identity : x->row < y->row ? -1 : 1;
}

static int compare_keys(const void *a, const void *b)
{
    return compare_identity(a, b);
}

static struct row_identity id_from(const uint8_t bytes[IDENTITY_BYTES], uint32_t row)
{
    uint64_t halves[2];
    memcpy(halves, bytes, sizeof(halves));
    return (struct row_identity){be64toh(halves[0]), be64toh(halves[1]), row};
}

static void id_to(const struct row_identity *id, uint8_t ret[IDENTITY_BYTES])
{
    uint64_t halves[2] = {htobe64(id->high), htobe64(id->low)};
    memcpy(ret, halves, sizeof(halves));
}

static bool is_cloudevent(const struct encoded_batch *encoded, size_t row)
{
    return encoded->batch->rows[row].alert.format == ALERT_CLOUDEVENTS;
}

/* 0 for DC-09, which never conflicts: its identity covers the frame, which includes the account. */
static uint64_t device_of(const struct encoded_batch *encoded, size_t row)
{
    return is_cloudevent(encoded, row) ? identity_device(encoded->own[row]) : 0;
}

static int compare_devices(const void *a, const void *b, void *encoded)
{
    const struct row_identity *x = a, *y = b;
    uint64_t left = device_of(encoded, x->row), right = device_of(encoded, y->row);
    if (left != right)
        return left < right ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Keeps the earliest row of each device among n rows that share an identity. Returns how many, in the order of rows. */
static size_t keep_devices(struct encoded_batch *encoded, struct row_identity *id, size_t n)
{
    size_t kept = 0;
    qsort_r(id, n, sizeof(*id), compare_devices, encoded);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || device_of(encoded, id[i].row) != device_of(encoded, id[kept - 1].row))
            id[kept++] = id[i];
    qsort(id, kept, sizeof(*id), compare_rows);
    return kept;
}

void batch_identities_add(struct encoded_batch *encoded, const uint8_t id[IDENTITY_BYTES], size_t row)
{
    encoded->id[encoded->ids++] = id_from(id, (uint32_t)row);
}

void batch_identities_sort(struct encoded_batch *encoded)
{
    size_t kept = 0;
    struct row_identity *id = encoded->id;
    qsort(id, encoded->ids, sizeof(*id), compare_rows);
    encoded->shared = false;
    for (size_t i = 0, next; i < encoded->ids; i = next) {
        for (next = i + 1; next < encoded->ids && compare_identity(&id[i], &id[next]) == 0;)
            next++;
        size_t devices = next - i == 1 ? 1 : keep_devices(encoded, &id[i], next - i);
        memmove(&id[kept], &id[i], devices * sizeof(*id));
        kept += devices;
        encoded->shared |= devices > 1;
    }
    encoded->ids = kept;
}

void batch_identities_copy(const struct encoded_batch *encoded, uint32_t period, struct buf *out)
{
    uint8_t id[IDENTITY_BYTES];
    buf_append_str(out, copyrow_header);
    for (size_t i = 0; i < encoded->ids; i++) {
        if (encoded->status[encoded->id[i].row] != ROW_STORE)
            continue;
        id_to(&encoded->id[i], id);
        copyrow_identity(out, id, device_of(encoded, encoded->id[i].row), period);
    }
    buf_append_str(out, copyrow_trailer);
}

const char batch_search_sql[] = "select mobeye.stored_before($1, $2)";
const Oid batch_search_types[BATCH_SEARCH_PARAMS] = {TYPE_UUID_ARRAY, TYPE_INT4_ARRAY};

const char batch_claim_sql[] = "insert into mobeye.alert_identity (id, device, period) select id, device, $3 "
                               "from unnest($1, $2) as new (id, device) on conflict do nothing returning id";
const Oid batch_claim_types[BATCH_CLAIM_PARAMS] = {TYPE_UUID_ARRAY, TYPE_INT8_ARRAY, TYPE_INT4};

const char batch_conflict_sql[] = "select mobeye.claim_conflicts($1, $2, $3, $4, $5)";
const Oid batch_conflict_types[BATCH_CONFLICT_PARAMS] = {TYPE_UUID_ARRAY, TYPE_INT8_ARRAY, TYPE_UUID_ARRAY,
                                                         TYPE_INT4_ARRAY, TYPE_INT4};

static void add_searched(struct encoded_batch *encoded, size_t i, uint32_t period)
{
    if (encoded->n_searched == encoded->searched_cap) {
        encoded->searched_cap = encoded->searched_cap ? 2 * encoded->searched_cap : 64;
        encoded->searched = mem_realloc(encoded->searched, encoded->searched_cap, sizeof(*encoded->searched));
    }
    encoded->searched[encoded->n_searched++] = (struct searched_identity){(uint32_t)i, period};
}

/* Filter by filter: the processor fetches the words of several identities at once. */
bool batch_identities_search(struct encoded_batch *encoded, const struct identity_periods *periods)
{
    memset(encoded->found_in, 0, encoded->batch->n * sizeof(*encoded->found_in));
    encoded->n_searched = 0;
    for (size_t p = 0; p < periods->n; p++)
        for (size_t i = 0; i < encoded->ids; i++)
            if (identity_period_may_have(&periods->closed[p], encoded->id[i].low))
                add_searched(encoded, i, periods->closed[p].number);
    return encoded->n_searched > 0;
}

void batch_identities_search_encode(const struct encoded_batch *encoded, struct buf values[BATCH_SEARCH_PARAMS])
{
    uint8_t id[IDENTITY_BYTES];
    param_array(&values[0], TYPE_UUID, encoded->n_searched);
    param_array(&values[1], TYPE_INT4, encoded->n_searched);
    for (size_t i = 0; i < encoded->n_searched; i++) {
        id_to(&encoded->id[encoded->searched[i].i], id);
        param_bytes(&values[0], id, sizeof(id));
        param_int4(&values[1], (int32_t)encoded->searched[i].period);
    }
}

void batch_identities_found(struct encoded_batch *encoded, const PGresult *places)
{
    for (int i = 0; i < PQntuples(places); i++) {
        uint32_t place = column_int4(places, i, 0, 0);
        if (place < 1 || place > encoded->n_searched) /* not one of those that were sent */
            continue;
        const struct searched_identity *one = &encoded->searched[place - 1];
        encoded->found_in[encoded->id[one->i].row] = one->period;
    }
}

bool batch_identities_any_found(const struct encoded_batch *encoded)
{
    for (size_t row = 0; row < encoded->batch->n; row++)
        if (encoded->found_in[row])
            return true;
    return false;
}

/* The first two parameters of the statements that claim. */
static void add_claim(const struct encoded_batch *encoded, const struct row_identity *one, struct buf values[2])
{
    uint8_t id[IDENTITY_BYTES];
    id_to(one, id);
    param_bytes(&values[0], id, sizeof(id));
    param_int8(&values[1], (int64_t)device_of(encoded, one->row));
}

void batch_identities_claim_encode(const struct encoded_batch *encoded, uint32_t period,
                                   struct buf values[BATCH_CLAIM_PARAMS])
{
    param_array(&values[0], TYPE_UUID, encoded_batch_count(encoded, ROW_STORE));
    param_array(&values[1], TYPE_INT8, encoded_batch_count(encoded, ROW_STORE));
    for (size_t i = 0; i < encoded->ids; i++)
        if (encoded->status[encoded->id[i].row] == ROW_STORE)
            add_claim(encoded, &encoded->id[i], values);
    buf_be32(&values[2], period);
}

void batch_identities_claimed(struct encoded_batch *encoded, const PGresult *added)
{
    for (size_t i = 0; i < encoded->ids; i++)
        if (encoded->status[encoded->id[i].row] == ROW_STORE)
            encoded->status[encoded->id[i].row] = ROW_DUPLICATE;
    const struct row_identity *end = encoded->id + encoded->ids;
    for (int i = 0; i < PQntuples(added); i++) {
        struct row_identity key = id_from((const uint8_t *)PQgetvalue(added, i, 0), 0);
        const struct row_identity *found = bsearch(&key, encoded->id, encoded->ids, sizeof(key), compare_keys);
        while (found && found > encoded->id && compare_identity(found - 1, &key) == 0)
            found--;
        /* If several rows share the identity, it belongs to the first of those that were sent. */
        for (; found && found < end && compare_identity(found, &key) == 0; found++)
            if (encoded->status[found->row] == ROW_DUPLICATE && !encoded->found_in[found->row]) {
                encoded->status[found->row] = ROW_STORE;
                break;
            }
    }
}

static bool may_conflict(const struct encoded_batch *encoded, const struct row_identity *one)
{
    return encoded->status[one->row] == ROW_DUPLICATE && is_cloudevent(encoded, one->row);
}

bool batch_identities_conflict_encode(const struct encoded_batch *encoded, uint32_t period,
                                      struct buf values[BATCH_CONFLICT_PARAMS])
{
    size_t n = 0;
    for (size_t i = 0; i < encoded->ids; i++)
        n += may_conflict(encoded, &encoded->id[i]);
    param_array(&values[0], TYPE_UUID, n);
    param_array(&values[1], TYPE_INT8, n);
    param_array(&values[2], TYPE_UUID, n);
    param_array(&values[3], TYPE_INT4, n);
    buf_be32(&values[4], period);
    for (size_t i = 0; i < encoded->ids; i++) {
        if (!may_conflict(encoded, &encoded->id[i]))
            continue;
        add_claim(encoded, &encoded->id[i], values);
        param_bytes(&values[2], encoded->own[encoded->id[i].row], IDENTITY_BYTES);
        uint32_t found_in = encoded->found_in[encoded->id[i].row];
        param_int4(&values[3], (int32_t)(found_in ? found_in : period));
    }
    return n > 0;
}

void batch_identities_resolve_conflicts(struct encoded_batch *encoded, const PGresult *places)
{
    uint32_t *rows = mem_realloc(NULL, encoded->ids, sizeof(*rows)), n = 0, place;
    for (size_t i = 0; i < encoded->ids; i++)
        if (may_conflict(encoded, &encoded->id[i]))
            rows[n++] = encoded->id[i].row;
    for (int i = 0; i < PQntuples(places); i++) {
        memcpy(&place, PQgetvalue(places, i, 0), sizeof(place));
        place = be32toh(place);
        if (place < 1 || place > n) /* not one of those that were sent */
            continue;
        encoded->status[rows[place - 1]] = ROW_STORE;
        encoded->conflict[rows[place - 1]] = true;
    }
    free(rows);
}
