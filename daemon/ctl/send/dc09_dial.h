/*
 * The test dialler of mobeyectl dc09: frames written as text, and the panel's side of a TCP connection.
 */
#ifndef MOBEYE_CTL_SEND_DC09_DIAL_H
#define MOBEYE_CTL_SEND_DC09_DIAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ingest/decode_dc09.h"

/*
 * Appends the frame that one line of a scenario describes.
 *
 *   "SIA-DCS"0001L0#1234[#1234|Nri1/BA001]_now   CRC and length are computed
 *   "*SIA-DCS"0001L0#1234[#1234|Nri1/BA001]_now  the same, and what follows '[' is encrypted with the account's key
 *   98A6003B"ADM-CID"0002L0#1234[...             anything else is sent unchanged, valid or not, except an ID without
 *                                                quotes, which is an error
 *   # text                                       a comment; yields nothing, like an empty line
 *
 * _now is the current time in the format of DC-09; _now-60s and _now+1h are relative to it (s, m, h).
 * Returns 1 for a frame, 0 for none, -1 with err set. pad as for dc09_encrypt().
 */
int dial_frame(struct str line, const struct dc09_keys *keys, bool crc_binary, int64_t now_us,
               const uint8_t pad[DC09_PAD_MAX], struct buf *out, struct err *err);

/* A connection that is opened on demand, and again after silence or after the receiver has closed it. {.fd = -1} is not
 * connected. */
struct dial {
    const char *to; /* HOST:PORT or [::1]:PORT, optionally with the prefix tcp:// */
    int timeout_ms; /* for connecting and for a reply */
    int fd;         /* -1: not connected */
    struct buf in;  /* bytes received for the current reply */
};

/* Whether it has the form of dial.to. -1: no; err says what is expected. */
int dial_check_address(const char *text, struct err *err);

enum dial_answer { DIAL_REPLY, DIAL_SILENCE, DIAL_CLOSED, DIAL_ERROR };

/* Sends the frame and waits for the next complete frame; *ret is valid until the next call. DIAL_ERROR, with err set:
 * cannot connect. */
enum dial_answer dial_send(struct dial *dial, struct str frame, struct dc09_frame *ret, enum dc09_result *ret_result,
                           struct err *err);
void dial_close(struct dial *dial);

#endif
