/*
 * CURVE keys in the form that the verbs use: 40 characters of Z85 and a NUL.
 */
#ifndef MOBEYE_CTL_LIB_CURVE_H
#define MOBEYE_CTL_LIB_CURVE_H

#include "base/err.h"
#include "conf/conf.h"

struct curve {
    char public_key[CONF_KEY_LEN + 1], secret_key[CONF_KEY_LEN + 1];
};

/* Loads the pair whose secret key is in the file (base/secret.h). -1 with err set; it names the file, never the key. */
int curve_load(const char *file, struct curve *ret, struct err *err);
void curve_wipe(struct curve *pair);

#endif
