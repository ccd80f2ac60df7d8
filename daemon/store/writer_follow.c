/* What follows on commits: verification, hints, devices. It may be lost or done twice and nothing is wrong. */
#include <endian.h>
#include <string.h>

#include "base/clock.h"
#include "store/copyrow.h"
#include "store/writer_parts.h"

/* While batches come without end, what follows has its turn once in this time, and is tried again after a failure. */
#define EVERY_US CLOCK_SECOND
#define AGAIN_US (5 * CLOCK_SECOND)

bool writer_follow_waits(const struct writer *w)
{
    return w->rules_due || w->recheck_due || w->follow.n_raises > 0 || w->follow.n_hints > 0;
}

/* For the notes of devices. */
static int64_t now_us(const struct writer *w)
{
    return w->hurry ? DEVICES_ALL : loop_mono_us(w->loop);
}

static enum writer_follow what_is_due(struct writer *w)
{
    if (w->rules_due)
        return FOLLOW_RULES;
    if (w->recheck_due)
        return FOLLOW_RECHECK;
    if (w->follow.n_hints > 0)
        return FOLLOW_ANNOUNCE;
    if (w->follow.n_raises > 0)
        return FOLLOW_VERIFY;
    return devices_due(w->devices, now_us(w)) ? FOLLOW_DEVICES : FOLLOW_NOTHING;
}

static void put_rules(struct writer *w, struct buf *values)
{
    buf_append(&values[0], w->rules, sizeof(w->rules));
    buf_append_str(&values[1], str_from(w->rules_text));
    buf_append_str(&values[2], str_from(w->instance));
}

static void put_journal(struct writer *w, struct buf *values)
{
    buf_append(&values[0], w->journal, sizeof(w->journal));
}

static void put_raises(struct writer *w, struct buf *values)
{
    follow_encode_raises(&w->follow, values);
}

static void put_hints(struct writer *w, struct buf *values)
{
    follow_encode_hints(&w->follow, values);
}

static void put_devices(struct writer *w, struct buf *values)
{
    devices_encode(w->devices, now_us(w), values);
}

static const Oid rules_types[] = {TYPE_UUID, TYPE_TEXT, TYPE_TEXT};

static const struct {
    const char *sql, *reason;
    size_t n;
    const Oid *types;
    void (*put)(struct writer *w, struct buf *values);
} statements[] = {
    [FOLLOW_RULES] = {"select mobeye.keep_rules($1, $2, $3)", "the rules are kept", 3, rules_types, put_rules},
    [FOLLOW_RECHECK] = {"select mobeye.verify_recent($1)", "verification of what came last before", 1, rules_types,
                        put_journal},
    [FOLLOW_VERIFY] = {follow_verify_sql, "verification", FOLLOW_VERIFY_PARAMS, follow_verify_types, put_raises},
    [FOLLOW_ANNOUNCE] = {follow_announce_sql, "hints", FOLLOW_ANNOUNCE_PARAMS, follow_announce_types, put_hints},
    [FOLLOW_DEVICES] = {devices_sql, "what devices say", DEVICES_PARAMS, devices_types, put_devices},
};

bool writer_follow_next(struct writer *w, bool idle)
{
    int64_t mono_us = loop_mono_us(w->loop);
    struct buf values[DEVICES_PARAMS] = {0};
    bool due = idle || (w->follow_since_us > 0 && mono_us - w->follow_since_us >= EVERY_US);
    if (!due || mono_us < w->follow_after_us)
        return false;
    w->following = what_is_due(w);
    if (w->following == FOLLOW_NOTHING) {
        w->follow_since_us = 0;
        return false;
    }
    w->batch_first = w->n > 0;
    writer_set_state(w, WRITER_FOLLOWING, statements[w->following].reason);
    statements[w->following].put(w, values);
    writer_query_params(w, statements[w->following].sql, statements[w->following].n, statements[w->following].types,
                        values);
    for (size_t i = 0; i < DEVICES_PARAMS; i++)
        buf_free(&values[i]);
    return true;
}

/* What waits has its turn as soon as may be. */
static void look_now(struct writer *w)
{
    if (w->follow_since_us == 0)
        w->follow_since_us = loop_mono_us(w->loop);
    event_active(&w->kick, 0, 0);
}

void writer_missed(struct writer *w, struct str device)
{
    devices_hurry(w->devices, device);
    look_now(w);
}

int64_t writer_noted_until_us(const struct writer *w)
{
    return devices_noted_until_us(w->devices);
}

void writer_hurry(struct writer *w)
{
    w->hurry = true;
    look_now(w);
}

/* The parcel's batch is committed. */
void writer_follow_batch(struct writer *w, struct parcel *parcel)
{
    const struct batch *batch = parcel->batch;
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->rows[i].unreadable)
            devices_hear(w->devices, &batch->rows[i].alert, parcel->fate[i] == FATE_STORE);
    follow_batch(&w->follow, batch, parcel_stored(parcel), &w->incidents);
    w->counts.incidents += w->incidents.n_fresh;
    if (w->follow_since_us == 0)
        w->follow_since_us = loop_mono_us(w->loop);
    if (!evtimer_pending(&w->later, NULL))
        loop_arm(&w->later, EVERY_US);
}

/* An int8[]: those that were verified. */
static void take_verified(struct writer *w, const PGresult *result)
{
    enum { HEAD = 20, ELEMENT = 12 };
    if (PQntuples(result) != 1)
        return;
    const char *array = PQgetvalue(result, 0, 0);
    for (int at = HEAD; at + ELEMENT <= PQgetlength(result, 0, 0); at += ELEMENT) {
        uint64_t id;
        memcpy(&id, array + at + 4, sizeof(id));
        follow_hint(&w->follow, be64toh(id), INCIDENT_VERIFIED);
        w->counts.verified++;
    }
}

void writer_follow_result(struct writer *w, PGresult *result)
{
    bool verified = w->following == FOLLOW_VERIFY || w->following == FOLLOW_RECHECK;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && verified)
        take_verified(w, result);
}

void writer_follow_over(struct writer *w)
{
    log_recover(&w->follow_complaint, WRITER_SUBJECT, "what follows on stored alerts is done again");
    switch (w->following) {
    case FOLLOW_RULES:
        w->rules_due = false;
        break;
    case FOLLOW_RECHECK:
        w->recheck_due = false;
        break;
    case FOLLOW_VERIFY:
        follow_verified(&w->follow);
        break;
    case FOLLOW_ANNOUNCE:
        follow_announced(&w->follow);
        break;
    case FOLLOW_DEVICES:
        devices_noted(w->devices, loop_mono_us(w->loop));
        break;
    case FOLLOW_NOTHING:
        break;
    }
    if (!writer_follow_waits(w) && !evtimer_pending(&w->later, NULL))
        loop_arm(&w->later, CLOCK_MINUTE);
    writer_set_state(w, WRITER_IDLE, "done");
    writer_next(w);
}

void writer_follow_fault(struct writer *w)
{
    log_complain(&w->follow_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                 "%s failed: %s (SQLSTATE %s); trying again", statements[w->following].reason, w->fault.text,
                 w->fault.sqlstate);
    w->follow_after_us = loop_mono_us(w->loop) + AGAIN_US;
    loop_arm(&w->later, AGAIN_US);
    writer_set_state(w, WRITER_IDLE, "it is tried again later");
    writer_next(w);
}
