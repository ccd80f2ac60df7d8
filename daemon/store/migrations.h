/*
 * The SQL of sql/, as it was when the program was built.
 */
#ifndef MOBEYE_STORE_MIGRATIONS_H
#define MOBEYE_STORE_MIGRATIONS_H

#include <stddef.h>

/* A file of sql/migrations: tables and other things with state. Runs once. */
struct migration {
    int version;      /* 1, 2, ... without gaps; the last is WRITER_SCHEMA_VERSION */
    const char *name; /* of its file, without .sql */
    const char *sql;  /* for one transaction; needs no parameters */
};

extern const struct migration migrations[];
extern const size_t migrations_n;

/* A file of sql/code: functions, views, triggers, comments and grants. All files are applied again when one has
 * changed. */
struct schema_code {
    const char *file;   /* its name without .sql */
    const char *sha256; /* of the text, in hexadecimal */
    const char *sql;
};

extern const struct schema_code schema_code[]; /* in the order of application */
extern const size_t schema_code_n;

/* The steps around them, in the same transaction: prepare; to create everything from scratch, remove; the files;
 * remove, which drops what is no longer in the files; finish. */
extern const char schema_code_prepare[], schema_code_remove[], schema_code_finish[];

#endif
