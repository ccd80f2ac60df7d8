/*
 * The registry in memory: the devices, the addresses they report by, their placements and their last fixes. store/
 * fills it from the database, enrich/ looks things up in it.
 *
 * It owns everything in it. Words (groups, teams) are never moved or freed before the registry is, even when no device
 * uses them any more; anything else is valid until the next call that changes the registry.
 */
#ifndef MOBEYE_MODEL_REGISTRY_H
#define MOBEYE_MODEL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"

#define REGISTRY_ACCOUNT_MAX 16 /* bytes of a DC-09 account */

/* The last fixes of unregistered devices are kept too, up to this many devices; beyond that all of them are dropped. */
#define REGISTRY_UNREGISTERED_MAX 100000

/* The device was placed here. */
struct placement {
    uint64_t id;
    int64_t from_us, until_us; /* wall time, until excluded; INT64_MAX: until further notice */
    double lon, lat;           /* degrees WGS84 */
    struct str team;           /* empty: none */
    bool secret;               /* only its team may know the place */
};

/* Where the device itself reported that it was. */
struct fix {
    int64_t at_us; /* wall time; INT64_MIN: never */
    double lon, lat;
    float accuracy_m; /* NAN: not reported */
    bool undated;     /* at_us is only when it came: it may be of earlier, and have come before (a resent alert) */
};

/* How DC-09 equipment identifies itself. No padding, and zeros after the account: it is compared as bytes. */
struct dc09_address {
    char account[REGISTRY_ACCOUNT_MAX]; /* without leading zeros, which spreadsheets drop: 0371 is stored as 371 */
    uint32_t len;                       /* of the account */
    int32_t input;                      /* ALERT_NO_INT: every input of the account without an address of its own */
};
_Static_assert(sizeof(struct dc09_address) == REGISTRY_ACCOUNT_MAX + 8, "no padding");

/* false: the account is empty or too long. */
bool dc09_address_make(struct dc09_address *ret, struct str account, int32_t input);

/* A device has the address, or had it. */
struct dc09_address_holding {
    struct dc09_address address;
    int64_t from_us, until_us; /* wall time, until excluded; INT64_MAX: until further notice */
};

struct device {
    struct str id;
    bool registered;                 /* else only its fix is known */
    struct str group;                /* empty: none */
    struct fix fix;                  /* the last plausible one */
    struct fix sure_fix;             /* the last one of which it is certain that it is of its time: the fix, unless that
                                      * is undated and not settled */
    double settled_lon, settled_lat; /* the last fix that was farther than its accuracy from the one previously kept
                                      * here; valid if there is a fix. Not stored: after a restart it is the last fix in
                                      * the database, so a restart may move it once, within its accuracy */
    struct placement *placements;    /* by time, not overlapping */
    size_t n_placements;
    struct device_address *addresses; /* a list; the struct is private to model/registry.c */
    uint32_t load;                    /* the last full load that contained it */
};

struct registry {
    uint64_t version; /* the database version that it equals; set by its user */
    bool loading;     /* between registry_load_begin() and registry_load_end(): it equals no version */
    struct hash devices, addresses, words;
    size_t n_registered;
    size_t n_holdings; /* of addresses, by all devices */
    uint64_t seed;     /* of the hashes: senders cannot choose ids that collide */
    uint32_t load;
};

struct registry *registry_new(void);
void registry_free(struct registry **registry); /* safe on NULL */

/* A copy of the text that is valid as long as the registry; equal texts share one. */
struct str registry_word(struct registry *registry, struct str text);

/* The definition of a device. Copied, except for the words. */
struct registry_entry {
    struct str id;
    bool registered;                    /* false: not or no longer registered; the rest is not read */
    struct str group;                   /* from registry_word(), like the teams */
    const struct placement *placements; /* by time, not overlapping */
    size_t n_placements;
    const struct dc09_address_holding
        *addresses; /* an address that another device has moves to this one when this begins */
    size_t n_addresses;
};

/* Replaces the definition of the device; keeps its fix, unless that was taken at a secret placement. */
void registry_put(struct registry *registry, const struct registry_entry *entry);

/* A full load: begin, registry_put() for every device, end. End unregisters every other device. An interrupted load may
 * be begun again. */
void registry_load_begin(struct registry *registry);
void registry_load_end(struct registry *registry);

/* A plausible fix, of a device that need not be registered. Ignored if older than the current fix, or taken at a secret
 * placement: it would reveal the place to others once the device has left it. An undated one may have been taken at any
 * placement of the device, and registry_settle_fix() is to follow. */
void registry_put_fix(struct registry *registry, struct str id, const struct fix *fix);

/* Whether the alert of an undated fix is new, or repeats an earlier one: then the fix before it counts again. Nothing
 * if the fix was not put, or has been dropped since. */
void registry_settle_fix(struct registry *registry, struct str id, const struct fix *fix, bool is_new);

/* Whether a place of the device that is known to accuracy_m (NAN: unknown) may be the one where it has settled: it has
 * not left the areas of that place. */
bool device_is_settled(const struct device *device, double lon, double lat, float accuracy_m);

/* Drops the last fix of the device if it was taken at or after since_us and before until_us. An unregistered device is
 * then unknown. */
void registry_forget_fix(struct registry *registry, struct str id, int64_t since_us, int64_t until_us);

/* Drops the last fixes of all devices. */
void registry_forget_fixes(struct registry *registry);

/* NULL: unknown. A known device need not be registered. */
struct device *registry_find(const struct registry *registry, struct str id);

/* The device that had this address at that time, else the one that had its whole account; if none had either by then,
 * the one meant among those that got it later, as by mobeye.account_holder(). NULL: none did. */
struct device *registry_find_address(const struct registry *registry, const struct dc09_address *address,
                                     int64_t at_us);

/* Approximate memory in use, in bytes. */
size_t registry_bytes(const struct registry *registry);

/* The device's placement at that time; NULL: none. */
const struct placement *device_placement(const struct device *device, int64_t at_us);

/* A secret placement at which the device may have been at that time: a time in whole seconds may be any moment of that
 * second. NULL: none. */
const struct placement *device_secret_placement(const struct device *device, int64_t at_us);

#endif
