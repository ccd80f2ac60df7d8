/*
 * The bounds outside which a place that is entered is refused: `bounds` of the configuration.
 */
#ifndef MOBEYE_CTL_REGISTRY_BOUNDS_H
#define MOBEYE_CTL_REGISTRY_BOUNDS_H

#include <stdbool.h>

#include "ctl/lib/options.h"

#define BOUNDS_SIZE 128

/* Writes the bounds as an unquoted float8[] literal for mobeye.implausible(). It is empty, meaning null, if the file
 * has none, or if --db was given without a file, in which case none is read; places that would be in the Netherlands
 * with longitude and latitude swapped are still refused. anyway: the bounds are the whole world. Returns an exit
 * status; errors in the file are printed. */
int bounds_read(const struct ctl_call *call, bool anyway, char ret[BOUNDS_SIZE]);

/* Like bounds_read(), but writes an SQL expression. */
int bounds_expression(const struct ctl_call *call, bool anyway, char ret[BOUNDS_SIZE + 16]);

#define BOUNDS_HELP "      --anyway           accept places outside the bounds of the configuration\n"

#endif
