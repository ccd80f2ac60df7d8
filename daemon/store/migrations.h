/*
 * The migrations of sql/, as they were when the program was built.
 */
#ifndef MOBEYE_STORE_MIGRATIONS_H
#define MOBEYE_STORE_MIGRATIONS_H

#include <stddef.h>

struct migration {
    int version;      /* 1, 2, ... without gaps; the last is WRITER_SCHEMA_VERSION */
    const char *name; /* of its file, without .sql */
    const char *sql;  /* for one transaction; needs no parameters */
};

extern const struct migration migrations[];
extern const size_t migrations_n;

#endif
