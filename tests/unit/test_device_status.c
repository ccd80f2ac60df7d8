/* The status of devices on its way to the database: what is kept of the last alert. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "store/device_status.h"

static void expect_last(const struct buf *values, size_t param, const char *text)
{
    const struct buf *value = &values[param];
    size_t len = strlen(text);
    cr_assert(value->len > len);
    cr_expect_eq(memcmp(value->data + value->len - len, text, len), 0, "parameter %zu does not end with %s", param,
                 text);
}

/* Encodes the status that is due, which must be of one device, and writes it. */
static void write_one(struct device_status *devices, const char *endpoint, const char *source)
{
    struct buf values[DEVICE_STATUS_PARAMS] = {0};
    cr_expect(device_status_due(devices, DEVICE_STATUS_ALL));
    device_status_encode(devices, DEVICE_STATUS_ALL, values);
    expect_last(values, 0, "set-1");
    expect_last(values, 4, endpoint);
    expect_last(values, 5, source);
    device_status_confirm(devices, CLOCK_SECOND);
    for (size_t i = 0; i < DEVICE_STATUS_PARAMS; i++)
        buf_free(&values[i]);
}

Test(device_status, the_texts_are_those_of_the_last_alert_however_long)
{
    static const struct {
        const char *endpoint, *source;
    } alerts[] = {
        {"panels", "/gateway"}, {"panels", "/gateway-of-the-second-floor"}, {"p", "/g"}, {"cameras", "/frigate/hall"}};
    struct device_status *devices = device_status_new();
    struct alert alert = {ALERT_UNSET, .device = STR("set-1"), .kind = KIND_MOTION};
    for (size_t i = 0; i < sizeof(alerts) / sizeof(*alerts); i++) {
        alert.endpoint = str_from(alerts[i].endpoint);
        alert.source = str_from(alerts[i].source);
        alert.received_us = alert.occurred_us = (int64_t)i * CLOCK_SECOND;
        device_status_update(devices, &alert, true);
        write_one(devices, alerts[i].endpoint, alerts[i].source);
    }
    device_status_free(&devices);
}

static bool has_fix(struct device_status *devices)
{
    struct buf values[DEVICE_STATUS_PARAMS] = {0};
    device_status_encode(devices, DEVICE_STATUS_ALL, values);
    const struct buf *point = &values[9];
    bool is_null = memcmp(point->data + point->len - 4, "\xff\xff\xff\xff", 4) == 0;
    device_status_confirm(devices, CLOCK_SECOND);
    for (size_t i = 0; i < DEVICE_STATUS_PARAMS; i++)
        buf_free(&values[i]);
    return !is_null;
}

Test(device_status, a_repeated_alert_tells_where_the_device_was_only_if_it_has_a_time_of_its_own)
{
    struct device_status *devices = device_status_new();
    struct alert alert = {ALERT_UNSET, .device = STR("set-1"), .flags = FLAG_CLOCK, .place.source = LOCATION_MESSAGE};
    alert.received_us = alert.occurred_us = CLOCK_SECOND;
    device_status_update(devices, &alert, true);
    cr_expect(has_fix(devices));
    device_status_update(devices, &alert, false);
    cr_expect(!has_fix(devices));
    alert.fix_us = CLOCK_SECOND;
    device_status_update(devices, &alert, false);
    cr_expect(has_fix(devices));
    alert.fix_us = ALERT_NO_TIME;
    alert.flags = 0;
    device_status_update(devices, &alert, false);
    cr_expect(has_fix(devices), "its own time of occurrence is that of the fix");
    device_status_free(&devices);
}
