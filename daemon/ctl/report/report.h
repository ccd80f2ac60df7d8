/*
 * The reports of mobeyectl, one function each: calls the function of schema patrol and prints its result on stdout.
 * Arguments that are not given are NULL, which means the default of that function. Returns an exit status; errors are
 * printed on stderr.
 */
#ifndef MOBEYE_CTL_REPORT_REPORT_H
#define MOBEYE_CTL_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <libpq-fe.h>

#define REPORT_VERB "report"

enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_CSV, REPORT_HTML };

enum { REPORT_CODES_MAX = 256 };

struct report_request {
    const char *from, *until; /* local days as text; never NULL */
    const char *of;
    const char *distances, *days, *metric, *simulations, *seed; /* lists have commas between their numbers */
    const char *cell, *min;
    const char *layer, *min_cell;
    const char *codes[REPORT_CODES_MAX]; /* the areas to report on; none: all */
    size_t n_codes;
    const char *output; /* file; NULL is stdout */
    bool excel;         /* CSV with a byte order mark */
    enum report_format format;
};

int report_wijk(PGconn *conn, const struct report_request *request);
int report_near_repeat(PGconn *conn, const struct report_request *request);
int report_hotspots(PGconn *conn, const struct report_request *request);
int report_devices(PGconn *conn, const struct report_request *request);

#endif
