/*
 * Files that may lead root, since nobody else can change or replace them.
 */
#ifndef MOBEYE_CTL_LIB_ROOT_ONLY_H
#define MOBEYE_CTL_LIB_ROOT_ONLY_H

#include <sys/types.h>

#include "base/err.h"

/* Whether the file, each directory above it and each link on the way are root's and writable by nobody else. -1: they
 * are not, or the file cannot be found, or the path is relative; err says which. errno is ENOENT where the file does
 * not exist and only root can make it. */
int root_only_check(const char *path, struct err *err);

/* The same of what leads only this user: it may be the user's own too. */
int root_only_check_for(uid_t user, const char *path, struct err *err);

/* The same of the place that the path names, where root may write therefore: of each directory above the file and each
 * link on the way. The file itself may be anybody's, or not exist. */
int root_only_check_place(const char *path, struct err *err);

#endif
