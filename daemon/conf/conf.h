/*
 * The configuration as plain structs. Loading and checking are in conf/load.h; what every key means, its type, range
 * and default is the table in conf/schema.c.
 */
#ifndef MOBEYE_CONF_CONF_H
#define MOBEYE_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alert/alert.h"

/* The largest database.batch_max, in alerts. */
#define CONF_BATCH_MAX 20000

enum conf_socket { CONF_ROUTER, CONF_PULL, CONF_SUB };

struct conf_endpoint {
    char *name;
    char *address; /* tcp://... or ipc://..., as written */
    bool bind;     /* else connect */
    enum conf_socket socket;
    enum alert_format format;
    char **topics; /* of sub; none given: n_topics is 0 and everything is wanted */
    size_t n_topics;
    bool plaintext_allow;
};

/* A window of local time, minutes since midnight, end excluded; over midnight where until <= from. */
struct conf_hours {
    int from_min, until_min;
};

/* What must hold for a rule to match. A member that is not given matches everything. */
struct conf_match {
    uint32_t kinds;  /* bit (1 << enum alert_kind); 0: not given */
    uint32_t phases; /* bit (1 << enum alert_phase); 0: not given */
    char **devices;  /* globs, as of fnmatch(3) without flags */
    size_t n_devices;
    char **endpoints;
    size_t n_endpoints;
    char **labels;
    size_t n_labels;
    char **camera_zones;
    size_t n_camera_zones;
    int located; /* -1 not given, 0 no, 1 yes; as the next */
    int drill;
    double score_min;   /* score >= this; NAN: not given */
    double score_below; /* score < this; NAN: not given */
    bool has_hours;
    struct conf_hours hours;
    uint32_t days; /* bit 0 Monday .. bit 6 Sunday; 0: not given */
};

/* The action is `store`: the alert is stored, nothing more. */
struct conf_rule {
    char *name;
    struct conf_match match;
};

struct conf {
    char *file; /* as it was named to conf_load() */
    char *instance;
    char *timezone; /* IANA name */
    bool has_bounds;
    double bounds[4]; /* west south east north, degrees */
    struct {
        char *conninfo;
        size_t line, col;      /* where the conninfo stands in the file: only libpq can judge it */
        uint32_t batch_max;    /* alerts a transaction */
        int64_t batch_wait_us; /* how long an alert may wait for company */
    } database;
    struct {
        char *directory;
        uint64_t max_size_bytes;
        int64_t keep_us;
    } journal;
    struct conf_endpoint *endpoints;
    size_t n_endpoints;
    char *http_listen; /* NULL: off */
    struct conf_rule *rules;
    size_t n_rules;
};

void conf_free(struct conf **conf); /* safe on NULL and on a half-built one */

#endif
