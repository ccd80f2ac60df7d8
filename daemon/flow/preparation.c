#include "flow/preparation.h"

#include <stdlib.h>

#include "base/mem.h"
#include "enrich/enrich.h"
#include "model/record.h"

/* Alerts per step: about a millisecond. */
#define STEP_ALERTS 512

struct preparation {
    struct reference_data *reference;
    const struct conf *conf;
    struct enrich *enrich;
    struct batch *batch;           /* NULL: none */
    size_t done;                   /* rows enriched so far, with `context` */
    struct enrich_context context; /* valid if done > 0 */
};

struct preparation *preparation_new(struct reference_data *reference, const struct conf *conf)
{
    struct preparation *p = mem_zalloc(sizeof(*p));
    p->reference = reference;
    p->conf = conf;
    p->enrich = enrich_new();
    return p;
}

void preparation_free(struct preparation **preparation)
{
    struct preparation *p = *preparation;
    *preparation = NULL;
    if (!p)
        return;
    batch_free(&p->batch);
    enrich_free(&p->enrich);
    free(p);
}

void preparation_reload(struct preparation *p, const struct conf *conf)
{
    p->conf = conf;
    p->done = 0;
}

void preparation_begin(struct preparation *p, struct batch *batch)
{
    p->batch = batch;
    p->done = 0;
}

bool preparation_busy(const struct preparation *p)
{
    return p->batch != NULL;
}

static bool is_current(const struct preparation *p, const struct enrich_context *now)
{
    return p->done > 0 && now->registry == p->context.registry && now->areas == p->context.areas &&
           now->areas_version == p->context.areas_version && now->registry->version == p->batch->registry_version;
}

static void refresh_context(struct preparation *p)
{
    const struct enrich_context now = {
        .conf = p->conf,
        .registry = reference_data_registry(p->reference),
        .areas = reference_data_areas(p->reference),
        .areas_version = reference_data_areas_version(p->reference),
    };
    if (is_current(p, &now))
        return;
    p->done = 0;
    p->context = now;
    /* What an interrupted preparation added: there is no limit to how often it restarts while the batch waits. */
    arena_clear(&p->batch->arena);
    enrich_begin(p->enrich, &now, p->batch);
}

static void prepare_row(struct preparation *p, struct batch_row *row)
{
    uint64_t seq = row->alert.seq, checksum = row->alert.checksum;
    if (!row->unreadable && record_unpack(row->record, &row->alert, NULL) != 0)
        row->unreadable = "damaged record, or unsupported record version";
    row->alert.seq = seq;
    row->alert.checksum = checksum;
    if (!row->unreadable)
        enrich_alert(p->enrich, &row->alert);
}

bool preparation_step(struct preparation *p)
{
    refresh_context(p);
    size_t stop = p->batch->n - p->done > STEP_ALERTS ? p->done + STEP_ALERTS : p->batch->n;
    for (; p->done < stop; p->done++)
        prepare_row(p, &p->batch->rows[p->done]);
    return p->done == p->batch->n;
}

struct batch *preparation_take(struct preparation *p)
{
    struct batch *batch = p->batch;
    p->batch = NULL;
    return batch;
}
