/*
 * Scenarios: what happens, and which incidents should come of it, in lines that people of the field read and write.
 * config/README.md describes the language. This is the text as plain structs; ctl/rules/scenario_run.h plays it.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_H
#define MOBEYE_CTL_RULES_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A longer file is refused. */
#define SCENARIO_FILE_MAX (1024 * 1024)

/* A time as it is written: local, or with an offset. */
struct written_time {
    bool given;
    bool has_date; /* else the date is that of the time before */
    bool has_offset;
    int year, month, day, hour, minute, second;
    int offset_min; /* east of UTC */
};

/* Degrees WGS84. */
struct written_place {
    bool given;
    double lon, lat;
};

struct scenario_alert {
    const char *device;
    const char *kind;
    const char *name;     /* as the expectations call it; NULL: by its number alone */
    const char *endpoint; /* NULL: "cameras" */
    const char *label, *track, *zone;
    int phase; /* enum alert_phase */
    int input; /* ALERT_NO_INT: none */
    double score;
    struct written_place place;
    double accuracy_m; /* NAN: not given */
    struct written_time received;
    int drill, verified, cancelled;
    const char *daemon; /* "a" (NULL) or "b" */
};

/* A device, and where it stands from when until when. */
struct scenario_device {
    const char *id, *model, *group, *team, *account;
    int input;
    int64_t heartbeat_us, grace_us; /* 0: none */
    struct written_time registered;
    struct written_place place;
    struct written_time from, until;
};

struct scenario_area {
    const char *layer, *code;
    size_t first_point, n_points; /* a ring that is not closed */
};

struct scenario_person {
    const char *action; /* close, acknowledge, ... */
    size_t incident;
    const char *outcome;
};

/* "NAME VALUE" */
struct scenario_fact {
    const char *name, *value;
};

struct scenario_facts {
    size_t incident;   /* 1, 2, ...; 0: it is an alert's */
    const char *alert; /* its number or name */
    size_t first, n;   /* in scenario.facts */
};

enum step_kind {
    STEP_SCENARIO, /* begins a scenario; word is its title */
    STEP_RULES,    /* word is the file; timed: a reload */
    STEP_DEVICE,
    STEP_PLACE, /* of a device that is there already */
    STEP_AREA,
    STEP_TEAM, /* word covers area */
    STEP_ALERT,
    STEP_PERSON,
    STEP_NOTHING,      /* time passes */
    STEP_RESTART,      /* of daemon `word`: no world lets a daemon remember anything, so it is time that passes */
    STEP_OUTAGE,       /* of the database, as daemon `word` sees it; NULL: all of them */
    STEP_OUTAGE_OVER,  /* the same */
    STEP_EXPECT_COUNT, /* so many incidents */
    STEP_EXPECT_FACTS,
};

struct step {
    enum step_kind kind;
    unsigned line;
    struct written_time at; /* where it is something that happens */
    const char *word;
    union {
        struct scenario_alert alert;
        struct scenario_device device;
        struct scenario_area area;
        struct scenario_person person;
        struct scenario_facts facts;
        size_t count;
    };
};

/* A file. What comes before its first `scenario` line holds for each of them. */
struct scenario {
    char *text; /* what the words are slices of */
    struct step *steps;
    size_t n, cap;
    struct scenario_fact *facts;
    size_t n_facts, cap_facts;
    struct written_place *points;
    size_t n_points, cap_points;
};

/* Takes the text apart. Every line that is not understood appends "FILE:LINE: what is wrong (what is allowed)" to
 * report. The scenario is to be freed either way. false: there was one. */
bool scenario_parse(struct scenario *scenario, const char *file, struct str text, struct buf *report);
void scenario_free(struct scenario *scenario);

/* "2026-11-23 21:04:11+01:00", where date, seconds and offset, or all but the date, may be left out; of one word or
 * two: how many of them it was, 0: it is no time. */
int written_time_parse(struct written_time *ret, const char *word, const char *next);

/*
 * Microseconds since 1970 UTC. Local times are those of TZ; of the hour that an autumn night has twice the first one
 * (an offset says which is meant). Where the time has no date it gets that of `before`, which is updated. -1: there is
 * no date yet, or the local time does not exist (the hour that a spring night leaves out).
 */
int written_time_us(const struct written_time *time, struct written_time *before, int64_t *ret_us, struct err *err);

#endif
