#include "panel.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "alert/record.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/dc09_recent.h"
#include "ingest/validate.h"

#define RECALL_ROWS  4096
#define RECALL_BYTES (4 * 1024 * 1024)
/* Where the receipt of a record cannot be read, that of one of so many behind it does. */
#define PROBE_ROWS 16

_Static_assert((int)DC09_EVENTS_MAX <= JOURNAL_MESSAGE_RECORDS, "a frame is one message of the journal");

struct panel {
    struct dc09_decoder *decoder;
    struct dc09_recent *naked;    /* frames that were answered NAK */
    struct dc09_recent *timeless; /* frames without a time, with the receipt of the first of them */
    struct buf reply;
    bool recalled;
};

struct panel *panel_new(void)
{
    struct panel *panel = mem_zalloc(sizeof(*panel));
    panel->decoder = dc09_decoder_new();
    panel->naked = dc09_recent_new();
    panel->timeless = dc09_recent_new();
    return panel;
}

void panel_free(struct panel **panel)
{
    if (!*panel)
        return;
    dc09_decoder_free(&(*panel)->decoder);
    dc09_recent_free(&(*panel)->naked);
    dc09_recent_free(&(*panel)->timeless);
    buf_free(&(*panel)->reply);
    free(*panel);
    *panel = NULL;
}

void panel_read(struct panel *panel, const struct endpoint_message *message, const struct conf_endpoint *conf,
                const struct dc09_keys *keys, int64_t wall_us, struct panel_frame *ret)
{
    const struct dc09_policy policy = {
        .check_time = conf->check_time > 0,
        .require_encryption = conf->require_encryption > 0,
    };
    int64_t naked_us;
    bool naked = false;
    ret->message.reason = NULL;
    if (message->frame) {
        ret->frame = *message->frame;
        ret->result = message->result;
    } else {
        ret->result = dc09_whole(message->payload, &ret->frame);
    }
    if (ret->result == DC09_COMPLETE)
        ret->result = decode_dc09(panel->decoder, &ret->frame, keys, &ret->message);
    if (ret->result == DC09_COMPLETE && policy.check_time)
        naked = dc09_recent_get(panel->naked, ret->message.digest, &naked_us);
    ret->verdict = dc09_judge(ret->result, &ret->frame, &ret->message, &policy, wall_us, naked);
    if (ret->verdict == DC09_SAY_NAK)
        dc09_recent_put(panel->naked, ret->message.digest, wall_us);
}

bool panel_allows(const struct panel_frame *frame, const struct conf_client *client, struct reject *ret_reject)
{
    for (size_t i = 0; frame->result == DC09_COMPLETE && i < frame->message.n; i++) {
        if (security_allows(client, &frame->message.alerts[i], ret_reject))
            continue;
        ret_reject->id = frame->frame.seq;
        return false;
    }
    return true;
}

static uint32_t flags_of(unsigned marks)
{
    return (marks & DC09_VERIFIED ? FLAG_VERIFIED : 0) | (marks & DC09_CANCEL ? FLAG_CANCEL : 0);
}

void panel_records(struct panel *panel, struct panel_frame *frame, struct str endpoint, int64_t wall_us,
                   const int64_t keep_us[CLASS_COUNT], struct records *out)
{
    struct dc09_message *message = &frame->message;
    int64_t sent_us = message->content.time_us;
    if (message->timeless)
        dc09_stamp(panel->decoder, message, dc09_recent_first(panel->timeless, message->digest, wall_us));
    for (size_t i = 0; i < message->n; i++) {
        struct alert *alert = &message->alerts[i];
        validate_time(alert, wall_us, keep_us);
        alert->skew_us = sent_us == ALERT_NO_TIME ? ALERT_NO_TIME : sent_us - wall_us;
        alert->flags |= flags_of(message->marks[i]) | (frame->verdict == DC09_STORE_STALE ? FLAG_STALE : 0);
        alert->endpoint = endpoint;
        records_add(out, alert);
    }
    out->shared_offset = RECORD_PAYLOAD_OFFSET + message->shared_offset;
    out->shared_bytes = message->shared_bytes;
}

const char *panel_reason(const struct panel_frame *frame)
{
    if (frame->result == DC09_COMPLETE)
        return "the frame is not encrypted (require_encryption)";
    return frame->message.reason ? frame->message.reason : dc09_result_text(frame->result);
}

struct str panel_reply(struct panel *panel, const struct panel_frame *frame, enum dc09_verdict say, int64_t wall_us)
{
    const struct dc09_key *key = frame->result == DC09_COMPLETE ? frame->message.key : NULL;
    uint8_t pad[DC09_PAD_MAX] = {0};
    if (key && RAND_bytes(pad, sizeof(pad)) != 1)
        abort(); /* libcrypto fails at this for want of memory only */
    panel->reply.len = 0;
    dc09_reply(&panel->reply, say, &frame->frame, key, wall_us, pad);
    return buf_str(&panel->reply);
}

/* ---- what the journal remembers ---- */

/* When the first readable record from seq on was received; INT64_MAX where none of some is, or they cannot be read. */
static int64_t received_from(struct journal *journal, uint64_t seq, struct batch *batch)
{
    struct alert alert;
    batch_clear(batch);
    if (journal_read(journal, seq, PROBE_ROWS, RECALL_BYTES, batch, NULL) != 0)
        return INT64_MAX;
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->rows[i].unreadable && record_unpack(batch->rows[i].record, &alert, NULL) == 0)
            return alert.received_us;
    return INT64_MAX;
}

/* The first record that was received at since_us or later: they stand in that order. */
static uint64_t find_since(struct journal *journal, int64_t since_us, struct batch *batch)
{
    uint64_t from = journal_first_seq(journal), until = journal_synced_seq(journal) + 1;
    while (from < until) {
        uint64_t middle = from + (until - from) / 2;
        if (received_from(journal, middle, batch) >= since_us)
            until = middle;
        else
            from = middle + 1;
    }
    return from;
}

static void recall_record(struct panel *panel, struct str record, int64_t wall_us)
{
    struct alert alert;
    uint8_t digest[DC09_DIGEST_SIZE];
    int64_t first_us;
    if (record_unpack(record, &alert, NULL) != 0 || alert.format != ALERT_SIA_DC09 ||
        !dc09_timeless_id(alert.event_id, digest, &first_us) || wall_us - first_us >= DC09_TIMELESS_WINDOW_US)
        return;
    dc09_recent_put(panel->timeless, digest, first_us);
}

void panel_recall(struct panel *panel, struct journal *journal, int64_t wall_us)
{
    struct err err = {""};
    if (panel->recalled)
        return;
    panel->recalled = true;
    struct batch *batch = batch_new(RECALL_ROWS);
    uint64_t seq = find_since(journal, wall_us - DC09_TIMELESS_WINDOW_US, batch);
    int rc = 0;
    while (seq <= journal_synced_seq(journal)) {
        batch_clear(batch);
        rc = journal_read(journal, seq, RECALL_ROWS, RECALL_BYTES, batch, &err);
        if (rc != 0 || batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++)
            if (!batch->rows[i].unreadable)
                recall_record(panel, batch->rows[i].record, wall_us);
        seq = batch->last_seq + 1;
    }
    if (rc != 0)
        log_warning("journal", "%s; DC-09 frames without a time that come again may be stored twice", err.text);
    batch_free(&batch);
}
