#include "bench_alerts.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 640
#define ID_MAX      64

/*
 * Where the town is, in degrees: tests/bench/mix.py puts the areas and the placements there too. Each further 20,000
 * devices are in a town of their own, eight in a row from west to east.
 */
#define WEST   5.33
#define WIDTH  0.12
#define SOUTH  52.12
#define HEIGHT 0.09

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (!memory) {
        fputs("bench_alerts: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* The same numbers in every run: xorshift64*. */
static double uniform(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * 0x2545f4914f6cdd1d) >> 11) / 9007199254740992.0;
}

static double *zipf_cdf(long devices, double exponent)
{
    double *cdf = allocate((size_t)devices, sizeof(*cdf)), sum = 0;
    for (long i = 0; i < devices; i++)
        cdf[i] = sum += 1.0 / pow((double)i + 1, exponent);
    for (long i = 0; i < devices; i++)
        cdf[i] /= sum;
    return cdf;
}

static long pick_device(const double *cdf, long devices, double u)
{
    long low = 0, high = devices - 1;
    while (low < high) {
        long middle = (low + high) / 2;
        if (cdf[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t write_kind(char *out, size_t size, long device, uint64_t *state)
{
    static const char *const alarms[] = {"motion", "intrusion", "tamper", "panic", "fire", "water", "holdup"};
    double which = uniform(state);
    if (which >= 0.9)
        return (size_t)snprintf(out, size, "\"kind\":\"keepalive\"");
    if (which >= 0.7)
        return (size_t)snprintf(out, size,
                                "\"kind\":\"camera\",\"phase\":\"update\",\"camera\":{\"label\":\"person\","
                                "\"score\":%.2f,\"track\":\"1732394651.%ld-x9\",\"camera_zone\":\"oprit\"}",
                                0.5 + uniform(state) / 2, device % 97);
    const char *alarm = alarms[(int)(uniform(state) * 7)];
    const char *phase = uniform(state) < 0.8 ? "raise" : "restore";
    return (size_t)snprintf(out, size, "\"kind\":\"%s\",\"phase\":\"%s\",\"input\":%ld,\"text\":\"Beweging hal\"",
                            alarm, phase, 1 + device % 4);
}

static double coordinate(long device, long factor, double start, double size)
{
    return start + (double)(device * factor % 20000) * (size / 20000);
}

/* The finalizer of splitmix64: different numbers of different inputs, which look random. */
static uint64_t scrambled(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
    n = (n ^ n >> 27) * 0x94d049bb133111eb;
    return n ^ n >> 31;
}

static void write_id(char out[ID_MAX], const struct bench_mix *mix, long number)
{
    if (!mix->uuids) {
        snprintf(out, ID_MAX, "%s-%08ld", mix->run, number);
        return;
    }
    uint64_t run = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = mix->run; *c; c++)
        run = (run ^ (unsigned char)*c) * 0x100000001b3;
    uint64_t high = scrambled(run + (uint64_t)number), low = scrambled(high ^ run);
    snprintf(out, ID_MAX, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff),
             (unsigned)(high & 0xfff), (unsigned)(0x8000 | (low >> 48 & 0x3fff)),
             (unsigned long long)(low & 0xffffffffffff));
}

static struct bench_message alert(const struct bench_mix *mix, long number, const char *time, long device,
                                  uint64_t *state)
{
    char text[MESSAGE_MAX], location[128] = "", kind[200], id[ID_MAX];
    write_id(id, mix, number);
    write_kind(kind, sizeof(kind), device, state);
    if (uniform(state) < 0.25) {
        double west = WEST + (double)(device / 20000 % 8) * WIDTH, south = SOUTH + (double)(device / 160000) * HEIGHT;
        double lon = coordinate(device, 7919, west, WIDTH) + uniform(state) * 1e-4;
        double lat = coordinate(device, 104729, south, HEIGHT) + uniform(state) * 1e-4;
        snprintf(location, sizeof(location),
                 ",\"location\":{\"type\":\"Point\",\"coordinates\":[%.5f,%.5f],\"accuracy_m\":12}", lon, lat);
    }
    int len = snprintf(text, sizeof(text),
                       "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/mobeye/gateway-%ld\","
                       "\"type\":\"mobeye.alert.v1\",\"time\":\"%s\",\"data\":{\"device\":\"NL-0307-%05ld\",%s%s,"
                       "\"battery_pct\":%ld,\"signal_dbm\":-%ld}}",
                       id, device % 16, time, device, kind, location, 20 + device % 80, 60 + device % 50);
    struct bench_message message = {allocate((size_t)len, 1), (size_t)len};
    memcpy(message.text, text, (size_t)len);
    return message;
}

struct bench_message *bench_alerts(const struct bench_mix *mix, double *ret_mean_bytes)
{
    char time[32];
    struct tm utc;
    strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&mix->now, &utc));
    struct bench_message *messages = allocate((size_t)mix->count, sizeof(*messages));
    double *cdf = zipf_cdf(mix->devices, mix->zipf);
    uint64_t state = 0x9e3779b97f4a7c15;
    size_t bytes = 0;
    for (long i = 0; i < mix->count; i++) {
        long device = pick_device(cdf, mix->devices, uniform(&state));
        messages[i] = alert(mix, mix->first + i, time, device, &state);
        bytes += messages[i].len;
    }
    free(cdf);
    *ret_mean_bytes = (double)bytes / (double)mix->count;
    return messages;
}

void bench_alerts_free(struct bench_message *messages, long count)
{
    for (long i = 0; i < count; i++)
        free(messages[i].text);
    free(messages);
}
