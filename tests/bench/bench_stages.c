/*
 * One path of an alert through the daemon without sockets, server and clock: decoded, packed, journaled, read back,
 * enriched, correlated, encoded for COPY. For tests/bench/count-instructions, which counts what happens in
 * run_stages().
 *
 *   bench_stages DIRECTORY    (for the journal; must be empty)
 *
 * Prints how many alerts run_stages() took. The input is the same in every run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_alerts.h"
#include "bench_reference.h"

#include "base/clock.h"
#include "conf/load.h"
#include "enrich/correlate.h"
#include "enrich/enrich.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/validate.h"
#include "journal/journal.h"
#include "model/record.h"
#include "store/batch_identities.h"
#include "store/incident_rows.h"

#define NOW_S   INT64_C(1795467851)
#define NOW_US  (NOW_S * CLOCK_SECOND)
#define DEVICES 20000
#define BATCH   5000
#define BATCHES 3
#define GROUP   500 /* alerts per group commit */

struct stages {
    struct bench_message *messages;
    struct conf *conf;
    struct cloudevents_decoder *decoder;
    struct journal *journal;
    struct registry *registry;
    struct area_set *areas;
    struct enrich *enrich;
    struct batch *batch;
    struct encoded_batch encoded;
    struct incident_rows incidents;
    struct buf record, columns, values[INCIDENT_STORE_PARAMS];
    size_t copied_bytes;
};

static void give_up(const char *what)
{
    fprintf(stderr, "bench_stages: %s\n", what);
    exit(1);
}

static void receive(struct stages *s, size_t first)
{
    struct err err;
    for (size_t i = first; i < first + BATCH; i++) {
        struct alert alert;
        struct reject reject;
        struct str payload = {s->messages[i].text, s->messages[i].len};
        uint64_t seq;
        if (!decode_cloudevents(s->decoder, payload, &alert, &reject))
            give_up("an alert was rejected");
        alert.endpoint = STR("bench");
        validate_time(&alert, NOW_US, NULL);
        s->record.len = 0;
        record_pack(&s->record, &alert);
        if (journal_append(s->journal, buf_str(&s->record), NOW_US, &seq, &err) != JOURNAL_APPENDED ||
            ((i + 1) % GROUP == 0 && journal_sync(s->journal, &err) != 0))
            give_up("the journal failed");
    }
}

static void prepare(struct stages *s, uint64_t from_seq)
{
    const struct enrich_context context = {.conf = s->conf, .registry = s->registry, .areas = s->areas};
    struct err err;
    batch_clear(s->batch);
    if (journal_read(s->journal, from_seq, BATCH, SIZE_MAX, s->batch, &err) != 0 || s->batch->n != BATCH)
        give_up("the journal cannot be read");
    enrich_begin(s->enrich, &context, s->batch);
    for (size_t i = 0; i < BATCH; i++) {
        struct alert *alert = &s->batch->rows[i].alert;
        uint64_t seq = alert->seq, checksum = alert->checksum;
        if (record_unpack(s->batch->rows[i].record, alert, &err) != 0)
            give_up("a record cannot be unpacked");
        alert->seq = seq;
        alert->checksum = checksum;
        enrich_alert(s->enrich, alert);
    }
}

static void encode(struct stages *s)
{
    struct str chunk;
    encoded_batch_begin(&s->encoded, s->batch, "bench", NULL);
    encoded_batch_step(&s->encoded, SIZE_MAX);
    incident_rows_clear(&s->incidents);
    correlate(&s->incidents.set, s->batch, encoded_batch_rows_to_store(&s->encoded));
    for (size_t i = 0; i < INCIDENT_STORE_PARAMS; i++)
        s->values[i].len = 0;
    if (!incident_rows_encode(&s->incidents, &s->encoded.lookup, s->batch, NULL, s->values))
        give_up("the alerts made no incident");
    /* As the database does. */
    for (size_t i = 0; i < s->incidents.set.n_incidents; i++)
        s->incidents.set.incidents[i].id = i + 1;
    s->columns.len = 0;
    batch_identities_copy(&s->encoded, 1, &s->columns);
    encoded_batch_copy_begin(&s->encoded, 0, BATCH, &s->incidents.set);
    while (encoded_batch_next_chunk(&s->encoded, &chunk))
        s->copied_bytes += chunk.len;
    encoded_batch_clear(&s->encoded);
}

/* What is counted: count-instructions refers to it by name. */
__attribute__((noinline)) void run_stages(struct stages *s);
void run_stages(struct stages *s)
{
    for (size_t first = 0; first < BATCH * BATCHES; first += BATCH) {
        receive(s, first);
        prepare(s, first + 1);
        encode(s);
    }
}

static struct conf *read_rules(void)
{
    struct buf report = {0};
    struct conf *conf = conf_parse("bench", bench_rules, strlen(bench_rules), &report);
    if (!conf)
        give_up("the rules are wrong");
    buf_free(&report);
    return conf;
}

static struct area_set *build_areas(void)
{
    struct area_rows *rows = area_rows_new();
    bench_add_areas(rows, "buurt", 2700, 10, BENCH_WEST, BENCH_SOUTH, BENCH_SIZE);
    bench_add_areas(rows, "wijk", 31, 10, BENCH_WEST + BENCH_SIZE / 2, BENCH_SOUTH + BENCH_SIZE / 2, BENCH_SIZE / 10);
    struct area_set *areas = area_set_build(rows);
    area_rows_free(&rows);
    return areas;
}

static void open_stages(struct stages *s, const char *directory)
{
    const struct bench_mix mix = {
        .run = "run", .count = BATCH * BATCHES, .devices = DEVICES, .zipf = 1.1, .now = NOW_S};
    const struct journal_options options = {
        .directory = directory, .max_size_bytes = UINT64_C(1) << 30, .keep_us = CLOCK_DAY};
    struct journal_recovery recovery;
    struct err err;
    double mean_bytes;
    s->messages = bench_alerts(&mix, &mean_bytes);
    s->conf = read_rules();
    s->decoder = cloudevents_decoder_new();
    s->registry = registry_new();
    bench_add_devices(s->registry, DEVICES);
    s->areas = build_areas();
    s->enrich = enrich_new();
    s->batch = batch_new(BATCH);
    if (journal_open(&s->journal, &options, NOW_US, &recovery, &err) != 0 || !recovery.fresh)
        give_up("the journal cannot be created");
}

static void close_stages(struct stages *s)
{
    bench_alerts_free(s->messages, BATCH * BATCHES);
    for (size_t i = 0; i < INCIDENT_STORE_PARAMS; i++)
        buf_free(&s->values[i]);
    buf_free(&s->record);
    buf_free(&s->columns);
    incident_rows_free(&s->incidents);
    encoded_batch_free(&s->encoded);
    batch_free(&s->batch);
    enrich_free(&s->enrich);
    area_set_free(&s->areas);
    registry_free(&s->registry);
    journal_free(&s->journal);
    cloudevents_decoder_free(&s->decoder);
    conf_free(&s->conf);
}

int main(int argc, char **argv)
{
    struct stages s = {0};
    if (argc != 2) {
        fputs("usage: bench_stages DIRECTORY\n", stderr);
        return 2;
    }
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    open_stages(&s, argv[1]);
    run_stages(&s);
    if (s.copied_bytes < (size_t)BATCH * BATCHES * 300)
        give_up("the rows are too short to be those of the alerts");
    printf("%d\n", BATCH * BATCHES);
    close_stages(&s);
    return 0;
}
