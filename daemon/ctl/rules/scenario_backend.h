/*
 * Where a scenario is played: what keeps its incidents. There are two, in memory and in a scratch database; whoever
 * plays and judges knows neither.
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
    struct placement *placements; /* by time; ids are 1, 2, ... over all devices, so none is shared */
    size_t n_placements;
};

/* What is there before anything happens. */
struct fixture {
    const struct conf *conf; /* of the moment */
    struct fixture_device *devices;
    size_t n_devices;
    const struct scenario_area **teams; /* which area a team has, by the name of the team; team_names go with it */
    const char **team_names;
    size_t n_teams;
    struct registry *registry;
    struct area_rows *area_rows;
    struct area_set *areas;
    int64_t begin_us; /* the first thing that happens */
};

/* An incident as people would see it. Strings live until the next view. */
struct incident_view {
    struct str category, kind, device, rule, status, outcome, verified_by, team, place;
    const struct alert_areas *areas; /* NULL: none */
    int priority, alerts, active, flaps;
    bool accepting, drill, urgent;
    int64_t first_us, last_us, restored_us, cancelled_us, overdue_us; /* ALERT_NO_TIME: not */
    uint64_t previous_id, merged_id;                                  /* 0: none */
};

enum { DAEMONS = 2 };

/* Functions return 0, or -1 with err set where the world itself fails; what a person may not do is such a failure. */
struct backend_ops {
    /* What all scenarios of a run share; `where` is a conninfo, or of no meaning. */
    int (*open)(void **ret_server, const char *where, struct err *err);
    void (*close)(void *server); /* safe on NULL */
    /* A scenario's own. */
    int (*begin)(void **ret_backend, void *server, struct fixture *fixture, struct err *err);
    void (*end)(void *backend);
    /* A daemon stores an enriched batch, in one transaction. Then ids[i] is the incident of row i, 0: none. */
    int (*store)(void *backend, struct batch *batch, int daemon, int64_t now_us, uint64_t *ids, struct err *err);
    int (*person)(void *backend, const struct scenario_person *person, uint64_t id, int64_t now_us, struct err *err);
    /* It is that late now: what the upkeep of the daemon finds. */
    int (*watch)(void *backend, int64_t now_us, struct err *err);
    /* The ids of all incidents, in the order they were made. */
    int (*list)(void *backend, uint64_t **ret_ids, size_t *ret_n, struct err *err);
    int (*view)(void *backend, uint64_t id, struct incident_view *ret, struct err *err);
};

extern const struct backend_ops backend_in_memory;
/* In a database that is made for the run, on a server where `where` leads as a superuser; it is dropped when the run
 * ends. */
extern const struct backend_ops backend_in_database;

/* Devices, areas and teams of the steps from first to end, and of those before the file's first scenario. -1: err says
 * what is wrong at *ret_step. To be freed either way. */
int fixture_read(struct fixture *fixture, const struct scenario *scenario, size_t first, size_t end,
                 const struct step **ret_step, struct err *err);
void fixture_free(struct fixture *fixture);

#endif
