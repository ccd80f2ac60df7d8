/*
 * The contents of the brackets of a DC-09 frame: SIA events, Contact-ID events, coordinates. Pure; slices of the text.
 *
 * SIA:        #1234|Nri1/BA001/BA002|Atext   N (new) or O (old), modifiers (ri area, id, ti time of day), events of two
 *             letters and a zone, each under the modifiers before it; a text block belongs to the events before it
 * Contact-ID: #1234|1130 01 001              qualifier and event, partition, zone
 *
 * Sources: ANSI/SIA DC-09-2013, 5.5.1.7, for the brackets; ANSI/SIA DC-03 for SIA, ANSI/SIA DC-05 for Contact-ID.
 *
 * The number after a code is the input, whatever the code, as used by the Mobeye portal. (Panels send the user's number
 * with OP, CL and 401.) 0 means the set as a whole.
 */
#ifndef MOBEYE_INGEST_DC09_DATA_H
#define MOBEYE_INGEST_DC09_DATA_H

#include "ingest/dc09_codes.h"
#include "ingest/dc09_frame.h"
#include "model/alert.h"

/* Slices are empty where the part is absent. */
struct dc09_event {
    struct str raw;   /* as received */
    struct str code;  /* "BA", "130"; empty: unknown form */
    char qualifier;   /* 'N', 'O' or the Contact-ID digit; 0: unknown form */
    struct str zone;  /* as received: "001" */
    int32_t input;    /* the zone number; ALERT_NO_INT: none, 0, or not a number */
    bool bad_zone;    /* there is a zone, but it is not a number up to ALERT_INPUT_MAX */
    struct str area;  /* ri, or the Contact-ID partition */
    struct str user;  /* id */
    struct str clock; /* ti, HH:MM[:SS]: the panel's own time, without date or zone, so not a time of occurrence */
    struct str text;  /* of a block A, or what follows the zone */
    struct dc09_meaning meaning;
};

/* Reads the data of a SIA-DCS or ADM-CID frame. Returns the number of events; `events` has the first `max` of them.
 * Data of an unknown form counts as an event of KIND_UNKNOWN; 0: the data is empty. `*ret_account` is that of the
 * prefix #acct|, empty without one. */
size_t dc09_events(enum dc09_id id, struct str data, struct dc09_event *events, size_t max, struct str *ret_account);

/* The value of an X (axis 'X') or Y field, in degrees, east and north positive: 005E22.800 (degrees, half, minutes),
 * or decimal degrees with a sign, or with the half before or after them (-5.38, 5.38E, E5.38). */
bool dc09_coordinate(char axis, struct str value, double *ret_degrees);

/* 1: X and Y are each given once and are possible; 0: neither is given; -1: anything else. */
int dc09_location(const struct dc09_content *content, double *ret_lon, double *ret_lat);

/* The time of occurrence: H if given and readable, else the time of sending, else ALERT_NO_TIME. */
int64_t dc09_occurred_us(const struct dc09_content *content);

/* The name of an extended data field in a payload; "other" for those that are stored raw. */
const char *dc09_field_word(char id);

#endif
