/*
 * Enriches alerts as the daemon does, for a verb that has a configuration and, usually, a database.
 */
#ifndef MOBEYE_CTL_LIB_ENRICH_TOOL_H
#define MOBEYE_CTL_LIB_ENRICH_TOOL_H

#include <libpq-fe.h>

#include "base/err.h"
#include "enrich/enrich.h"

struct enrich_tool {
    struct enrich_context context;
    struct enrich *enrich;
    struct registry *registry;
    struct area_set *areas;
    struct batch *batch; /* memory of what the last alert was enriched with */
};

/* Reads the registry and the areas, blocking. -1 with err set; then there is nothing to free. */
int enrich_tool_load(struct enrich_tool *tool, PGconn *conn, const struct conf *conf, struct err *err);

/* Starts with an empty registry and no areas. */
void enrich_tool_empty(struct enrich_tool *tool, const struct conf *conf);

void enrich_tool_free(struct enrich_tool *tool);

void enrich_tool_enrich_batch(struct enrich_tool *tool, struct batch *batch);

/* `tool` is a struct enrich_tool. What the alert is enriched with is valid until the next call. */
void enrich_tool_enrich(void *tool, struct alert *alert);

#endif
