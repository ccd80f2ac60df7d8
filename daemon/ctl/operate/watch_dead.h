/*
 * The dead letters of mobeyectl watch: events that were not taken in time, in a file, one JSON document a line. A watch
 * may append while another process tries them again.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_DEAD_H
#define MOBEYE_CTL_OPERATE_WATCH_DEAD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/operate/watch_deliver.h"

/* Appends the event; it is on stable storage afterwards. -1 with err. */
int dead_append(const char *file, struct str event, struct err *err);

/* Delivers each once, in order; those that are not taken go back into the file, and to standard error with the reason.
 * An interrupted run is taken up by the next. Counts both. -1 with err: a file cannot be read or written. */
int dead_retry(const char *file, const struct delivery *delivery, size_t *ret_taken, size_t *ret_left, struct err *err);

#endif
