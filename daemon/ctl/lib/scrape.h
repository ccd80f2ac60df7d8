/*
 * The /metrics of the daemon, or of another program, fetched once and read by name.
 */
#ifndef MOBEYE_CTL_LIB_SCRAPE_H
#define MOBEYE_CTL_LIB_SCRAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct scrape {
    struct buf text; /* Prometheus text format; buf_free() it */
    int64_t mono_us; /* when it was received */
};

/* Fetches from http.listen of the configuration, ADDRESS:PORT. -1 with err set: no response, or no metrics. */
int scrape_fetch(const char *listen, struct scrape *ret, struct err *err);

/* The same for another program, whose metrics begin with its name ("mobeye_board"). */
int scrape_fetch_of(const char *program, const char *listen, struct scrape *ret, struct err *err);

/* Asks the daemon's /readyz. false: it accepts no alerts at present, for the reason ret_why, as text for a terminal.
 * true also without a response. */
bool scrape_ready(const char *listen, struct buf *ret_why);

/* The value of PROGRAM_NAME, a metric without labels. NAN: there is no such sample. */
double scrape_plain(const struct scrape *scrape, const char *program, const char *name);

/* The sum of mobeyed_NAME over all label values, or for one endpoint (as returned by scrape_endpoint(); NULL: all). NAN
 * if there is no such sample. */
double scrape_value(const struct scrape *scrape, const char *name, const struct str *endpoint);

/* When the daemon last applied its configuration, as a wall clock time in seconds, fetched from http.listen; NAN:
 * unknown. ret_refused, unless NULL: whether it has refused one since. */
double scrape_applied_at(const char *listen, bool *ret_refused);

/* The i-th endpoint's name, escaped as in the text format, which is also valid in JSON. false: there are no more. */
bool scrape_endpoint(const struct scrape *scrape, size_t i, struct str *ret);

#endif
