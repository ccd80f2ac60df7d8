/*
 * Files that may lead root, since nobody else can change or replace them.
 */
#ifndef MOBEYE_CTL_LIB_ROOT_ONLY_H
#define MOBEYE_CTL_LIB_ROOT_ONLY_H

#include "base/err.h"

/* Whether the file and each directory above it, also where links lead, are root's and writable by nobody else. -1: they
 * are not, or the file cannot be found; err says which. */
int root_only_check(const char *path, struct err *err);

#endif
