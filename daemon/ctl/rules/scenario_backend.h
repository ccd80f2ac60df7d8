/*
 * The backend of a scenario, which keeps its incidents. There are two: in memory, and in a temporary database.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_BACKEND_H
#define MOBEYE_CTL_RULES_SCENARIO_BACKEND_H

#include "base/err.h"
#include "conf/conf.h"
#include "ctl/rules/scenario.h"
#include "enrich/enrich.h"
#include "model/area_rows.h"
#include "model/batch.h"
#include "model/incident.h"
#include "model/registry.h"

struct fixture_device {
    const struct scenario_device *device;
    int64_t registered_us;
    struct placement *placements; /* by time; ids are 1, 2, ..., unique over all devices */
    size_t n_placements;
};

/* The state before the first event. */
struct fixture {
    const struct conf *conf; /* the current one */
    struct fixture_device *devices;
    size_t n_devices;
    const struct scenario_area **teams; /* the area of each team, ordered by team; parallel to team_names */
    const char **team_names;
    size_t n_teams;
    struct registry *registry;
    struct area_rows *area_rows;
    struct area_set *areas;
    int64_t begin_us; /* time of the first event */
};

/* An incident as a person would see it. Strings are valid until the next view. */
struct incident_view {
    struct str category, kind, device, rule, status, outcome, verified_by, team, place;
    const struct alert_areas *areas; /* NULL: none */
    int priority, alerts, active, flaps, overdue_step;
    bool accepting, drill, urgent;
    int64_t first_us, last_us, restored_us, cancelled_us, overdue_us; /* ALERT_NO_TIME: never */
    uint64_t previous_id, merged_id;                                  /* 0: none */
};

enum { DAEMONS = 2 };

/* Functions return 0, or -1 with err set if the backend fails; an action that the person may not take counts as a
 * failure. */
struct backend_ops {
    /* The part that all scenarios of a run share; `where` is a conninfo, ignored in memory. */
    int (*open_server)(void **ret_server, const char *where, struct err *err);
    void (*close_server)(void *server); /* safe on NULL */
    /* The part of one scenario. */
    int (*begin)(void **ret_backend, void *server, struct fixture *fixture, struct err *err);
    void (*end)(void *backend);
    /* A daemon stores an enriched batch, in one transaction. Sets ids[i] to the incident of row i; 0: none. */
    int (*store_batch)(void *backend, struct batch *batch, int daemon, int64_t now_us, uint64_t *ids, struct err *err);
    /* A person acts on an incident. */
    int (*act)(void *backend, const struct scenario_person *person, uint64_t id, int64_t now_us, struct err *err);
    /* The daemon's maintenance runs at now_us. */
    int (*maintain)(void *backend, int64_t now_us, struct err *err);
    /* Lists the ids of all incidents in the order of creation. The caller frees them. */
    int (*list_incidents)(void *backend, uint64_t **ret_ids, size_t *ret_n, struct err *err);
    int (*view_incident)(void *backend, uint64_t id, struct incident_view *ret, struct err *err);
};

extern const struct backend_ops backend_in_memory;
/* Creates a database for the run on the server that `where` connects to as a superuser, and drops it at the end. */
extern const struct backend_ops backend_in_database;

/* Reads devices, areas and teams from the steps first to end, and from those before the file's first scenario. -1 with
 * err set about *ret_step. fixture_free() it in either case. */
int fixture_read(struct fixture *fixture, const struct scenario *scenario, size_t first, size_t end,
                 const struct step **ret_step, struct err *err);
void fixture_free(struct fixture *fixture);

#endif
