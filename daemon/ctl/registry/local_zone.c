#include "ctl/registry/local_zone.h"

static int use_configured(const char *file)
{
    struct conf *conf = ctl_load(file);
    if (!conf)
        return CTL_FAILED;
    ctl_use_zone(conf->timezone);
    conf_free(&conf);
    return CTL_OK;
}

static int use_that_of_database(const char *verb, PGconn *conn)
{
    PGresult *row = ctl_query(conn, verb, "time zone", "show timezone", 0, NULL);
    int status = row ? CTL_OK : CTL_FAILED;
    if (row)
        ctl_use_zone(PQgetvalue(row, 0, 0));
    PQclear(row);
    return status;
}

int local_zone_set(const char *verb, const struct ctl_call *call, PGconn *conn)
{
    return call->file || !call->db ? use_configured(call->file) : use_that_of_database(verb, conn);
}
