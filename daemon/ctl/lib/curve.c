#include "ctl/lib/curve.h"

#include <string.h>

#include <zmq.h>

#include "base/secret.h"
#include "conf/load.h"

int curve_load(const char *file, struct curve *ret, struct err *err)
{
    char *secret = NULL;
    if (conf_read_key(file, &secret, err) != 0)
        return -1;
    memcpy(ret->secret_key, secret, sizeof(ret->secret_key));
    secret_free_text(&secret);
    return zmq_curve_public(ret->public_key, ret->secret_key) == 0 ? 0 : err_set(err, "%s: not a CURVE key", file);
}

void curve_wipe(struct curve *pair)
{
    explicit_bzero(pair, sizeof(*pair));
}
