/* Reference data for benchmarks without a database: seven rules, devices that are each placed, areas in rows. */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

#include "model/area_rows.h"
#include "model/registry.h"

/* Where the areas and the devices are, in degrees. */
#define BENCH_WEST  4.0
#define BENCH_SOUTH 51.0
#define BENCH_SIZE  2.0

extern const char bench_rules[];

/* The id of a device; returns its length. */
size_t bench_device_id(char *out, size_t size, size_t device);

/* Somewhere between start and start + BENCH_SIZE, the same for the same number. */
double bench_place(size_t number, double start);

void bench_add_devices(struct registry *registry, size_t devices);

/* Areas with this many points, which fill a square row by row and overlap a little. */
void bench_add_areas(struct area_rows *rows, const char *layer, size_t n, size_t points, double west, double south,
                     double size);

#endif
