/*
 * What mobeyectl explain says about an incident: what verified it, and what made it more urgent than its first alert.
 */
#ifndef MOBEYE_CTL_RULES_EXPLAIN_RAISED_H
#define MOBEYE_CTL_RULES_EXPLAIN_RAISED_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"

struct explain_raised {
    char *stored;   /* the rule by which its first alert was stored; NULL: as the file says now */
    char *verified; /* NULL: it is not verified */
    char *raised;   /* NULL: its priority is that of its first alert */
};

/* rule, first_priority: what the file now says about its first alert. A query that fails leaves its text NULL.
 * explain_raised_free() the result. */
void explain_raised_read(struct explain_raised *ret, PGconn *conn, const struct conf *conf, const char *incident,
                         struct str rule, int first_priority);
void explain_raised_free(struct explain_raised *raised);

#endif
