/*
 * The configuration as plain structs. Loading and checking are in conf/load.h; the meaning, type, range and default of
 * every key are in the table in conf/schema.c.
 */
#ifndef MOBEYE_CONF_CONF_H
#define MOBEYE_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "model/incident.h"

/* Where the package keeps the configuration. */
#define CONF_DEFAULT_FILE "/etc/mobeyed/mobeyed.yaml"
/* The largest database.batch_max, in alerts. */
#define CONF_BATCH_MAX 20000
/* The largest endpoints[].connections. */
#define CONF_CONNECTIONS_MAX 4096
/* Characters of a CURVE key: 32 bytes in Z85. */
#define CONF_KEY_LEN 40

enum conf_socket { CONF_ROUTER, CONF_PULL, CONF_SUB, CONF_TCP };

/* A position in a file: line, and column in characters, both counted from 1. */
struct source_pos {
    size_t line, col;
};

struct conf_endpoint {
    char *name;
    char *address; /* tcp://... or ipc://..., as written */
    bool bind;     /* else connect */
    enum conf_socket socket;
    enum alert_format format;
    char **topics; /* sub only; n_topics is 0 if not given: subscribe to everything */
    size_t n_topics;
    bool plaintext_allow;
    bool curve;            /* accepts CURVE only */
    char *server_key;      /* connect with CURVE: the public key of the server */
    struct source_pos pos; /* of server_key, or of the endpoint */
    char *secret_key;      /* the source of a secret key of its own; NULL: that of security */
    struct source_pos secret_key_pos;
    char *own_secret;           /* read from secret_key; NULL: none */
    const char *secret;         /* with CURVE: own_secret or the secret of security; NULL: not accessible */
    struct network *allow_from; /* n_allow_from is 0 if not given: everyone may connect */
    size_t n_allow_from;
    uint32_t connections; /* tcp only: at most, at the same time */
    int64_t idle_us;      /* tcp only: how long a connection may go without a frame */
    int check_time;       /* sia-dc09 only: 0 no, 1 yes; likewise the next */
    int require_encryption;
    char *dc09_keys;                 /* the key file; NULL: none */
    struct source_pos dc09_keys_pos; /* where that file is named */
    int64_t expect_every_us;         /* 0: not given */
    int reply_flags;                 /* router only: 1: an ACK has the flags of the alert as its fourth frame */
};

/* A window of local time in minutes since midnight, end excluded. It spans midnight if until <= from. */
struct conf_hours {
    int from_min, until_min;
};

/* The conditions of a rule, all of which must hold. A member that is not given matches everything. */
struct conf_match {
    uint32_t kinds;  /* bit (1 << enum alert_kind); 0: not given */
    uint32_t phases; /* bit (1 << enum alert_phase); 0: not given */
    char **devices;  /* globs, as for fnmatch(3) without flags */
    size_t n_devices;
    char **endpoints;
    size_t n_endpoints;
    char **labels;
    size_t n_labels;
    char **camera_zones;
    size_t n_camera_zones;
    char **groups; /* device groups */
    size_t n_groups;
    char *area_layer;  /* the location is in an area of this layer; NULL: not given */
    char **area_codes; /* and in one of these areas; none given: any */
    size_t n_area_codes;
    int registered; /* -1 not given, 0 no, 1 yes; likewise the next three */
    int located;
    int drill;
    int image;
    double score_min;   /* score >= this; NAN: not given */
    double score_below; /* score < this; NAN: not given */
    bool has_hours;
    struct conf_hours hours;
    uint32_t days; /* bit 0 Monday .. bit 6 Sunday; 0: not given */
};

/* Whether a local time (day 0 is Monday, minute of the day) is in the hours and days of a match. A window that spans
 * midnight belongs to the day on which it starts. */
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

/* What distinguishes incidents of one category. */
enum conf_group_by {
    GROUP_DEVICE = 1u << 0,
    GROUP_KIND = 1u << 1,
    GROUP_INPUT = 1u << 2,
    GROUP_TRACK = 1u << 3,
    GROUP_ENDPOINT = 1u << 4,
};

/* Either `action: store` (the alert is only stored) or an `incident`. */
struct conf_rule {
    char *name;
    struct conf_match match;
    bool makes_incident;         /* if true, the members below are valid */
    struct incident_terms terms; /* rule and team are slices of name and team */
    char *team;
    uint32_t group_by;   /* GROUP_... */
    char **group_layers; /* layers whose area codes also distinguish incidents; sorted, unique */
    size_t n_group_layers;
};

/* A client that may send over CURVE. */
struct conf_client {
    char *name;
    char *key;      /* public */
    char **devices; /* globs, as for fnmatch(3) without flags: the devices it may report for */
    size_t n_devices;
    char **sources; /* globs: the CloudEvents sources it may use */
    size_t n_sources;
    uint32_t until; /* the last local day on which the key is valid, as 20271231; 0: no limit */
};

struct conf {
    char *file; /* as passed to conf_load() */
    char *instance;
    char *timezone; /* IANA name */
    bool has_bounds;
    double bounds[4]; /* west south east north, degrees */
    struct {
        char *conninfo;
        struct source_pos pos; /* of the conninfo, which only libpq can validate */
        uint32_t batch_max;    /* alerts per transaction */
        int64_t batch_wait_us; /* how long an alert may wait for others */
    } database;
    struct {
        char *directory;
        uint64_t max_size_bytes;
        int64_t keep_us;
    } journal;
    struct {
        int64_t class_us[CLASS_COUNT]; /* alerts, by enum retention_class */
        int64_t incident_us;           /* incidents and their history */
        int64_t burglary_us;           /* reported burglaries */
    } retention;
    struct conf_endpoint *endpoints;
    size_t n_endpoints;
    struct {
        char *server_key; /* the source of the secret (base/secret.h); NULL: no security section, no CURVE */
        char *clients;    /* the file of the client list */
        struct source_pos server_key_pos, clients_pos;
        char *secret; /* the key; NULL after conf_load(), which loads no clients either */
    } security;
    struct conf_client *clients; /* sorted by key, unique */
    size_t n_clients;
    char *http_listen; /* NULL: off */
    struct conf_rule *rules;
    size_t n_rules;
    char *rules_text;       /* timezone and the rules section as written: what is hashed and stored */
    uint8_t rules_hash[16]; /* BLAKE2b of rules_text */
};

/* Names in the rules that only the database can check. */
enum conf_name { CONF_NAME_LAYER, CONF_NAME_AREA, CONF_NAME_GROUP, CONF_NAME_TEAM, CONF_NAME_VIEWED_TEAM };

/* Looks such names up. layer: for CONF_NAME_AREA, else NULL. */
struct conf_names {
    bool (*known)(void *ctx, enum conf_name what, const char *name, const char *layer);
    void *ctx;
};

void conf_free_texts(char **texts, size_t n);
void conf_free(struct conf **conf); /* safe on NULL and on a partly built one */

/* Whether a rule has verify_by. ret_radius_m: the largest radius of those rules; 0: none has one. */
bool conf_verifies(const struct conf *conf, double *ret_radius_m);

#endif
