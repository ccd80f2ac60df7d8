/*
 * The states of a state machine: the name of each, and the transitions that it may make.
 */
#ifndef MOBEYE_BASE_TRANSITION_H
#define MOBEYE_BASE_TRANSITION_H

#include <stdint.h>

/* A table has one element per state, indexed by its number. */
struct machine_state {
    const char *name;
    uint32_t exits; /* a bit for each state that may follow: STATE_BIT() */
};

#define STATE_BIT(state) (UINT32_C(1) << (state))

/* Logs a transition for debugging. Aborts where it is not among the exits, in every build: a restart loses nothing,
 * since mobeyed applies its journal again from the position in the database, mobeye-frigate asks Frigate again from its
 * cursor, and pages of mobeye-board connect again. subject: of the log line; machine: which of the subject's machines,
 * "" if it has only one. */
void transition_check(const struct machine_state *states, unsigned from, unsigned to, const char *subject,
                      const char *machine, const char *reason);

#endif
