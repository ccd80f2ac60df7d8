/*
 * Notifications to the service manager, by the protocol of sd_notify(3). Without a service manager (NOTIFY_SOCKET is
 * not set) the functions do nothing. They never block.
 */
#ifndef MOBEYE_BASE_NOTIFY_H
#define MOBEYE_BASE_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void); /* with MONOTONIC_USEC, as Type=notify-reload requires; notify_ready() ends it */
void notify_stopping(void);
void notify_watchdog(void);
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The interval for notify_watchdog(): half the service manager's timeout; 0: no watchdog. */
int64_t notify_watchdog_interval_us(void);

#endif
