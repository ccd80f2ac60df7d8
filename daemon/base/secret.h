/*
 * Secrets, read from files that nobody else may read, or from the credentials that systemd hands a service.
 */
#ifndef MOBEYE_BASE_SECRET_H
#define MOBEYE_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* "credential:NAME" is the file NAME in $CREDENTIALS_DIRECTORY; anything else is a path. */
#define SECRET_CREDENTIAL "credential:"

/*
 * Appends all of it to `ret`, which should be empty: no copy is left behind by growing. It must be a regular file of at
 * most max_bytes that neither group nor others have any right to, and that belongs to root or to the user of this
 * process (root may read anybody's). systemd sees to the rights of a credential. -1 with err set, naming the source and
 * nothing that is in it.
 */
int secret_read(const char *source, size_t max_bytes, struct buf *ret, struct err *err);

/* Whether the source is a credential that this process cannot see. That need not be a mistake: systemd shows them to
 * the service itself, but not to what ExecReload= runs, nor to a shell. */
bool secret_out_of_reach(const char *source);

/* Wipes and frees. */
void secret_free(struct buf *secret);

/* Wipes and frees a text; safe on NULL. Sets it to NULL. */
void secret_free_text(char **secret);

#endif
