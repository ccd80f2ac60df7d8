/*
 * What texts of the file must look like. Errors as in conf/value.h.
 */
#ifndef MOBEYE_CONF_TEXT_H
#define MOBEYE_CONF_TEXT_H

#include <stdint.h>

#include "base/err.h"

#define ZONEINFO "/usr/share/zoneinfo"

/* min to max printable characters. */
int text_check_printable(const char *text, int64_t min, int64_t max, struct err *err);

/* A glob that some device id can match. */
int text_check_glob(const char *text, int64_t min, int64_t max, struct err *err);

/* A name that a layer of areas can have. */
int text_check_layer(const char *text, struct err *err);

/* A time zone that this machine knows. */
int text_check_zone(const char *text, struct err *err);

/* A connection string that libpq can take apart. What it means only libpq knows. The error repeats nothing of it. */
int text_check_conninfo(const char *text, struct err *err);

/* A path, or credential:NAME. */
int text_check_secret(const char *text, struct err *err);

/* 32 bytes in Z85 (ZeroMQ RFC 32). The error repeats nothing of it. */
int text_check_key(const char *text, struct err *err);

int text_check_path(const char *text, struct err *err);

#endif
