/*
 * Enriches alerts: device, location, areas, rule, and the keys of condition and incident.
 */
#ifndef MOBEYE_ENRICH_ENRICH_H
#define MOBEYE_ENRICH_ENRICH_H

#include "conf/conf.h"
#include "enrich/areas.h"
#include "model/batch.h"
#include "model/registry.h"

/* The data to enrich with. Owned by the caller; must not change while the alerts of a batch are enriched. */
struct enrich_context {
    const struct conf *conf;
    struct registry *registry; /* updated with the last fixes of devices */
    const struct area_set *areas;
    uint64_t areas_version;
};

struct enrich;

struct enrich *enrich_new(void);
void enrich_free(struct enrich **enrich); /* safe on NULL */

/* Starts another batch and sets its versions of registry and areas. */
void enrich_begin(struct enrich *enrich, const struct enrich_context *context, struct batch *batch);

/* Enriches one unpacked alert of that batch: fills the fields of struct alert under "From enrich". Local time in rules
 * uses the process's time zone: the caller has set TZ to conf->timezone and called tzset(). What is added is valid as
 * long as the batch. */
void enrich_alert(struct enrich *enrich, struct alert *alert);

/* The batch is stored, or may be. store, by row: whether it was new. A repeated alert without a time of its own seems
 * to be of now: its fix no longer counts, and the one before it counts again. */
void enrich_settle_fixes(struct registry *registry, const struct batch *batch, const uint8_t *store);

#endif
