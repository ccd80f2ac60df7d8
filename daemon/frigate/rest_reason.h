/*
 * Why Frigate's HTTP interface gave no usable response, and what to check, as one line for the log. Pure.
 */
#ifndef MOBEYE_FRIGATE_REST_REASON_H
#define MOBEYE_FRIGATE_REST_REASON_H

#include "base/err.h"
#include "conf/conf_frigate.h"

struct rest_failure {
    long status;          /* 0: no response */
    int code;             /* of libcurl */
    const char *text;     /* of libcurl, about this call; empty: none */
    const char *location; /* of a redirection; empty: none */
};

void rest_reason(const struct conf_frigate *conf, const struct rest_failure *failure, struct err *ret);

#endif
