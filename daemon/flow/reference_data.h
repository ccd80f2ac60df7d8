/*
 * The registry and the areas as they are in memory, kept as they are in the database: read by store/registry_loader.h,
 * the index of the areas built by a worker thread and exchanged when it is finished.
 */
#ifndef MOBEYE_FLOW_REFERENCE_DATA_H
#define MOBEYE_FLOW_REFERENCE_DATA_H

#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "enrich/areas.h"
#include "model/registry.h"

struct reference_data;

/* Calls back from the loop, when reference_data_usable() has become true, or what is used is newer; not
 * reference_data_free() in it. */
typedef void (*reference_data_fn)(void *ctx);

/* Begins to connect to the database of the configuration, which is not kept. */
struct reference_data *reference_data_new(struct loop *loop, const struct conf *conf, reference_data_fn current,
                                          void *ctx);
void reference_data_free(struct reference_data **reference); /* waits for the worker; safe on NULL */

void reference_data_reload(struct reference_data *reference, const struct conf *conf);

/* The writer's connection came up or went down. While it is down the writer tells why, and the reference data does not.
 */
void reference_data_database_up(struct reference_data *reference, bool up);

/* Registry and areas are loaded, and nothing newer is known of. */
bool reference_data_current(const struct reference_data *reference);

/* The same, but for areas that are read already and still being built. */
bool reference_data_usable(const struct reference_data *reference);

/* A transaction has seen other versions than those of the last batch: not current until what is newer is here. Where
 * that happens again and again, the next look takes its time. */
void reference_data_stale(struct reference_data *reference);

/* A batch was stored: the versions are those of the database. */
void reference_data_confirmed(struct reference_data *reference);

/* The reference data's own; the set may be another after each turn of the loop. Only where reference_data_current(). */
struct registry *reference_data_registry(struct reference_data *reference);
const struct area_set *reference_data_areas(const struct reference_data *reference);
uint64_t reference_data_areas_version(const struct reference_data *reference);

/* About how much memory all of it takes. */
size_t reference_data_bytes(const struct reference_data *reference);

/* Writes the gauges of registry and areas. */
void reference_data_gauges(const struct reference_data *reference, struct metrics *metrics);

/* For people: "loaded", or why it is not. */
const char *reference_data_state(const struct reference_data *reference);

#endif
