/*
 * One alert, from its decoding to its row in the database.
 *
 * A struct alert owns nothing. Its slices point into the message it was decoded from, or into the journal record it was
 * unpacked from, and are valid as long as those bytes. What enrich adds is valid as long as the batch (batch_copy() and
 * the like): the registry, the areas and the configuration may change while the batch is being stored.
 */
#ifndef MOBEYE_MODEL_ALERT_H
#define MOBEYE_MODEL_ALERT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/image.h"

/* Limits of the contract, in bytes. */
enum {
    ALERT_ID_MAX = 128,
    ALERT_SOURCE_MAX = 256,
    ALERT_DEVICE_MAX = 64,
    ALERT_KIND_MAX = 32,
    ALERT_TEXT_MAX = 256, /* label, track, camera_zone, endpoint */
    ALERT_PAYLOAD_MAX = 65536,
};

/* Ranges of the numbers below; the lower bound is 0 where none is given. Decoders must keep to them: record_unpack()
 * rejects anything else. */
#define ALERT_INPUT_MAX      65535
#define ALERT_SIGNAL_MIN_DBM (-200)
#define ALERT_ACCURACY_MAX_M 1e7f

/* Prefix of the source and the device of DC-09 alerts, reserved for them. */
#define ALERT_DC09_PREFIX "dc09:"

/* The numbers are written to the journal: never renumber, only append. */
enum alert_format { ALERT_CLOUDEVENTS = 1, ALERT_SIA_DC09 = 2 };

enum alert_kind {
    KIND_UNKNOWN = 0,
    KIND_INTRUSION,
    KIND_MOTION,
    KIND_PANIC,
    KIND_HOLDUP,
    KIND_TAMPER,
    KIND_FIRE,
    KIND_HEAT,
    KIND_COLD,
    KIND_WATER,
    KIND_CAMERA,
    KIND_POWER,
    KIND_BATTERY,
    KIND_COMMS,
    KIND_KEEPALIVE,
    KIND_ARM,
    KIND_BYPASS,
    KIND_COUNT
};

enum alert_phase { PHASE_RAISE = 0, PHASE_RESTORE, PHASE_UPDATE, PHASE_COUNT };

/* Where the alert's location comes from; the words are those of patrol.alerts. */
enum location_source { LOCATION_NONE = 0, LOCATION_MESSAGE, LOCATION_PLACEMENT, LOCATION_LAST_KNOWN, LOCATION_COUNT };

/* Determines the partition and the retention of an alert. */
enum retention_class { CLASS_ALARM = 0, CLASS_CAMERA, CLASS_SERVICE, CLASS_COUNT };

/*
 * Oddities of an alert that is accepted nevertheless. Bit numbers are written to the journal: never renumber, only
 * append. FLAG_BAD_x: the member was out of range or of the wrong type; it is ignored and stays in the payload.
 */
#define ALERT_FLAGS(F)                                                                                                 \
    F(0, CLOCK, "clock") /* time absent, unreadable or implausible: the receive time is used */                        \
    F(1, BAD_PHASE, "bad_phase")                                                                                       \
    F(2, BAD_INPUT, "bad_input")                                                                                       \
    F(3, BAD_LOCATION, "bad_location") /* impossible, or not a GeoJSON Point */                                        \
    F(4, BAD_ACCURACY, "bad_accuracy_m")                                                                               \
    F(5, BAD_FIX_TIME, "bad_fix_time")                                                                                 \
    F(6, BAD_BATTERY, "bad_battery_pct")                                                                               \
    F(7, BAD_SIGNAL, "bad_signal_dbm")                                                                                 \
    F(8, BAD_TEXT, "bad_text")                                                                                         \
    F(9, BAD_DRILL, "bad_drill")                                                                                       \
    F(10, BAD_CAMERA, "bad_camera")                                                                                    \
    F(11, BAD_LABEL, "bad_label")                                                                                      \
    F(12, BAD_SCORE, "bad_score")                                                                                      \
    F(13, BAD_BOX, "bad_box")                                                                                          \
    F(14, BAD_TRACK, "bad_track")                                                                                      \
    F(15, BAD_CAMERA_ZONE, "bad_camera_zone")                                                                          \
    F(16, NULL_ISLAND, "null_island") /* implausible locations: kept in the payload, not used */                       \
    F(17, SWAPPED, "swapped")         /* latitude first */                                                             \
    F(18, OUTSIDE_BOUNDS, "outside_bounds")                                                                            \
    F(19, STALE_FIX, "stale_fix")                                                                                      \
    F(20, INACCURATE, "inaccurate")                                                                                    \
    F(21, STALE, "stale")                         /* DC-09: sent again unchanged after a NAK for its time */           \
    F(22, VERIFIED, "verified")                   /* a second detection has confirmed the alarm */                     \
    F(23, CANCEL, "cancel")                       /* a user has cancelled the alarm: recorded, but closes nothing */   \
    F(24, IDENTITY_CONFLICT, "identity_conflict") /* another device's alert has its identity; never in the journal */  \
    F(25, BAD_IMAGE, "bad_image")                 /* too large, or not a JPEG, PNG or WebP: dropped */

#define ALERT_FLAG_BIT(bit, name, word) FLAG_##name = 1u << (bit),
enum alert_flag { ALERT_FLAGS(ALERT_FLAG_BIT) };
#undef ALERT_FLAG_BIT

#define ALERT_FLAG_OR(bit, name, word) | FLAG_##name
#define ALERT_FLAGS_ALL                (0u ALERT_FLAGS(ALERT_FLAG_OR))

/* "No value" for the numbers below. */
#define ALERT_NO_TIME INT64_MIN
#define ALERT_NO_INT  INT32_MIN

/* Initialises the members of a struct alert for which 0 would be a value. */
#define ALERT_UNSET                                                                                                    \
    .input = ALERT_NO_INT, .skew_us = ALERT_NO_TIME, .accuracy_m = NAN, .fix_us = ALERT_NO_TIME,                       \
    .battery_pct = ALERT_NO_INT, .signal_dbm = ALERT_NO_INT, .camera.score = NAN, .place.accuracy_m = NAN

/* The areas that contain a location, at most one per layer, sorted by layer. */
struct alert_area {
    struct str layer, code;
};

struct alert_areas {
    size_t n;
    struct alert_area area[];
};

struct incident_terms; /* model/incident.h */

/* What a camera saw. */
struct camera_object {
    float score;      /* 0 to 1; NAN: not given */
    struct str label; /* empty: not given, as for the next two */
    struct str track;
    struct str zone;
};

/* Where an alert comes from. */
struct place {
    enum location_source source;
    double lon, lat;  /* degrees WGS84; valid unless LOCATION_NONE */
    float accuracy_m; /* NAN: unknown */
};

struct alert {
    /* From the message. */
    enum alert_format format;
    struct str source;   /* with event_id: the identity */
    struct str event_id; /* 1 to 128 bytes */
    struct str device;   /* 1 to 64 bytes of A-Za-z0-9._:/- */
    enum alert_kind kind;
    struct str kind_word; /* the sender's word, even if kind is KIND_UNKNOWN */
    enum alert_phase phase;
    int32_t input; /* ALERT_NO_INT: none */
    bool drill;
    uint32_t flags;      /* FLAG_... */
    int64_t occurred_us; /* wall time; that of receipt if FLAG_CLOCK is set */
    int64_t skew_us;     /* the sender's clock minus ours, ALERT_NO_TIME: it sent no readable time */
    bool has_location;   /* the message has a possible one, which need not be plausible */
    double lon, lat;     /* degrees WGS84 */
    float accuracy_m;    /* NAN: not given */
    int64_t fix_us;      /* ALERT_NO_TIME: not given */
    int32_t battery_pct; /* 0 to 100, rounded; ALERT_NO_INT: not given */
    int32_t signal_dbm;  /* rounded; ALERT_NO_INT: not given */
    struct camera_object camera;
    struct str payload; /* the message as received; valid UTF-8 JSON that PostgreSQL's jsonb accepts */
    struct image image; /* {0}: none */

    /* From the receipt. */
    int64_t received_us;
    struct str endpoint; /* name of the endpoint */

    /* From the journal. */
    uint64_t seq;      /* 1, 2, ... in order of acceptance */
    uint64_t checksum; /* of the record, as the journal computed it */

    /* From enrich. */
    struct place place;
    struct str rule;                    /* name of the rule that decided; empty: none */
    bool registered;                    /* the device is registered; `device` is then its registered id */
    struct str group;                   /* the device's; empty: none */
    uint64_t placement_id;              /* the device's when it occurred, or a secret one where its fix is; 0: none */
    int64_t placed_us, placed_until_us; /* that placement's period, until excluded; valid if there is one */
    double placed_lon, placed_lat;      /* its own point, wherever the alert is; valid if there is a placement */
    struct str placement_team;          /* that placement's; empty: none */
    bool secret_placement;              /* that placement is secret: only its team may know where the alert is from */
    bool secret;                        /* it is, or the message contains a fix, perhaps an old one, from one that is */
    const struct alert_areas *areas;    /* of the location, or of a secret placement; NULL: no location is known */
    const struct incident_terms *terms; /* the incident of its rule; NULL: the alert is only stored */
    uint8_t condition[16];              /* model/incident.h: struct condition */
    uint8_t key[16];                    /* of the incident of its rule; valid if terms is set */

    /* From the correlation, inside the transaction that stores it. */
    size_t incident; /* index into the incident set; NO_INCIDENT (SIZE_MAX): none */
};

const char *alert_kind_word(enum alert_kind kind);
const char *alert_phase_word(enum alert_phase phase);
const char *alert_location_word(enum location_source source);
const char *alert_class_word(enum retention_class retention);

/* KIND_UNKNOWN for any word that is not in the table, and for "unknown". */
enum alert_kind alert_kind_from(struct str word);

/* -1: not a phase. */
int alert_phase_from(struct str word);

enum retention_class alert_class(enum alert_kind kind);

/* The word of flag bit 0, 1, ...; NULL past the last. */
const char *alert_flag_word(unsigned bit);

/* Writes the words of the flags, with `between` between them and a NUL at the end. Returns the length. */
#define ALERT_FLAG_WORDS_SIZE 512
size_t alert_flag_words(uint32_t flags, char between, char out[ALERT_FLAG_WORDS_SIZE]);

#endif
