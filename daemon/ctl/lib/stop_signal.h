/*
 * SIGTERM and SIGINT in verbs that run until they are stopped. The signals are blocked except during waits, so that
 * none is missed between a check and the wait after it; a command that the verb starts must unblock them.
 */
#ifndef MOBEYE_CTL_LIB_STOP_SIGNAL_H
#define MOBEYE_CTL_LIB_STOP_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

void stop_signal_catch(void);

/* Whether one has arrived. */
bool stop_signal_arrived(void);

/* Waits until the descriptor (-1: none) is readable, the time has passed, or a signal arrives. */
void stop_signal_wait(int fd, int64_t us);

#endif
