/*
 * Database logins for the people of an import (mobeyectl people import --make-logins).
 */
#ifndef MOBEYE_CTL_REGISTRY_MAKE_LOGINS_H
#define MOBEYE_CTL_REGISTRY_MAKE_LOGINS_H

#include "ctl/registry/import.h"

/* struct import's before_check: creates the missing logins of person_import, each with its own password, and makes all
 * of them members of mobeye_patrol, in the transaction of the import. The server and its log receive only the
 * verifiers. false: the error is printed. */
bool make_logins(struct import *import);

/* struct import's before_commit: prints a line "LOGIN PASSWORD" for each login created, on stdout (with json on
 * stderr). false: they could not be printed, which is reported; since nobody would know the passwords, nothing is
 * committed. */
bool make_logins_print(struct import *import);

/* Once the import has ended: wipes the passwords. Prints on stderr how to admit the logins or, if they were printed and
 * the commit failed, that they are not valid. */
void make_logins_end(bool committed);

#endif
