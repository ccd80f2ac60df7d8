/*
 * The environment that systemd gives to the process of a unit, by what root wrote: that of the process itself belongs
 * to the user whose it is.
 */
#ifndef MOBEYE_CTL_LIB_UNIT_ENVIRONMENT_H
#define MOBEYE_CTL_LIB_UNIT_ENVIRONMENT_H

#include "base/buf.h"
#include "base/err.h"

/* Appends NAME=VALUE and a NUL for each variable of Environment=, then of each EnvironmentFile=; the last of a name
 * counts. -1: a file cannot be read, or is not only root's to change or to remove, and was left out; err says why. */
int unit_environment(const char *unit, struct buf *ret, struct err *err);

/* Appends in this form the variables of the text of an EnvironmentFile=, as systemd.exec(5) has it. -1: which they are
 * depends on the version of systemd, since a comment ends with a backslash. */
int unit_environment_of_file(struct buf *ret, struct str text);

/* The same of Environment= as systemctl show prints it. */
void unit_environment_of_property(struct buf *ret, const char *words);

#endif
