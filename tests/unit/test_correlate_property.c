/*
 * Guarantee: whatever alerts, and however two daemons' transactions interleave, each alert is in exactly one incident
 * or in none, and no two incidents of a key accept. In order of occurrence and without anyone working on them: the same
 * incidents as with one daemon.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"
#include "correlate_model.h"

#define MIN CLOCK_MINUTE

enum { RUNS = 150, ALERTS = 120, BATCH_MAX = 9 };

static const struct conf_rule rules[] = {
    {.group_by = GROUP_DEVICE, .terms = {.priority = 2, .gap_us = 30 * MIN, .settle_us = 5 * MIN, .moved_over_m = 150}},
    {.group_by = GROUP_KIND, .terms = {.priority = 1, .gap_us = 10 * MIN, .max_age_us = 25 * MIN}},
    {.group_by = GROUP_DEVICE | GROUP_INPUT,
     .terms = {.category = CATEGORY_SERVICE, .priority = 4, .gap_us = 60 * MIN}},
    {.group_by = GROUP_TRACK, .terms = {.priority = 3, .gap_us = 5 * MIN}},
};

static uint32_t state;

static unsigned roll(unsigned sides)
{
    state = state * 1664525 + 1013904223;
    return (state >> 10) % sides;
}

static struct alert random_alert(int64_t at_us)
{
    static const char *const devices[] = {"A", "B", "C"}, *const tracks[] = {"", "", "", "x", "y"};
    static const enum alert_kind kinds[] = {KIND_MOTION, KIND_POWER, KIND_PANIC};
    struct alert alert = {.device = str_from(devices[roll(3)]),
                          .kind = kinds[roll(16) == 0 ? 2 : roll(2)],
                          .phase = (enum alert_phase)(roll(3) ? PHASE_RAISE : roll(2) + 1),
                          .input = roll(3) ? (int32_t)roll(2) : ALERT_NO_INT,
                          .camera.track = str_from(tracks[roll(5)]),
                          .drill = roll(10) == 0,
                          .occurred_us = at_us,
                          .received_us = at_us,
                          .place.accuracy_m = NAN};
    if (roll(2)) {
        alert.place.source = LOCATION_MESSAGE;
        alert.place.lat = 52.2;
        alert.place.lon = 5.38 + roll(2) * 0.004;
    }
    if (alert.phase == PHASE_UPDATE && roll(4) == 0)
        alert.flags = FLAG_CANCEL;
    unsigned rule = roll(5);
    incident_key_condition(NULL, &alert);
    if (rule < 4) {
        alert.terms = &rules[rule].terms;
        incident_key_of_rule(NULL, &alert, &rules[rule]);
    }
    return alert;
}

/* Everything that happens, in order of occurrence. */
static void make_alerts(struct alert alerts[ALERTS])
{
    int64_t at_us = 0;
    for (size_t i = 0; i < ALERTS; i++)
        alerts[i] = random_alert(at_us += (int64_t)(1 + roll(roll(8) ? 6 : 50)) * MIN);
}

/* A daemon, somewhere in its transaction. */
struct daemon {
    struct transaction t;
    struct batch *batch;
    size_t alert[BATCH_MAX]; /* which they are */
    enum { BETWEEN, WAITS, HAS_READ } step;
};

struct world {
    struct model model;
    struct alert alerts[ALERTS];
    uint64_t joined[ALERTS]; /* incident ids */
    int stored[ALERTS];      /* how often */
    size_t order[ALERTS], next;
};

static void take_batch(struct world *world, struct daemon *daemon, size_t max)
{
    daemon->batch->n = 0;
    for (size_t n = 1 + roll((unsigned)max); n > 0 && world->next < ALERTS; n--) {
        size_t i = world->order[world->next++];
        daemon->alert[daemon->batch->n] = i;
        daemon->batch->rows[daemon->batch->n++].alert = world->alerts[i];
    }
    daemon->step = daemon->batch->n > 0 ? WAITS : BETWEEN;
}

static void read_and_fold(struct world *world, struct daemon *daemon)
{
    static const uint8_t all[ALERTS] = {[0 ... ALERTS - 1] = 1};
    if (!model_read(&world->model, &daemon->t, daemon->batch))
        return;
    correlate(&daemon->t.set, daemon->batch, all);
    daemon->step = HAS_READ;
}

static void store(struct world *world, struct daemon *daemon)
{
    daemon->step = WAITS; /* begins again where that fails */
    if (!model_store(&world->model, &daemon->t))
        return;
    for (size_t i = 0; i < daemon->batch->n; i++) {
        size_t incident = daemon->batch->rows[i].alert.incident;
        world->joined[daemon->alert[i]] = incident == NO_INCIDENT ? 0 : daemon->t.set.incidents[incident].id;
        world->stored[daemon->alert[i]]++;
    }
    daemon->step = BETWEEN;
}

static void step(struct world *world, struct daemon *daemon, size_t batch_max)
{
    if (daemon->step == BETWEEN)
        take_batch(world, daemon, batch_max);
    else if (daemon->step == WAITS)
        read_and_fold(world, daemon);
    else
        store(world, daemon);
}

/* Somebody closes an incident that no daemon is about to write. */
static void close_one(struct world *world)
{
    if (world->model.db.n_incidents == 0)
        return;
    size_t i = roll((unsigned)world->model.db.n_incidents);
    struct incident *incident = &world->model.db.incidents[i];
    if (world->model.locked_by[i] || incident->closed)
        return;
    incident->closed = true;
    incident->accepting = false;
    incident->by_person = roll(3) > 0;
    incident->closed_us = incident->last_received_us + roll(4) * MIN;
}

static void check_one_accepts(const struct incident_set *db, unsigned run)
{
    for (size_t i = 0; i < db->n_incidents; i++)
        for (size_t k = 0; k < i; k++)
            cr_assert(!(db->incidents[i].accepting && db->incidents[k].accepting &&
                        same(db->incidents[i].key, db->incidents[k].key)),
                      "run %u: incidents %zu and %zu of a key accept", run, k + 1, i + 1);
}

static void check_alerts(const struct world *world, unsigned run)
{
    for (size_t i = 0; i < ALERTS; i++) {
        const struct alert *alert = &world->alerts[i];
        cr_assert_eq(world->stored[i], 1, "run %u: alert %zu is stored %d times", run, i, world->stored[i]);
        bool must = alert->phase != PHASE_RESTORE && alert->terms && !(alert->flags & FLAG_CANCEL);
        cr_assert(!must || world->joined[i], "run %u: alert %zu is in no incident", run, i);
        if (!world->joined[i])
            continue;
        const struct incident *incident = &world->model.db.incidents[world->joined[i] - 1];
        cr_assert_eq(alert->drill, incident->drill, "run %u: alert %zu", run, i);
        cr_assert(alert->occurred_us >= incident->first_seen_us && alert->occurred_us <= incident->last_seen_us);
        bool hidden = alert->phase == PHASE_RAISE && alert->terms && alert->terms->category == CATEGORY_ALARM &&
                      incident->terms.category == CATEGORY_SERVICE;
        cr_assert_not(hidden, "run %u: alarm %zu is in service incident %zu", run, i, world->joined[i]);
    }
}

/* Every incident has an alert, and as many active conditions as it says. */
static void check_books(const struct world *world, unsigned run)
{
    const struct incident_set *db = &world->model.db;
    for (size_t i = 0; i < db->n_incidents; i++) {
        int active = 0, alerts = 0;
        for (size_t t = 0; t < db->n_conditions; t++)
            active += db->conditions[t].active && db->conditions[t].incident == i;
        for (size_t a = 0; a < ALERTS; a++)
            alerts += world->joined[a] == i + 1 && world->alerts[a].phase != PHASE_RESTORE &&
                      !(world->alerts[a].flags & FLAG_CANCEL);
        cr_assert(db->incidents[i].active == active, "run %u: incident %zu has %d active, says %d", run, i + 1, active,
                  db->incidents[i].active);
        cr_assert(db->incidents[i].alert_count > 0 && db->incidents[i].alert_count <= alerts, "run %u", run);
    }
}

static void begin(struct world *world, struct daemon daemons[2], unsigned run)
{
    *world = (struct world){.next = 0};
    state = run * 7919 + 1;
    make_alerts(world->alerts);
    for (size_t i = 0; i < ALERTS; i++)
        world->order[i] = i;
    for (int d = 0; d < 2; d++)
        daemons[d] = (struct daemon){.t.number = d + 1, .batch = batch_new(ALERTS)};
}

static void end(struct world *world, struct daemon daemons[2])
{
    for (int d = 0; d < 2; d++) {
        batch_free(&daemons[d].batch);
        incident_set_free(&daemons[d].t.set);
    }
    model_free(&world->model);
}

/* Alerts come up to a dozen places too early or too late. */
static void disorder(struct world *world)
{
    for (size_t i = 0; i < ALERTS; i++) {
        size_t with = i + roll(12) < ALERTS ? i + roll(12) : i;
        with = with < ALERTS ? with : i;
        size_t kept = world->order[i];
        world->order[i] = world->order[with];
        world->order[with] = kept;
    }
}

static bool busy(const struct world *world, const struct daemon daemons[2])
{
    return world->next < ALERTS || daemons[0].step != BETWEEN || daemons[1].step != BETWEEN;
}

static void interleave(bool with_people)
{
    static struct world world;
    struct daemon daemons[2];
    for (unsigned run = 0; run < RUNS; run++) {
        begin(&world, daemons, run);
        disorder(&world);
        while (busy(&world, daemons)) {
            step(&world, &daemons[roll(2)], BATCH_MAX);
            check_one_accepts(&world.model.db, run);
            if (with_people && roll(20) == 0)
                close_one(&world);
        }
        check_alerts(&world, run);
        check_books(&world, run);
        end(&world, daemons);
    }
}

Test(fold_property, two_daemons_in_any_interleaving)
{
    interleave(false);
}

Test(fold_property, with_people_closing_in_between)
{
    interleave(true);
}

/* All of a daemon's transaction at once: so the alerts are stored in order of occurrence. */
static void apply_in_order(struct world *world, struct daemon *daemon, size_t batch_max)
{
    take_batch(world, daemon, batch_max);
    while (daemon->step != BETWEEN)
        step(world, daemon, batch_max);
}

static void check_same(const struct world *one, const struct world *two, unsigned run)
{
    cr_assert_eq(one->model.db.n_incidents, two->model.db.n_incidents, "run %u", run);
    for (size_t i = 0; i < ALERTS; i++)
        cr_assert_eq(one->joined[i], two->joined[i], "run %u: alert %zu", run, i);
    for (size_t i = 0; i < one->model.db.n_incidents; i++) {
        const struct incident *a = &one->model.db.incidents[i], *b = &two->model.db.incidents[i];
        cr_assert(same(a->key, b->key) && a->accepting == b->accepting && a->closed == b->closed &&
                      a->alert_count == b->alert_count && a->active == b->active && a->flaps == b->flaps &&
                      a->priority == b->priority && a->restored_us == b->restored_us && a->place.lon == b->place.lon &&
                      a->first_seen_us == b->first_seen_us && a->last_seen_us == b->last_seen_us,
                  "run %u: incident %zu", run, i + 1);
    }
}

Test(fold_property, in_order_the_same_incidents_as_one_daemon_makes_of_one_batch)
{
    static struct world one, two;
    struct daemon alone[2], both[2];
    for (unsigned run = 0; run < RUNS; run++) {
        begin(&one, alone, run);
        begin(&two, both, run);
        alone[0].step = WAITS;
        for (size_t i = 0; i < ALERTS; i++)
            alone[0].batch->rows[alone[0].batch->n++].alert = one.alerts[i];
        one.next = ALERTS;
        static const uint8_t all[ALERTS] = {[0 ... ALERTS - 1] = 1};
        cr_assert(model_read(&one.model, &alone[0].t, alone[0].batch));
        correlate(&alone[0].t.set, alone[0].batch, all);
        cr_assert(model_store(&one.model, &alone[0].t));
        for (size_t i = 0; i < ALERTS; i++) {
            size_t incident = alone[0].batch->rows[i].alert.incident;
            one.joined[i] = incident == NO_INCIDENT ? 0 : alone[0].t.set.incidents[incident].id;
        }
        while (two.next < ALERTS)
            apply_in_order(&two, &both[roll(2)], BATCH_MAX);
        check_same(&one, &two, run);
        check_books(&two, run);
        end(&one, alone);
        end(&two, both);
    }
}
