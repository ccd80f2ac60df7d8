/*
 * Loads a YAML file into a struct conf and reports every error in it.
 */
#ifndef MOBEYE_CONF_LOAD_H
#define MOBEYE_CONF_LOAD_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "conf/diagnostics.h"

/* Appends one line for each diagnostic: "FILE:LINE:COL: section.key: what is wrong (what is expected)", warnings with
 * "warning: " after the position. Returns the configuration, which the caller owns, or NULL if there was an error, such
 * as a file that cannot be read. Warnings alone do not make it NULL. */
struct conf *conf_load(const char *file, struct buf *diagnostics);

/* Checks what this module cannot. conf may lack values that were reported before. */
typedef void (*conf_check_fn)(const struct conf *conf, struct diagnostics *diagnostics);

/* As conf_load(), and also loads the secret key and the client list that the file names, with diagnostics in the same
 * form. If names is not NULL, warns about names in the rules that the database does not know. Calls check, unless it is
 * NULL. For the daemon: programs that only read the configuration need no secrets. */
struct conf *conf_load_whole(const char *file, const struct conf_names *names, conf_check_fn check,
                             struct buf *diagnostics);

/* Reads a CURVE secret key in Z85 from a secret (base/secret.h). Free it with secret_free_text(). -1 with err set,
 * which names the source and never contains the key. */
int conf_read_key(const char *source, char **ret, struct err *err);

/* The same from the text of such a secret. */
int conf_parse_key(const char *source, struct str text, char **ret, struct err *err);

/* Loads the text of a client list into conf, which must have no clients yet. -1: an error was reported. */
int conf_parse_clients(struct conf *conf, const char *file, const char *text, size_t len, struct buf *diagnostics);

/* As conf_load(), from memory; `file` is only used in diagnostics. For tests and fuzzing. */
struct conf *conf_parse(const char *file, const char *text, size_t len, struct buf *diagnostics);

/* Appends one line for each changed key that cannot change while the daemon runs: it keeps its old value until a
 * restart. Returns whether there was one. */
bool conf_needs_restart(const struct conf *running, const struct conf *loaded, struct buf *diagnostics);

/* For a reload: gives these keys of loaded the values of running, which gets those of the file. */
void conf_keep_running(struct conf *running, struct conf *loaded);

#endif
