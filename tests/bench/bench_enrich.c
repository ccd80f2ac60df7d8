/*
 * What enriching an alert costs: device, place, areas and rule, with 100,000 devices and 2,700 areas of 10 points and
 * 31 of a town. Prints one JSON object. --alerts N (2000000), --devices N, --areas N, --points N.
 */
#include <getopt.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_reference.h"

#include "base/clock.h"
#include "base/mem.h"
#include "conf/load.h"
#include "enrich/enrich.h"

#define BATCH 5000
#define NOW   INT64_C(1795467851000000)

static struct {
    size_t alerts, devices, areas, points;
} sizes = {2000000, 100000, 2700, 10};

/* 20,000 of the devices, some much more often than others. */
static size_t pick_device(void)
{
    double u = ((double)rand() + 1) / ((double)RAND_MAX + 2);
    size_t rank = (size_t)(pow(20000, u) - 1);
    return rank * 5 % sizes.devices;
}

static void fill(struct batch *batch, size_t round)
{
    static const enum alert_kind kinds[] = {KIND_INTRUSION, KIND_MOTION, KIND_MOTION, KIND_PANIC,  KIND_FIRE,
                                            KIND_TAMPER,    KIND_MOTION, KIND_CAMERA, KIND_CAMERA, KIND_KEEPALIVE};
    char id[32];
    batch_clear(batch);
    for (size_t i = 0; i < BATCH; i++) {
        struct batch_row *row = &batch->rows[batch->n++];
        size_t device = pick_device();
        struct str name = batch_copy_str(batch, (struct str){id, bench_device_id(id, sizeof(id), device)});
        *row = (struct batch_row){.alert = {.format = ALERT_CLOUDEVENTS,
                                            .device = name,
                                            .kind = kinds[i % 10],
                                            .kind_word = STR("motion"),
                                            .phase = kinds[i % 10] == KIND_CAMERA ? PHASE_UPDATE : PHASE_RAISE,
                                            .input = 1,
                                            .endpoint = STR("bench"),
                                            .occurred_us = NOW + (int64_t)(round * BATCH + i),
                                            .fix_us = ALERT_NO_TIME,
                                            .accuracy_m = NAN,
                                            .camera.score = 0.8f}};
        if (i % 4 == 0) {
            row->alert.has_location = true;
            row->alert.lon = bench_place(device + i, BENCH_WEST);
            row->alert.lat = bench_place(device * 3 + i, BENCH_SOUTH);
        }
    }
}

static double used_mib(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd) / (1024 * 1024);
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {{"alerts", required_argument, NULL, 0},
                                            {"devices", required_argument, NULL, 1},
                                            {"areas", required_argument, NULL, 2},
                                            {"points", required_argument, NULL, 3},
                                            {0}};
    size_t *const values[] = {&sizes.alerts, &sizes.devices, &sizes.areas, &sizes.points};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option > 3)
            exit(2);
        *values[option] = strtoul(optarg, NULL, 10);
    }
}

int main(int argc, char **argv)
{
    struct buf report = {0};
    read_options(argc, argv);
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    struct conf *conf = conf_parse("bench", bench_rules, strlen(bench_rules), &report);
    if (!conf) {
        fprintf(stderr, "%.*s", (int)report.len, report.data);
        return 1;
    }
    double before = used_mib();
    struct registry *registry = registry_new();
    bench_add_devices(registry, sizes.devices);
    double devices_mib = used_mib() - before;
    struct area_rows *rows = area_rows_new();
    bench_add_areas(rows, "buurt", sizes.areas, sizes.points, BENCH_WEST, BENCH_SOUTH, BENCH_SIZE);
    bench_add_areas(rows, "wijk", 31, sizes.points, BENCH_WEST + BENCH_SIZE / 2, BENCH_SOUTH + BENCH_SIZE / 2,
                    BENCH_SIZE / 10);
    before = used_mib();
    int64_t start = cpu_ns();
    struct area_set *areas = area_set_build(rows);
    double build_ms = (double)(cpu_ns() - start) / 1e6, areas_mib = used_mib() - before;
    area_rows_free(&rows);

    struct enrich *enrich = enrich_new();
    struct batch *batch = batch_new(BATCH);
    const struct enrich_context around = {.conf = conf, .registry = registry, .areas = areas};
    size_t found = 0, n = 0;
    int64_t took = 0;
    for (size_t round = 0; n < sizes.alerts; round++) {
        fill(batch, round);
        start = cpu_ns();
        enrich_begin(enrich, &around, batch);
        for (size_t i = 0; i < batch->n; i++)
            enrich_alert(enrich, &batch->rows[i].alert);
        took += cpu_ns() - start;
        n += batch->n;
        for (size_t i = 0; i < batch->n; i++)
            found += batch->rows[i].alert.areas ? batch->rows[i].alert.areas->n : 0;
    }
    printf("{\"alert_us\": %.3f, \"areas_an_alert\": %.2f, \"devices_mib\": %.1f, \"areas_mib\": %.1f, "
           "\"areas_build_ms\": %.1f}\n",
           (double)took / 1e3 / (double)n, (double)found / (double)n, devices_mib, areas_mib, build_ms);
    batch_free(&batch);
    enrich_free(&enrich);
    area_set_free(&areas);
    registry_free(&registry);
    conf_free(&conf);
    buf_free(&report);
    return 0;
}
