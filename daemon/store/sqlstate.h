/*
 * Failures of the database, classified by what they mean for a batch.
 */
#ifndef MOBEYE_STORE_SQLSTATE_H
#define MOBEYE_STORE_SQLSTATE_H

#include <libpq-fe.h>
#include <stddef.h>

enum sqlstate_class {
    SQLSTATE_RETRY,     /* 08, 40, 53, 55, 57: temporary, retry */
    SQLSTATE_RECONNECT, /* 25006, or no reply from the server: another server may accept it */
    SQLSTATE_PARTITION, /* 23514 without a constraint: no partition holds the row */
    SQLSTATE_REFUSED,   /* 22, other 23: a row that will never be accepted */
    SQLSTATE_STOP,      /* everything else (42, 28, 3D, XX ...): a person has to act */
};

/* Either may be NULL or empty. */
enum sqlstate_class sqlstate_class(const char *sqlstate, const char *constraint);

struct fault {
    enum sqlstate_class class;
    char sqlstate[6]; /* empty: none from the server */
    char text[512];   /* the primary message, one line */
    size_t line;      /* of the COPY of mobeye.alert or mobeye.snapshot that failed, from 1; 0: unknown */
};

/* The result is of status PGRES_FATAL_ERROR. */
void fault_read(struct fault *fault, const PGresult *result);

/* Makes a text that snprintf() may have cut to size, within a character too, one line of valid UTF-8. */
void fault_cut_text(char *text, size_t size);

/* The lines of a message of libpq, which ends in a line feed, as one line of less than size bytes. */
void fault_join_lines(const char *message, char *out, size_t size);

#endif
