#include "ctl/lib/enrich_context.h"

#include "store/registry_rows.h"

/* Takes the registry. */
static void begin(struct known *known, const struct conf *conf, struct registry *registry, const struct area_rows *rows)
{
    *known = (struct known){
        .enrich = enrich_new(), .registry = registry, .areas = area_set_build(rows), .batch = batch_new(1)};
    known->around = (struct enrich_context){
        .conf = conf, .registry = registry, .areas = known->areas, .areas_version = rows->version};
}

int enrich_tool_load(struct known *known, PGconn *conn, const struct conf *conf, struct err *err)
{
    struct registry *registry = registry_new();
    struct area_rows *rows = area_rows_new();
    int rc = registry_read(conn, registry, rows, err);
    if (rc == 0)
        begin(known, conf, registry, rows);
    else
        registry_free(&registry);
    area_rows_free(&rows);
    return rc;
}

void enrich_tool_empty(struct known *known, const struct conf *conf)
{
    struct area_rows *rows = area_rows_new();
    begin(known, conf, registry_new(), rows);
    area_rows_free(&rows);
}

void enrich_tool_free(struct known *known)
{
    enrich_free(&known->enrich);
    area_set_free(&known->areas);
    registry_free(&known->registry);
    batch_free(&known->batch);
}

void enrich_tool_enrich_batch(struct known *known, struct batch *batch)
{
    enrich_begin(known->enrich, &known->around, batch);
    for (size_t i = 0; i < batch->n; i++)
        enrich_alert(known->enrich, &batch->rows[i].alert);
}

void enrich_tool_enrich(void *arg, struct alert *alert)
{
    struct known *known = arg;
    batch_clear(known->batch);
    enrich_begin(known->enrich, &known->around, known->batch);
    enrich_alert(known->enrich, alert);
}
