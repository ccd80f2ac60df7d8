/*
 * The schema of a database, compared with the one that the program carries (store/migrations.h).
 */
#ifndef MOBEYE_CTL_LIB_SCHEMA_STATE_H
#define MOBEYE_CTL_LIB_SCHEMA_STATE_H

#include <stdbool.h>

#include <libpq-fe.h>

enum { SCHEMA_PROGRAM_BYTES = 32 };

struct schema_state {
    int version;                        /* of the last migration applied; 0: none */
    bool code_differs;                  /* functions, views or rights are not those of this program */
    char missing_roles[160];            /* names of the roles that the schema needs and the cluster lacks; "": none */
    char program[SCHEMA_PROGRAM_BYTES]; /* newest program that applied code; "": none */
    PGresult *code;                     /* file, sha256 and program of the code that was applied; owned */
};

/* The version that the program brings a database to. */
int schema_latest(void);

/* Reads it. false: the query failed, which is printed as `verb`. schema_state_free() it in any case. */
bool schema_state_read(PGconn *conn, const char *verb, struct schema_state *ret);
void schema_state_free(struct schema_state *state);

bool schema_is_current(const struct schema_state *state);

/* A newer program wrote it: this one must leave it alone. */
bool schema_is_newer(const struct schema_state *state);

/* The hash of an applied file of code; NULL: it was not applied. */
const char *schema_applied_hash(const struct schema_state *state, const char *file);

#endif
