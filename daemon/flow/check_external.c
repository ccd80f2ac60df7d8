#include "flow/check_external.h"

#include "base/secret.h"
#include "ingest/dc09_crypt.h"
#include "store/conninfo.h"
#include "store/pgtarget.h"

static int check_conninfo(const struct conf *conf, struct buf *out)
{
    struct err err;
    struct pgtargets targets = {0};
    int rc = conninfo_check(conf->database.conninfo, &err);
    if (rc == 0)
        rc = pgtargets_parse(&targets, conf->database.conninfo, &err);
    if (rc != 0)
        buf_printf(out, "%s:%zu:%zu: database.conninfo: %s (expected a libpq connection string)\n", conf->file,
                   conf->database.pos.line, conf->database.pos.col, err.text);
    pgtargets_free(&targets);
    return rc;
}

/* A credential that only the service can read is not an error here; opening the endpoints checks it. */
static int check_dc09_keys(const struct conf *conf, const struct conf_endpoint *endpoint, struct buf *out)
{
    struct err err;
    bool hidden = secret_out_of_reach(endpoint->dc09_keys);
    struct dc09_keys *keys = hidden ? NULL : dc09_keys_load(endpoint->dc09_keys, &err);
    if (hidden)
        err_set(&err, "%s cannot be read here (systemd passes it to the service only)", endpoint->dc09_keys);
    if (!keys)
        buf_printf(out, "%s:%zu:%zu: %sendpoints.%s.dc09_keys: %s\n", conf->file, endpoint->dc09_keys_pos.line,
                   endpoint->dc09_keys_pos.col, hidden ? "warning: " : "", endpoint->name, err.text);
    bool good = keys || hidden;
    dc09_keys_free(&keys);
    return good ? 0 : -1;
}

int check_external(const struct conf *conf, struct buf *out)
{
    int rc = check_conninfo(conf, out);
    for (size_t i = 0; i < conf->n_endpoints; i++)
        if (conf->endpoints[i].dc09_keys && check_dc09_keys(conf, &conf->endpoints[i], out) != 0)
            rc = -1;
    return rc;
}
