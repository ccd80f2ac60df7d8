/*
 * Which registered device an unknown sender may be: one whose account or id is close to what it calls itself.
 */
#ifndef MOBEYE_CTL_REGISTRY_NEAR_DEVICE_H
#define MOBEYE_CTL_REGISTRY_NEAR_DEVICE_H

#include <stdbool.h>

#include "base/buf.h"

/* A registered device, or one of its addresses. NULL: it has none. */
struct near_candidate {
    const char *device_id, *account, *input;
};

/* The nearest of n: the same account with another input, an account or an id that differs in one character (ids of 8
 * or more: two; letters in another case do not count), first in the order given. NULL: none is close. Pure. */
const struct near_candidate *near_device(const char *unknown, const struct near_candidate *candidates, size_t n);

#endif
