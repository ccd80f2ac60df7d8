/*
 * The service manager, by the protocol of sd_notify(3). Every call does nothing where there is none (NOTIFY_SOCKET is
 * unset), and none of them waits.
 */
#ifndef MOBEYE_BASE_NOTIFY_H
#define MOBEYE_BASE_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void); /* with MONOTONIC_USEC, as Type=notify-reload wants it; notify_ready() ends it */
void notify_stopping(void);
void notify_watchdog(void);
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How often notify_watchdog() is due, half of what the manager allows; 0: no watchdog. */
int64_t notify_watchdog_interval_us(void);

#endif
