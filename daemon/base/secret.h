/*
 * Reads secrets from files with restricted permissions, or from systemd credentials.
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
 * Appends the secret to `ret`, which should be empty, so that growing leaves no copy in memory. The file must be a
 * regular file of at most max_bytes, without permissions for group and others, owned by root or by the user of this
 * process (root may read the files of any user). systemd sets the permissions of credentials. -1 with err set, which
 * names the source and contains nothing of the secret; `ret` may contain a part: secret_free() it in any case.
 */
int secret_read(const char *source, size_t max_bytes, struct buf *ret, struct err *err);

/* Sets *ret to the first line, of a file of at most 1024 bytes; free it with secret_free_text(). -1 with err set, also
 * if that line is empty. */
int secret_read_line(const char *source, char **ret, struct err *err);

/* Whether the source is a credential that is not available to this process. That need not be an error: systemd passes
 * credentials to the service itself, but not to ExecReload= commands or to a shell. */
bool secret_out_of_reach(const char *source);

/* Wipes and frees. */
void secret_free(struct buf *secret);

/* Wipes and frees a text and sets it to NULL; safe on NULL. */
void secret_free_text(char **secret);

#endif
