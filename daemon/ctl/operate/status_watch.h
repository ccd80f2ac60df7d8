/*
 * The part of mobeyectl status about the units mobeyectl-watch@: how far each has come, and its dead letters.
 */
#ifndef MOBEYE_CTL_OPERATE_STATUS_WATCH_H
#define MOBEYE_CTL_OPERATE_STATUS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_WATCH_STATE "/var/lib/mobeyectl-watch" /* where systemd keeps their state */

struct status_watch {
    char name[64];
    double after;  /* the last change that was delivered; NAN: unknown */
    double behind; /* changes since; NAN: unknown */
    size_t dead;   /* dead letters */
    bool readable; /* whether this user may read its state */
};

struct status_watches {
    struct status_watch *list; /* by name */
    size_t n;
};

/* Reads the state directories in `directory`; none if it does not exist. last_change: the number of the last change;
 * NAN: unknown. free() the list. */
void status_watches_read(struct status_watches *ret, const char *directory, double last_change);

#endif
