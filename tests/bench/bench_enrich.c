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

#include <geos_c.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/load.h"
#include "enrich/enrich.h"

#define BATCH 5000
#define NOW   INT64_C(1795467851000000)

/* Where the areas and the devices are, in degrees. */
#define WEST  4.0
#define SOUTH 51.0
#define SIZE  2.0

static const char rules[] =
    "instance: bench\n"
    "database: {conninfo: \"host=/tmp\"}\n"
    "journal: {directory: /tmp/j}\n"
    "endpoints: [{name: e, bind: \"ipc:///tmp/e\", socket: router, format: cloudevents}]\n"
    "bounds: [3.2, 50.7, 7.3, 53.6]\n"
    "rules:\n"
    "  - {name: signs-of-life, match: {kind: [keepalive, arm, bypass]}, action: store}\n"
    "  - {name: strangers, match: {registered: false}, incident: {category: service, priority: 4, group_by: "
    "[endpoint], "
    "gap: 24h}}\n"
    "  - {name: technical, match: {kind: [power, battery, comms]}, incident: {category: service, priority: 4, "
    "group_by: "
    "[device, kind], gap: 24h}}\n"
    "  - {name: weak-camera, match: {kind: camera, score: {below: 0.5}}, action: store}\n"
    "  - {name: hotspot-night, match: {kind: [intrusion, motion, camera], area: {layer: hotspot}, hours: "
    "\"22:00-06:00\"}, incident: {category: alarm, priority: 1, group_by: [device], gap: 4h30m}}\n"
    "  - {name: camera, match: {kind: camera}, incident: {category: alarm, priority: 3, group_by: [device], gap: "
    "10m}}\n"
    "  - {name: default, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}}\n";

static struct {
    size_t alerts, devices, areas, points;
} sizes = {2000000, 100000, 2700, 10};

static void put32(struct buf *out, uint32_t v)
{
    buf_append(out, &v, sizeof(v));
}

/* A ring around a middle, as little-endian WKB. */
static void ring(struct buf *wkb, double lon, double lat, double radius, size_t points)
{
    wkb->len = 0;
    buf_append(wkb, "\1", 1);
    put32(wkb, 3);
    put32(wkb, 1);
    put32(wkb, (uint32_t)points + 1);
    for (size_t i = 0; i <= points; i++) {
        double angle = 2 * M_PI * (double)(i % points) / (double)points;
        double xy[2] = {lon + radius * cos(angle), lat + radius * sin(angle)};
        buf_append(wkb, xy, sizeof(xy));
    }
}

/* Areas that overlap a little, row by row. */
static void add_areas(struct area_rows *rows, const char *layer, size_t n, double west, double south, double size)
{
    struct buf wkb = {0}, code = {0};
    size_t side = (size_t)ceil(sqrt((double)n));
    double step = size / (double)side;
    for (size_t i = 0; i < n; i++) {
        code.len = 0;
        buf_printf(&code, "%.2s%08zu", layer, i);
        ring(&wkb, west + step * ((double)(i % side) + 0.5), south + step * ((double)(i / side) + 0.5), step * 0.6,
             sizes.points);
        struct area_row row = {.vintage = 2026, .from_us = INT64_MIN, .until_us = INT64_MAX};
        area_rows_add(rows, row, str_from(layer), buf_str(&code), buf_str(&wkb));
    }
    buf_free(&wkb);
    buf_free(&code);
}

static double place_of(size_t i, double start)
{
    return start + SIZE * (double)((i * 2654435761u) % 1000003) / 1000003;
}

static size_t device_id(char *out, size_t size, size_t i)
{
    return (size_t)snprintf(out, size, "NL-0307-%06zu", i);
}

static void add_devices(struct registry *registry)
{
    char id[32], account[32];
    for (size_t i = 0; i < sizes.devices; i++) {
        struct dc09_address address;
        snprintf(account, sizeof(account), "%06zX", i);
        address_make(&address, str_from(account), 1);
        struct placement placement = {.id = i + 1,
                                      .from_us = 0,
                                      .until_us = INT64_MAX,
                                      .lon = place_of(i, WEST),
                                      .lat = place_of(i * 7 + 3, SOUTH),
                                      .team = registry_word(registry, STR("oost"))};
        registry_put(registry, &(struct registry_entry){.id = {id, device_id(id, sizeof(id), i)},
                                                        .registered = true,
                                                        .group = registry_word(registry, STR("loan")),
                                                        .placements = &placement,
                                                        .n_placements = 1,
                                                        .addresses = &address,
                                                        .n_addresses = 1});
    }
}

/* 20,000 of the devices, some far more often than others. */
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
        struct str name = batch_copy_str(batch, (struct str){id, device_id(id, sizeof(id), device)});
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
                                            .score = 0.8f}};
        if (i % 4 == 0) {
            row->alert.has_location = true;
            row->alert.lon = place_of(device + i, WEST);
            row->alert.lat = place_of(device * 3 + i, SOUTH);
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
    struct conf *conf = conf_parse("bench", rules, strlen(rules), &report);
    if (!conf) {
        fprintf(stderr, "%.*s", (int)report.len, report.data);
        return 1;
    }
    double before = used_mib();
    struct registry *registry = registry_new();
    add_devices(registry);
    double devices_mib = used_mib() - before;
    struct area_rows *rows = area_rows_new();
    add_areas(rows, "buurt", sizes.areas, WEST, SOUTH, SIZE);
    add_areas(rows, "wijk", 31, WEST + SIZE / 2, SOUTH + SIZE / 2, SIZE / 10);
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
