/*
 * The servers that a conninfo names, and a connection attempt to one of them.
 */
#ifndef MOBEYE_STORE_PGTARGET_H
#define MOBEYE_STORE_PGTARGET_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PGTARGET_MAX 16

/* One server. NULL: libpq's own default. */
struct pgtarget {
    char *host, *hostaddr, *port;
};

struct pgtargets {
    char *settings; /* a conninfo of all but the server */
    struct pgtarget target[PGTARGET_MAX];
    size_t n;           /* 1 at least */
    int64_t timeout_us; /* of one attempt, without the look-up of a name */
};

/* Which attempt is next. {0}: one for the first target. */
struct pgtarget_turn {
    size_t at;                     /* the target */
    char failed[PGTARGET_MAX][64]; /* the address of each target that failed last; "": none */
};

/* Whether pgtargets_parse() can read the conninfo alone, as far as nothing else contradicts it. -1: no. The error
 * quotes nothing from it, since it may contain a password. */
int pgtargets_check(const char *conninfo, struct err *err);

/* What the conninfo does not say is taken from the environment and its service, as by libpq. -1: not a conninfo, or its
 * lists do not match. The error quotes no more than that of pgtargets_check(). */
int pgtargets_parse(struct pgtargets *ret, const char *conninfo, const char *application_name, struct err *err);
void pgtargets_free(struct pgtargets *targets);

/* The name that must be resolved before libpq is given the target; NULL: none. */
const char *pgtarget_name(const struct pgtarget *target);

/* For people: host, address or socket folder, and port. */
void pgtarget_describe(const struct pgtarget *target, char *out, size_t size);

/* Begins to connect to the target whose turn it is, as PQconnectStart(). n resolved addresses take the place of the
 * host name (0: none); the one after the address that failed last is the first, whatever their order was then. */
PGconn *pgtarget_connect(const struct pgtargets *targets, const struct pgtarget_turn *turn,
                         const char *const *addresses, size_t n);

/* It failed, or what it was connected to is of no use: the next attempt is for the next target. NULL: no connection was
 * begun. */
void pgtarget_pass_over(struct pgtarget_turn *turn, const struct pgtargets *targets, const PGconn *conn);

#endif
