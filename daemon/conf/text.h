/*
 * Validation of texts in a configuration. Errors as in conf/value.h.
 */
#ifndef MOBEYE_CONF_TEXT_H
#define MOBEYE_CONF_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define ZONEINFO "/usr/share/zoneinfo"

/* min to max printable characters. */
int text_check_printable(const char *text, int64_t min, int64_t max, struct err *err);

/* A glob that can match a device ID. */
int text_check_glob(const char *text, int64_t min, int64_t max, struct err *err);

/* min to max characters that a device ID may have. */
int text_check_device(const char *text, int64_t min, int64_t max, struct err *err);

/* An http or https URL without user, password, query and fragment. */
int text_check_url(const char *text, struct err *err);

/* A layer name. */
int text_check_layer(const char *text, struct err *err);

/* A time zone that is installed on this machine. */
int text_check_zone(const char *text, struct err *err);

/* A connection string that libpq can parse; only libpq knows whether it is valid. The error quotes nothing from it. */
int text_check_conninfo(const char *text, struct err *err);

/* Whether a valid connection string contains a password. */
bool text_conninfo_has_password(const char *text);

/* A path, or credential:NAME. */
int text_check_secret(const char *text, struct err *err);

/* 32 bytes in Z85 (ZeroMQ RFC 32). The error quotes nothing from it. */
int text_check_key(const char *text, struct err *err);

int text_check_path(const char *text, struct err *err);

#endif
