/*
 * What was odd about an alert, for its sender.
 */
#ifndef MOBEYE_CTL_SEND_FLAG_REASON_H
#define MOBEYE_CTL_SEND_FLAG_REASON_H

#include "base/buf.h"
#include "model/alert.h"

/* Appends "clock (time: missing, so the receive time is used), bad_input (...)" for words with spaces between.
 * alert: the alert as sent, with the time of validate_time(). A word that is not known here is appended as it is. */
void flag_reasons(struct str words, const struct alert *alert, struct buf *out);

/* Appends 'data.kind: "moton" is stored as unknown (did you mean motion?)'; nothing if the kind is known. */
void kind_reason(const struct alert *alert, struct buf *out);

#endif
