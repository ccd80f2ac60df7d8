/*
 * The registry and the areas in memory, kept up to date with the database: store/registry_loader.h reads them, a worker
 * thread builds the index of the areas, which replaces the old one when it is complete.
 */
#ifndef MOBEYE_FLOW_REFERENCE_DATA_H
#define MOBEYE_FLOW_REFERENCE_DATA_H

#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "enrich/areas.h"
#include "model/registry.h"

struct reference_data;

/* Called from the loop when reference_data_usable() has become true, or the data is newer. Must not call
 * reference_data_free(). */
typedef void (*reference_data_fn)(void *ctx);

/* Starts connecting to the database of the configuration; keeps no pointer to conf. NULL with err set. */
struct reference_data *reference_data_new(struct loop *loop, const struct conf *conf, reference_data_fn on_usable,
                                          void *ctx, struct err *err);
void reference_data_free(struct reference_data **reference); /* waits for the worker; safe on NULL */

void reference_data_reload(struct reference_data *reference, const struct conf *conf);

/* The writer's connection came up or went down. While it is down, only the writer logs why. */
void reference_data_database_up(struct reference_data *reference, bool up);

/* Whether registry and areas are loaded and no newer version is known. */
bool reference_data_current(const struct reference_data *reference);

/* Like reference_data_current(), but also while an index of newer areas is being built. */
bool reference_data_usable(const struct reference_data *reference);

/* A transaction has found other versions than those of the last batch: not current until the newer data is loaded. If
 * this happens repeatedly, each further refresh is delayed. */
void reference_data_stale(struct reference_data *reference);

/* A batch was stored: the versions are those of the database. */
void reference_data_confirmed(struct reference_data *reference);

/* Owned by the reference data; the set may change after each iteration of the loop. Only if reference_data_usable(). */
struct registry *reference_data_registry(struct reference_data *reference);
const struct area_set *reference_data_areas(const struct reference_data *reference);
uint64_t reference_data_areas_version(const struct reference_data *reference);

/* Approximate memory in use, in bytes. */
size_t reference_data_bytes(const struct reference_data *reference);

/* Writes the gauges of registry and areas. */
void reference_data_gauges(const struct reference_data *reference, struct metrics *metrics);

#endif
