#include "enrich/enrich.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "enrich/device.h"
#include "enrich/incident_key.h"
#include "enrich/location.h"
#include "enrich/rules.h"

struct enrich {
    struct enrich_context context;
    struct batch *batch;
    struct area_memo *memo;
    struct key_memo *keys;
    struct kept_rule *rules; /* as the configuration's */
    size_t n_rules;
};

/* The parts of a rule copied into the batch. */
struct kept_rule {
    struct str name; /* empty: nothing yet */
    const struct incident_terms *terms;
};

struct enrich *enrich_new(void)
{
    struct enrich *e = mem_zalloc(sizeof(*e));
    e->memo = area_memo_new();
    e->keys = key_memo_new();
    return e;
}

void enrich_free(struct enrich **enrich)
{
    struct enrich *e = *enrich;
    *enrich = NULL;
    if (!e)
        return;
    area_memo_free(&e->memo);
    key_memo_free(&e->keys);
    free(e->rules);
    free(e);
}

void enrich_begin(struct enrich *e, const struct enrich_context *context, struct batch *batch)
{
    e->context = *context;
    e->batch = batch;
    area_memo_clear(e->memo);
    if (e->n_rules < context->conf->n_rules) {
        e->n_rules = context->conf->n_rules;
        e->rules = mem_realloc(e->rules, e->n_rules, sizeof(*e->rules));
    }
    for (size_t i = 0; i < e->n_rules; i++)
        e->rules[i] = (struct kept_rule){0};
    batch->registry_version = context->registry->version;
    batch->areas_version = context->areas_version;
}

static const struct incident_terms *keep_terms(struct batch *batch, const struct conf_rule *rule, struct str name)
{
    if (!rule->makes_incident)
        return NULL;
    struct incident_terms *terms = batch_copy(batch, &rule->terms, sizeof(*terms));
    terms->rule = name;
    terms->team = batch_copy_str(batch, terms->team);
    return terms;
}

static const struct kept_rule *keep_rule(struct enrich *e, const struct conf_rule *rule)
{
    struct kept_rule *kept = &e->rules[rule - e->context.conf->rules];
    if (kept->name.len == 0) {
        kept->name = batch_copy_str(e->batch, str_from(rule->name));
        kept->terms = keep_terms(e->batch, rule, kept->name);
    }
    return kept;
}

/* The fix of an alert, which also applies to the device's later alerts, but not if it was taken at a secret placement.
 * false: none. */
static bool fix_of(const struct alert *alert, struct fix *ret)
{
    bool own_time = alert->fix_us != ALERT_NO_TIME;
    *ret = (struct fix){.at_us = own_time ? alert->fix_us : alert->occurred_us,
                        .lon = alert->lon,
                        .lat = alert->lat,
                        .accuracy_m = alert->accuracy_m,
                        .undated = !own_time && alert->flags & FLAG_CLOCK};
    return alert->place.source == LOCATION_MESSAGE && !alert->secret;
}

static void note_fix(struct registry *registry, const struct alert *alert)
{
    struct fix fix;
    if (fix_of(alert, &fix))
        registry_put_fix(registry, alert->device, &fix);
}

static void apply_rule(struct enrich *e, struct alert *alert)
{
    const struct conf_rule *rule = rules_match(e->context.conf, alert);
    const struct kept_rule *kept = rule ? keep_rule(e, rule) : &(struct kept_rule){0};
    alert->rule = kept->name;
    alert->terms = kept->terms;
    if (kept->terms)
        incident_key_of_rule(e->keys, alert, rule);
}

/* A device that moves leaves an area only by more than the accuracy of its fix, or noise would move it in and out.
 * All alerts at a secret placement get the placement's areas: those of many inexact fixes, which others may see, would
 * narrow down its location. */
static void find_areas(struct enrich *e, struct alert *alert, const struct placement *placement)
{
    alert->areas = NULL;
    if (alert->place.source == LOCATION_NONE)
        return;
    double lon = alert->secret_placement ? placement->lon : alert->place.lon;
    double lat = alert->secret_placement ? placement->lat : alert->place.lat;
    const struct device *device = alert->secret_placement || alert->place.source == LOCATION_PLACEMENT
                                      ? NULL
                                      : registry_find(e->context.registry, alert->device);
    if (device && device_is_settled(device, lon, lat, alert->place.accuracy_m)) {
        lon = device->settled_lon;
        lat = device->settled_lat;
    }
    alert->areas = areas_find(e->context.areas, e->memo, e->batch, lon, lat, alert->occurred_us);
}

void enrich_alert(struct enrich *e, struct alert *alert)
{
    const struct device *device = device_identify(e->context.registry, e->batch, alert);
    const struct placement *placement = location_set(alert, e->context.conf, device);
    note_fix(e->context.registry, alert);
    find_areas(e, alert, placement);
    incident_key_condition(e->keys, alert);
    apply_rule(e, alert);
}

static void settle_fixes(struct registry *registry, const struct batch *batch, const uint8_t *store, bool is_new)
{
    struct fix fix;
    for (size_t i = 0; i < batch->n; i++)
        if ((store[i] != 0) == is_new && !batch->rows[i].unreadable && fix_of(&batch->rows[i].alert, &fix) &&
            fix.undated)
            registry_settle_fix(registry, batch->rows[i].alert.device, &fix, is_new);
}

/* The new ones first: a repeated alert may have the time of receipt of a new one, whose fix then counts. */
void enrich_settle_fixes(struct registry *registry, const struct batch *batch, const uint8_t *store)
{
    settle_fixes(registry, batch, store, true);
    settle_fixes(registry, batch, store, false);
}
