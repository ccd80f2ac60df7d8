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

/* Prints "LOGIN PASSWORD" lines of what was created on stdout (with json on stderr), and on stderr what lets them in.
 * Call it after the commit. */
void make_logins_print(bool json);

/* Wipes the passwords. */
void make_logins_forget(void);

#endif
