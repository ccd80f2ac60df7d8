#include "ctl/lib/local_zone.h"

#include "ctl/lib/cell_read.h"

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

int local_time_option(const char *verb, const struct ctl_call *call, PGconn *conn, const char *option, const char *text,
                      char formatted[CLOCK_RFC3339_SIZE], const char **ret_text)
{
    struct err err;
    struct buf assumed = {0};
    int64_t us;
    *ret_text = NULL;
    if (!text)
        return CTL_OK;
    if (local_zone_set(verb, call, conn) != CTL_OK)
        return CTL_FAILED;
    if (cell_time(str_from(text), &us, &assumed, &err) < 0)
        return ctl_usage(verb, "%s: %s", option, err.text);
    if (assumed.len > 0)
        fprintf(stderr, "mobeyectl %s: note: %s: %.*s\n", verb, option, (int)assumed.len, assumed.data);
    buf_free(&assumed);
    *ret_text = clock_format_rfc3339(us, 6, formatted);
    return CTL_OK;
}
