/*
 * Bytes as hexadecimal text.
 */
#ifndef MOBEYE_BASE_HEX_H
#define MOBEYE_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* The value of a digit, in either case; -1: it is not one. */
int hex_digit(char c);

/* Writes two digits for each of n bytes, in lower case, without a NUL. Returns the end of what it wrote. */
char *hex_write(char *out, const void *bytes, size_t n);

/* Reads n bytes from two digits for each. false: one of the characters is not a digit, such as a NUL; none after it was
 * read, and `ret` is undefined. */
bool hex_read(void *ret, size_t n, const char *text);

#endif
