/*
 * What an alert is enriched with, as the daemon does it, for a verb that has a database and a configuration.
 */
#ifndef MOBEYE_CTL_LIB_ENRICH_CONTEXT_H
#define MOBEYE_CTL_LIB_ENRICH_CONTEXT_H

#include <libpq-fe.h>

#include "base/err.h"
#include "enrich/enrich.h"

struct known {
    struct enrich_context around;
    struct enrich *enrich;
    struct registry *registry;
    struct area_set *areas;
    struct batch *batch; /* what the last alert was given */
};

/* Reads the registry and the areas, blocking. -1: err says why not; there is nothing to free. */
int enrich_tool_load(struct known *known, PGconn *conn, const struct conf *conf, struct err *err);

/* Of a registry without devices, and no areas. */
void enrich_tool_empty(struct known *known, const struct conf *conf);

void enrich_tool_free(struct known *known);

void enrich_tool_enrich_batch(struct known *known, struct batch *batch);

/* A struct known. What the alert is given lives until the next one. */
void enrich_tool_enrich(void *known, struct alert *alert);

#endif
