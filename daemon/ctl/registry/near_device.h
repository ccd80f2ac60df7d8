/*
 * Guesses which registered device an unknown sender is: one with a similar account or id.
 */
#ifndef MOBEYE_CTL_REGISTRY_NEAR_DEVICE_H
#define MOBEYE_CTL_REGISTRY_NEAR_DEVICE_H

#include <stdbool.h>

#include "base/buf.h"

/* A registered device with one of its addresses; NULL: no address, or no input. */
struct near_candidate {
    const char *device_id, *account, *input;
};

/* The nearest of n candidates: the same account with another input, or an account or id that differs in one character
 * (two for ids of 8 characters or more), ignoring case; the first of several. NULL: none is near. Pure. */
const struct near_candidate *near_device(const char *unknown, const struct near_candidate *candidates, size_t n);

#endif
