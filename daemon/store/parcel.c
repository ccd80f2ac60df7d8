#include "store/parcel.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/copyrow.h"

#define CHUNK_BYTES ((size_t)64 * 1024)

static int compare_identity(const struct parcel_id *x, const struct parcel_id *y)
{
    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    return x->low < y->low ? -1 : x->low > y->low;
}

static int compare_rows(const void *a, const void *b)
{
    const struct parcel_id *x = a, *y = b;
    int by_identity = compare_identity(x, y);
    return by_identity ? by_identity : x->row < y->row ? -1 : 1;
}

static int compare_keys(const void *a, const void *b)
{
    return compare_identity(a, b);
}

static struct parcel_id id_from(const uint8_t bytes[IDENTITY_BYTES], uint32_t row)
{
    uint64_t halves[2];
    memcpy(halves, bytes, sizeof(halves));
    return (struct parcel_id){be64toh(halves[0]), be64toh(halves[1]), row};
}

static void id_to(const struct parcel_id *id, uint8_t ret[IDENTITY_BYTES])
{
    uint64_t halves[2] = {htobe64(id->high), htobe64(id->low)};
    memcpy(ret, halves, sizeof(halves));
}

static void make_room(struct parcel *parcel, size_t n)
{
    if (n <= parcel->cap)
        return;
    parcel->start = mem_realloc(parcel->start, n + 1, sizeof(*parcel->start));
    parcel->fate = mem_realloc(parcel->fate, n, sizeof(*parcel->fate));
    parcel->conflict = mem_realloc(parcel->conflict, n, sizeof(*parcel->conflict));
    parcel->own = mem_realloc(parcel->own, n, sizeof(*parcel->own));
    parcel->stored = mem_realloc(parcel->stored, n, sizeof(*parcel->stored));
    parcel->id = mem_realloc(parcel->id, n, sizeof(*parcel->id));
    parcel->cap = n;
}

static bool is_cloudevent(const struct parcel *parcel, size_t row)
{
    return parcel->batch->rows[row].alert.format == ALERT_CLOUDEVENTS;
}

/* 0 for DC-09, which never conflicts: its identity is over the frame, and the frame has the account. */
static uint64_t device_of(const struct parcel *parcel, size_t row)
{
    return is_cloudevent(parcel, row) ? identity_device(parcel->own[row]) : 0;
}

static int compare_devices(const void *a, const void *b, void *parcel)
{
    const struct parcel_id *x = a, *y = b;
    uint64_t left = device_of(parcel, x->row), right = device_of(parcel, y->row);
    if (left != right)
        return left < right ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Of n rows that share an identity leaves one a device: the earliest. Returns how many, in the order of rows. */
static size_t keep_devices(struct parcel *parcel, struct parcel_id *id, size_t n)
{
    size_t kept = 0;
    qsort_r(id, n, sizeof(*id), compare_devices, parcel);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || device_of(parcel, id[i].row) != device_of(parcel, id[kept - 1].row))
            id[kept++] = id[i];
    qsort(id, kept, sizeof(*id), compare_rows);
    return kept;
}

/* Sorts, and leaves one of each identity and device: that of the earliest row. */
static void sort_identities(struct parcel *parcel)
{
    size_t kept = 0;
    struct parcel_id *id = parcel->id;
    qsort(id, parcel->ids, sizeof(*id), compare_rows);
    parcel->shared = false;
    for (size_t i = 0, next; i < parcel->ids; i = next) {
        for (next = i + 1; next < parcel->ids && compare_identity(&id[i], &id[next]) == 0;)
            next++;
        size_t devices = next - i == 1 ? 1 : keep_devices(parcel, &id[i], next - i);
        memmove(&id[kept], &id[i], devices * sizeof(*id));
        kept += devices;
        parcel->shared |= devices > 1;
    }
    parcel->ids = kept;
}

void parcel_fill(struct parcel *parcel, struct batch *batch, const char *instance, const uint8_t *rules)
{
    parcel_clear(parcel);
    make_room(parcel, batch->n ? batch->n : 1);
    parcel->batch = batch;
    parcel->instance = mem_strdup(instance);
    parcel->has_rules = rules != NULL;
    if (rules)
        memcpy(parcel->rules, rules, sizeof(parcel->rules));
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_row *row = &batch->rows[i];
        parcel->start[i] = parcel->rows.len;
        if (row->unreadable)
            continue;
        uint8_t id[IDENTITY_BYTES];
        identity_of(row->alert.source, row->alert.event_id, id);
        if (row->alert.format == ALERT_CLOUDEVENTS)
            identity_own(id, row->alert.device, parcel->own[i]);
        parcel->id[parcel->ids++] = id_from(id, (uint32_t)i);
        copyrow_alert(&parcel->rows, &row->alert, str_from(instance), rules);
    }
    parcel->start[batch->n] = parcel->rows.len;
    sort_identities(parcel);
    incident_ask_fill(&parcel->ask, batch);
    parcel_reset(parcel);
}

static void forget_refusals(struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->refused; i++)
        free(parcel->refusals[i].reason);
    parcel->refused = 0;
}

void parcel_clear(struct parcel *parcel)
{
    forget_refusals(parcel);
    free(parcel->instance);
    parcel->instance = NULL;
    parcel->batch = NULL;
    parcel->rows.len = 0;
    parcel->ids = 0;
}

void parcel_free(struct parcel *parcel)
{
    parcel_clear(parcel);
    buf_free(&parcel->rows);
    buf_free(&parcel->chunk);
    incident_ask_free(&parcel->ask);
    free(parcel->start);
    free(parcel->fate);
    free(parcel->conflict);
    free(parcel->own);
    free(parcel->stored);
    free(parcel->id);
    free(parcel->refusals);
    *parcel = (struct parcel){0};
}

static void refuse(struct parcel *parcel, size_t row, const char *sqlstate, const char *reason)
{
    if (parcel->refused == parcel->refused_cap) {
        parcel->refused_cap = parcel->refused_cap ? 2 * parcel->refused_cap : 16;
        parcel->refusals = mem_realloc(parcel->refusals, parcel->refused_cap, sizeof(*parcel->refusals));
    }
    struct parcel_refusal *refusal = &parcel->refusals[parcel->refused++];
    *refusal = (struct parcel_refusal){.row = row, .reason = mem_strdup(reason)};
    snprintf(refusal->sqlstate, sizeof(refusal->sqlstate), "%s", sqlstate);
}

void parcel_refuse(struct parcel *parcel, size_t row, const struct fault *fault)
{
    parcel->fate[row] = FATE_REFUSED;
    refuse(parcel, row, fault->sqlstate, fault->text);
}

void parcel_reset(struct parcel *parcel)
{
    const struct batch *batch = parcel->batch;
    forget_refusals(parcel);
    memset(parcel->conflict, 0, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        parcel->fate[i] = batch->rows[i].unreadable ? FATE_UNREADABLE : FATE_DUPLICATE;
        if (batch->rows[i].unreadable)
            refuse(parcel, i, "", batch->rows[i].unreadable);
    }
    for (size_t i = 0; i < parcel->ids; i++)
        parcel->fate[parcel->id[i].row] = FATE_STORE;
}

void parcel_renew(struct parcel *parcel)
{
    memset(parcel->conflict, 0, parcel->batch->n);
    for (size_t i = 0; i < parcel->ids; i++)
        if (parcel->fate[parcel->id[i].row] == FATE_DUPLICATE)
            parcel->fate[parcel->id[i].row] = FATE_STORE;
}

const uint8_t *parcel_stored(struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->batch->n; i++)
        parcel->stored[i] = parcel->fate[i] == FATE_STORE;
    return parcel->stored;
}

size_t parcel_count(const struct parcel *parcel, enum fate fate)
{
    size_t count = 0;
    for (size_t i = 0; i < parcel->batch->n; i++)
        count += parcel->fate[i] == fate;
    return count;
}

void parcel_copy_identities(const struct parcel *parcel, int64_t wall_us, struct buf *out)
{
    uint8_t id[IDENTITY_BYTES];
    buf_append_str(out, copyrow_header);
    for (size_t i = 0; i < parcel->ids; i++) {
        if (parcel->fate[parcel->id[i].row] != FATE_STORE)
            continue;
        id_to(&parcel->id[i], id);
        copyrow_identity(out, id, device_of(parcel, parcel->id[i].row), wall_us);
    }
    buf_append_str(out, copyrow_trailer);
}

const char parcel_claim_sql[] =
    "insert into mobeye.alert_identity (id, device, stored_on) select id, device, (now() at time zone 'utc')::date "
    "from unnest($1, $2) as new (id, device) on conflict do nothing returning id";

const Oid parcel_claim_types[PARCEL_CLAIM_PARAMS] = {TYPE_UUID_ARRAY, TYPE_INT8_ARRAY};

const char parcel_conflict_sql[] = "select mobeye.claim_conflicts($1, $2, $3)";

const Oid parcel_conflict_types[PARCEL_CONFLICT_PARAMS] = {TYPE_UUID_ARRAY, TYPE_INT8_ARRAY, TYPE_UUID_ARRAY};

static void add_uuid(struct buf *array, const uint8_t id[IDENTITY_BYTES])
{
    buf_be32(array, IDENTITY_BYTES);
    buf_append(array, id, IDENTITY_BYTES);
}

/* The first two parameters of either statement. */
static void add_claim(const struct parcel *parcel, const struct parcel_id *one, struct buf values[2])
{
    uint8_t id[IDENTITY_BYTES];
    id_to(one, id);
    add_uuid(&values[0], id);
    buf_be32(&values[1], sizeof(uint64_t));
    buf_be64(&values[1], device_of(parcel, one->row));
}

void parcel_claim_encode(const struct parcel *parcel, struct buf values[PARCEL_CLAIM_PARAMS])
{
    copyrow_array(&values[0], TYPE_UUID, parcel_count(parcel, FATE_STORE));
    copyrow_array(&values[1], TYPE_INT8, parcel_count(parcel, FATE_STORE));
    for (size_t i = 0; i < parcel->ids; i++)
        if (parcel->fate[parcel->id[i].row] == FATE_STORE)
            add_claim(parcel, &parcel->id[i], values);
}

void parcel_settle(struct parcel *parcel, const PGresult *added)
{
    for (size_t i = 0; i < parcel->ids; i++)
        if (parcel->fate[parcel->id[i].row] == FATE_STORE)
            parcel->fate[parcel->id[i].row] = FATE_DUPLICATE;
    for (int i = 0; i < PQntuples(added); i++) {
        struct parcel_id key = id_from((const uint8_t *)PQgetvalue(added, i, 0), 0);
        const struct parcel_id *found = bsearch(&key, parcel->id, parcel->ids, sizeof(key), compare_keys);
        /* Where several share it, it is the first one's whose row is not refused. */
        while (found && found > parcel->id && compare_identity(found - 1, &key) == 0)
            found--;
        while (found && parcel->fate[found->row] == FATE_REFUSED)
            found++;
        if (found)
            parcel->fate[found->row] = FATE_STORE;
    }
}

static bool may_conflict(const struct parcel *parcel, const struct parcel_id *one)
{
    return parcel->fate[one->row] == FATE_DUPLICATE && is_cloudevent(parcel, one->row);
}

bool parcel_conflict_encode(const struct parcel *parcel, struct buf values[PARCEL_CONFLICT_PARAMS])
{
    size_t n = 0;
    for (size_t i = 0; i < parcel->ids; i++)
        n += may_conflict(parcel, &parcel->id[i]);
    copyrow_array(&values[0], TYPE_UUID, n);
    copyrow_array(&values[1], TYPE_INT8, n);
    copyrow_array(&values[2], TYPE_UUID, n);
    for (size_t i = 0; i < parcel->ids; i++) {
        if (!may_conflict(parcel, &parcel->id[i]))
            continue;
        add_claim(parcel, &parcel->id[i], values);
        add_uuid(&values[2], parcel->own[parcel->id[i].row]);
    }
    return n > 0;
}

void parcel_conflict_settle(struct parcel *parcel, const PGresult *places)
{
    uint32_t *rows = mem_realloc(NULL, parcel->ids, sizeof(*rows)), n = 0, place;
    for (size_t i = 0; i < parcel->ids; i++)
        if (may_conflict(parcel, &parcel->id[i]))
            rows[n++] = parcel->id[i].row;
    for (int i = 0; i < PQntuples(places); i++) {
        memcpy(&place, PQgetvalue(places, i, 0), sizeof(place));
        place = be32toh(place);
        assert(place >= 1 && place <= n);
        parcel->fate[rows[place - 1]] = FATE_STORE;
        parcel->conflict[rows[place - 1]] = true;
    }
    free(rows);
}

size_t parcel_next_conflict(const struct parcel *parcel, size_t first)
{
    size_t row = first;
    while (row < parcel->batch->n && !(parcel->fate[row] == FATE_STORE && parcel->conflict[row]))
        row++;
    return row;
}

void parcel_copy_begin(struct parcel *parcel, size_t first, size_t stop, const struct book *book)
{
    parcel->next = first;
    parcel->stop = stop;
    parcel->book = book;
    parcel->headed = parcel->ended = false;
}

static uint64_t incident_of(const struct parcel *parcel, size_t row)
{
    size_t incident = parcel->book ? parcel->batch->rows[row].alert.incident : NO_INCIDENT;
    return incident == NO_INCIDENT ? 0 : parcel->book->incidents[incident].id;
}

static void append_row(const struct parcel *parcel, size_t row, struct buf *out)
{
    if (parcel->conflict[row]) {
        struct alert alert = parcel->batch->rows[row].alert;
        alert.flags |= FLAG_IDENTITY_CONFLICT;
        copyrow_alert(out, &alert, str_from(parcel->instance), parcel->has_rules ? parcel->rules : NULL);
    } else {
        buf_append(out, parcel->rows.data + parcel->start[row], parcel->start[row + 1] - parcel->start[row]);
    }
}

/* The next rows, each with the incident that is known by now, as long as they fit a chunk. One row may be longer. */
static bool next_rows(struct parcel *parcel, struct str *ret)
{
    const size_t *start = parcel->start;
    struct buf *chunk = &parcel->chunk;
    chunk->len = 0;
    for (; parcel->next < parcel->stop; parcel->next++) {
        size_t row = parcel->next, len = start[row + 1] - start[row];
        if (parcel->fate[row] != FATE_STORE)
            continue;
        if (chunk->len > 0 && chunk->len + len > CHUNK_BYTES)
            break;
        append_row(parcel, row, chunk);
        copyrow_incident(chunk, &parcel->batch->rows[row].alert, incident_of(parcel, row));
    }
    *ret = buf_str(chunk);
    return chunk->len > 0;
}

bool parcel_next_chunk(struct parcel *parcel, struct str *ret)
{
    if (!parcel->headed) {
        parcel->headed = true;
        *ret = copyrow_header;
        return true;
    }
    if (next_rows(parcel, ret))
        return true;
    if (parcel->ended)
        return false;
    parcel->ended = true;
    *ret = copyrow_trailer;
    return true;
}

size_t parcel_nth(const struct parcel *parcel, size_t first, size_t nth)
{
    size_t row = first;
    for (; row < parcel->batch->n; row++)
        if (parcel->fate[row] == FATE_STORE && --nth == 0)
            break;
    return row;
}
