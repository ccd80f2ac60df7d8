/* The alerts of the benchmark: the same mix in every run. */
#ifndef BENCH_ALERTS_H
#define BENCH_ALERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct bench_message {
    char *text;
    size_t len;
};

struct bench_mix {
    const char *run; /* begins every alert id */
    bool uuids;      /* ids are UUIDs of version 4 instead, different for each run and number */
    long first;      /* number of the first alert, part of its id; 0 by default */
    long count;
    long devices; /* NL-0307-00000 and on */
    double zipf;  /* the exponent; 0: the same number of alerts from each device */
    time_t now;   /* when they occurred */
};

/*
 * Alerts of about 300 bytes: devices by Zipf, 70 % alarm kinds, 20 % updates of camera tracks, 10 % keepalives, a
 * quarter with coordinates: each device has its place in a town, give or take some metres. The same mix gives the same
 * alerts. Freed by bench_alerts_free(). Exits with a message if memory is short.
 */
struct bench_message *bench_alerts(const struct bench_mix *mix, double *ret_mean_bytes);
void bench_alerts_free(struct bench_message *messages, long count);

#endif
