/*
 * YAML file -> struct conf, with every error at once.
 */
#ifndef MOBEYE_CONF_LOAD_H
#define MOBEYE_CONF_LOAD_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

/* Appends complaints to diagnostics, a line each: "FILE:LINE:COL: section.key: what is wrong (what is allowed)",
 * warnings with "warning: " behind the position. Returns the configuration, which the caller owns, or NULL where there
 * was an error. Warnings alone do not make it NULL. A file that cannot be read is such an error. */
struct conf *conf_load(const char *file, struct buf *diagnostics);

/* As conf_load(), with the secret key and the clients that the file names, where what is wrong is complained about in
 * the same way; and with warnings of names in the rules that the database does not know (names: NULL, or whom to ask).
 * For the daemon: who only looks at the configuration needs no secrets. */
struct conf *conf_load_whole(const char *file, const struct conf_names *names, struct buf *diagnostics);

/* Reads a secret key of CURVE, as Z85, from a secret (base/secret.h): free it with secret_free_text(). -1 with err set,
 * naming the source and never the key. */
int conf_read_key(const char *source, char **ret, struct err *err);

/* Loads the text of a list of clients into conf, which has none. -1: complained about. */
int conf_parse_clients(struct conf *conf, const char *file, const char *text, size_t len, struct buf *diagnostics);

/* As conf_load() from memory; `file` is only the name in the report. For tests and fuzzing. */
struct conf *conf_parse(const char *file, const char *text, size_t len, struct buf *diagnostics);

/* Appends a line for every key that differs and cannot change while the daemon runs (it keeps its old value until a
 * restart). Returns whether there was one. */
bool conf_needs_restart(const struct conf *running, const struct conf *loaded, struct buf *diagnostics);

#endif
