/*
 * The registry and the areas as they are in memory, kept as they are in the database: read by store/registry_loader.h,
 * the index of the areas built by a worker thread and exchanged when it is finished.
 */
#ifndef MOBEYE_ATLAS_H
#define MOBEYE_ATLAS_H

#include "alert/registry.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "enrich/areas.h"

struct atlas;

/* Calls back from the loop, when atlas_usable() has become true, or what is used is newer; not atlas_free() in it. */
typedef void (*atlas_fn)(void *ctx);

/* Begins to connect to the database of the configuration, which is not kept. */
struct atlas *atlas_new(struct loop *loop, const struct conf *conf, atlas_fn current, void *ctx);
void atlas_free(struct atlas **atlas); /* waits for the worker; safe on NULL */

void atlas_reload(struct atlas *atlas, const struct conf *conf);

/* The writer's connection came up or went down. While it is down the writer tells why, and the atlas does not. */
void atlas_database_up(struct atlas *atlas, bool up);

/* Registry and areas are loaded, and nothing newer is known of. */
bool atlas_current(const struct atlas *atlas);

/* The same, but for areas that are read already and still being built. */
bool atlas_usable(const struct atlas *atlas);

/* A transaction has seen other versions than those of the last batch: not current until what is newer is here. Where
 * that happens again and again, the next look takes its time. */
void atlas_stale(struct atlas *atlas);

/* A batch was stored: the versions are those of the database. */
void atlas_confirmed(struct atlas *atlas);

/* The atlas's own; the set may be another after each turn of the loop. Only where atlas_current(). */
struct registry *atlas_registry(struct atlas *atlas);
const struct area_set *atlas_areas(const struct atlas *atlas);
uint64_t atlas_areas_version(const struct atlas *atlas);

/* About how much memory all of it takes. */
size_t atlas_bytes(const struct atlas *atlas);

/* Writes the gauges of registry and areas. */
void atlas_gauges(const struct atlas *atlas, struct metrics *metrics);

/* For people: "loaded", or why it is not. */
const char *atlas_state(const struct atlas *atlas);

#endif
