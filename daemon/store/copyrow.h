/*
 * Rows in PostgreSQL's binary format for COPY.
 */
#ifndef MOBEYE_STORE_COPYROW_H
#define MOBEYE_STORE_COPYROW_H

#include "model/alert.h"
#include "store/identity.h"

/* Header and trailer of a binary COPY. */
extern const struct str copyrow_header, copyrow_trailer;

/* The columns of a row of mobeye.alert as copyrow_alert() writes it. stored_at has a default. */
#define COPYROW_ALERT_COLUMNS                                                                                          \
    "class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, clock_skew, flags, input, "   \
    "accuracy_m, drill, secret, placement_id, team, geom, wijk_code, buurt_code, device_id, source, event_id, "        \
    "payload, incident_id, areas, image_id"

enum {
    COPYROW_CHUNK_BYTES = 64 * 1024, /* of a COPY sent at a time: senders wait for replies meanwhile */
};

/* Statements for the data written by the functions below. */
#define COPYROW_ALERT_SQL    "copy mobeye.alert (" COPYROW_ALERT_COLUMNS ") from stdin (format binary)"
#define COPYROW_IDENTITY_SQL "copy mobeye.alert_identity (id, device, period) from stdin (format binary)"

/* A row except for its last four columns. The number of its origin is from origin_of(). */
void copyrow_alert(struct buf *out, const struct alert *alert, uint64_t origin);

/* The last four columns: the payload, which is long; the incident (0: none) and the areas, which are known last (areas
 * only if the alert has neither an incident nor a placement's team by which it could be seen); and the number of its
 * image, which is its own identity (NULL: it has none). */
void copyrow_rest(struct buf *out, const struct alert *alert, uint64_t incident_id, const uint8_t *image_id);

/* device: from identity_device(), or 0. */
void copyrow_identity(struct buf *out, const uint8_t id[IDENTITY_BYTES], uint64_t device, uint32_t period);

#endif
