/*
 * Scenarios: what happens, and the incidents that should result, in a language for domain experts, described in
 * mobeyectl(1). This module parses the text into plain structs; ctl/rules/scenario_run.h plays it.
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
    bool has_date; /* otherwise the date is that of the previous time */
    bool has_offset;
    int year, month, day, hour, minute, second;
    int offset_min; /* east of UTC */
};

/* Degrees WGS84. */
struct written_place {
    bool given;
    double lon, lat;
    bool impossible; /* beyond 180 or 90 degrees, which is how devices report that they have no fix; alerts only */
};

struct scenario_alert {
    const char *device;
    const char *kind;
    const char *name;     /* for expectations; NULL: it has only its number */
    const char *endpoint; /* NULL: "cameras" */
    const char *label, *track, *zone;
    int phase; /* enum alert_phase */
    int input; /* ALERT_NO_INT: none */
    double score;
    struct written_place place;
    double accuracy_m; /* NAN: not given */
    struct written_time received;
    int drill, image, verified, cancelled;
    const char *daemon; /* "a" (NULL) or "b" */
};

/* A device, with its place and period. */
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
    size_t first_point, n_points; /* a ring, not closed */
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
    size_t incident;   /* 1, 2, ...; 0: facts of an alert */
    const char *alert; /* the alert's number or name */
    size_t first, n;   /* in scenario.facts */
};

enum step_kind {
    STEP_SCENARIO, /* begins a scenario; word: its title */
    STEP_RULES,    /* word: the file; with a time: a reload */
    STEP_DEVICE,
    STEP_PLACE, /* another placement of a device that was declared before */
    STEP_AREA,
    STEP_TEAM, /* word: the team that covers the area */
    STEP_ALERT,
    STEP_PERSON,
    STEP_NOTHING,      /* time passes */
    STEP_RESTART,      /* of daemon `word`; time passes, since no backend keeps state in a daemon */
    STEP_OUTAGE,       /* daemon `word` cannot reach the database; NULL: no daemon can */
    STEP_OUTAGE_OVER,  /* the end of an outage */
    STEP_EXPECT_COUNT, /* expected number of incidents */
    STEP_EXPECT_FACTS,
};

struct step {
    enum step_kind kind;
    unsigned line;
    struct written_time at; /* given for events */
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

/* A parsed file. What precedes its first `scenario` line applies to all of its scenarios. */
struct scenario {
    char *text; /* memory of the words */
    struct step *steps;
    size_t n, cap;
    struct scenario_fact *facts;
    size_t n_facts, cap_facts;
    struct written_place *points;
    size_t n_points, cap_points;
};

/* Parses the text. Each line with an error appends "FILE:LINE: what is wrong (what is expected)" to report. false:
 * there were errors. scenario_free() it in either case. */
bool scenario_parse(struct scenario *scenario, const char *file, struct str text, struct buf *report);
void scenario_free(struct scenario *scenario);

/* Parses "2026-11-23 21:04:11+01:00"; date, seconds and offset, or everything but the date, may be omitted. Returns the
 * number of words used, 1 or 2; 0: not a time. */
int written_time_parse(struct written_time *ret, const char *word, const char *next);

/*
 * Converts to microseconds since 1970 UTC. Local times are those of TZ; an ambiguous time, when summer time ends, means
 * the first of the two unless it has an offset. A time without a date gets that of `before`, which is updated. -1 with
 * err set: no date yet, or the local time does not exist, when summer time begins.
 */
int written_time_us(const struct written_time *time, struct written_time *before, int64_t *ret_us, struct err *err);

#endif
