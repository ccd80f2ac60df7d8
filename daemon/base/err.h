/*
 * Errors: low-level functions fill in a struct err and return; high-level functions log it once.
 */
#ifndef MOBEYE_BASE_ERR_H
#define MOBEYE_BASE_ERR_H

struct err {
    char text[1024]; /* one line, without a final line feed; truncated if longer */
};

/* Sets the message. Always returns -1, so that a failing function can end in `return err_set(...)`.
 * err may be NULL if the caller does not need the text. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the present message. Always returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
