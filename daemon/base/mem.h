/*
 * Memory that is there or the process ends.
 *
 * Everything that input can ask for is bounded before it is allocated, so a failing allocation means a machine out of
 * memory. The journal makes an abrupt end safe: these functions log one line and abort().
 */
#ifndef MOBEYE_BASE_MEM_H
#define MOBEYE_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; free() it. Never NULL, also for a size of 0. */
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));

/* As realloc() of count elements, with the multiplication checked. Never NULL. */
void *mem_realloc(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/* A copy of a C string, or NULL for NULL. free() it. */
char *mem_strdup(const char *text);

/* A copy of len bytes with a NUL behind them. free() it. */
char *mem_strndup(const char *bytes, size_t len) __attribute__((returns_nonnull));

/* Resident memory of the process in bytes, 0 where /proc does not say. The first call opens a descriptor that stays
 * open. Single-threaded. */
size_t mem_resident_bytes(void);

#endif
