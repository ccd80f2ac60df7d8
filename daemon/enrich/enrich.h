/*
 * What an alert is given on its way: device, place, areas, rule, and what its incident goes by.
 */
#ifndef MOBEYE_ENRICH_ENRICH_H
#define MOBEYE_ENRICH_ENRICH_H

#include "conf/conf.h"
#include "enrich/areas.h"
#include "model/batch.h"
#include "model/registry.h"

/* What is known at the moment; the holder's, and as it was from enrich_begin() on while alerts are enriched. */
struct enrich_context {
    const struct conf *conf;
    struct registry *registry; /* last fixes of devices are noted in it */
    const struct area_set *areas;
    uint64_t areas_version;
};

struct enrich;

struct enrich *enrich_new(void);
void enrich_free(struct enrich **enrich); /* safe on NULL */

/* Another batch. Writes the versions of registry and areas into it. */
void enrich_begin(struct enrich *enrich, const struct enrich_context *context, struct batch *batch);

/* One unpacked alert of that batch: fills all that struct alert lists under "From enrich". Local time in rules is by
 * conf->timezone: the caller has set TZ to it and called tzset(). What is added lives as long as the batch. */
void enrich_alert(struct enrich *enrich, struct alert *alert);

#endif
