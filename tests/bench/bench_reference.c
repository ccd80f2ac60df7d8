#include "bench_reference.h"

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "model/alert.h"

const char bench_rules[] =
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

void bench_add_areas(struct area_rows *rows, const char *layer, size_t n, size_t points, double west, double south,
                     double size)
{
    struct buf wkb = {0}, code = {0};
    size_t side = (size_t)ceil(sqrt((double)n));
    double step = size / (double)side;
    for (size_t i = 0; i < n; i++) {
        code.len = 0;
        buf_printf(&code, "%.2s%08zu", layer, i);
        ring(&wkb, west + step * ((double)(i % side) + 0.5), south + step * ((double)(i / side) + 0.5), step * 0.6,
             points);
        struct area_row row = {.vintage = 2026, .from_us = INT64_MIN, .until_us = INT64_MAX};
        area_rows_add(rows, row, str_from(layer), buf_str(&code), buf_str(&wkb));
    }
    buf_free(&wkb);
    buf_free(&code);
}

double bench_place(size_t i, double start)
{
    return start + BENCH_SIZE * (double)((i * 2654435761u) % 1000003) / 1000003;
}

size_t bench_device_id(char *out, size_t size, size_t i)
{
    return (size_t)snprintf(out, size, "NL-0307-%05zu", i);
}

void bench_add_devices(struct registry *registry, size_t devices)
{
    char id[32], account[32];
    for (size_t i = 0; i < devices; i++) {
        struct dc09_address_holding address = {.from_us = 0, .until_us = INT64_MAX};
        snprintf(account, sizeof(account), "%06zX", i);
        dc09_address_make(&address.address, str_from(account), 1);
        struct placement placement = {.id = i + 1,
                                      .from_us = 0,
                                      .until_us = INT64_MAX,
                                      .lon = bench_place(i, BENCH_WEST),
                                      .lat = bench_place(i * 7 + 3, BENCH_SOUTH),
                                      .team = registry_word(registry, STR("oost"))};
        registry_put(registry, &(struct registry_entry){.id = {id, bench_device_id(id, sizeof(id), i)},
                                                        .registered = true,
                                                        .group = registry_word(registry, STR("loan")),
                                                        .placements = &placement,
                                                        .n_placements = 1,
                                                        .addresses = &address,
                                                        .n_addresses = 1});
    }
}
