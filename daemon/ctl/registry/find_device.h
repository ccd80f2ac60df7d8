/*
 * The device that a person means: by its id in any case, or by the account and input of its DC-09 messages.
 */
#ifndef MOBEYE_CTL_REGISTRY_FIND_DEVICE_H
#define MOBEYE_CTL_REGISTRY_FIND_DEVICE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "model/alert.h"

struct device_name {
    char text[ALERT_DEVICE_MAX + 1];
};

/* Finds "NL-0307-00042", "nl-0307-00042", "3071", "3071/1" or "dc09:3071/1". Says on stderr which device it is, unless
 * given by its id. false: there is none, or more than one; the error is printed, with a similar device. */
bool find_device(const char *verb, PGconn *conn, const char *text, struct device_name *ret);

#endif
