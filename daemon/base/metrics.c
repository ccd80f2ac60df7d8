#include "base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const int64_t ack_bounds_us[METRICS_ACK_BUCKETS - 1] = METRICS_ACK_BOUNDS_US;

static size_t copy_words(const char **to, struct metrics_words from)
{
    for (size_t i = 0; i < from.n; i++)
        to[i] = from.words[i];
    return from.n;
}

struct metrics *metrics_new(struct metrics_words codes, struct metrics_words reasons, struct metrics_words jobs)
{
    assert(codes.n <= METRICS_CODES_MAX && reasons.n <= METRICS_REASONS_MAX && jobs.n <= METRICS_JOBS_MAX);
    struct metrics *metrics = mem_zalloc(sizeof(*metrics));
    metrics->n_codes = copy_words(metrics->codes, codes);
    metrics->n_reasons = copy_words(metrics->reasons, reasons);
    metrics->n_jobs = copy_words(metrics->jobs, jobs);
    return metrics;
}

void metrics_free(struct metrics **metrics)
{
    if (!*metrics)
        return;
    for (struct metrics_endpoint *endpoint = (*metrics)->endpoints, *next; endpoint; endpoint = next) {
        next = endpoint->next;
        free(endpoint->name);
        free(endpoint);
    }
    free(*metrics);
    *metrics = NULL;
}

struct metrics_endpoint *metrics_endpoint(struct metrics *metrics, const char *name)
{
    struct metrics_endpoint **at = &metrics->endpoints;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    *at = mem_zalloc(sizeof(**at));
    (*at)->name = mem_strdup(name);
    return *at;
}

void metrics_ack(struct metrics *metrics, int64_t took_us, uint64_t times)
{
    size_t bucket = 0;
    while (bucket < METRICS_ACK_BUCKETS - 1 && took_us > ack_bounds_us[bucket])
        bucket++;
    metrics->ack_buckets[bucket] += times;
    metrics->ack_sum_us += (uint64_t)(took_us > 0 ? took_us : 0) * times;
}

static void write_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP mobeyed_%s %s\n# TYPE mobeyed_%s %s\n", name, help, name, type);
}

/* Writes a label value with backslash, quote and line feed escaped. */
static void write_label(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            buf_append(out, "\\n", 2);
        else if (*value == '\\' || *value == '"')
            buf_printf(out, "\\%c", *value);
        else
            buf_append(out, value, 1);
    }
}

static void write_counter(struct buf *out, uint64_t value)
{
    buf_printf(out, " %" PRIu64 "\n", value);
}

static void write_gauge(struct buf *out, double value)
{
    buf_printf(out, " %.17g\n", value);
}

static void write_histogram(const struct metrics *metrics, struct buf *out)
{
    write_head(out, "ack_seconds", "histogram",
               "Time from the receipt of the first alert of a group commit to the ACKs of the group.");
    uint64_t count = 0;
    for (size_t i = 0; i < METRICS_ACK_BUCKETS - 1; i++) {
        count += metrics->ack_buckets[i];
        buf_printf(out, "mobeyed_ack_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", (double)ack_bounds_us[i] / 1e6, count);
    }
    count += metrics->ack_buckets[METRICS_ACK_BUCKETS - 1];
    buf_printf(out, "mobeyed_ack_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", count);
    buf_printf(out, "mobeyed_ack_seconds_sum %.6f\nmobeyed_ack_seconds_count %" PRIu64 "\n",
               (double)metrics->ack_sum_us / 1e6, count);
}

void metrics_write(const struct metrics *metrics, struct buf *out)
{
#define SCALAR(type, name, help, advice)                                                                               \
    write_head(out, #name, #type, help);                                                                               \
    buf_printf(out, "mobeyed_" #name);                                                                                 \
    write_##type(out, metrics->name);
#define ENDPOINT(type, metric, help, advice)                                                                           \
    write_head(out, #metric, #type, help);                                                                             \
    for (const struct metrics_endpoint *e = metrics->endpoints; e; e = e->next) {                                      \
        buf_printf(out, "mobeyed_" #metric "{endpoint=\"");                                                            \
        write_label(out, e->name);                                                                                     \
        buf_printf(out, "\"}");                                                                                        \
        write_##type(out, e->metric);                                                                                  \
    }
#define ENDPOINT_CODE(type, metric, help, advice)                                                                      \
    write_head(out, #metric, #type, help);                                                                             \
    LABELLED(type, metric, code, metrics->codes, metrics->n_codes)
#define ENDPOINT_REASON(type, metric, help, advice)                                                                    \
    write_head(out, #metric, #type, help);                                                                             \
    LABELLED(type, metric, reason, metrics->reasons, metrics->n_reasons)
#define JOB(type, metric, help, advice)                                                                                \
    write_head(out, #metric, #type, help);                                                                             \
    for (size_t i = 0; i < metrics->n_jobs; i++) {                                                                     \
        buf_printf(out, "mobeyed_" #metric "{job=\"%s\"}", metrics->jobs[i]);                                          \
        write_##type(out, metrics->metric[i]);                                                                         \
    }
#define PRIORITY(type, metric, help, advice)                                                                           \
    write_head(out, #metric, #type, help);                                                                             \
    for (int i = 0; i < METRICS_PRIORITIES; i++) {                                                                     \
        buf_printf(out, "mobeyed_" #metric "{priority=\"%d\"}", i + 1);                                                \
        write_##type(out, metrics->metric[i]);                                                                         \
    }
#define LABELLED(type, metric, key, words, n)                                                                          \
    for (const struct metrics_endpoint *e = metrics->endpoints; e; e = e->next)                                        \
        for (size_t i = 0; i < (n); i++) {                                                                             \
            buf_printf(out, "mobeyed_" #metric "{endpoint=\"");                                                        \
            write_label(out, e->name);                                                                                 \
            buf_printf(out, "\"," #key "=\"%s\"}", (words)[i]);                                                        \
            write_##type(out, e->metric[i]);                                                                           \
        }
#include "base/metrics.def"
#undef SCALAR
#undef ENDPOINT
#undef ENDPOINT_CODE
#undef ENDPOINT_REASON
#undef JOB
#undef PRIORITY
#undef LABELLED
    write_head(out, "build_info", "gauge", "The version of the program; the value is always 1.");
    buf_printf(out, "mobeyed_build_info{version=\"" MOBEYE_VERSION "\"} 1\n");
    write_histogram(metrics, out);
}

bool metrics_balanced(const struct metrics *metrics, struct buf *ret_why)
{
    uint64_t received = 0, rejected = 0, retry = 0;
    for (const struct metrics_endpoint *e = metrics->endpoints; e; e = e->next) {
        received += e->received_total;
        retry += e->retry_total;
        for (size_t code = 0; code < metrics->n_codes; code++)
            rejected += e->rejected_total[code];
    }
    uint64_t in_flight = (uint64_t)metrics->in_flight, pending = (uint64_t)metrics->journal_pending;
    bool accepting = received == rejected + retry + metrics->journaled_total + in_flight;
    bool storing = metrics->journaled_total + metrics->recovered_total ==
                   metrics->committed_total + metrics->duplicate_total + metrics->quarantined_total + pending;
    if (ret_why && !accepting)
        buf_printf(ret_why,
                   "received %" PRIu64 " differs from rejected %" PRIu64 " + retry %" PRIu64 " + journaled %" PRIu64
                   " + in flight %" PRIu64 "\n",
                   received, rejected, retry, metrics->journaled_total, in_flight);
    if (ret_why && !storing)
        buf_printf(ret_why,
                   "journaled %" PRIu64 " + recovered %" PRIu64 " differs from committed %" PRIu64
                   " + duplicate %" PRIu64 " + quarantined %" PRIu64 " + pending %" PRIu64 "\n",
                   metrics->journaled_total, metrics->recovered_total, metrics->committed_total,
                   metrics->duplicate_total, metrics->quarantined_total, pending);
    return accepting && storing;
}
