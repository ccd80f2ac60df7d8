/*
 * SIA DC-09 on the wire: LF CRC 0LLL "ID" SEQ [Rrcvr] Lpref [#acct] [data][xdata]..._time CR.
 * Source: ANSI/SIA DC-09-2013, 5.5.1; the numbers of clauses below are those of that edition.
 *
 * Pure: slices of the caller's bytes, no memory, no clock. The CRC (5.5.1.2: CRC-16/ARC over what goes from the first
 * quote to before CR) is 4 hex characters or, from some senders, 2 raw bytes, high one first; LLL counts the same bytes
 * in hex.
 */
#ifndef MOBEYE_INGEST_DC09_FRAME_H
#define MOBEYE_INGEST_DC09_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    DC09_BODY_MAX = 0xFFF,                         /* what LLL can count */
    DC09_FRAME_MAX = 1 + 4 + 4 + 0xFFF + 1,        /* LF to CR, both included */
    DC09_FIELDS_MAX = 32,                          /* extended data fields parsed; more stay in the text */
    DC09_TIME_SIZE = sizeof("21:15:00,12-01-2018") /* with the NUL */
};

/* What a run of bytes is, in the order of the checks. */
enum dc09_result {
    DC09_INCOMPLETE,     /* no frame yet: wait for more bytes */
    DC09_GARBLED,        /* from LF to CR or the next LF, but without CRC 0LLL " in between: silence */
    DC09_TOO_LONG,       /* no CR within the longest possible frame: silence, close the connection */
    DC09_BAD_LENGTH,     /* LLL is not the length: silence */
    DC09_BAD_CRC,        /* silence */
    DC09_NOT_UNDERSTOOD, /* well-formed, but with an unknown ID or unreadable contents: DUH */
    DC09_COMPLETE,
};

enum dc09_id { DC09_ID_OTHER, DC09_ID_SIA_DCS, DC09_ID_ADM_CID, DC09_ID_NULL, DC09_ID_ACK, DC09_ID_NAK, DC09_ID_DUH };

/* Slices are empty where the part is absent. */
struct dc09_frame {
    struct str raw;  /* CRC to before CR; set unless DC09_INCOMPLETE. The rest is set from DC09_NOT_UNDERSTOOD on. */
    struct str body; /* first quote to before CR */
    uint16_t crc;
    bool crc_binary;
    enum dc09_id id;
    struct str id_word; /* without the star */
    bool encrypted;
    struct str seq; /* 4 digits; empty where the header could not be read: then so is all that follows */
    struct str receiver, line, account; /* without R, L, # */
    struct str content;                 /* after '[' to the end: data]... or, encrypted, hex */
};

/* One [field] of extended data. */
struct dc09_field {
    char id;
    struct str value;
};

/* The text between '[' and CR, decrypted. */
struct dc09_content {
    struct str whole; /* without pad */
    struct str data;  /* to before the first ']' */
    struct dc09_field fields[DC09_FIELDS_MAX];
    size_t n_fields;
    bool has_time;
    int64_t time_us; /* of sending, wall time; ALERT_NO_TIME where absent or unreadable */
};

const char *dc09_result_text(enum dc09_result result);

uint16_t dc09_crc(struct str bytes);

/* Reads the first frame of a stream. `*ret_used` bytes are consumed (for DC09_INCOMPLETE: noise before an LF; the rest
 * is shorter than DC09_FRAME_MAX); slices of ret point into `bytes`, so drop those after using ret. Call again with the
 * rest until DC09_INCOMPLETE; any other result consumes at least one byte. An LF within a frame begins a new one and a
 * CR ends it, whatever LLL says: a wrong length does not delay later frames. */
enum dc09_result dc09_scan(struct str bytes, struct dc09_frame *ret, size_t *ret_used);

/* A message that is one frame, as on a ZeroMQ socket; LF and CR may be missing. Never DC09_INCOMPLETE. */
enum dc09_result dc09_whole(struct str message, struct dc09_frame *ret);

/* Reads data]fields_time. false: no ']'. */
bool dc09_content_parse(struct str text, struct dc09_content *ret);

/* The timestamp (5.5.1.8): HH:MM:SS,MM-DD-YYYY, which is UTC. */
bool dc09_time_parse(struct str text, int64_t *ret_wall_us);
char *dc09_time_format(int64_t wall_us, char out[DC09_TIME_SIZE]);

/* true for 1 or more characters of 0-9A-Fa-f. */
bool dc09_is_hex(struct str text);

/* Appends LF CRC 0LLL body CR. body: at most DC09_BODY_MAX bytes. */
void dc09_build(struct buf *out, struct str body, bool crc_binary);

#endif
