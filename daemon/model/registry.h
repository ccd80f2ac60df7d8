/*
 * The registry in memory: which devices there are, by which addresses they report, where they stood when, and where
 * they last said that they were. store/ fills it from the database, enrich/ looks things up in it.
 *
 * It owns all that it holds. Words (groups, teams) stay where they are as long as it lives, also when no device has
 * them any more; everything else may change with the next call that changes it.
 */
#ifndef MOBEYE_MODEL_REGISTRY_H
#define MOBEYE_MODEL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"

#define REGISTRY_ACCOUNT_MAX 16 /* bytes of a DC-09 account */

/* Of devices that are not registered the last fixes are remembered as well, of so many; then all of those are
 * forgotten.
 */
#define REGISTRY_UNREGISTERED_MAX 100000

/* The device stood here. */
struct placement {
    uint64_t id;
    int64_t from_us, until_us; /* wall time, until excluded; INT64_MAX: until further notice */
    double lon, lat;           /* degrees WGS84 */
    struct str team;           /* empty: none */
    bool secret;               /* only its team may know the place */
};

/* The device said that it was here. */
struct fix {
    int64_t at_us; /* wall time; INT64_MIN: it never did */
    double lon, lat;
    float accuracy_m; /* NAN: it did not say */
};

/* How DC-09 equipment names itself. No padding, and zeros behind the account: it is compared as bytes. */
struct dc09_address {
    char account[REGISTRY_ACCOUNT_MAX]; /* without leading zeros, which a spreadsheet takes away: 371 is 0371 */
    uint32_t len;                       /* of the account */
    int32_t input;                      /* ALERT_NO_INT: every input of the account that has no address of its own */
};

/* false: no account is that long, or that short. */
bool address_make(struct dc09_address *ret, struct str account, int32_t input);

struct device {
    struct str id;
    bool registered;              /* else it is known for its fix alone */
    struct str group;             /* empty: none */
    struct fix fix;               /* the last plausible one */
    struct placement *placements; /* by time, not overlapping */
    size_t n_placements;
    struct device_address *addresses; /* a list; model/registry.c has the struct */
    uint32_t load;                    /* the load of everything that saw it last */
};

struct registry {
    uint64_t version; /* of the database that it is equal to; the holder's to set */
    bool loading;     /* between registry_load_begin() and registry_load_end(): it is equal to nothing */
    struct hash devices, addresses, words;
    size_t n_registered;
    uint64_t seed; /* of the hashes: who sends alerts cannot choose ids that collide */
    uint32_t load;
};

struct registry *registry_new(void);
void registry_free(struct registry **registry); /* safe on NULL */

/* The text as one that stays as long as the registry lives. */
struct str registry_word(struct registry *registry, struct str text);

/* What the registry is told about a device. Copied, but for the words. */
struct registry_entry {
    struct str id;
    bool registered;                    /* false: it is not, or no longer; the rest is not read */
    struct str group;                   /* a word, as the teams */
    const struct placement *placements; /* by time, not overlapping */
    size_t n_placements;
    const struct dc09_address *addresses; /* one that another device has is taken from it */
    size_t n_addresses;
};

/* From now on this is the device, entirely; its fix stays, unless it was taken at a secret placement. */
void registry_put(struct registry *registry, const struct registry_entry *entry);

/* Between these two registry_put() is called for every device that there is: afterwards no other is registered. A load
 * that was broken off may be begun again. */
void registry_load_begin(struct registry *registry);
void registry_load_end(struct registry *registry);

/* A plausible fix, of a device that need not be registered; an older one than it has is ignored, and so is one that was
 * taken at a secret placement: it would show the place to others once the device has left it. */
void registry_put_fix(struct registry *registry, struct str id, const struct fix *fix);

/* The last fix of the device is forgotten where it was taken from since_us until before until_us. A device that is not
 * registered is then not known any more. */
void registry_forget_fix(struct registry *registry, struct str id, int64_t since_us, int64_t until_us);

/* NULL: not known. A device that is known need not be registered. */
struct device *registry_find(const struct registry *registry, struct str id);

/* The device with exactly this address, or NULL. */
struct device *registry_find_address(const struct registry *registry, const struct dc09_address *address);

/* About how much memory it takes. */
size_t registry_bytes(const struct registry *registry);

/* Where the device stood at that time; NULL: nowhere. */
const struct placement *device_placement(const struct device *device, int64_t at_us);

#endif
