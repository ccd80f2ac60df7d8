/*
 * The test dialler of mobeyectl dc09: frames written as text, and a panel's side of a TCP connection.
 */
#ifndef MOBEYE_CTL_SEND_DC09_DIAL_H
#define MOBEYE_CTL_SEND_DC09_DIAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ingest/decode_dc09.h"

/*
 * One line of a scenario -> the bytes of a frame, appended.
 *
 *   "SIA-DCS"0001L0#1234[#1234|Nri1/BA001]_now   CRC and length are computed
 *   "*SIA-DCS"0001L0#1234[#1234|Nri1/BA001]_now  and what follows the '[' is encrypted in the account's key
 *   98A6003B"ADM-CID"0002L0#1234[...             anything else goes out as it stands, right or wrong, but for an ID
 *                                                that lacks its quotes
 *   # text                                       nothing, as an empty line
 *
 * _now is the time as DC-09 writes it, _now-60s and _now+1h are others (s, m, h).
 * Returns 1 for a frame, 0 for none, -1 with err set. pad as for dc09_encrypt().
 */
int dial_frame(struct str line, const struct dc09_keys *keys, bool crc_binary, int64_t now_us,
               const uint8_t pad[DC09_PAD_MAX], struct buf *out, struct err *err);

/* A connection that is made when it is needed, and again after silence or when the receiver has closed it. {.fd = -1}
 * is a new one. */
struct dial {
    const char *to; /* HOST:PORT, [::1]:PORT, either with tcp:// in front */
    int timeout_ms; /* for connecting and for an answer */
    int fd;         /* -1: none */
    struct buf in;  /* what has come in and is not yet read */
};

enum dial_answer { DIAL_REPLY, DIAL_SILENCE, DIAL_CLOSED, DIAL_ERROR };

/* Sends the frame and waits for the next whole frame, which is in *ret until the next call. err is set for DIAL_ERROR:
 * no connection. */
enum dial_answer dial_send(struct dial *dial, struct str frame, struct dc09_frame *ret, enum dc09_result *ret_result,
                           struct err *err);
void dial_close(struct dial *dial);

#endif
