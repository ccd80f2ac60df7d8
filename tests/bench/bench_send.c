/*
 * A load of alerts for the benchmark: DEALER senders with a window each, in one condition. Prints one JSON line.
 *
 *   bench_send --to ENDPOINT --count N [--senders 2] [--window 1000] [--run WORD] [--rate PER_SECOND]
 *
 * The alerts are made before the clock starts: about 300 bytes each, 20,000 devices by Zipf (s = 1.1), 70 % alarm
 * kinds, 20 % updates of camera tracks, 10 % keepalives, a quarter with coordinates: each device has its place, give or
 * take some metres. --rate sends one at a time on a schedule and reports the latency from send to ACK instead of the
 * throughput.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zmq.h>

#define DEVICES     20000
#define ZIPF_S      1.1
#define MESSAGE_MAX 640

struct options {
    const char *to, *run;
    long count, senders, window, rate;
};

struct message {
    char *text;
    size_t len;
};

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_send: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

/* The same alerts in every run: xorshift64*. */
static uint64_t state = 0x9e3779b97f4a7c15;

static double uniform(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((state * 0x2545f4914f6cdd1d) >> 11) / 9007199254740992.0;
}

static double zipf_cdf[DEVICES];

static void zipf_init(void)
{
    double sum = 0;
    for (int i = 0; i < DEVICES; i++)
        zipf_cdf[i] = sum += 1.0 / pow(i + 1, ZIPF_S);
    for (int i = 0; i < DEVICES; i++)
        zipf_cdf[i] /= sum;
}

static int zipf_device(void)
{
    double u = uniform();
    int low = 0, high = DEVICES - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (zipf_cdf[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct message make(const char *run, long i, const char *time)
{
    static const char *const alarms[] = {"motion", "intrusion", "tamper", "panic", "fire", "water", "holdup"};
    char text[MESSAGE_MAX], location[128] = "", kind[160];
    int device = zipf_device();
    double which = uniform();
    if (which < 0.7)
        snprintf(kind, sizeof(kind), "\"kind\":\"%s\",\"phase\":\"%s\",\"input\":%d,\"text\":\"Beweging hal\"",
                 alarms[(int)(uniform() * 7)], uniform() < 0.8 ? "raise" : "restore", 1 + device % 4);
    else if (which < 0.9)
        snprintf(kind, sizeof(kind),
                 "\"kind\":\"camera\",\"phase\":\"update\",\"camera\":{\"label\":\"person\",\"score\":%.2f,"
                 "\"track\":\"1732394651.%d-x9\",\"camera_zone\":\"oprit\"}",
                 0.5 + uniform() / 2, device % 97);
    else
        snprintf(kind, sizeof(kind), "\"kind\":\"keepalive\"");
    if (uniform() < 0.25)
        snprintf(location, sizeof(location),
                 ",\"location\":{\"type\":\"Point\",\"coordinates\":[%.5f,%.5f],\"accuracy_m\":12}",
                 5.33 + device * 7919 % DEVICES * (0.12 / DEVICES) + uniform() * 1e-4,
                 52.12 + device * 104729L % DEVICES * (0.09 / DEVICES) + uniform() * 1e-4);
    int len = snprintf(text, sizeof(text),
                       "{\"specversion\":\"1.0\",\"id\":\"%s-%08ld\",\"source\":\"/mobeye/gateway-%d\","
                       "\"type\":\"mobeye.alert.v1\",\"time\":\"%s\",\"data\":{\"device\":\"NL-0307-%05d\",%s%s,"
                       "\"battery_pct\":%d,\"signal_dbm\":-%d}}",
                       run, i, device % 16, time, device, kind, location, 20 + device % 80, 60 + device % 50);
    struct message message = {malloc((size_t)len), (size_t)len};
    if (!message.text)
        die("memory");
    memcpy(message.text, text, (size_t)len);
    return message;
}

static struct message *make_all(const struct options *o, double *ret_mean_bytes)
{
    char time_text[32];
    time_t now = time(NULL);
    strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    struct message *messages = calloc((size_t)o->count, sizeof(*messages));
    if (!messages)
        die("memory");
    size_t bytes = 0;
    zipf_init();
    for (long i = 0; i < o->count; i++) {
        messages[i] = make(o->run, i, time_text);
        bytes += messages[i].len;
    }
    *ret_mean_bytes = (double)bytes / (double)o->count;
    return messages;
}

static void *dealer(void *context, const struct options *o)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int hwm = 0, linger = 0;
    if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof(hwm)) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof(hwm)) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)) != 0 || zmq_connect(socket, o->to) != 0)
        die(o->to);
    return socket;
}

/* One reply: 1 ACK, 0 anything else, -1 none there. ret_index is the number behind the dash of the alert id. */
static int receive_reply(void *socket, int flags, long *ret_index)
{
    char word[16], id[160], detail[256];
    int len = zmq_recv(socket, word, sizeof(word) - 1, flags);
    if (len < 0)
        return -1;
    word[len] = '\0';
    int id_len = zmq_recv(socket, id, sizeof(id) - 1, 0);
    int detail_len = zmq_recv(socket, detail, sizeof(detail) - 1, 0);
    if (id_len < 0 || detail_len < 0)
        die("reply");
    id[id_len] = '\0';
    const char *dash = strrchr(id, '-');
    *ret_index = dash ? strtol(dash + 1, NULL, 10) : -1;
    return strcmp(word, "ACK") == 0;
}

static int throughput(const struct options *o, const struct message *messages, double mean_bytes)
{
    void *context = zmq_ctx_new();
    void *sockets[16];
    zmq_pollitem_t items[16];
    long in_flight[16] = {0}, sent = 0, acked = 0, other = 0, index = 0;
    for (long s = 0; s < o->senders; s++) {
        sockets[s] = dealer(context, o);
        items[s] = (zmq_pollitem_t){.socket = sockets[s], .events = ZMQ_POLLIN};
    }
    double start = now_s();
    while (acked + other < o->count) {
        for (long s = 0; s < o->senders; s++) {
            for (int got; (got = receive_reply(sockets[s], ZMQ_DONTWAIT, &index)) >= 0; in_flight[s]--) {
                acked += got;
                other += !got;
            }
            for (; sent < o->count && in_flight[s] < o->window; sent++, in_flight[s]++)
                if (zmq_send(sockets[s], messages[sent].text, messages[sent].len, 0) < 0)
                    die("send");
        }
        if (acked + other < o->count)
            zmq_poll(items, (int)o->senders, 60000);
    }
    double seconds = now_s() - start;
    printf(
        "{\"count\": %ld, \"acked\": %ld, \"other\": %ld, \"seconds\": %.4f, \"start\": %.6f, \"mean_bytes\": %.1f}\n",
        o->count, acked, other, seconds, start, mean_bytes);
    return other > 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int latency(const struct options *o, const struct message *messages, double mean_bytes)
{
    void *context = zmq_ctx_new();
    void *socket = dealer(context, o);
    double *sent_at = calloc((size_t)o->count, sizeof(double)), *took = calloc((size_t)o->count, sizeof(double));
    if (!sent_at || !took)
        die("memory");
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    long sent = 0, acked = 0, index = 0;
    double start = now_s();
    while (acked < o->count) {
        double due = start + (double)sent / (double)o->rate, now = now_s();
        if (sent < o->count && now >= due) {
            sent_at[sent] = now_s();
            if (zmq_send(socket, messages[sent].text, messages[sent].len, 0) < 0)
                die("send");
            sent++;
            continue;
        }
        for (int got; (got = receive_reply(socket, ZMQ_DONTWAIT, &index)) >= 0;) {
            if (!got || index < 0 || index >= o->count)
                die("not an ACK");
            took[acked++] = now_s() - sent_at[index];
        }
        if (sent == o->count)
            zmq_poll(&item, 1, 60000);
    }
    qsort(took, (size_t)o->count, sizeof(double), compare);
    printf(
        "{\"count\": %ld, \"rate\": %ld, \"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f, \"mean_bytes\": %.1f}\n",
        o->count, o->rate, took[o->count / 2] * 1e6, took[o->count * 99 / 100] * 1e6, took[o->count - 1] * 1e6,
        mean_bytes);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'n'},
        {"senders", required_argument, NULL, 's'},
        {"window", required_argument, NULL, 'w'},
        {"run", required_argument, NULL, 'r'},
        {"rate", required_argument, NULL, 'R'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.run = "run", .count = 500000, .senders = 2, .window = 1000};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 't':
            o.to = optarg;
            break;
        case 'n':
            o.count = strtol(optarg, NULL, 10);
            break;
        case 's':
            o.senders = strtol(optarg, NULL, 10);
            break;
        case 'w':
            o.window = strtol(optarg, NULL, 10);
            break;
        case 'r':
            o.run = optarg;
            break;
        case 'R':
            o.rate = strtol(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    if (!o.to || o.count < 1 || o.senders < 1 || o.senders > 16 || o.window < 1) {
        fputs("usage: bench_send --to ENDPOINT --count N [--senders 1..16] [--window N] [--run WORD] [--rate N]\n",
              stderr);
        return 2;
    }
    double mean_bytes = 0;
    struct message *messages = make_all(&o, &mean_bytes);
    return o.rate > 0 ? latency(&o, messages, mean_bytes) : throughput(&o, messages, mean_bytes);
}
