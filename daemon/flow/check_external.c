#include "flow/check_external.h"

#include <stdio.h>

#include "ingest/dc09_crypt.h"
#include "store/conninfo.h"
#include "store/pgtarget.h"

/* The destination of errors in a file of DC-09 keys. */
struct keys_check {
    struct diagnostics *diagnostics;
    struct source_pos pos;
    char path[128];
};

/* The environment and the service file are those of the service, which this program may not be. */
static void check_conninfo(const struct conf *conf, struct diagnostics *diagnostics)
{
    struct err err;
    if (conninfo_check(conf->database.conninfo, &err) != 0 || pgtargets_check(conf->database.conninfo, &err) != 0)
        diagnostics_failure(diagnostics, conf->database.pos, "database.conninfo", &err, "a libpq connection string");
}

static void on_bad_keys(void *ctx, const struct err *err)
{
    const struct keys_check *check = ctx;
    diagnostics_failure(check->diagnostics, check->pos, check->path, err, "a file of accounts and keys");
}

/* A credential that only the service can read is not an error here; opening the endpoints checks it. */
static void check_dc09_keys(const struct conf_endpoint *endpoint, struct diagnostics *diagnostics)
{
    struct keys_check check = {.diagnostics = diagnostics, .pos = endpoint->dc09_keys_pos};
    snprintf(check.path, sizeof(check.path), "endpoints.%s.dc09_keys", endpoint->name ? endpoint->name : "");
    if (!diagnostics_out_of_reach(diagnostics, check.pos, check.path, endpoint->dc09_keys))
        dc09_keys_check(endpoint->dc09_keys, on_bad_keys, &check);
}

void check_external(const struct conf *conf, struct diagnostics *diagnostics)
{
    if (conf->database.conninfo)
        check_conninfo(conf, diagnostics);
    for (size_t i = 0; i < conf->n_endpoints; i++)
        if (conf->endpoints[i].dc09_keys)
            check_dc09_keys(&conf->endpoints[i], diagnostics);
}
