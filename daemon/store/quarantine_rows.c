#include "store/quarantine_rows.h"

#include <string.h>

#include "store/param.h"

/* Limits the memory that one statement takes, here and in the server. */
#define STATEMENT_BYTES ((size_t)4 * 1024 * 1024)

/* Without a target ON CONFLICT covers both unique indexes: the identity, and (journal, journal_seq) of records without
 * one. */
const char quarantine_sql[] =
    "insert into mobeye.quarantine (instance, journal, journal_seq, identity, event_identity, endpoint, received_at, "
    "device_id, source, event_id, sqlstate, reason, record, payload) select $1, $2, q.* from unnest($3::bigint[], "
    "$4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[], "
    "$12::text[], $13::bytea[], $14::bytea[]) as q on conflict do nothing";

const Oid quarantine_types[QUARANTINE_PARAMS] = {
    TYPE_TEXT,        TYPE_UUID,        TYPE_INT8_ARRAY,        TYPE_UUID_ARRAY,
    TYPE_UUID_ARRAY,  TYPE_TEXT_ARRAY,  TYPE_TIMESTAMPTZ_ARRAY, TYPE_TEXT_ARRAY,
    TYPE_TEXT_ARRAY,  TYPE_TEXT_ARRAY,  TYPE_TEXT_ARRAY,        TYPE_TEXT_ARRAY,
    TYPE_BYTEA_ARRAY, TYPE_BYTEA_ARRAY,
};

/* What describes the alert: endpoint, received_at, device_id, source, event_id. */
static void add_description(const struct batch_row *row, bool record_only, struct buf *values)
{
    const struct alert *alert = &row->alert;
    if (record_only || row->unreadable) {
        for (size_t i = 0; i < 5; i++)
            param_null(&values[i]);
        return;
    }
    param_text(&values[0], alert->endpoint);
    param_int8(&values[1], pgtype_timestamp(alert->received_us));
    param_text(&values[2], alert->device);
    param_text(&values[3], alert->source);
    param_text(&values[4], alert->event_id);
}

static void add_refusal(const struct encoded_batch *encoded, const struct row_refusal *refusal, bool record_only,
                        struct buf *values)
{
    const struct batch_row *row = &encoded->batch->rows[refusal->row];
    param_int8(&values[2], (int64_t)row->alert.seq);
    if (row->unreadable) {
        param_null(&values[3]);
        param_null(&values[4]);
        param_null(&values[10]);
        param_null(&values[13]);
    } else {
        uint8_t id[IDENTITY_BYTES];
        identity_of(row->alert.source, row->alert.event_id, id);
        param_bytes(&values[4], id, sizeof(id));
        if (row->alert.format == ALERT_CLOUDEVENTS)
            identity_own(id, row->alert.device, id);
        param_bytes(&values[3], id, sizeof(id));
        param_text(&values[10], str_from(refusal->sqlstate));
        param_text(&values[13], row->alert.payload);
    }
    add_description(row, record_only, &values[5]);
    param_text(&values[11], str_from(refusal->reason));
    param_text(&values[12], row->record);
}

/* How many refusals from `first` on go into one statement: at least one. */
static size_t how_many(const struct encoded_batch *encoded, size_t first)
{
    size_t end = first, bytes = 0;
    while (end < encoded->refused && bytes < STATEMENT_BYTES)
        bytes += 2 * encoded->batch->rows[encoded->refusals[end++].row].record.len;
    return end - first;
}

size_t quarantine_encode(const struct encoded_batch *encoded, size_t first, const uint8_t journal[16], bool record_only,
                         struct buf values[QUARANTINE_PARAMS])
{
    static const uint32_t elements[QUARANTINE_PARAMS] = {
        0,         0,         TYPE_INT8, TYPE_UUID, TYPE_UUID, TYPE_TEXT,  TYPE_TIMESTAMPTZ,
        TYPE_TEXT, TYPE_TEXT, TYPE_TEXT, TYPE_TEXT, TYPE_TEXT, TYPE_BYTEA, TYPE_BYTEA,
    };
    size_t n = how_many(encoded, first);
    buf_append_str(&values[0], str_from(encoded->instance));
    buf_append(&values[1], journal, 16);
    for (size_t i = 2; i < QUARANTINE_PARAMS; i++)
        param_array(&values[i], elements[i], n);
    for (size_t i = first; i < first + n; i++)
        add_refusal(encoded, &encoded->refusals[i], record_only, values);
    return first + n;
}
