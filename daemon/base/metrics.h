/*
 * The metrics of the daemon, for Prometheus (text format 0.0.4). base/metrics.def describes each of them. They are
 * plain members, which the code that counts increments.
 */
#ifndef MOBEYE_BASE_METRICS_H
#define MOBEYE_BASE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define METRICS_CODES_MAX   8
#define METRICS_REASONS_MAX 4
#define METRICS_JOBS_MAX    24
#define METRICS_PRIORITIES  5

typedef uint64_t metrics_counter;
typedef double metrics_gauge;

struct metrics_endpoint {
    struct metrics_endpoint *next;
    char *name;
#define SCALAR(type, name, help, advice)
#define ENDPOINT(type, name, help, advice)        metrics_##type name;
#define ENDPOINT_CODE(type, name, help, advice)   metrics_##type name[METRICS_CODES_MAX];
#define ENDPOINT_REASON(type, name, help, advice) metrics_##type name[METRICS_REASONS_MAX];
#define JOB(type, name, help, advice)
#define PRIORITY(type, name, help, advice)
#include "base/metrics.def"
#undef SCALAR
#undef ENDPOINT
#undef ENDPOINT_CODE
#undef ENDPOINT_REASON
#undef JOB
#undef PRIORITY
};

/* Upper bounds in microseconds; the last bucket has none. */
#define METRICS_ACK_BOUNDS_US                                                                                          \
    {                                                                                                                  \
        100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000                                  \
    }
#define METRICS_ACK_BUCKETS 13

struct metrics {
#define SCALAR(type, name, help, advice) metrics_##type name;
#define ENDPOINT(type, name, help, advice)
#define ENDPOINT_CODE(type, name, help, advice)
#define ENDPOINT_REASON(type, name, help, advice)
#define JOB(type, name, help, advice)      metrics_##type name[METRICS_JOBS_MAX];
#define PRIORITY(type, name, help, advice) metrics_##type name[METRICS_PRIORITIES]; /* of priority 1 first */
#include "base/metrics.def"
#undef SCALAR
#undef ENDPOINT
#undef ENDPOINT_CODE
#undef ENDPOINT_REASON
#undef JOB
#undef PRIORITY
    struct metrics_endpoint *endpoints; /* in the order in which they were created; those of removed endpoints stay */
    const char *codes[METRICS_CODES_MAX];
    size_t n_codes;
    const char *reasons[METRICS_REASONS_MAX];
    size_t n_reasons;
    const char *jobs[METRICS_JOBS_MAX];
    size_t n_jobs;
    uint64_t ack_buckets[METRICS_ACK_BUCKETS]; /* mobeyed_ack_seconds: from receipt to reply */
    uint64_t ack_sum_us;
};

/* The values of a label; the words must be static. */
struct metrics_words {
    const char *const *words;
    size_t n;
};

/* The values of the labels code, reason and job; at most METRICS_CODES_MAX etc. of each. */
struct metrics *metrics_new(struct metrics_words codes, struct metrics_words reasons, struct metrics_words jobs);
void metrics_free(struct metrics **metrics);

/* The metrics of the endpoint with this name, created if necessary. They live as long as the metrics. */
struct metrics_endpoint *metrics_endpoint(struct metrics *metrics, const char *name);

void metrics_ack(struct metrics *metrics, int64_t took_us, uint64_t times);

/* Appends the text format. */
void metrics_write(const struct metrics *metrics, struct buf *out);

/* Whether the laws hold. If not, appends a line with the numbers to ret_why (may be NULL). */
bool metrics_balanced(const struct metrics *metrics, struct buf *ret_why);

#endif
