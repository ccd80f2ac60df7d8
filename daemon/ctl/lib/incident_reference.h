/*
 * The incident that a person means: by its number, or by its reference, which is used on the radio.
 */
#ifndef MOBEYE_CTL_LIB_INCIDENT_REFERENCE_H
#define MOBEYE_CTL_LIB_INCIDENT_REFERENCE_H

#include <stdbool.h>

#include "ctl/lib/ctl.h"

struct incident_reference {
    char text[32]; /* "2026-000010" */
};

/* Parses "2026-000010" or "2026-10". false: it is not a reference. */
bool incident_reference_parse(const char *text, struct incident_reference *ret);

/* The number of the incident as text, valid until the next call: from --incident (which may also be a reference) or
 * --reference; one of the two is given. NULL: it does not exist, or cannot be read; the error is printed. */
const char *incident_find(const char *verb, PGconn *conn, const char *incident, const char *reference);

#endif
