#include "ctl/rules/memory_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "enrich/correlate.h"
#include "model/distance.h"

void memory_store_init(struct memory_store *store)
{
    *store = (struct memory_store){.arena = batch_new(1)};
}

void memory_store_free(struct memory_store *store)
{
    incident_set_free(&store->set);
    free(store->state);
    free(store->raises);
    free(store->teams);
    batch_free(&store->arena);
}

const char *memory_status_word(enum memory_status status)
{
    static const char *const words[] = {[MEMORY_NEW] = "new",           [MEMORY_ACKNOWLEDGED] = "acknowledged",
                                        [MEMORY_ASSIGNED] = "assigned", [MEMORY_ON_SCENE] = "on_scene",
                                        [MEMORY_CLOSED] = "closed",     [MEMORY_REOPENED] = "reopened"};
    return words[status];
}

static void begin_state(struct memory_store *store, size_t i, int64_t now_us)
{
    if (i >= store->cap_state) {
        store->cap_state = store->set.cap_incidents;
        store->state = mem_realloc(store->state, store->cap_state, sizeof(*store->state));
    }
    store->state[i] = (struct memory_state){
        .status = MEMORY_NEW, .waiting_us = now_us, .overdue_us = ALERT_NO_TIME, .merged_into = NO_INCIDENT};
}

size_t memory_store_add(struct memory_store *store, int64_t now_us)
{
    size_t i = incident_set_add(&store->set);
    store->set.incidents[i].id = i + 1;
    begin_state(store, i, now_us);
    return i;
}

void memory_store_close(struct memory_store *store, size_t i, const char *outcome, bool by_person, int64_t now_us)
{
    struct incident *incident = &store->set.incidents[i];
    if (store->state[i].status == MEMORY_CLOSED)
        return;
    store->state[i].status = MEMORY_CLOSED;
    store->state[i].outcome = outcome;
    incident->closed = true;
    incident->by_person = by_person;
    incident->accepting = false;
    incident->closed_us = now_us;
}

static const struct alert_areas *keep_areas(struct batch *arena, const struct alert_areas *areas)
{
    if (!areas)
        return NULL;
    struct alert_areas *copy = batch_copy(arena, areas, sizeof(*areas) + areas->n * sizeof(areas->area[0]));
    for (size_t i = 0; i < areas->n; i++) {
        copy->area[i].layer = batch_copy_str(arena, areas->area[i].layer);
        copy->area[i].code = batch_copy_str(arena, areas->area[i].code);
    }
    return copy;
}

struct str memory_store_team_of(const struct memory_store *store, const struct alert_areas *areas)
{
    for (size_t i = 0; areas && i < areas->n; i++)
        for (size_t t = 0; t < store->n_teams; t++)
            if (str_eq(store->teams[t].layer, areas->area[i].layer) &&
                str_eq(store->teams[t].code, areas->area[i].code))
                return store->teams[t].team;
    return (struct str){0};
}

static void take_in(struct memory_store *store, size_t i, int64_t now_us)
{
    struct incident *incident = &store->set.incidents[i];
    incident->id = i + 1;
    incident->device = batch_copy_str(store->arena, incident->device);
    incident->terms.rule = batch_copy_str(store->arena, incident->terms.rule);
    incident->terms.team = batch_copy_str(store->arena, incident->terms.team);
    if (incident->terms.team.len == 0)
        incident->terms.team = memory_store_team_of(store, incident->areas);
    begin_state(store, i, now_us);
}

/* The position of the raise: after all that did not occur later than it. */
static size_t raise_place(const struct memory_store *store, int64_t occurred_us)
{
    size_t low = 0, high = store->n_raises;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (store->raises[middle].occurred_us <= occurred_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void note_raise(struct memory_store *store, const struct alert *alert)
{
    if (store->n_raises == store->cap_raises) {
        store->cap_raises = store->cap_raises ? 2 * store->cap_raises : 256;
        store->raises = mem_realloc(store->raises, store->cap_raises, sizeof(*store->raises));
    }
    size_t at = raise_place(store, alert->occurred_us);
    struct memory_raise *raise = &store->raises[at];
    memmove(raise + 1, raise, (store->n_raises++ - at) * sizeof(*raise));
    *raise = (struct memory_raise){.incident = alert->incident,
                                   .device = batch_copy_str(store->arena, alert->device),
                                   .input = alert->input,
                                   .occurred_us = alert->occurred_us,
                                   .placed = alert->place.source != LOCATION_NONE,
                                   .lon = alert->place.lon,
                                   .lat = alert->place.lat};
}

static void verify_incident(struct memory_store *store, size_t i, const char *how)
{
    struct incident *incident = &store->set.incidents[i];
    int priority = incident->terms.verify_priority;
    if (incident->verified || incident->closed)
        return;
    incident->verified = true;
    store->state[i].verified_by = how;
    if (priority > 0 && priority < incident->priority)
        incident->priority = priority;
}

/* Lets raise b verify the incident of raise a, if they agree. */
static void verify_if_near(struct memory_store *store, const struct memory_raise *a, const struct memory_raise *b)
{
    const struct incident_terms *terms = &store->set.incidents[a->incident].terms;
    int64_t apart_us = llabs(a->occurred_us - b->occurred_us);
    if (terms->verify_within_us == 0 || apart_us > terms->verify_within_us)
        return;
    if (str_eq(a->device, b->device)) {
        if (a->incident == b->incident && a->input != ALERT_NO_INT && b->input != ALERT_NO_INT && a->input != b->input)
            verify_incident(store, a->incident, "second_input");
    } else if (terms->verify_radius_m > 0 && a->placed && b->placed &&
               distance_m(a->lon, a->lat, b->lon, b->lat) <= terms->verify_radius_m) {
        verify_incident(store, a->incident, "second_device");
    }
}

/* Checks the raises near the time of a raise against it, those of the same device first. */
static void verify_around(struct memory_store *store, const struct alert *alert, int64_t reach_us)
{
    for (int devices = 0; devices < 2; devices++)
        for (size_t i = raise_place(store, alert->occurred_us - reach_us - 1);
             i < store->n_raises && store->raises[i].occurred_us <= alert->occurred_us + reach_us; i++) {
            const struct memory_raise *other = &store->raises[i];
            struct memory_raise ours = {.incident = alert->incident,
                                        .device = alert->device,
                                        .input = alert->input,
                                        .occurred_us = alert->occurred_us,
                                        .placed = alert->place.source != LOCATION_NONE,
                                        .lon = alert->place.lon,
                                        .lat = alert->place.lat};
            if (str_eq(other->device, alert->device) == (devices == 1))
                continue;
            verify_if_near(store, &ours, other);
            verify_if_near(store, other, &ours);
        }
}

static int64_t longest_reach_us(const struct memory_store *store)
{
    int64_t reach_us = 0;
    for (size_t i = 0; i < store->set.n_incidents; i++)
        if (store->set.incidents[i].terms.verify_within_us > reach_us)
            reach_us = store->set.incidents[i].terms.verify_within_us;
    return reach_us;
}

static bool is_alarm_raise(const struct memory_store *store, const struct alert *alert)
{
    return alert->incident != NO_INCIDENT && alert->phase == PHASE_RAISE && !alert->drill &&
           store->set.incidents[alert->incident].terms.category == CATEGORY_ALARM;
}

static void verify_batch(struct memory_store *store, const struct batch *batch)
{
    int64_t reach_us = longest_reach_us(store);
    for (size_t i = 0; i < batch->n; i++)
        if (is_alarm_raise(store, &batch->rows[i].alert))
            note_raise(store, &batch->rows[i].alert);
    for (size_t i = 0; i < batch->n; i++)
        if (is_alarm_raise(store, &batch->rows[i].alert))
            verify_around(store, &batch->rows[i].alert, reach_us);
}

/* Applies the changes that the correlation made to an incident. */
static void apply_correlation(struct memory_store *store, size_t i, int64_t now_us)
{
    struct incident *incident = &store->set.incidents[i];
    if (incident->fresh)
        take_in(store, i, now_us);
    if (incident->areas != store->state[i].areas)
        incident->areas = store->state[i].areas = keep_areas(store->arena, incident->areas);
    if (incident->verified && !store->state[i].verified_by)
        store->state[i].verified_by = "second_input";
    if (incident->restored)
        memory_store_close(store, i, "restored", false, now_us);
    incident->fresh = incident->changed = incident->joined = incident->raised = incident->restored = false;
}

void memory_store_batch(struct memory_store *store, struct batch *batch, int64_t now_us)
{
    uint8_t *all = mem_zalloc(batch->n);
    for (size_t i = 0; i < batch->n; i++)
        all[i] = !batch->rows[i].unreadable;
    correlate(&store->set, batch, all);
    free(all);
    for (size_t i = 0; i < store->set.n_incidents; i++)
        if (store->set.incidents[i].changed)
            apply_correlation(store, i, now_us);
    for (size_t i = 0; i < store->set.n_conditions; i++)
        store->set.conditions[i].fresh = store->set.conditions[i].changed = false;
    verify_batch(store, batch);
}
