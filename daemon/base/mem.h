/*
 * Memory allocation that does not fail: these functions log one line and abort() if memory is exhausted.
 *
 * All sizes that depend on input are limited before they are allocated, so a failing allocation means that the machine
 * is out of memory. The journal makes an abrupt end safe.
 */
#ifndef MOBEYE_BASE_MEM_H
#define MOBEYE_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* Zeroed memory; free() it. Never NULL, also for a size of 0. */
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Like realloc() of count elements; checks the multiplication for overflow. Never NULL. */
void *mem_realloc(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/* A copy of a C string, or NULL for NULL. free() it. */
char *mem_strdup(const char *text);

/* A copy of len bytes with a NUL after them. free() it. */
char *mem_strndup(const char *bytes, size_t len) __attribute__((returns_nonnull));

/* The formatted text. free() it. */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *mem_vprintf(const char *fmt, va_list args) __attribute__((format(printf, 1, 0), returns_nonnull));

/* Resident memory of the process in bytes; 0 if /proc is not available. The first call opens a descriptor that stays
 * open. Not thread-safe. */
size_t mem_resident_bytes(void);

#endif
