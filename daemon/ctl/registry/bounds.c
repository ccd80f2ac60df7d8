#include "ctl/registry/bounds.h"

#include <stdio.h>

#include "ctl/lib/ctl.h"

static int read_file(const char *file, char ret[BOUNDS_SIZE])
{
    struct conf *conf = ctl_load(file);
    if (!conf)
        return CTL_FAILED;
    if (conf->has_bounds)
        snprintf(ret, BOUNDS_SIZE, "{%.9g,%.9g,%.9g,%.9g}", conf->bounds[0], conf->bounds[1], conf->bounds[2],
                 conf->bounds[3]);
    conf_free(&conf);
    return CTL_OK;
}

int bounds_read(const struct ctl_call *call, bool anyway, char ret[BOUNDS_SIZE])
{
    ret[0] = '\0';
    if (anyway)
        snprintf(ret, BOUNDS_SIZE, "{-180,-90,180,90}");
    else if (call->file || !call->db)
        return read_file(call->file, ret);
    return CTL_OK;
}

int bounds_expression(const struct ctl_call *call, bool anyway, char ret[BOUNDS_SIZE + 16])
{
    char bounds[BOUNDS_SIZE];
    int status = bounds_read(call, anyway, bounds);
    if (bounds[0])
        snprintf(ret, BOUNDS_SIZE + 16, "'%s'", bounds);
    else
        snprintf(ret, BOUNDS_SIZE + 16, "null");
    return status;
}
