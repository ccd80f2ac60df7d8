/*
 * The dead letters of mobeyectl watch: events that could not be delivered in time, in a file, one JSON document per
 * line. A watch may append to it while another process retries its events.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_DEAD_H
#define MOBEYE_CTL_OPERATE_WATCH_DEAD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/operate/watch_deliver.h"

/* Appends the event and syncs the file and its directory. -1 with err set: the file is as it was. */
int dead_append(const char *file, struct str event, struct err *err);

/* Tries to deliver each event once, in order. Events that are not accepted go back into the file, and the reason is
 * printed. The next run continues an interrupted one. Counts both. -1 with err set: a file cannot be read or written,
 * or another run has not ended. */
int dead_retry(const char *file, const struct delivery *delivery, size_t *ret_taken, size_t *ret_left, struct err *err);

#endif
