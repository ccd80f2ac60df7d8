/*
 * The memory backend: incidents in a memory store, with the actions of people and the maintenance that affect which
 * incident an alert joins. The database backend runs the real code; scenarios must have the same result in both.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/rules/memory_store.h"
#include "ctl/rules/scenario_backend.h"

#define UNATTENDED_US (7 * CLOCK_DAY)

/* Something that is supervised: a device of the fixture, or an endpoint of the configuration. */
struct supervised {
    struct str name;
    int64_t last_us;     /* receipt of its last alert; INT64_MIN: never */
    int64_t back_us;     /* endpoints only: when its last silence ended */
    struct str endpoint; /* devices only: the endpoint of its last alert */
    size_t silence;      /* the incident of its silence; NO_INCIDENT: it is not silent */
    bool merged;         /* that incident was merged into the endpoint's */
};

struct memory {
    struct fixture *fixture;
    struct memory_store store;
    struct supervised *devices;
    struct supervised *endpoints;
    size_t n_endpoints;
};

static struct supervised new_supervised(struct str name)
{
    return (struct supervised){.name = name, .last_us = INT64_MIN, .back_us = INT64_MIN, .silence = NO_INCIDENT};
}

static int memory_open_server(void **ret_server, const char *where, struct err *err)
{
    (void)where;
    (void)err;
    *ret_server = NULL;
    return 0;
}

static void memory_close_server(void *server)
{
    (void)server;
}

static int memory_begin(void **ret_backend, void *server, struct fixture *fixture, struct err *err)
{
    (void)server;
    (void)err;
    struct memory *m = mem_zalloc(sizeof(*m));
    m->fixture = fixture;
    memory_store_init(&m->store);
    m->devices = mem_zalloc(fixture->n_devices * sizeof(*m->devices));
    for (size_t i = 0; i < fixture->n_devices; i++)
        m->devices[i] = new_supervised(str_from(fixture->devices[i].device->id));
    m->n_endpoints = fixture->conf->n_endpoints;
    m->endpoints = mem_zalloc(m->n_endpoints * sizeof(*m->endpoints));
    for (size_t i = 0; i < m->n_endpoints; i++)
        m->endpoints[i] = new_supervised(batch_copy_str(m->store.arena, str_from(fixture->conf->endpoints[i].name)));
    m->store.teams = mem_zalloc(fixture->n_teams * sizeof(*m->store.teams));
    m->store.n_teams = fixture->n_teams;
    for (size_t i = 0; i < fixture->n_teams; i++)
        m->store.teams[i] = (struct memory_team){str_from(fixture->team_names[i]), str_from(fixture->teams[i]->layer),
                                                 str_from(fixture->teams[i]->code)};
    *ret_backend = m;
    return 0;
}

static void memory_end(void *backend)
{
    struct memory *m = backend;
    memory_store_free(&m->store);
    free(m->devices);
    free(m->endpoints);
    free(m);
}

static struct supervised *find_supervised(struct supervised *all, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, name))
            return &all[i];
    return NULL;
}

/* An alert was received again. */
static void end_silence(struct memory *m, struct supervised *supervised, int64_t received_us, int64_t now_us)
{
    if (supervised->silence == NO_INCIDENT)
        return;
    struct incident *incident = &m->store.set.incidents[supervised->silence];
    if (!incident->closed) {
        incident->restored_us = received_us;
        incident->active = 0;
    }
    memory_store_close(&m->store, supervised->silence, "restored", false, now_us);
    supervised->silence = NO_INCIDENT;
}

/* Ends the silence of a device; that of an endpoint ends in maintenance. */
static void note_alert(struct memory *m, const struct alert *alert, int64_t now_us)
{
    struct supervised *device = find_supervised(m->devices, m->fixture->n_devices, alert->device);
    struct supervised *endpoint = find_supervised(m->endpoints, m->n_endpoints, alert->endpoint);
    if (endpoint && alert->received_us > endpoint->last_us)
        endpoint->last_us = alert->received_us;
    if (!device)
        return;
    if (alert->received_us > device->last_us)
        device->last_us = alert->received_us;
    device->endpoint = endpoint ? endpoint->name : (struct str){0};
    device->merged = false;
    end_silence(m, device, alert->received_us, now_us);
}

static int memory_backend_store(void *backend, struct batch *batch, int daemon, int64_t now_us, uint64_t *ids,
                                struct err *err)
{
    (void)daemon;
    (void)err;
    struct memory *m = backend;
    memory_store_batch(&m->store, batch, now_us);
    for (size_t i = 0; i < batch->n; i++) {
        note_alert(m, &batch->rows[i].alert, now_us);
        ids[i] = batch->rows[i].alert.incident == NO_INCIDENT ? 0 : batch->rows[i].alert.incident + 1;
    }
    return 0;
}

static int refuse_action(const struct scenario_person *person, const struct memory_state *state, struct err *err)
{
    return err_set(err, "incident %zu is %s, which does not allow \"%s\"", person->incident,
                   memory_status_word(state->status), person->action);
}

static void reopen(struct memory *m, size_t i, int64_t now_us)
{
    struct incident_set *set = &m->store.set;
    bool taken = false;
    for (size_t k = 0; k < set->n_incidents; k++)
        taken = taken || (set->incidents[k].accepting &&
                          memcmp(set->incidents[k].key, set->incidents[i].key, INCIDENT_KEY_BYTES) == 0);
    set->incidents[i].closed = false;
    set->incidents[i].accepting = !taken;
    m->store.state[i].outcome = NULL;
    m->store.state[i].waiting_us = now_us;
}

#define IN(status)   (1u << MEMORY_##status)
#define WAITING      (IN(NEW) | IN(REOPENED))
#define BEFORE_SCENE (WAITING | IN(ACKNOWLEDGED) | IN(ASSIGNED))
#define OPEN         (BEFORE_SCENE | IN(ON_SCENE))

/* Each action of people, a bit for each status that allows it, and the new status. */
static const struct {
    const char *action;
    unsigned from;
    enum memory_status status; /* not of verify, which leaves it */
} person_steps[] = {
    {"acknowledge", WAITING, MEMORY_ACKNOWLEDGED}, {"assign", OPEN, MEMORY_ASSIGNED},
    {"on_scene", BEFORE_SCENE, MEMORY_ON_SCENE},   {"close", OPEN, MEMORY_CLOSED},
    {"reopen", IN(CLOSED), MEMORY_REOPENED},       {"verify", OPEN, 0},
};

static int memory_act(void *backend, const struct scenario_person *person, uint64_t id, int64_t now_us, struct err *err)
{
    struct memory *m = backend;
    size_t i = id - 1, s = 0;
    struct memory_state *state = &m->store.state[i];
    struct incident *incident = &m->store.set.incidents[i];
    while (strcmp(person_steps[s].action, person->action) != 0)
        s++;
    if (!(person_steps[s].from & 1u << state->status))
        return refuse_action(person, state, err);
    if (strcmp(person->action, "close") == 0) {
        memory_store_close(&m->store, i, person->outcome, true, now_us);
    } else if (strcmp(person->action, "verify") == 0) {
        incident->verified = true;
        state->verified_by = "person";
        int priority = incident->terms.verify_priority;
        incident->priority = priority > 0 && priority < incident->priority ? priority : incident->priority;
    } else {
        if (strcmp(person->action, "reopen") == 0)
            reopen(m, i, now_us);
        state->status = person_steps[s].status;
        state->overdue_us = ALERT_NO_TIME;
        state->overdue_step = 0;
    }
    return 0;
}

static void put_placement(struct memory *m, struct incident *incident, const struct placement *placement,
                          int64_t now_us)
{
    struct area_memo *memo = area_memo_new();
    incident->place.source = LOCATION_PLACEMENT;
    incident->areas = areas_find(m->fixture->areas, memo, m->store.arena, placement->lon, placement->lat, now_us);
    incident->terms.team = placement->team.len ? placement->team : memory_store_team_of(&m->store, incident->areas);
    area_memo_free(&memo);
}

static size_t begin_silence(struct memory *m, struct str device, const struct placement *placement, int64_t since_us,
                            int64_t now_us)
{
    size_t i = memory_store_add(&m->store, now_us);
    struct incident *incident = &m->store.set.incidents[i];
    memcpy(incident->key, &i, sizeof(i)); /* a key that no alert has */
    memset(incident->key + sizeof(i), 0xff, sizeof(incident->key) - sizeof(i));
    incident->terms.category = CATEGORY_SERVICE;
    incident->terms.priority = incident->priority = 4;
    incident->kind = KIND_COMMS;
    incident->device = device;
    incident->accepting = true;
    incident->active = 1;
    incident->first_seen_us = incident->last_seen_us = since_us;
    incident->last_received_us = now_us;
    if (placement)
        put_placement(m, incident, placement, now_us);
    return i;
}

static int64_t latest_time(const int64_t *times, size_t n)
{
    int64_t most = INT64_MIN;
    for (size_t i = 0; i < n; i++)
        most = times[i] > most ? times[i] : most;
    return most;
}

static void merge_devices(struct memory *m, const struct supervised *endpoint, int64_t now_us)
{
    for (size_t i = 0; i < m->fixture->n_devices; i++) {
        struct supervised *device = &m->devices[i];
        if (device->silence == NO_INCIDENT || !str_eq(device->endpoint, endpoint->name))
            continue;
        m->store.state[device->silence].merged_into = endpoint->silence;
        memory_store_close(&m->store, device->silence, "merged", false, now_us);
        device->merged = true;
    }
}

/* Ends the silence of an endpoint; the silence of its devices is determined from now on. */
static void endpoint_back(struct memory *m, struct supervised *endpoint, int64_t now_us)
{
    end_silence(m, endpoint, endpoint->last_us, now_us);
    endpoint->back_us = now_us;
    for (size_t i = 0; i < m->fixture->n_devices; i++) {
        struct supervised *device = &m->devices[i];
        if (!device->merged || !str_eq(device->endpoint, endpoint->name))
            continue;
        device->merged = false;
        device->silence = NO_INCIDENT;
    }
}

static int64_t expect_every_us(const struct memory *m, const struct supervised *endpoint)
{
    const struct conf *conf = m->fixture->conf;
    for (size_t i = 0; i < conf->n_endpoints; i++)
        if (str_is(endpoint->name, conf->endpoints[i].name))
            return conf->endpoints[i].expect_every_us;
    return 0;
}

static void watch_endpoint(struct memory *m, struct supervised *endpoint, int64_t now_us)
{
    int64_t every_us = expect_every_us(m, endpoint);
    int64_t since_us = latest_time((int64_t[]){endpoint->last_us, m->fixture->begin_us}, 2) + every_us;
    if (endpoint->silence != NO_INCIDENT && endpoint->last_us > m->store.set.incidents[endpoint->silence].first_seen_us)
        endpoint_back(m, endpoint, now_us);
    if (every_us == 0 || endpoint->silence != NO_INCIDENT || since_us >= now_us)
        return;
    endpoint->silence = begin_silence(m, (struct str){0}, NULL, since_us, now_us);
    merge_devices(m, endpoint, now_us);
}

static const struct placement *placement_at(const struct fixture_device *device, int64_t at_us)
{
    for (size_t i = 0; i < device->n_placements; i++)
        if (device->placements[i].from_us <= at_us && at_us < device->placements[i].until_us)
            return &device->placements[i];
    return NULL;
}

static void watch_device(struct memory *m, size_t i, int64_t now_us)
{
    const struct fixture_device *device = &m->fixture->devices[i];
    struct supervised *supervised = &m->devices[i];
    const struct placement *placement = placement_at(device, now_us);
    const struct supervised *endpoint = find_supervised(m->endpoints, m->n_endpoints, supervised->endpoint);
    if (supervised->silence != NO_INCIDENT && !placement)
        end_silence(m, supervised, now_us, now_us);
    bool endpoint_silent = endpoint && endpoint->silence != NO_INCIDENT;
    if (device->device->heartbeat_us == 0 || !placement || supervised->silence != NO_INCIDENT || endpoint_silent)
        return;
    int64_t times[] = {supervised->last_us, device->registered_us, placement->from_us,
                       endpoint ? endpoint->back_us : INT64_MIN, m->fixture->begin_us};
    int64_t since_us = latest_time(times, 5) + device->device->heartbeat_us + device->device->grace_us;
    if (since_us < now_us)
        supervised->silence = begin_silence(m, supervised->name, placement, since_us, now_us);
}

static void mark_overdue(struct memory_state *state, const struct incident_terms *terms, int64_t now_us)
{
    if (!(WAITING & 1u << state->status))
        return;
    while (state->overdue_step < OVERDUE_STEPS && terms->overdue_us[state->overdue_step] > 0 &&
           state->waiting_us + terms->overdue_us[state->overdue_step] < now_us) {
        state->overdue_us = state->overdue_step++ == 0 ? now_us : state->overdue_us;
    }
}

static int memory_maintain(void *backend, int64_t now_us, struct err *err)
{
    (void)err;
    struct memory *m = backend;
    for (size_t i = 0; i < m->n_endpoints; i++)
        watch_endpoint(m, &m->endpoints[i], now_us);
    for (size_t i = 0; i < m->fixture->n_devices; i++)
        watch_device(m, i, now_us);
    for (size_t i = 0; i < m->store.set.n_incidents; i++) {
        const struct incident *incident = &m->store.set.incidents[i];
        struct memory_state *state = &m->store.state[i];
        mark_overdue(state, &incident->terms, now_us);
        if (state->status == MEMORY_NEW && incident->alert_count > 0 &&
            incident->last_received_us < now_us - UNATTENDED_US)
            memory_store_close(&m->store, i, "unattended", false, now_us);
    }
    return 0;
}

static int memory_list_incidents(void *backend, uint64_t **ret_ids, size_t *ret_n, struct err *err)
{
    (void)err;
    struct memory *m = backend;
    *ret_n = m->store.set.n_incidents;
    *ret_ids = mem_realloc(NULL, *ret_n + 1, sizeof(**ret_ids));
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_ids)[i] = i + 1;
    return 0;
}

static int memory_view_incident(void *backend, uint64_t id, struct incident_view *ret, struct err *err)
{
    (void)err;
    struct memory *m = backend;
    const struct incident *incident = &m->store.set.incidents[id - 1];
    const struct memory_state *state = &m->store.state[id - 1];
    *ret = (struct incident_view){
        .category = str_from(incident_category_word(incident->terms.category)),
        .kind = str_from(alert_kind_word(incident->kind)),
        .device = incident->device,
        .rule = incident->terms.rule,
        .status = str_from(memory_status_word(state->status)),
        .outcome = str_from(state->outcome),
        .verified_by = str_from(state->verified_by),
        .team = incident->terms.team,
        .place = str_from(alert_location_word(incident->place.source)),
        .areas = incident->areas,
        .priority = incident->priority,
        .alerts = incident->alert_count,
        .active = incident->active,
        .flaps = incident->flaps,
        .overdue_step = (int)state->overdue_step,
        .accepting = incident->accepting,
        .drill = incident->drill,
        .urgent = incident->urgent,
        .first_us = incident->first_seen_us,
        .last_us = incident->last_seen_us,
        .restored_us = incident->restored_us,
        .cancelled_us = incident->cancelled_us,
        .overdue_us = state->overdue_us,
        .previous_id = incident->previous_id,
        .merged_id = state->merged_into == NO_INCIDENT ? 0 : state->merged_into + 1,
    };
    return 0;
}

const struct backend_ops backend_in_memory = {
    .open_server = memory_open_server,
    .close_server = memory_close_server,
    .begin = memory_begin,
    .end = memory_end,
    .store_batch = memory_backend_store,
    .act = memory_act,
    .maintain = memory_maintain,
    .list_incidents = memory_list_incidents,
    .view_incident = memory_view_incident,
};
