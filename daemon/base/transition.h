/*
 * Tables of the transitions that a state machine may make: each row, by the state that is left, holds the bits of the
 * states that may follow.
 */
#ifndef MOBEYE_BASE_TRANSITION_H
#define MOBEYE_BASE_TRANSITION_H

#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"

#define STATE_BIT(state) (UINT32_C(1) << (state))

/* Aborts where the transition is not in the table, in every build: a restart loses nothing, since mobeyed applies its
 * journal again from the position in the database, mobeye-frigate asks Frigate again from its cursor, and pages of
 * mobeye-board connect again. */
static inline void transition_check(const uint32_t *transitions, unsigned from, unsigned to, const char *machine)
{
    if (transitions[from] & STATE_BIT(to))
        return;
    log_error(machine, "state %u must not follow on state %u; this is a bug", to, from);
    abort();
}

#endif
