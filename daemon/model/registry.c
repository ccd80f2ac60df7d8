#include "model/registry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/alert.h"
#include "model/distance.h"

#define MISTYPED_US       (7 * CLOCK_DAY) /* one that had an address for less yields to another */
#define ALLOCATIONS_BYTES 64 /* per item beyond its struct: its strings and the allocator's overhead (an estimate) */

/* An address in the list of its device, and in the table of all: there is one item for each address, and the devices
 * that have or had it follow each other. */
struct device_address {
    struct dc09_address_holding holding;
    struct device_address *next; /* of the device */
    struct device_address *also; /* of the address */
    struct device *device;
};

struct word {
    size_t len;
    char text[];
};

static uint64_t hash_text(const struct registry *registry, struct str text)
{
    return XXH3_64bits_withSeed(text.p, text.len, registry->seed);
}

static uint64_t hash_address(const struct registry *registry, const struct dc09_address *address)
{
    return XXH3_64bits_withSeed(address, sizeof(*address), registry->seed);
}

static bool device_is(const void *item, const void *key)
{
    return str_eq(((const struct device *)item)->id, *(const struct str *)key);
}

static bool address_is(const void *item, const void *key)
{
    return memcmp(&((const struct device_address *)item)->holding.address, key, sizeof(struct dc09_address)) == 0;
}

static bool word_is(const void *item, const void *key)
{
    const struct word *word = item;
    return str_eq((struct str){word->text, word->len}, *(const struct str *)key);
}

struct str registry_word(struct registry *registry, struct str text)
{
    if (text.len == 0)
        return (struct str){0};
    uint64_t hash = hash_text(registry, text);
    struct word *word = hash_find(&registry->words, hash, word_is, &text);
    if (!word) {
        word = mem_zalloc(sizeof(*word) + text.len);
        word->len = text.len;
        memcpy(word->text, text.p, text.len);
        hash_add(&registry->words, hash, word);
    }
    return (struct str){word->text, word->len};
}

struct registry *registry_new(void)
{
    struct registry *registry = mem_zalloc(sizeof(*registry));
    arc4random_buf(&registry->seed, sizeof(registry->seed));
    return registry;
}

struct device *registry_find(const struct registry *registry, struct str id)
{
    return hash_find(&registry->devices, hash_text(registry, id), device_is, &id);
}

bool dc09_address_make(struct dc09_address *ret, struct str account, int32_t input)
{
    while (account.len > 1 && *account.p == '0')
        account = (struct str){account.p + 1, account.len - 1};
    *ret = (struct dc09_address){.len = (uint32_t)account.len, .input = input};
    if (account.len == 0 || account.len > REGISTRY_ACCOUNT_MAX)
        return false;
    memcpy(ret->account, account.p, account.len);
    return true;
}

static struct device_address *find_address(const struct registry *registry, const struct dc09_address *address)
{
    return hash_find(&registry->addresses, hash_address(registry, address), address_is, address);
}

/* While changes are read, two devices may seem to have the address: the one that got it last has it. */
static struct device *held_at(const struct registry *registry, const struct dc09_address *address, int64_t at_us)
{
    const struct device_address *found = NULL;
    for (const struct device_address *a = find_address(registry, address); a; a = a->also)
        if (a->holding.from_us <= at_us && at_us < a->holding.until_us &&
            (!found || a->holding.from_us > found->holding.from_us))
            found = a;
    return found ? found->device : NULL;
}

static bool is_kept(const struct dc09_address_holding *holding)
{
    return holding->until_us > holding->from_us &&
           (uint64_t)holding->until_us - (uint64_t)holding->from_us >= (uint64_t)MISTYPED_US;
}

/* Whether the first of two that got it later is the one meant, in the order of mobeye.account_holder(). */
static bool is_meant_rather(const struct device_address *a, const struct device_address *b, int64_t at_us)
{
    bool a_stood = device_placement(a->device, at_us), b_stood = device_placement(b->device, at_us);
    bool a_whole = a->holding.address.input == ALERT_NO_INT, b_whole = b->holding.address.input == ALERT_NO_INT;
    bool a_kept = is_kept(&a->holding), b_kept = is_kept(&b->holding);
    if (a_stood != b_stood)
        return a_stood;
    if (a_whole != b_whole)
        return b_whole;
    if (a_kept != b_kept)
        return a_kept;
    return a->holding.from_us < b->holding.from_us;
}

/* The one meant, among those that got it later and the one found before (NULL: none). */
static const struct device_address *held_later(const struct registry *registry, const struct dc09_address *address,
                                               int64_t at_us, const struct device_address *found)
{
    for (const struct device_address *a = find_address(registry, address); a; a = a->also)
        if (a->holding.from_us > at_us && (!found || is_meant_rather(a, found, at_us)))
            found = a;
    return found;
}

struct device *registry_find_address(const struct registry *registry, const struct dc09_address *address, int64_t at_us)
{
    struct dc09_address account = *address;
    account.input = ALERT_NO_INT;
    struct device *found = held_at(registry, address, at_us);
    if (!found)
        found = held_at(registry, &account, at_us);
    if (found)
        return found;
    const struct device_address *later = held_later(registry, address, at_us, NULL);
    later = held_later(registry, &account, at_us, later);
    return later ? later->device : NULL;
}

static const struct fix no_fix = {.at_us = INT64_MIN, .accuracy_m = NAN};

/* A device and its id share one allocation. */
static struct device *add_device(struct registry *registry, struct str id)
{
    struct device *device = mem_zalloc(sizeof(*device) + id.len);
    char *text = (char *)(device + 1);
    memcpy(text, id.p, id.len);
    device->id = (struct str){text, id.len};
    device->fix = device->sure_fix = no_fix;
    hash_add(&registry->devices, hash_text(registry, id), device);
    return device;
}

/* The one that *at points to: device->addresses, or the next of another. */
static void drop_address(struct registry *registry, struct device_address **at)
{
    struct device_address *address = *at, *first = find_address(registry, &address->holding.address);
    *at = address->next;
    if (first == address) {
        uint64_t hash = hash_address(registry, &address->holding.address);
        hash_remove(&registry->addresses, hash, address);
        if (address->also)
            hash_add(&registry->addresses, hash, address->also);
    } else {
        while (first->also != address)
            first = first->also;
        first->also = address->also;
    }
    registry->n_holdings--;
    free(address);
}

static void add_address(struct registry *registry, struct device *device, const struct dc09_address_holding *holding)
{
    struct device_address *first = find_address(registry, &holding->address);
    struct device_address *address = mem_zalloc(sizeof(*address));
    *address = (struct device_address){*holding, .next = device->addresses, .device = device};
    device->addresses = address;
    registry->n_holdings++;
    for (struct device_address *a = holding->until_us == INT64_MAX ? first : NULL; a; a = a->also)
        if (a->holding.until_us == INT64_MAX)
            a->holding.until_us = holding->from_us;
    if (first) {
        address->also = first->also;
        first->also = address;
    } else {
        hash_add(&registry->addresses, hash_address(registry, &holding->address), address);
    }
}

/* Drops everything but the fix, which the device itself reported. */
static void clear_registration(struct registry *registry, struct device *device)
{
    while (device->addresses)
        drop_address(registry, &device->addresses);
    free(device->placements);
    device->placements = NULL;
    device->n_placements = 0;
    device->group = (struct str){0};
    registry->n_registered -= device->registered;
    device->registered = false;
}

static void drop_device(struct registry *registry, struct device *device)
{
    clear_registration(registry, device);
    hash_remove(&registry->devices, hash_text(registry, device->id), device);
    free(device);
}

static void drop_unknown(struct registry *registry, struct device *device)
{
    if (!device->registered && device->fix.at_us == INT64_MIN)
        drop_device(registry, device);
}

static void unregister(struct registry *registry, struct device *device)
{
    clear_registration(registry, device);
    drop_unknown(registry, device);
}

static void use_fix(struct device *device, const struct fix *fix)
{
    if (!device_is_settled(device, fix->lon, fix->lat, fix->accuracy_m)) {
        device->settled_lon = fix->lon;
        device->settled_lat = fix->lat;
    }
    device->fix = *fix;
}

static bool taken_at_secret_placement(const struct device *device, const struct fix *fix)
{
    for (size_t i = 0; fix->undated && i < device->n_placements; i++)
        if (device->placements[i].secret)
            return true;
    return device_secret_placement(device, fix->at_us) != NULL;
}

void registry_put(struct registry *registry, const struct registry_entry *entry)
{
    struct device *device = registry_find(registry, entry->id);
    if (!entry->registered) {
        if (device)
            unregister(registry, device);
        return;
    }
    if (device)
        clear_registration(registry, device);
    else
        device = add_device(registry, entry->id);
    device->registered = true;
    device->load = registry->load;
    device->group = entry->group;
    if (entry->n_placements > 0) {
        size_t bytes = entry->n_placements * sizeof(*device->placements);
        device->n_placements = entry->n_placements;
        device->placements = memcpy(mem_realloc(NULL, bytes, 1), entry->placements, bytes);
    }
    if (taken_at_secret_placement(device, &device->sure_fix))
        device->sure_fix = no_fix;
    if (taken_at_secret_placement(device, &device->fix))
        use_fix(device, &device->sure_fix);
    for (size_t i = 0; i < entry->n_addresses; i++)
        add_address(registry, device, &entry->addresses[i]);
    registry->n_registered++;
}

/* Calls for every device that is wanted. Dropping one moves others in the table, so they are collected first. */
static void each_device(struct registry *registry, bool (*wanted)(const struct device *device, int64_t arg),
                        int64_t arg, void (*call)(struct registry *registry, struct device *device))
{
    struct device **found = mem_realloc(NULL, registry->devices.n, sizeof(*found));
    size_t n = 0;
    for (size_t at = 0; at < registry->devices.cap; at++) {
        struct device *device = registry->devices.slots[at].item;
        if (device && wanted(device, arg))
            found[n++] = device;
    }
    for (size_t i = 0; i < n; i++)
        call(registry, found[i]);
    free(found);
}

static bool not_of_load(const struct device *device, int64_t load)
{
    return device->registered && device->load != load;
}

static bool is_unregistered(const struct device *device, int64_t arg)
{
    (void)arg;
    return !device->registered;
}

static bool every_device(const struct device *device, int64_t arg)
{
    (void)device, (void)arg;
    return true;
}

void registry_load_begin(struct registry *registry)
{
    registry->load++;
    registry->loading = true;
}

void registry_load_end(struct registry *registry)
{
    each_device(registry, not_of_load, registry->load, unregister);
    registry->loading = false;
}

static size_t count_unregistered(const struct registry *registry)
{
    return registry->devices.n - registry->n_registered;
}

bool device_is_settled(const struct device *device, double lon, double lat, float accuracy_m)
{
    return device->fix.at_us != INT64_MIN &&
           (double)accuracy_m >= distance_m(device->settled_lon, device->settled_lat, lon, lat);
}

void registry_put_fix(struct registry *registry, struct str id, const struct fix *fix)
{
    struct device *device = registry_find(registry, id);
    if (!device) {
        if (count_unregistered(registry) >= REGISTRY_UNREGISTERED_MAX)
            each_device(registry, is_unregistered, 0, drop_device);
        device = add_device(registry, id);
    }
    if (taken_at_secret_placement(device, fix))
        return;
    if (!fix->undated && fix->at_us >= device->sure_fix.at_us)
        device->sure_fix = *fix;
    if (fix->at_us >= device->fix.at_us)
        use_fix(device, fix);
}

void registry_settle_fix(struct registry *registry, struct str id, const struct fix *fix, bool is_new)
{
    struct device *device = registry_find(registry, id);
    if (!device || fix->at_us > device->fix.at_us)
        return;
    if (is_new && fix->at_us >= device->sure_fix.at_us && !taken_at_secret_placement(device, fix))
        device->sure_fix = *fix;
    if (!is_new && device->fix.undated && device->fix.at_us == fix->at_us)
        use_fix(device, &device->sure_fix);
    drop_unknown(registry, device);
}

void registry_forget_fix(struct registry *registry, struct str id, int64_t since_us, int64_t until_us)
{
    struct device *device = registry_find(registry, id);
    if (!device)
        return;
    if (device->sure_fix.at_us >= since_us && device->sure_fix.at_us < until_us)
        device->sure_fix = no_fix;
    if (device->fix.at_us >= since_us && device->fix.at_us < until_us)
        use_fix(device, &device->sure_fix);
    drop_unknown(registry, device);
}

static void drop_fixes(struct registry *registry, struct device *device)
{
    device->fix = device->sure_fix = no_fix;
    drop_unknown(registry, device);
}

void registry_forget_fixes(struct registry *registry)
{
    each_device(registry, every_device, 0, drop_fixes);
}

/* Assumes one placement per device, which is usual. */
size_t registry_bytes(const struct registry *registry)
{
    size_t slots = registry->devices.cap + registry->addresses.cap + registry->words.cap;
    return registry->devices.n * (sizeof(struct device) + sizeof(struct placement) + ALLOCATIONS_BYTES) +
           registry->n_holdings * (sizeof(struct device_address) + ALLOCATIONS_BYTES) +
           slots * sizeof(struct hash_slot);
}

/* Only the last placement that began by then can still be in force. */
const struct placement *device_placement(const struct device *device, int64_t at_us)
{
    size_t low = 0, high = device->n_placements;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (device->placements[middle].from_us <= at_us)
            low = middle + 1;
        else
            high = middle;
    }
    const struct placement *last = low > 0 ? &device->placements[low - 1] : NULL;
    return last && at_us < last->until_us ? last : NULL;
}

const struct placement *device_secret_placement(const struct device *device, int64_t at_us)
{
    int64_t last_us = at_us % CLOCK_SECOND == 0 ? at_us + CLOCK_SECOND - 1 : at_us;
    const struct placement *first = device_placement(device, at_us), *last = device_placement(device, last_us);
    if (last && last->secret)
        return last;
    return first && first->secret ? first : NULL;
}

void registry_free(struct registry **registry)
{
    struct registry *r = *registry;
    *registry = NULL;
    if (!r)
        return;
    each_device(r, every_device, 0, drop_device);
    for (size_t at = 0; at < r->words.cap; at++)
        free(r->words.slots[at].item);
    hash_free(&r->devices);
    hash_free(&r->addresses);
    hash_free(&r->words);
    free(r);
}
