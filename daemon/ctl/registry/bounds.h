/*
 * Which places are not to be believed when somebody enters them: those outside `bounds` of the configuration.
 */
#ifndef MOBEYE_CTL_REGISTRY_BOUNDS_H
#define MOBEYE_CTL_REGISTRY_BOUNDS_H

#include <stdbool.h>

#include "ctl/lib/options.h"

#define BOUNDS_SIZE 128

/* Writes the bounds as a literal of PostgreSQL's float8[] for mobeye.implausible(), without quotes. Empty, for null:
 * there are none, in the file or since --db was given and no file, which is then not read; places that would lie in the
 * Netherlands with longitude and latitude swapped are refused all the same. anyway: all degrees are within. An exit
 * status; what is wrong with the file is printed. */
int bounds_read(const struct ctl_call *call, bool anyway, char ret[BOUNDS_SIZE]);

/* The same as an SQL expression. */
int bounds_expression(const struct ctl_call *call, bool anyway, char ret[BOUNDS_SIZE + 16]);

#define BOUNDS_HELP "      --anyway           take places outside bounds of the configuration, too\n"

#endif
