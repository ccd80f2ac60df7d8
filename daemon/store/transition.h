/*
 * Tables of the transitions that a state machine may make: each row, by the state that is left, holds the bits of the
 * states that may follow.
 */
#ifndef MOBEYE_STORE_TRANSITION_H
#define MOBEYE_STORE_TRANSITION_H

#include <assert.h>
#include <stdint.h>

#define STATE_BIT(state) (UINT32_C(1) << (state))

static inline void transition_assert(const uint32_t *transitions, unsigned from, unsigned to)
{
    (void)transitions, (void)from, (void)to; /* where assert() is nothing */
    assert(transitions[from] & STATE_BIT(to));
}

#endif
