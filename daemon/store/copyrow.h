/*
 * Rows and values in PostgreSQL's binary formats: for COPY, and for array parameters.
 */
#ifndef MOBEYE_STORE_COPYROW_H
#define MOBEYE_STORE_COPYROW_H

#include "alert/alert.h"
#include "store/identity.h"

/* What a binary COPY begins and ends with. */
extern const struct str copyrow_header, copyrow_trailer;

/* The columns of a row of mobeye.alert as copyrow_alert() writes it. stored_at has a default. */
#define COPYROW_ALERT_COLUMNS                                                                                          \
    "class, occurred_at, received_at, clock_skew, source, event_id, instance, journal_seq, endpoint, device_id, "      \
    "kind, phase, input, drill, flags, geom, accuracy_m, location_source, rule, payload, wijk_code, buurt_code, "      \
    "rules, placement_id, team, secret, incident_id, areas"

enum { COPYROW_POINT_BYTES = 25, COPYROW_RULES_BYTES = 16 };

/* Statements that the data of the functions below goes into. */
#define COPYROW_ALERT_SQL    "copy mobeye.alert (" COPYROW_ALERT_COLUMNS ") from stdin (format binary)"
#define COPYROW_IDENTITY_SQL "copy mobeye.alert_identity (id, device, stored_on) from stdin (format binary)"

/* A row but for its last two columns. rules: the hash of the rules that it was judged by, 16 bytes, or NULL. */
void copyrow_alert(struct buf *out, const struct alert *alert, struct str instance, const uint8_t *rules);

/* The last two columns, which are known last: the incident (0: none), and the areas of an alert that has neither an
 * incident nor a placement's team by which it could be seen. */
void copyrow_incident(struct buf *out, const struct alert *alert, uint64_t incident_id);

/* device: of identity_device(), or 0. stored_on is the day of wall_us, UTC. */
void copyrow_identity(struct buf *out, const uint8_t id[IDENTITY_BYTES], uint64_t device, int64_t wall_us);

/* Wall time as timestamptz counts it, and back. */
int64_t copyrow_timestamp(int64_t wall_us);
int64_t copyrow_wall_us(int64_t timestamp);

/* A place, degrees WGS84, as PostGIS reads it. */
void copyrow_point(uint8_t ret[COPYROW_POINT_BYTES], double lon, double lat);

/* One dimension of n elements of the type; its elements follow, each a length of 4 bytes (-1: null) and its bytes. */
void copyrow_array(struct buf *out, uint32_t element_type, size_t n);

/* The types that this program names. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_REAL = 700,
    TYPE_BOOL_ARRAY = 1000,
    TYPE_BYTEA_ARRAY = 1001,
    TYPE_INT4_ARRAY = 1007,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_INT8_ARRAY = 1016,
    TYPE_REAL_ARRAY = 1021,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_TIMESTAMPTZ_ARRAY = 1185,
    TYPE_INTERVAL = 1186,
    TYPE_INTERVAL_ARRAY = 1187,
    TYPE_UUID = 2950,
    TYPE_UUID_ARRAY = 2951,
};

#endif
