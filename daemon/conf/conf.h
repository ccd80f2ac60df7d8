/*
 * The configuration as plain structs. Loading and checking are in conf/load.h; what every key means, its type, range
 * and default is the table in conf/schema.c.
 */
#ifndef MOBEYE_CONF_CONF_H
#define MOBEYE_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/incident.h"

/* The largest database.batch_max, in alerts. */
#define CONF_BATCH_MAX 20000
/* What endpoints[].connections may be at most. */
#define CONF_CONNECTIONS_MAX 4096
/* Characters of a key of CURVE, 32 bytes in Z85. */
#define CONF_KEY_LEN 40

enum conf_socket { CONF_ROUTER, CONF_PULL, CONF_SUB, CONF_TCP };

/* A network by its first address; one of IPv4 as IPv6 sees it (::ffff:a.b.c.d), with 96 bits more. */
struct conf_network {
    uint8_t address[16];
    unsigned bits;
};

/* A line of a file and the character in it, both from 1: for diagnostics about what the file names. */
struct source_pos {
    size_t line, col;
};

struct conf_endpoint {
    char *name;
    char *address; /* tcp://... or ipc://..., as written */
    bool bind;     /* else connect */
    enum conf_socket socket;
    enum alert_format format;
    char **topics; /* of sub; none given: n_topics is 0 and everything is wanted */
    size_t n_topics;
    bool plaintext_allow;
    bool curve;                      /* it speaks CURVE, and nothing else */
    char *server_key;                /* of connect with CURVE: the public key of who is there */
    struct source_pos pos;           /* of server_key, or of the endpoint */
    const char *secret;              /* with CURVE: that of security; NULL after conf_load() */
    struct conf_network *allow_from; /* none given: n_allow_from is 0 and everybody may connect */
    size_t n_allow_from;
    uint32_t connections; /* of tcp: at once */
    int64_t idle_us;      /* of tcp: how long a connection may bring no frame */
    int check_time;       /* of sia-dc09: 0 no, 1 yes; as the next */
    int require_encryption;
    char *dc09_keys;                 /* the file of keys; NULL: none */
    struct source_pos dc09_keys_pos; /* of the name of that file */
    int64_t expect_every_us;         /* 0: not given */
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
    char **groups; /* of devices */
    size_t n_groups;
    char *area_layer;  /* the place is in an area of this layer; NULL: not given */
    char **area_codes; /* and that is one of these; none: any */
    size_t n_area_codes;
    int registered; /* -1 not given, 0 no, 1 yes; as the next two */
    int located;
    int drill;
    double score_min;   /* score >= this; NAN: not given */
    double score_below; /* score < this; NAN: not given */
    bool has_hours;
    struct conf_hours hours;
    uint32_t days; /* bit 0 Monday .. bit 6 Sunday; 0: not given */
};

/* Whether local time (day 0 is Monday, minute of the day) is in the hours and days of a match. A window over midnight
 * belongs to the day it starts on. */
static inline bool conf_time_matches(const struct conf_match *match, int day, int minute)
{
    const struct conf_hours *hours = &match->hours;
    if (match->has_hours) {
        bool over_midnight = hours->until_min <= hours->from_min;
        bool evening = minute >= hours->from_min, morning = minute < hours->until_min;
        if (over_midnight ? !evening && !morning : !evening || !morning)
            return false;
        if (over_midnight && !evening)
            day = (day + 6) % 7;
    }
    return !match->days || match->days & (1u << day);
}

/* What tells incidents of a category apart. */
enum conf_group_by {
    GROUP_DEVICE = 1u << 0,
    GROUP_KIND = 1u << 1,
    GROUP_INPUT = 1u << 2,
    GROUP_TRACK = 1u << 3,
    GROUP_ENDPOINT = 1u << 4,
};

/* Either `action: store` (the alert is stored, nothing more) or an `incident`. */
struct conf_rule {
    char *name;
    struct conf_match match;
    bool makes_incident;         /* the rest is valid then */
    struct incident_terms terms; /* rule and team are slices of name and team */
    char *team;
    uint32_t group_by;   /* GROUP_... */
    char **group_layers; /* layers whose code tells them apart as well, sorted, each once */
    size_t n_group_layers;
};

/* Who may send over CURVE. */
struct conf_client {
    char *name;
    char *key;      /* public */
    char **devices; /* globs, as of fnmatch(3) without flags: what it may report for */
    size_t n_devices;
    char **sources; /* globs: the sources that it may use in CloudEvents */
    size_t n_sources;
    uint32_t until; /* the last local day on which the key holds, 20271231; 0: for ever */
};

struct conf {
    char *file; /* as it was named to conf_load() */
    char *instance;
    char *timezone; /* IANA name */
    bool has_bounds;
    double bounds[4]; /* west south east north, degrees */
    struct {
        char *conninfo;
        struct source_pos pos; /* of the conninfo, which only libpq can judge */
        uint32_t batch_max;    /* alerts a transaction */
        int64_t batch_wait_us; /* how long an alert may wait for company */
    } database;
    struct {
        char *directory;
        uint64_t max_size_bytes;
        int64_t keep_us;
    } journal;
    struct {
        int64_t class_us[CLASS_COUNT]; /* alerts, by enum retention_class */
        int64_t incident_us;           /* incidents and their history */
    } retention;
    struct conf_endpoint *endpoints;
    size_t n_endpoints;
    struct {
        char *server_key; /* where the secret is, see base/secret.h; NULL: no security section, nobody speaks CURVE */
        char *clients;    /* the file of clients */
        struct source_pos server_key_pos, clients_pos;
        char *secret; /* the key; NULL after conf_load(), as the clients are none */
    } security;
    struct conf_client *clients; /* sorted by key, each once */
    size_t n_clients;
    char *http_listen; /* NULL: off */
    struct conf_rule *rules;
    size_t n_rules;
    char *rules_text;       /* timezone and the rules section as written: what the hash is of, and what is kept */
    uint8_t rules_hash[16]; /* BLAKE2b of it */
};

/* What in the rules is the name of something that only the database has. */
enum conf_name { CONF_NAME_LAYER, CONF_NAME_AREA, CONF_NAME_GROUP, CONF_NAME_TEAM };

/* Whoever knows those names. layer: of CONF_NAME_AREA, else NULL. */
struct conf_names {
    bool (*known)(void *ctx, enum conf_name what, const char *name, const char *layer);
    void *ctx;
};

void conf_free(struct conf **conf); /* safe on NULL and on a half-built one */

#endif
