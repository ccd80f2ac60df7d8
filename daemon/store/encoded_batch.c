#include "store/encoded_batch.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/batch_identities.h"
#include "store/copyrow.h"
#include "store/origin.h"
#include "store/param.h"

static void reserve_rows(struct encoded_batch *encoded, size_t n)
{
    if (n <= encoded->cap)
        return;
    encoded->start = mem_realloc(encoded->start, n + 1, sizeof(*encoded->start));
    encoded->status = mem_realloc(encoded->status, n, sizeof(*encoded->status));
    encoded->conflict = mem_realloc(encoded->conflict, n, sizeof(*encoded->conflict));
    encoded->own = mem_realloc(encoded->own, n, sizeof(*encoded->own));
    encoded->stored = mem_realloc(encoded->stored, n, sizeof(*encoded->stored));
    encoded->found_in = mem_realloc(encoded->found_in, n, sizeof(*encoded->found_in));
    encoded->origin = mem_realloc(encoded->origin, n, sizeof(*encoded->origin));
    encoded->id = mem_realloc(encoded->id, n, sizeof(*encoded->id));
    encoded->cap = n;
}

void encoded_batch_begin(struct encoded_batch *encoded, struct batch *batch, const char *instance, const uint8_t *rules)
{
    encoded_batch_clear(encoded);
    reserve_rows(encoded, batch->n ? batch->n : 1);
    encoded->batch = batch;
    encoded->instance = mem_strdup(instance);
    encoded->has_rules = rules != NULL;
    if (rules)
        memcpy(encoded->rules, rules, sizeof(encoded->rules));
}

static void encode_row(struct encoded_batch *encoded, size_t row)
{
    const struct alert *alert = &encoded->batch->rows[row].alert;
    uint8_t id[IDENTITY_BYTES];
    encoded->start[row] = encoded->rows.len;
    if (encoded->batch->rows[row].unreadable)
        return;
    identity_of(alert->source, alert->event_id, id);
    if (alert->format == ALERT_CLOUDEVENTS)
        identity_own(id, alert->device, encoded->own[row]);
    batch_identities_add(encoded, id, row);
    encoded->origin[row] = origin_of(alert, str_from(encoded->instance), encoded->has_rules ? encoded->rules : NULL);
    copyrow_alert(&encoded->rows, alert, encoded->origin[row]);
}

bool encoded_batch_step(struct encoded_batch *encoded, size_t rows)
{
    size_t n = encoded->batch->n, stop = n - encoded->done > rows ? encoded->done + rows : n;
    if (encoded->complete)
        return true;
    for (; encoded->done < stop; encoded->done++)
        encode_row(encoded, encoded->done);
    if (encoded->done < n)
        return false;
    encoded->start[n] = encoded->rows.len;
    batch_identities_sort(encoded);
    incident_lookup_fill(&encoded->lookup, encoded->batch);
    memset(encoded->found_in, 0, n * sizeof(*encoded->found_in));
    encoded_batch_reset(encoded);
    encoded->complete = true;
    return true;
}

static void forget_refusals(struct encoded_batch *encoded)
{
    for (size_t i = 0; i < encoded->refused; i++)
        free(encoded->refusals[i].reason);
    encoded->refused = 0;
}

void encoded_batch_clear(struct encoded_batch *encoded)
{
    forget_refusals(encoded);
    free(encoded->instance);
    encoded->instance = NULL;
    encoded->batch = NULL;
    encoded->rows.len = 0;
    encoded->ids = encoded->done = 0;
    encoded->complete = false;
}

void encoded_batch_free(struct encoded_batch *encoded)
{
    encoded_batch_clear(encoded);
    buf_free(&encoded->rows);
    buf_free(&encoded->chunk);
    incident_lookup_free(&encoded->lookup);
    free(encoded->start);
    free(encoded->status);
    free(encoded->conflict);
    free(encoded->own);
    free(encoded->origin);
    free(encoded->stored);
    free(encoded->found_in);
    free(encoded->searched);
    free(encoded->id);
    free(encoded->refusals);
    *encoded = (struct encoded_batch){0};
}

static void add_refusal(struct encoded_batch *encoded, size_t row, const char *sqlstate, const char *reason)
{
    if (encoded->refused == encoded->refused_cap) {
        encoded->refused_cap = encoded->refused_cap ? 2 * encoded->refused_cap : 16;
        encoded->refusals = mem_realloc(encoded->refusals, encoded->refused_cap, sizeof(*encoded->refusals));
    }
    struct row_refusal *refusal = &encoded->refusals[encoded->refused++];
    *refusal = (struct row_refusal){.row = row, .reason = mem_strdup(reason)};
    snprintf(refusal->sqlstate, sizeof(refusal->sqlstate), "%s", sqlstate);
}

void encoded_batch_refuse(struct encoded_batch *encoded, size_t row, const struct fault *fault)
{
    encoded->status[row] = ROW_REFUSED;
    add_refusal(encoded, row, fault->sqlstate, fault->text);
}

/* Written at the beginning of a row that has an identity. */
static enum row_status status_of(const struct encoded_batch *encoded, size_t row)
{
    return encoded->found_in[row] ? ROW_DUPLICATE : ROW_STORE;
}

void encoded_batch_reset(struct encoded_batch *encoded)
{
    const struct batch *batch = encoded->batch;
    forget_refusals(encoded);
    memset(encoded->conflict, 0, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        encoded->status[i] = batch->rows[i].unreadable ? ROW_UNREADABLE : ROW_DUPLICATE;
        if (batch->rows[i].unreadable)
            add_refusal(encoded, i, "", batch->rows[i].unreadable);
    }
    for (size_t i = 0; i < encoded->ids; i++)
        encoded->status[encoded->id[i].row] = status_of(encoded, encoded->id[i].row);
}

void encoded_batch_reset_keeping_refused(struct encoded_batch *encoded)
{
    memset(encoded->conflict, 0, encoded->batch->n);
    for (size_t i = 0; i < encoded->ids; i++)
        if (encoded->status[encoded->id[i].row] != ROW_REFUSED)
            encoded->status[encoded->id[i].row] = status_of(encoded, encoded->id[i].row);
}

uint8_t *encoded_batch_rows_to_store(struct encoded_batch *encoded)
{
    for (size_t i = 0; i < encoded->batch->n; i++)
        encoded->stored[i] = encoded->status[i] == ROW_STORE;
    return encoded->stored;
}

size_t encoded_batch_count(const struct encoded_batch *encoded, enum row_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < encoded->batch->n; i++)
        count += encoded->status[i] == status;
    return count;
}

/* Sorts by number. */
static int compare_origins(const void *a, const void *b, void *arg)
{
    const uint64_t *origin = ((const struct encoded_batch *)arg)->origin;
    uint64_t x = origin[*(const uint32_t *)a], y = origin[*(const uint32_t *)b];
    return x < y ? -1 : x > y;
}

/* One row for each origin that the cache does not have. Returns how many. */
static size_t find_unknown_origins(struct encoded_batch *encoded, const struct origin_cache *known, uint32_t *rows)
{
    size_t found = 0, kept = 0;
    for (size_t i = 0; i < encoded->batch->n; i++)
        if (!encoded->batch->rows[i].unreadable && !origin_cache_has(known, encoded->origin[i]))
            rows[found++] = (uint32_t)i;
    qsort_r(rows, found, sizeof(*rows), compare_origins, encoded);
    for (size_t i = 0; i < found; i++)
        if (i == 0 || encoded->origin[rows[i]] != encoded->origin[rows[kept - 1]])
            rows[kept++] = rows[i];
    return kept;
}

bool encoded_batch_encode_origins(struct encoded_batch *encoded, const struct origin_cache *known,
                                  struct buf values[ORIGIN_ADD_PARAMS])
{
    uint32_t *rows = mem_realloc(NULL, encoded->batch->n ? encoded->batch->n : 1, sizeof(*rows));
    size_t n = find_unknown_origins(encoded, known, rows);
    param_array(&values[0], TYPE_INT8, n);
    param_array(&values[1], TYPE_TEXT, n);
    param_array(&values[2], TYPE_TEXT, n);
    for (size_t i = 0; i < n; i++) {
        const struct alert *alert = &encoded->batch->rows[rows[i]].alert;
        param_int8(&values[0], (int64_t)encoded->origin[rows[i]]);
        param_text(&values[1], alert->endpoint);
        param_text_or_null(&values[2], alert->rule);
    }
    buf_append_str(&values[3], str_from(encoded->instance));
    if (encoded->has_rules)
        buf_append(&values[4], encoded->rules, sizeof(encoded->rules));
    free(rows);
    return n > 0;
}

void encoded_batch_note_origins(const struct encoded_batch *encoded, struct origin_cache *known)
{
    for (size_t i = 0; i < encoded->batch->n; i++)
        if (!encoded->batch->rows[i].unreadable)
            origin_cache_add(known, encoded->origin[i]);
}

size_t encoded_batch_next_conflict(const struct encoded_batch *encoded, size_t first)
{
    size_t row = first;
    while (row < encoded->batch->n && !(encoded->status[row] == ROW_STORE && encoded->conflict[row]))
        row++;
    return row;
}

void encoded_batch_copy_begin(struct encoded_batch *encoded, size_t first, size_t stop, const struct incident_set *set)
{
    encoded->next = first;
    encoded->stop = stop;
    encoded->set = set;
    encoded->headed = encoded->ended = false;
}

static uint64_t incident_of(const struct encoded_batch *encoded, size_t row)
{
    size_t incident = encoded->set ? encoded->batch->rows[row].alert.incident : NO_INCIDENT;
    return incident == NO_INCIDENT ? 0 : encoded->set->incidents[incident].id;
}

static void append_row(const struct encoded_batch *encoded, size_t row, struct buf *out)
{
    const struct alert *alert = &encoded->batch->rows[row].alert;
    if (encoded->conflict[row]) {
        struct alert flagged = *alert;
        flagged.flags |= FLAG_IDENTITY_CONFLICT;
        copyrow_alert(out, &flagged, encoded->origin[row]);
    } else {
        buf_append(out, encoded->rows.data + encoded->start[row], encoded->start[row + 1] - encoded->start[row]);
    }
    copyrow_rest(out, alert, incident_of(encoded, row), alert->image.kind ? encoded->own[row] : NULL);
}

/* Bytes of the row, except for the short columns of copyrow_rest(). */
static size_t row_bytes(const struct encoded_batch *encoded, size_t row)
{
    return encoded->start[row + 1] - encoded->start[row] + encoded->batch->rows[row].alert.payload.len;
}

/* The next rows, each with the incident known by now, as many as fit into a chunk. A single row may be longer. */
static bool next_rows(struct encoded_batch *encoded, struct str *ret)
{
    struct buf *chunk = &encoded->chunk;
    chunk->len = 0;
    for (; encoded->next < encoded->stop; encoded->next++) {
        if (encoded->status[encoded->next] != ROW_STORE)
            continue;
        if (chunk->len > 0 && chunk->len + row_bytes(encoded, encoded->next) > COPYROW_CHUNK_BYTES)
            break;
        append_row(encoded, encoded->next, chunk);
    }
    *ret = buf_str(chunk);
    return chunk->len > 0;
}

bool encoded_batch_next_chunk(struct encoded_batch *encoded, struct str *ret)
{
    if (!encoded->headed) {
        encoded->headed = true;
        *ret = copyrow_header;
        return true;
    }
    if (next_rows(encoded, ret))
        return true;
    if (encoded->ended)
        return false;
    encoded->ended = true;
    *ret = copyrow_trailer;
    return true;
}

size_t encoded_batch_nth_row(const struct encoded_batch *encoded, size_t first, size_t nth)
{
    size_t row = first;
    for (; row < encoded->batch->n; row++)
        if (encoded->status[row] == ROW_STORE && --nth == 0)
            break;
    return row;
}
