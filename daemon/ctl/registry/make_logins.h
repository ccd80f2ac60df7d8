/*
 * Database logins for the people of an import (mobeyectl people import --make-logins).
 */
#ifndef MOBEYE_CTL_REGISTRY_MAKE_LOGINS_H
#define MOBEYE_CTL_REGISTRY_MAKE_LOGINS_H

#include "ctl/registry/import.h"

/* struct import's before_check: creates the logins of person_import that do not exist, each with a password of its own,
 * and makes all of them members of mobeye_patrol, in the transaction of the import. The server and its log get no more
 * than the verifiers. false: the error is printed. */
bool make_logins(struct import *import);

/* struct import's before_commit: prints "LOGIN PASSWORD" lines of what was created on stdout (with json on stderr).
 * false: they could not be printed, which is said; since nobody would know them, nothing is committed. */
bool make_logins_print(struct import *import);

/* Once the import has ended: wipes the passwords. Prints on stderr what lets the logins in, or, if they were printed
 * and the commit failed, that they are not valid. */
void make_logins_end(bool committed);

#endif
