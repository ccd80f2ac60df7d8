/*
 * How a failure travels: low floors fill a struct err and return, high floors log it once.
 */
#ifndef MOBEYE_BASE_ERR_H
#define MOBEYE_BASE_ERR_H

struct err {
    char text[1024]; /* one line without a line feed at its end; truncated where longer */
};

/* Writes the message. Always returns -1, so that a failing function ends in `return err_set(...)`.
 * err may be NULL where a caller does not want the text. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the message that is already there. Always returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
