/* What waits in memory for its turn after a commit: it is bounded, and what fails is due again without being counted
 * twice. */
#include <criterion/criterion.h>
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/device_status.h"
#include "store/param.h"
#include "store/post_commit_queue.h"

#define FIRST_US (INT64_C(1795467851) * CLOCK_SECOND)

static struct alert alert_of(const char *device, int at_s)
{
    return (struct alert){.device = str_from(device),
                          .endpoint = STR("door"),
                          .source = STR("/test"),
                          .kind = KIND_MOTION,
                          .phase = PHASE_RAISE,
                          .received_us = FIRST_US + at_s * CLOCK_SECOND,
                          .occurred_us = FIRST_US + at_s * CLOCK_SECOND,
                          .battery_pct = ALERT_NO_INT,
                          .signal_dbm = ALERT_NO_INT,
                          .fix_us = ALERT_NO_TIME,
                          .incident = NO_INCIDENT};
}

/* Elements of an array of n values without nulls, each of `size` bytes. */
static uint32_t length_of(const struct buf *array)
{
    uint32_t n = 0;
    if (array->len > PGTYPE_ARRAY_EMPTY_BYTES)
        memcpy(&n, array->data + 12, sizeof(n));
    return be32toh(n);
}

static int64_t int8_at(const struct buf *array, size_t i)
{
    uint64_t value;
    memcpy(&value, array->data + PGTYPE_ARRAY_HEADER_BYTES + 12 * i + PGTYPE_LENGTH_BYTES, sizeof(value));
    return (int64_t)be64toh(value);
}

static void free_all(struct buf *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_free(&values[i]);
}

/* What one update says: how many alerts, and whether it has a fix; the device must be the only one that is due. */
static int64_t encode_one(struct device_status *devices, int64_t mono_us, bool *ret_fix)
{
    struct buf values[DEVICE_STATUS_PARAMS] = {0};
    cr_assert(device_status_due(devices, mono_us));
    device_status_encode(devices, mono_us, values);
    cr_assert_eq(length_of(&values[0]), 1);
    int64_t alerts = int8_at(&values[12], 0);
    /* 25 bytes of a point, or the length of a null. */
    *ret_fix = values[9].len == PGTYPE_ARRAY_HEADER_BYTES + PGTYPE_LENGTH_BYTES + PGTYPE_POINT_BYTES;
    free_all(values, DEVICE_STATUS_PARAMS);
    return alerts;
}

Test(after_commit, a_status_that_fails_is_due_again_with_all_its_alerts)
{
    struct device_status *devices = device_status_new();
    struct alert first = alert_of("NL-1", 10), later = alert_of("NL-1", 20), earlier = alert_of("NL-1", 5);
    bool fix;
    device_status_update(devices, &first, true);
    device_status_update(devices, &first, false); /* a duplicate is a sign of life, not an alert */
    cr_expect_eq(encode_one(devices, 1, &fix), 1);
    cr_expect_eq(device_status_written_until_us(devices), first.received_us);
    device_status_update(devices, &later, true);
    device_status_revert(devices);
    cr_expect_eq(device_status_written_until_us(devices), first.received_us);
    cr_expect_eq(encode_one(devices, 1, &fix), 2);
    device_status_update(devices, &earlier, true); /* of another journal, while that is on its way */
    device_status_revert(devices);
    cr_expect_eq(device_status_written_until_us(devices), earlier.received_us);
    cr_expect_eq(encode_one(devices, 1, &fix), 3);
    device_status_confirm(devices, 1);
    cr_expect_eq(device_status_written_until_us(devices), INT64_MAX);
    cr_expect_not(device_status_due(devices, DEVICE_STATUS_ALL));
    device_status_free(&devices);
    cr_expect_null(devices);
    device_status_free(&devices);
}

Test(after_commit, a_status_is_written_once_a_minute_or_now)
{
    struct device_status *devices = device_status_new();
    struct alert alert = alert_of("NL-1", 0);
    bool fix;
    device_status_update(devices, &alert, true);
    encode_one(devices, CLOCK_SECOND, &fix);
    device_status_confirm(devices, CLOCK_SECOND);
    device_status_update(devices, &alert, true);
    cr_expect_not(device_status_due(devices, CLOCK_MINUTE));
    cr_expect(device_status_due(devices, CLOCK_SECOND + CLOCK_MINUTE));
    device_status_write_now(devices, STR("NL-2")); /* nobody knows it */
    cr_expect_not(device_status_due(devices, CLOCK_MINUTE));
    device_status_write_now(devices, STR("NL-1"));
    cr_expect(device_status_due(devices, CLOCK_MINUTE));
    device_status_free(&devices);
}

Test(after_commit, a_fix_is_kept_unless_it_is_secret_or_older)
{
    struct device_status *devices = device_status_new();
    struct alert alert = alert_of("NL-1", 0);
    bool fix;
    alert.place.source = LOCATION_MESSAGE;
    alert.secret = true;
    device_status_update(devices, &alert, true);
    encode_one(devices, 1, &fix);
    cr_expect_not(fix, "of a secret place nothing is written");
    device_status_confirm(devices, 1);
    alert.secret = false;
    device_status_update(devices, &alert, true);
    encode_one(devices, DEVICE_STATUS_ALL, &fix);
    cr_expect(fix);
    device_status_free(&devices);
}

Test(after_commit, devices_beyond_the_bound_get_no_update)
{
    struct device_status *devices = device_status_new();
    char name[32];
    size_t updates = 0;
    for (unsigned i = 0; i <= DEVICE_STATUS_MAX; i++) {
        snprintf(name, sizeof(name), "NL-%u", i);
        struct alert alert = alert_of(name, 0);
        device_status_update(devices, &alert, true);
    }
    while (device_status_due(devices, 1)) {
        struct buf values[DEVICE_STATUS_PARAMS] = {0};
        device_status_encode(devices, 1, values);
        updates += length_of(&values[0]);
        device_status_confirm(devices, 1);
        free_all(values, DEVICE_STATUS_PARAMS);
    }
    cr_expect_eq(updates, DEVICE_STATUS_MAX);
    /* After a minute of silence they are forgotten, and there is space for others. */
    cr_expect_not(device_status_due(devices, 1 + CLOCK_MINUTE));
    struct alert alert = alert_of("NL-other", 0);
    device_status_update(devices, &alert, true);
    cr_expect(device_status_due(devices, 1 + CLOCK_MINUTE));
    device_status_free(&devices);
}

static const struct incident_terms alarm_terms = {.category = CATEGORY_ALARM};

/* A batch of one raise in an incident with that number. */
static void raise_in(struct post_commit_queue *queue, uint64_t id, const char *device, int at_s)
{
    struct incident incident = {.id = id, .raised = true, .terms = alarm_terms};
    struct batch_row row = {.alert = alert_of(device, at_s)};
    struct batch batch = {.rows = &row, .n = 1};
    struct incident_rows rows = {.set = {.incidents = &incident, .n_incidents = 1}};
    static const uint8_t stored[] = {1};
    row.alert.incident = 0;
    post_commit_queue_batch(queue, &batch, stored, &rows, at_s * CLOCK_SECOND);
}

static uint32_t encode_raises(struct post_commit_queue *queue)
{
    struct buf values[POST_COMMIT_VERIFY_PARAMS] = {0};
    post_commit_queue_encode_raises(queue, values);
    uint32_t n = length_of(&values[0]);
    for (size_t i = 1; i < 4; i++)
        cr_assert_eq(length_of(&values[i]), n);
    free_all(values, POST_COMMIT_VERIFY_PARAMS);
    return n;
}

Test(after_commit, raises_of_a_device_in_an_incident_are_one_and_wait_until_they_are_verified)
{
    static struct post_commit_queue queue;
    raise_in(&queue, 1, "NL-1", 0);
    cr_expect_eq(queue.n_raises, 0, "no rule verifies");
    post_commit_queue_widen(&queue, true, 150);
    post_commit_queue_widen(&queue, false, 50);
    cr_expect_eq(queue.reach_m, 150, "rules of before hold for their incidents");
    raise_in(&queue, 1, "NL-1", 50);
    raise_in(&queue, 1, "NL-1", 10);
    raise_in(&queue, 1, "NL-2", 0);
    raise_in(&queue, 2, "NL-1", 0);
    cr_expect_eq(encode_raises(&queue), 3);
    cr_expect_eq(queue.sent[0].until_us - queue.sent[0].from_us, 40 * CLOCK_SECOND);
    raise_in(&queue, 1, "NL-1", 60);
    post_commit_queue_unverified(&queue);
    cr_expect_eq(encode_raises(&queue), 3, "those that failed, with what came since");
    cr_expect_eq(queue.sent[0].until_us - queue.sent[0].from_us, 50 * CLOCK_SECOND);
    post_commit_queue_verified(&queue);
    post_commit_queue_unverified(&queue);
    cr_expect_eq(encode_raises(&queue), 0, "they are verified");
    post_commit_queue_free(&queue);
}

Test(after_commit, how_long_raises_wait_is_known_until_they_are_verified)
{
    static struct post_commit_queue queue;
    post_commit_queue_widen(&queue, true, 150);
    cr_expect_eq(post_commit_queue_waited_us(&queue, 100 * CLOCK_SECOND), 0, "none waits");
    raise_in(&queue, 1, "NL-1", 10);
    raise_in(&queue, 2, "NL-1", 40);
    cr_expect_eq(post_commit_queue_waited_us(&queue, 50 * CLOCK_SECOND), 40 * CLOCK_SECOND);
    cr_assert_eq(encode_raises(&queue), 2);
    raise_in(&queue, 3, "NL-1", 60);
    post_commit_queue_unverified(&queue);
    cr_expect_eq(post_commit_queue_waited_us(&queue, 70 * CLOCK_SECOND), 60 * CLOCK_SECOND, "the first still waits");
    cr_assert_eq(encode_raises(&queue), 3);
    cr_expect_eq(post_commit_queue_waited_us(&queue, 70 * CLOCK_SECOND), 60 * CLOCK_SECOND, "on their way");
    post_commit_queue_verified(&queue);
    cr_expect_eq(post_commit_queue_waited_us(&queue, 80 * CLOCK_SECOND), 0);
    raise_in(&queue, 4, "NL-1", 90);
    cr_expect_eq(post_commit_queue_waited_us(&queue, 95 * CLOCK_SECOND), 5 * CLOCK_SECOND);
    post_commit_queue_free(&queue);
}

Test(after_commit, raises_that_do_not_fit_are_counted)
{
    static struct post_commit_queue queue;
    post_commit_queue_widen(&queue, true, 150);
    uint64_t id = 0;
    while (queue.n_dropped == 0 && id < 1000000)
        raise_in(&queue, ++id, "NL-1", 0);
    cr_expect_eq(queue.n_dropped, 1, "it is bounded");
    cr_expect_eq(queue.n_raises, id - 1);
    raise_in(&queue, ++id, "NL-1", 0);
    cr_expect_eq(queue.n_dropped, 2);
    post_commit_queue_free(&queue);
}

Test(after_commit, an_incident_that_needs_no_verification_queues_none)
{
    static struct post_commit_queue queue;
    struct incident incident = {.id = 1, .raised = false, .terms = alarm_terms};
    struct batch_row row = {.alert = alert_of("NL-1", 0)};
    struct batch batch = {.rows = &row, .n = 1};
    struct incident_rows rows = {.set = {.incidents = &incident, .n_incidents = 1}};
    static const uint8_t stored[] = {1}, none[] = {0};
    post_commit_queue_widen(&queue, true, 150);
    row.alert.incident = 0;
    post_commit_queue_batch(&queue, &batch, stored, &rows, 0);
    cr_expect_eq(queue.n_raises, 0, "nothing that may verify was raised in it");
    incident.raised = true;
    post_commit_queue_batch(&queue, &batch, none, &rows, 0);
    cr_expect_eq(queue.n_raises, 0, "a duplicate raises nothing");
    row.alert.phase = PHASE_RESTORE;
    post_commit_queue_batch(&queue, &batch, stored, &rows, 0);
    cr_expect_eq(queue.n_raises, 0, "nor does a restore");
    row.alert.phase = PHASE_RAISE;
    post_commit_queue_batch(&queue, &batch, stored, &rows, 0);
    cr_expect_eq(queue.n_raises, 1);
    post_commit_queue_free(&queue);
}

Test(after_commit, what_waits_in_memory_is_bounded)
{
    static struct post_commit_queue queue;
    struct buf values[POST_COMMIT_ANNOUNCE_PARAMS] = {0};
    post_commit_queue_widen(&queue, true, 150);
    for (unsigned i = 0; i < 50100; i++)
        raise_in(&queue, i + 1, "NL-1", 0);
    cr_expect_eq(queue.n_raises, 50000);
    for (unsigned i = 0; i < 1100; i++)
        post_commit_queue_hint(&queue, i, INCIDENT_ALERT);
    cr_expect_eq(queue.n_hints, 1000);
    for (unsigned i = 0; i < 1100; i++)
        post_commit_queue_hint(&queue, i, INCIDENT_NEW);
    cr_expect_eq(queue.n_hints, 2000, "new ones have space that alerts do not take");
    post_commit_queue_encode_hints(&queue, values);
    cr_expect_eq(length_of(&values[0]), 500);
    cr_expect_eq(int8_at(&values[0], 499), 499);
    post_commit_queue_hint(&queue, 7, INCIDENT_NEW);
    post_commit_queue_announced(&queue);
    cr_expect_eq(queue.n_hints, 1500, "the first 500 are gone");
    cr_expect_eq(queue.hints[0].id, 500);
    free_all(values, POST_COMMIT_ANNOUNCE_PARAMS);
    post_commit_queue_free(&queue);
}
