#include "store/device_status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/param.h"

#define EVERY_US  CLOCK_MINUTE
#define NOTES_MAX 500
#define SLOTS     ((size_t)1 << 18) /* more than twice DEVICE_STATUS_MAX */

const char device_status_sql[] = "select mobeye.store_device_status($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const Oid device_status_types[DEVICE_STATUS_PARAMS] = {
    TYPE_TEXT_ARRAY, TYPE_BOOL_ARRAY,        TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TEXT_ARRAY,
    TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY,        TYPE_INT4_ARRAY,        TYPE_INT4_ARRAY,        TYPE_BYTEA_ARRAY,
    TYPE_REAL_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_INT8_ARRAY,
};

/* Of one device: what is to be written of it. */
struct note {
    TAILQ_ENTRY(note) entry;
    int64_t written_us; /* monotonic; 0: never */
    bool heard;         /* since it was encoded; as the next two */
    int64_t since_us;   /* wall: the first receipt */
    uint64_t alerts;
    bool sent; /* encoded, and neither stored nor refused yet: */
    int64_t sent_since_us;
    uint64_t sent_alerts;
    bool registered;
    enum alert_kind kind;
    int64_t received_us, occurred_us;
    int32_t battery_pct, signal_dbm;
    bool has_fix;
    double lon, lat;
    float accuracy_m;
    int64_t fix_us;
    struct buf text; /* device, endpoint, source, one behind the other */
    size_t device_len, endpoint_len;
};

TAILQ_HEAD(notes, note);

/* Invariant: notes are in the order of written_us; slots has each of them once, by its device. */
struct device_status {
    struct notes notes;
    size_t n;
    struct note *sent[NOTES_MAX]; /* what was encoded last */
    size_t n_sent;
    struct note **slots;
};

struct device_status *device_status_new(void)
{
    struct device_status *devices = mem_zalloc(sizeof(*devices));
    TAILQ_INIT(&devices->notes);
    devices->slots = mem_zalloc(SLOTS * sizeof(struct note *));
    return devices;
}

static void note_free(struct note *note)
{
    buf_free(&note->text);
    free(note);
}

void device_status_free(struct device_status **devices)
{
    struct device_status *d = *devices;
    if (!d)
        return;
    struct note *note;
    while ((note = TAILQ_FIRST(&d->notes)) != NULL) {
        TAILQ_REMOVE(&d->notes, note, entry);
        note_free(note);
    }
    free(d->slots);
    free(d);
    *devices = NULL;
}

static struct str device_of(const struct note *note)
{
    return (struct str){note->text.data, note->device_len};
}

/* FNV-1a: names are short, and those who could make them collide are registered by us or limited in number. */
static size_t slot_of(struct str device)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < device.len; i++)
        hash = (hash ^ (uint8_t)device.p[i]) * UINT64_C(0x100000001b3);
    return (hash ^ hash >> 32) & (SLOTS - 1);
}

/* The slot of the device, or the free one where it belongs. */
static size_t find(const struct device_status *d, struct str device)
{
    size_t at = slot_of(device);
    while (d->slots[at] && !str_eq(device_of(d->slots[at]), device))
        at = (at + 1) & (SLOTS - 1);
    return at;
}

/* Those behind it move up, so that a search never ends too early. */
static void vacate(struct device_status *d, size_t at)
{
    for (size_t next = (at + 1) & (SLOTS - 1); d->slots[next]; next = (next + 1) & (SLOTS - 1)) {
        size_t home = slot_of(device_of(d->slots[next]));
        if (((next - home) & (SLOTS - 1)) >= ((next - at) & (SLOTS - 1))) {
            d->slots[at] = d->slots[next];
            at = next;
        }
    }
    d->slots[at] = NULL;
}

static struct note *add(struct device_status *d, size_t at)
{
    if (d->n == DEVICE_STATUS_MAX)
        return NULL;
    struct note *note = mem_zalloc(sizeof(*note));
    TAILQ_INSERT_HEAD(&d->notes, note, entry);
    d->slots[at] = note;
    d->n++;
    return note;
}

static void keep_text(struct note *note, const struct alert *alert)
{
    note->text.len = 0;
    buf_append_str(&note->text, alert->device);
    buf_append_str(&note->text, alert->endpoint);
    buf_append_str(&note->text, alert->source);
    note->device_len = alert->device.len;
    note->endpoint_len = alert->endpoint.len;
}

/* They are written. */
static void forget_values(struct note *note)
{
    note->has_fix = false;
    note->battery_pct = note->signal_dbm = ALERT_NO_INT;
}

static void keep_values(struct note *note, const struct alert *alert)
{
    note->registered = alert->registered;
    note->kind = alert->kind;
    note->received_us = alert->received_us;
    note->occurred_us = alert->occurred_us;
    if (alert->battery_pct != ALERT_NO_INT)
        note->battery_pct = alert->battery_pct;
    if (alert->signal_dbm != ALERT_NO_INT)
        note->signal_dbm = alert->signal_dbm;
    if (alert->location_source != LOCATION_MESSAGE || alert->secret)
        return;
    note->has_fix = true;
    note->lon = alert->place_lon;
    note->lat = alert->place_lat;
    note->accuracy_m = alert->place_accuracy_m;
    note->fix_us = alert->fix_us == ALERT_NO_TIME ? alert->occurred_us : alert->fix_us;
}

void device_status_update(struct device_status *d, const struct alert *alert, bool fresh)
{
    size_t at = find(d, alert->device);
    struct note *note = d->slots[at] ? d->slots[at] : add(d, at);
    if (!note)
        return;
    note->alerts += fresh;
    if (!note->heard || alert->received_us < note->since_us)
        note->since_us = alert->received_us;
    if ((note->heard || note->sent) && alert->received_us < note->received_us) {
        note->heard = true;
        return;
    }
    if (!note->heard && !note->sent)
        forget_values(note);
    note->heard = true;
    keep_text(note, alert);
    keep_values(note, alert);
}

static bool is_due(const struct note *note, int64_t mono_us)
{
    return note->written_us == 0 || note->written_us + EVERY_US <= mono_us;
}

void device_status_write_now(struct device_status *d, struct str device)
{
    struct note *note = d->slots[find(d, device)];
    if (!note)
        return;
    note->written_us = 0;
    TAILQ_REMOVE(&d->notes, note, entry);
    TAILQ_INSERT_HEAD(&d->notes, note, entry);
}

int64_t device_status_written_until_us(const struct device_status *d)
{
    int64_t until_us = INT64_MAX;
    const struct note *note;
    TAILQ_FOREACH(note, &d->notes, entry)
    {
        if (note->heard && note->since_us < until_us)
            until_us = note->since_us;
        if (note->sent && note->sent_since_us < until_us)
            until_us = note->sent_since_us;
    }
    return until_us;
}

bool device_status_due(struct device_status *d, int64_t mono_us)
{
    struct note *note;
    while ((note = TAILQ_FIRST(&d->notes)) != NULL && is_due(note, mono_us)) {
        if (note->heard)
            return true;
        TAILQ_REMOVE(&d->notes, note, entry);
        vacate(d, find(d, device_of(note)));
        note_free(note);
        d->n--;
    }
    return false;
}

static void encode(const struct note *note, struct buf values[DEVICE_STATUS_PARAMS])
{
    const char *endpoint = note->text.data + note->device_len, *source = endpoint + note->endpoint_len;
    param_text(&values[0], device_of(note));
    param_bool(&values[1], note->registered);
    param_time(&values[2], note->received_us);
    param_time(&values[3], note->occurred_us);
    param_text(&values[4], (struct str){endpoint, note->endpoint_len});
    param_text(&values[5], (struct str){source, note->text.len - note->device_len - note->endpoint_len});
    param_text(&values[6], str_from(alert_kind_word(note->kind)));
    param_int4(&values[7], note->battery_pct);
    param_int4(&values[8], note->signal_dbm);
    if (note->has_fix)
        param_point(&values[9], note->lon, note->lat);
    else
        param_null(&values[9]);
    param_real(&values[10], note->has_fix ? note->accuracy_m : NAN);
    param_time(&values[11], note->has_fix ? note->fix_us : ALERT_NO_TIME);
    param_int8(&values[12], (int64_t)note->alerts);
}

/* The next that is due and was heard, from `note` on. */
static struct note *next_due(struct note *note, int64_t mono_us)
{
    while (note && is_due(note, mono_us) && !note->heard)
        note = TAILQ_NEXT(note, entry);
    return note && is_due(note, mono_us) ? note : NULL;
}

void device_status_encode(struct device_status *d, int64_t mono_us, struct buf values[DEVICE_STATUS_PARAMS])
{
    static const uint32_t types[DEVICE_STATUS_PARAMS] = {
        TYPE_TEXT, TYPE_BOOL, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_TEXT,        TYPE_TEXT, TYPE_TEXT,
        TYPE_INT4, TYPE_INT4, TYPE_BYTEA,       TYPE_REAL,        TYPE_TIMESTAMPTZ, TYPE_INT8,
    };
    struct note *note = next_due(TAILQ_FIRST(&d->notes), mono_us);
    d->n_sent = 0;
    for (; note && d->n_sent < NOTES_MAX; note = next_due(TAILQ_NEXT(note, entry), mono_us))
        d->sent[d->n_sent++] = note;
    for (size_t i = 0; i < DEVICE_STATUS_PARAMS; i++)
        param_array(&values[i], types[i], d->n_sent);
    for (size_t i = 0; i < d->n_sent; i++) {
        note = d->sent[i];
        encode(note, values);
        note->sent = true;
        note->sent_since_us = note->since_us;
        note->sent_alerts = note->alerts;
        note->heard = false;
        note->alerts = 0;
    }
}

void device_status_revert(struct device_status *d)
{
    for (size_t i = 0; i < d->n_sent; i++) {
        struct note *note = d->sent[i];
        if (!note->heard || note->sent_since_us < note->since_us)
            note->since_us = note->sent_since_us;
        note->alerts += note->sent_alerts;
        note->heard = true;
        note->sent = false;
    }
    d->n_sent = 0;
}

void device_status_confirm(struct device_status *d, int64_t mono_us)
{
    for (size_t i = 0; i < d->n_sent; i++) {
        struct note *note = d->sent[i];
        TAILQ_REMOVE(&d->notes, note, entry);
        TAILQ_INSERT_TAIL(&d->notes, note, entry);
        note->written_us = mono_us;
        note->sent = false;
    }
    d->n_sent = 0;
}
