#include "ctl/scratch.h"

#include <stdlib.h>
#include <string.h>

#include "alert/distance.h"
#include "base/mem.h"
#include "enrich/fold.h"

void scratch_init(struct scratch *scratch)
{
    *scratch = (struct scratch){.kept = batch_new(1)};
}

void scratch_free(struct scratch *scratch)
{
    book_free(&scratch->book);
    free(scratch->state);
    free(scratch->raises);
    free(scratch->teams);
    batch_free(&scratch->kept);
}

static void begin_state(struct scratch *scratch, size_t i, int64_t now_us)
{
    if (i >= scratch->cap_state) {
        scratch->cap_state = scratch->book.cap_incidents;
        scratch->state = mem_realloc(scratch->state, scratch->cap_state, sizeof(*scratch->state));
    }
    scratch->state[i] = (struct scratch_state){
        .status = "new", .created_us = now_us, .overdue_us = ALERT_NO_TIME, .merged_into = NO_INCIDENT};
}

size_t scratch_add(struct scratch *scratch, int64_t now_us)
{
    size_t i = book_add_incident(&scratch->book);
    scratch->book.incidents[i].id = i + 1;
    begin_state(scratch, i, now_us);
    return i;
}

void scratch_close(struct scratch *scratch, size_t i, const char *outcome, bool by_person, int64_t now_us)
{
    struct incident *incident = &scratch->book.incidents[i];
    if (strcmp(scratch->state[i].status, "closed") == 0)
        return;
    scratch->state[i].status = "closed";
    scratch->state[i].outcome = outcome;
    incident->closed = true;
    incident->by_person = by_person;
    incident->accepting = false;
    incident->closed_us = now_us;
}

static const struct alert_areas *keep_areas(struct batch *kept, const struct alert_areas *areas)
{
    if (!areas)
        return NULL;
    struct alert_areas *copy = batch_keep(kept, areas, sizeof(*areas) + areas->n * sizeof(areas->area[0]));
    for (size_t i = 0; i < areas->n; i++) {
        copy->area[i].layer = batch_keep_str(kept, areas->area[i].layer);
        copy->area[i].code = batch_keep_str(kept, areas->area[i].code);
    }
    return copy;
}

struct str scratch_team_of(const struct scratch *scratch, const struct alert_areas *areas)
{
    for (size_t i = 0; areas && i < areas->n; i++)
        for (size_t t = 0; t < scratch->n_teams; t++)
            if (str_eq(scratch->teams[t].layer, areas->area[i].layer) &&
                str_eq(scratch->teams[t].code, areas->area[i].code))
                return scratch->teams[t].team;
    return (struct str){0};
}

static void take_in(struct scratch *scratch, size_t i, int64_t now_us)
{
    struct incident *incident = &scratch->book.incidents[i];
    incident->id = i + 1;
    incident->device = batch_keep_str(scratch->kept, incident->device);
    incident->terms.rule = batch_keep_str(scratch->kept, incident->terms.rule);
    incident->terms.team = batch_keep_str(scratch->kept, incident->terms.team);
    if (incident->terms.team.len == 0)
        incident->terms.team = scratch_team_of(scratch, incident->areas);
    begin_state(scratch, i, now_us);
}

/* Where the raise belongs: behind all that occurred no later. */
static size_t raise_place(const struct scratch *scratch, int64_t occurred_us)
{
    size_t low = 0, high = scratch->n_raises;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scratch->raises[middle].occurred_us <= occurred_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void note_raise(struct scratch *scratch, const struct alert *alert)
{
    if (scratch->n_raises == scratch->cap_raises) {
        scratch->cap_raises = scratch->cap_raises ? 2 * scratch->cap_raises : 256;
        scratch->raises = mem_realloc(scratch->raises, scratch->cap_raises, sizeof(*scratch->raises));
    }
    size_t at = raise_place(scratch, alert->occurred_us);
    struct scratch_raise *raise = &scratch->raises[at];
    memmove(raise + 1, raise, (scratch->n_raises++ - at) * sizeof(*raise));
    *raise = (struct scratch_raise){.incident = alert->incident,
                                    .device = batch_keep_str(scratch->kept, alert->device),
                                    .input = alert->input,
                                    .occurred_us = alert->occurred_us,
                                    .placed = alert->location_source != LOCATION_NONE,
                                    .lon = alert->place_lon,
                                    .lat = alert->place_lat};
}

static void verify(struct scratch *scratch, size_t i, const char *how)
{
    struct incident *incident = &scratch->book.incidents[i];
    int priority = incident->terms.verify_priority;
    if (incident->verified || incident->closed)
        return;
    incident->verified = true;
    scratch->state[i].verified_by = how;
    if (priority > 0 && priority < incident->priority)
        incident->priority = priority;
}

/* Does raise b verify the incident of a? */
static void agree(struct scratch *scratch, const struct scratch_raise *a, const struct scratch_raise *b)
{
    const struct incident_terms *terms = &scratch->book.incidents[a->incident].terms;
    int64_t apart_us = llabs(a->occurred_us - b->occurred_us);
    if (terms->verify_within_us == 0 || apart_us > terms->verify_within_us)
        return;
    if (str_eq(a->device, b->device)) {
        if (a->incident == b->incident && a->input != ALERT_NO_INT && b->input != ALERT_NO_INT && a->input != b->input)
            verify(scratch, a->incident, "second_input");
    } else if (terms->verify_radius_m > 0 && a->placed && b->placed &&
               distance_m(a->lon, a->lat, b->lon, b->lat) <= terms->verify_radius_m) {
        verify(scratch, a->incident, "second_device");
    }
}

/* All that occurred near the time of a raise, by inputs first. */
static void verify_around(struct scratch *scratch, const struct alert *alert, int64_t reach_us)
{
    for (int devices = 0; devices < 2; devices++)
        for (size_t i = raise_place(scratch, alert->occurred_us - reach_us - 1);
             i < scratch->n_raises && scratch->raises[i].occurred_us <= alert->occurred_us + reach_us; i++) {
            const struct scratch_raise *other = &scratch->raises[i];
            struct scratch_raise ours = {.incident = alert->incident,
                                         .device = alert->device,
                                         .input = alert->input,
                                         .occurred_us = alert->occurred_us,
                                         .placed = alert->location_source != LOCATION_NONE,
                                         .lon = alert->place_lon,
                                         .lat = alert->place_lat};
            if (str_eq(other->device, alert->device) == (devices == 1))
                continue;
            agree(scratch, &ours, other);
            agree(scratch, other, &ours);
        }
}

static int64_t longest_reach_us(const struct scratch *scratch)
{
    int64_t reach_us = 0;
    for (size_t i = 0; i < scratch->book.n_incidents; i++)
        if (scratch->book.incidents[i].terms.verify_within_us > reach_us)
            reach_us = scratch->book.incidents[i].terms.verify_within_us;
    return reach_us;
}

static bool is_alarm_raise(const struct scratch *scratch, const struct alert *alert)
{
    return alert->incident != NO_INCIDENT && alert->phase == PHASE_RAISE && !alert->drill &&
           scratch->book.incidents[alert->incident].terms.category == CATEGORY_ALARM;
}

static void verify_batch(struct scratch *scratch, const struct batch *batch)
{
    int64_t reach_us = longest_reach_us(scratch);
    for (size_t i = 0; i < batch->n; i++)
        if (is_alarm_raise(scratch, &batch->rows[i].alert))
            note_raise(scratch, &batch->rows[i].alert);
    for (size_t i = 0; i < batch->n; i++)
        if (is_alarm_raise(scratch, &batch->rows[i].alert))
            verify_around(scratch, &batch->rows[i].alert, reach_us);
}

/* What the fold left at an incident. */
static void settle(struct scratch *scratch, size_t i, int64_t now_us)
{
    struct incident *incident = &scratch->book.incidents[i];
    if (incident->fresh)
        take_in(scratch, i, now_us);
    if (incident->areas != scratch->state[i].areas)
        incident->areas = scratch->state[i].areas = keep_areas(scratch->kept, incident->areas);
    if (incident->verified && !scratch->state[i].verified_by)
        scratch->state[i].verified_by = "second_input";
    if (incident->restored)
        scratch_close(scratch, i, "restored", false, now_us);
    incident->fresh = incident->changed = incident->joined = incident->raised = incident->restored = false;
}

void scratch_store(struct scratch *scratch, struct batch *batch, int64_t now_us)
{
    uint8_t *all = mem_zalloc(batch->n);
    for (size_t i = 0; i < batch->n; i++)
        all[i] = !batch->rows[i].unreadable;
    fold(&scratch->book, batch, all);
    free(all);
    for (size_t i = 0; i < scratch->book.n_incidents; i++)
        if (scratch->book.incidents[i].changed)
            settle(scratch, i, now_us);
    for (size_t i = 0; i < scratch->book.n_threads; i++)
        scratch->book.threads[i].fresh = scratch->book.threads[i].changed = false;
    verify_batch(scratch, batch);
}
