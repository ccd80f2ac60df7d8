#include "store/device_status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <xxhash.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/param.h"

/* One update per device and minute keeps the table small even if a device reports every second. */
#define EVERY_US CLOCK_MINUTE

/* Updates per statement: some ms for PostgreSQL, so that other post-commit work does not wait long. */
#define UPDATES_MAX 500

const char device_status_sql[] =
    "select mobeye.store_device_status($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

const Oid device_status_types[DEVICE_STATUS_PARAMS] = {
    TYPE_TEXT_ARRAY, TYPE_BOOL_ARRAY,        TYPE_TIMESTAMPTZ_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_TEXT_ARRAY,
    TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY,        TYPE_INT4_ARRAY,        TYPE_INT4_ARRAY,        TYPE_BYTEA_ARRAY,
    TYPE_REAL_ARRAY, TYPE_TIMESTAMPTZ_ARRAY, TYPE_INT8_ARRAY,
};

/* What must be written about one device. */
struct device_update {
    TAILQ_ENTRY(device_update) entry;
    int64_t written_us; /* monotonic; 0: never */
    bool changed;       /* since it was encoded; likewise the next two */
    int64_t since_us;   /* wall: the first receipt */
    uint64_t alerts;
    bool sent; /* encoded, but neither stored nor refused yet: */
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
    struct buf text; /* device, endpoint, source, one after the other */
    size_t device_len, endpoint_len;
};

TAILQ_HEAD(device_updates, device_update);

/* Invariant: updates are in the order of written_us; by_device has each of them once. */
struct device_status {
    struct device_updates updates;
    size_t n;
    struct device_update *sent[UPDATES_MAX]; /* what was encoded last */
    size_t n_sent;
    struct hash by_device;
    uint64_t seed; /* random: senders cannot choose names that collide */
};

struct device_status *device_status_new(void)
{
    struct device_status *devices = mem_zalloc(sizeof(*devices));
    TAILQ_INIT(&devices->updates);
    arc4random_buf(&devices->seed, sizeof(devices->seed));
    return devices;
}

static void update_free(struct device_update *update)
{
    buf_free(&update->text);
    free(update);
}

void device_status_free(struct device_status **devices)
{
    struct device_status *d = *devices;
    if (!d)
        return;
    struct device_update *update;
    while ((update = TAILQ_FIRST(&d->updates)) != NULL) {
        TAILQ_REMOVE(&d->updates, update, entry);
        update_free(update);
    }
    hash_free(&d->by_device);
    free(d);
    *devices = NULL;
}

static struct str device_of(const struct device_update *update)
{
    return (struct str){update->text.data, update->device_len};
}

static uint64_t hash_of(const struct device_status *d, struct str device)
{
    return XXH3_64bits_withSeed(device.p, device.len, d->seed);
}

static bool is_of_device(const void *item, const void *key)
{
    return str_eq(device_of(item), *(const struct str *)key);
}

static struct device_update *find_update(const struct device_status *d, struct str device)
{
    return hash_find(&d->by_device, hash_of(d, device), is_of_device, &device);
}

/* NULL: there are too many. The caller sets the text. */
static struct device_update *add_update(struct device_status *d, struct str device)
{
    if (d->n == DEVICE_STATUS_MAX)
        return NULL;
    struct device_update *update = mem_zalloc(sizeof(*update));
    TAILQ_INSERT_HEAD(&d->updates, update, entry);
    hash_add(&d->by_device, hash_of(d, device), update);
    d->n++;
    return update;
}

static void keep_text(struct device_update *update, const struct alert *alert)
{
    size_t len = alert->device.len + alert->endpoint.len + alert->source.len;
    if (update->text.cap < len) { /* not a byte more: there is one for each device */
        buf_free(&update->text);
        update->text = (struct buf){.data = mem_realloc(NULL, len, 1), .cap = len};
    }
    update->text.len = 0;
    buf_append_str(&update->text, alert->device);
    buf_append_str(&update->text, alert->endpoint);
    buf_append_str(&update->text, alert->source);
    update->device_len = alert->device.len;
    update->endpoint_len = alert->endpoint.len;
}

/* The encoded updates have been written. */
static void forget_values(struct device_update *update)
{
    update->has_fix = false;
    update->battery_pct = update->signal_dbm = ALERT_NO_INT;
}

static void keep_values(struct device_update *update, const struct alert *alert, bool fresh)
{
    update->registered = alert->registered;
    update->kind = alert->kind;
    update->received_us = alert->received_us;
    update->occurred_us = alert->occurred_us;
    if (alert->battery_pct != ALERT_NO_INT)
        update->battery_pct = alert->battery_pct;
    if (alert->signal_dbm != ALERT_NO_INT)
        update->signal_dbm = alert->signal_dbm;
    if (alert->place.source != LOCATION_MESSAGE || alert->secret)
        return;
    int64_t fix_us = alert->fix_us == ALERT_NO_TIME ? alert->occurred_us : alert->fix_us;
    if (!fresh && alert->fix_us == ALERT_NO_TIME && alert->flags & FLAG_CLOCK)
        return; /* a duplicate without a time of its own seems to be of now, wherever the device is meanwhile */
    if (update->has_fix && fix_us < update->fix_us)
        return; /* fixes that were buffered arrive in any order */
    update->has_fix = true;
    update->lon = alert->place.lon;
    update->lat = alert->place.lat;
    update->accuracy_m = alert->place.accuracy_m;
    update->fix_us = fix_us;
}

void device_status_update(struct device_status *d, const struct alert *alert, bool fresh)
{
    struct device_update *update = find_update(d, alert->device);
    if (!update)
        update = add_update(d, alert->device);
    if (!update)
        return;
    update->alerts += fresh;
    if (!update->changed || alert->received_us < update->since_us)
        update->since_us = alert->received_us;
    if ((update->changed || update->sent) && alert->received_us < update->received_us) {
        update->changed = true;
        return;
    }
    if (!update->changed && !update->sent)
        forget_values(update);
    update->changed = true;
    keep_text(update, alert);
    keep_values(update, alert, fresh);
}

static bool is_due(const struct device_update *update, int64_t mono_us)
{
    return update->written_us == 0 || update->written_us + EVERY_US <= mono_us;
}

void device_status_write_now(struct device_status *d, struct str device)
{
    struct device_update *update = find_update(d, device);
    if (!update)
        return;
    update->written_us = 0;
    TAILQ_REMOVE(&d->updates, update, entry);
    TAILQ_INSERT_HEAD(&d->updates, update, entry);
}

int64_t device_status_written_until_us(const struct device_status *d)
{
    int64_t until_us = INT64_MAX;
    const struct device_update *update;
    TAILQ_FOREACH(update, &d->updates, entry)
    {
        if (update->changed && update->since_us < until_us)
            until_us = update->since_us;
        if (update->sent && update->sent_since_us < until_us)
            until_us = update->sent_since_us;
    }
    return until_us;
}

bool device_status_due(struct device_status *d, int64_t mono_us)
{
    struct device_update *update;
    while ((update = TAILQ_FIRST(&d->updates)) != NULL && is_due(update, mono_us)) {
        if (update->changed)
            return true;
        TAILQ_REMOVE(&d->updates, update, entry);
        hash_remove(&d->by_device, hash_of(d, device_of(update)), update);
        update_free(update);
        d->n--;
    }
    return false;
}

static void encode_update(const struct device_update *update, struct buf values[DEVICE_STATUS_PARAMS])
{
    const char *endpoint = update->text.data + update->device_len, *source = endpoint + update->endpoint_len;
    param_text(&values[0], device_of(update));
    param_bool(&values[1], update->registered);
    param_time(&values[2], update->received_us);
    param_time(&values[3], update->occurred_us);
    param_text(&values[4], (struct str){endpoint, update->endpoint_len});
    param_text(&values[5], (struct str){source, update->text.len - update->device_len - update->endpoint_len});
    param_text(&values[6], str_from(alert_kind_word(update->kind)));
    param_int4(&values[7], update->battery_pct);
    param_int4(&values[8], update->signal_dbm);
    if (update->has_fix)
        param_point(&values[9], update->lon, update->lat);
    else
        param_null(&values[9]);
    param_real(&values[10], update->has_fix ? update->accuracy_m : NAN);
    param_time(&values[11], update->has_fix ? update->fix_us : ALERT_NO_TIME);
    param_int8(&values[12], (int64_t)update->alerts);
}

/* The next one, from `update` on, that is due and has changed. */
static struct device_update *next_due(struct device_update *update, int64_t mono_us)
{
    while (update && is_due(update, mono_us) && !update->changed)
        update = TAILQ_NEXT(update, entry);
    return update && is_due(update, mono_us) ? update : NULL;
}

void device_status_encode(struct device_status *d, int64_t mono_us, struct buf values[DEVICE_STATUS_PARAMS])
{
    static const uint32_t types[DEVICE_STATUS_PARAMS] = {
        TYPE_TEXT, TYPE_BOOL, TYPE_TIMESTAMPTZ, TYPE_TIMESTAMPTZ, TYPE_TEXT,        TYPE_TEXT, TYPE_TEXT,
        TYPE_INT4, TYPE_INT4, TYPE_BYTEA,       TYPE_REAL,        TYPE_TIMESTAMPTZ, TYPE_INT8,
    };
    struct device_update *update = next_due(TAILQ_FIRST(&d->updates), mono_us);
    d->n_sent = 0;
    for (; update && d->n_sent < UPDATES_MAX; update = next_due(TAILQ_NEXT(update, entry), mono_us))
        d->sent[d->n_sent++] = update;
    for (size_t i = 0; i < DEVICE_STATUS_PARAMS; i++)
        param_array(&values[i], types[i], d->n_sent);
    for (size_t i = 0; i < d->n_sent; i++) {
        update = d->sent[i];
        encode_update(update, values);
        update->sent = true;
        update->sent_since_us = update->since_us;
        update->sent_alerts = update->alerts;
        update->changed = false;
        update->alerts = 0;
    }
}

void device_status_revert(struct device_status *d)
{
    for (size_t i = 0; i < d->n_sent; i++) {
        struct device_update *update = d->sent[i];
        if (!update->changed || update->sent_since_us < update->since_us)
            update->since_us = update->sent_since_us;
        update->alerts += update->sent_alerts;
        update->changed = true;
        update->sent = false;
    }
    d->n_sent = 0;
}

void device_status_confirm(struct device_status *d, int64_t mono_us)
{
    for (size_t i = 0; i < d->n_sent; i++) {
        struct device_update *update = d->sent[i];
        TAILQ_REMOVE(&d->updates, update, entry);
        TAILQ_INSERT_TAIL(&d->updates, update, entry);
        update->written_us = mono_us;
        update->sent = false;
    }
    d->n_sent = 0;
}
