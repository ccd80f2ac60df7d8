#include "enrich/device.h"

#include <string.h>

/* The account of "dc09:ACCOUNT" and "dc09:ACCOUNT/INPUT". */
static struct str account_of(struct str device)
{
    size_t prefix = sizeof(ALERT_DC09_PREFIX) - 1;
    if (!str_starts(device, ALERT_DC09_PREFIX))
        return (struct str){0};
    struct str account = {device.p + prefix, device.len - prefix};
    const char *slash = memchr(account.p, '/', account.len);
    if (slash)
        account.len = (size_t)(slash - account.p);
    /* "0" is a frame without an account, not the account 0000. */
    return !str_is(account, "0") ? account : (struct str){0};
}

/* By the time of receipt: the clock of a panel decides nothing. */
static const struct device *find_by_address(const struct registry *registry, const struct alert *alert)
{
    struct dc09_address address;
    if (!dc09_address_make(&address, account_of(alert->device), alert->input))
        return NULL;
    return registry_find_address(registry, &address, alert->received_us);
}

const struct device *device_identify(const struct registry *registry, struct batch *batch, struct alert *alert)
{
    const struct device *device = NULL;
    if (alert->format == ALERT_SIA_DC09)
        device = find_by_address(registry, alert);
    if (!device)
        device = registry_find(registry, alert->device);
    alert->registered = device && device->registered;
    alert->group = alert->registered ? device->group : (struct str){0};
    if (alert->registered && !str_eq(alert->device, device->id))
        alert->device = batch_copy_str(batch, device->id);
    return device;
}
