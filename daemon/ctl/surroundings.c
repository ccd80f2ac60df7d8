#include "ctl/surroundings.h"

#include "store/registry_rows.h"

int known_load(struct known *known, PGconn *conn, const struct conf *conf, struct err *err)
{
    struct registry *registry = registry_new();
    struct area_rows *rows = area_rows_new();
    int rc = registry_read(conn, registry, rows, err);
    if (rc == 0) {
        *known = (struct known){
            .enrich = enrich_new(), .registry = registry, .areas = area_set_build(rows), .batch = batch_new(1)};
        known->around = (struct surroundings){
            .conf = conf, .registry = registry, .areas = known->areas, .areas_version = rows->version};
    } else {
        registry_free(&registry);
    }
    area_rows_free(&rows);
    return rc;
}

void known_free(struct known *known)
{
    enrich_free(&known->enrich);
    area_set_free(&known->areas);
    registry_free(&known->registry);
    batch_free(&known->batch);
}

void known_enrich(void *arg, struct alert *alert)
{
    struct known *known = arg;
    batch_clear(known->batch);
    enrich_begin(known->enrich, &known->around, known->batch);
    enrich_alert(known->enrich, alert);
}
