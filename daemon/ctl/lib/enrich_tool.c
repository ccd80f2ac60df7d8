#include "ctl/lib/enrich_tool.h"

#include "store/registry_rows.h"

/* Takes ownership of the registry. */
static void init_tool(struct enrich_tool *tool, const struct conf *conf, struct registry *registry,
                      const struct area_rows *rows)
{
    *tool = (struct enrich_tool){
        .enrich = enrich_new(), .registry = registry, .areas = area_set_build(rows), .batch = batch_new(1)};
    tool->context = (struct enrich_context){
        .conf = conf, .registry = registry, .areas = tool->areas, .areas_version = rows->version};
}

int enrich_tool_load(struct enrich_tool *tool, PGconn *conn, const struct conf *conf, struct err *err)
{
    struct registry *registry = registry_new();
    struct area_rows *rows = area_rows_new();
    int rc = registry_read(conn, registry, rows, err);
    if (rc == 0)
        init_tool(tool, conf, registry, rows);
    else
        registry_free(&registry);
    area_rows_free(&rows);
    return rc;
}

void enrich_tool_empty(struct enrich_tool *tool, const struct conf *conf)
{
    struct area_rows *rows = area_rows_new();
    init_tool(tool, conf, registry_new(), rows);
    area_rows_free(&rows);
}

void enrich_tool_free(struct enrich_tool *tool)
{
    enrich_free(&tool->enrich);
    area_set_free(&tool->areas);
    registry_free(&tool->registry);
    batch_free(&tool->batch);
}

void enrich_tool_enrich_batch(struct enrich_tool *tool, struct batch *batch)
{
    enrich_begin(tool->enrich, &tool->context, batch);
    for (size_t i = 0; i < batch->n; i++)
        enrich_alert(tool->enrich, &batch->rows[i].alert);
}

void enrich_tool_enrich(void *arg, struct alert *alert)
{
    struct enrich_tool *tool = arg;
    batch_clear(tool->batch);
    enrich_begin(tool->enrich, &tool->context, tool->batch);
    enrich_alert(tool->enrich, alert);
}
