#include "ctl/registry/local_zone.h"

#include <stdlib.h>
#include <time.h>

static int use_configured(const char *file)
{
    struct conf *conf = ctl_load(file);
    if (!conf)
        return CTL_FAILED;
    setenv("TZ", conf->timezone, 1);
    conf_free(&conf);
    return CTL_OK;
}

static int use_that_of_database(const char *verb, PGconn *conn)
{
    PGresult *row = ctl_query(conn, verb, "time zone", "show timezone", 0, NULL);
    int status = row ? CTL_OK : CTL_FAILED;
    if (row)
        setenv("TZ", PQgetvalue(row, 0, 0), 1);
    PQclear(row);
    return status;
}

int local_zone_set(const char *verb, const struct ctl_call *call, PGconn *conn)
{
    int status = call->file || !call->db ? use_configured(call->file) : use_that_of_database(verb, conn);
    tzset();
    return status;
}
