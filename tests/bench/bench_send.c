/*
 * A load of alerts for the benchmark: DEALER senders with a window each, in one condition. Prints one JSON line.
 *
 *   bench_send --to ENDPOINT --count N [--senders 2] [--window 1000] [--run WORD] [--first N] [--devices 20000]
 *              [--zipf 1.1] [--uuids] [--rate PER_SECOND [--times FILE] | --push]
 *   bench_send --print --count N …
 *
 * The alerts are generated before the clock starts (bench_alerts.h).
 *   --rate   sends one at a time on a schedule, at 0.5 every two seconds, and reports the latency from send to ACK
 *            instead of the throughput; --times writes for each alert its journal sequence number and the monotonic
 *            times of send and ACK
 *   --push   by one PUSH socket, to a peer that sends no replies: done when all are handed to libzmq
 *   --uuids  random alert ids, as many senders choose them, instead of numbers; not with --rate, which counts by them
 *   --print  writes the alerts to stdout, one a line, and sends nothing
 */
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench_alerts.h"

#define SENDERS_MAX 16
#define PATIENCE_S  60 /* without any reply */

struct options {
    struct bench_mix mix;
    const char *to, *times;
    long senders, window;
    double rate; /* alerts a second, of --rate; 0: as fast as possible */
    bool push, print;
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

static void give_up(const struct options *o)
{
    fprintf(stderr, "bench_send: %s: no reply for %d s\n", o->to, PATIENCE_S);
    exit(1);
}

static void *connect_socket(void *context, int type, const char *to)
{
    void *socket = zmq_socket(context, type);
    int hwm = type == ZMQ_PUSH ? 1000 : 0, linger = type == ZMQ_PUSH ? -1 : 0;
    if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof(hwm)) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof(hwm)) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof(linger)) != 0 || zmq_connect(socket, to) != 0)
        die(to);
    return socket;
}

struct reply {
    bool ack;
    long number; /* of the alert: what follows the last dash of its id; -1 none */
    long seq;    /* in the journal, of an ACK */
};

/* False: none is there. */
static bool receive_reply(void *socket, struct reply *ret_reply)
{
    char word[16], id[160], detail[256];
    int len = zmq_recv(socket, word, sizeof(word) - 1, ZMQ_DONTWAIT);
    if (len < 0)
        return false;
    word[len] = '\0';
    int id_len = zmq_recv(socket, id, sizeof(id) - 1, 0);
    int detail_len = zmq_recv(socket, detail, sizeof(detail) - 1, 0);
    if (id_len < 0 || detail_len < 0)
        die("reply");
    id[id_len] = detail[detail_len < (int)sizeof(detail) - 1 ? detail_len : (int)sizeof(detail) - 1] = '\0';
    const char *dash = strrchr(id, '-');
    *ret_reply = (struct reply){.ack = strcmp(word, "ACK") == 0,
                                .number = dash ? strtol(dash + 1, NULL, 10) : -1,
                                .seq = strtol(detail, NULL, 10)};
    return true;
}

static int send_throughput(const struct options *o, const struct bench_message *messages, double mean_bytes)
{
    void *context = zmq_ctx_new();
    void *sockets[SENDERS_MAX];
    zmq_pollitem_t items[SENDERS_MAX];
    long in_flight[SENDERS_MAX] = {0}, sent = 0, acked = 0, other = 0, count = o->mix.count;
    struct reply reply;
    for (long s = 0; s < o->senders; s++) {
        sockets[s] = connect_socket(context, ZMQ_DEALER, o->to);
        items[s] = (zmq_pollitem_t){.socket = sockets[s], .events = ZMQ_POLLIN};
    }
    double start = now_s();
    while (acked + other < count) {
        for (long s = 0; s < o->senders; s++) {
            for (; receive_reply(sockets[s], &reply); in_flight[s]--) {
                acked += reply.ack;
                other += !reply.ack;
            }
            for (; sent < count && in_flight[s] < o->window; sent++, in_flight[s]++)
                if (zmq_send(sockets[s], messages[sent].text, messages[sent].len, 0) < 0)
                    die("send");
        }
        if (acked + other < count && zmq_poll(items, (int)o->senders, PATIENCE_S * 1000) == 0)
            give_up(o);
    }
    printf(
        "{\"count\": %ld, \"acked\": %ld, \"other\": %ld, \"seconds\": %.4f, \"start\": %.6f, \"mean_bytes\": %.1f}\n",
        count, acked, other, now_s() - start, start, mean_bytes);
    return other > 0;
}

static int send_push(const struct options *o, const struct bench_message *messages, double mean_bytes)
{
    void *context = zmq_ctx_new();
    void *socket = connect_socket(context, ZMQ_PUSH, o->to);
    double start = now_s();
    for (long i = 0; i < o->mix.count; i++)
        if (zmq_send(socket, messages[i].text, messages[i].len, 0) < 0)
            die("send");
    zmq_close(socket);
    zmq_ctx_term(context);
    printf("{\"count\": %ld, \"seconds\": %.4f, \"start\": %.6f, \"mean_bytes\": %.1f}\n", o->mix.count,
           now_s() - start, start, mean_bytes);
    return 0;
}

/* What happened to one alert. */
struct journey {
    double sent, acked; /* monotonic seconds */
    long seq;
};

static void write_times(const char *path, const struct journey *journeys, long count)
{
    FILE *file = fopen(path, "w");
    if (!file)
        die(path);
    for (long i = 0; i < count; i++)
        fprintf(file, "%ld %.6f %.6f\n", journeys[i].seq, journeys[i].sent, journeys[i].acked);
    if (fclose(file) != 0)
        die(path);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_latency(const struct options *o, const struct journey *journeys, double mean_bytes)
{
    long count = o->mix.count;
    double *took = calloc((size_t)count, sizeof(*took));
    if (!took)
        die("memory");
    for (long i = 0; i < count; i++)
        took[i] = (journeys[i].acked - journeys[i].sent) * 1e6;
    qsort(took, (size_t)count, sizeof(*took), compare);
    printf(
        "{\"count\": %ld, \"rate\": %g, \"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f, \"mean_bytes\": %.1f}\n",
        count, o->rate, took[count / 2], took[count * 99 / 100], took[count - 1], mean_bytes);
    free(took);
}

/* Waits until there may be a reply; false: the time has come first. The caller has just received all available ones. */
static bool wait_for_reply(void *socket, double until)
{
    struct pollfd fd = {.events = POLLIN};
    size_t size = sizeof(fd.fd);
    if (zmq_getsockopt(socket, ZMQ_FD, &fd.fd, &size) != 0)
        die("ZMQ_FD");
    double pause = until - now_s();
    if (pause <= 0)
        return false;
    struct timespec timeout = {(time_t)pause, (long)((pause - (double)(time_t)pause) * 1e9)};
    return ppoll(&fd, 1, &timeout, NULL) > 0;
}

static int send_on_schedule(const struct options *o, const struct bench_message *messages, double mean_bytes)
{
    void *socket = connect_socket(zmq_ctx_new(), ZMQ_DEALER, o->to);
    long sent = 0, acked = 0, count = o->mix.count;
    struct journey *journeys = calloc((size_t)count, sizeof(*journeys));
    struct reply reply;
    if (!journeys)
        die("memory");
    double start = now_s();
    while (acked < count) {
        double due = start + (double)sent / o->rate;
        if (sent < count && now_s() >= due) {
            journeys[sent].sent = now_s();
            if (zmq_send(socket, messages[sent].text, messages[sent].len, 0) < 0)
                die("send");
            sent++;
            continue;
        }
        while (receive_reply(socket, &reply)) {
            long i = reply.number - o->mix.first;
            if (!reply.ack || i < 0 || i >= count)
                die("not an ACK");
            journeys[i].acked = now_s();
            journeys[i].seq = reply.seq;
            acked++;
        }
        if (acked < count && !wait_for_reply(socket, sent < count ? due : now_s() + PATIENCE_S) && sent == count)
            give_up(o);
    }
    if (o->times)
        write_times(o->times, journeys, count);
    print_latency(o, journeys, mean_bytes);
    free(journeys);
    return 0;
}

static int print_alerts(const struct options *o, const struct bench_message *messages)
{
    for (long i = 0; i < o->mix.count; i++) {
        fwrite(messages[i].text, 1, messages[i].len, stdout);
        putchar('\n');
    }
    return fflush(stdout) != 0;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option long_options[] = {
        {"to", required_argument, NULL, 't'},      {"count", required_argument, NULL, 'n'},
        {"senders", required_argument, NULL, 's'}, {"window", required_argument, NULL, 'w'},
        {"run", required_argument, NULL, 'r'},     {"first", required_argument, NULL, 'f'},
        {"devices", required_argument, NULL, 'd'}, {"zipf", required_argument, NULL, 'z'},
        {"rate", required_argument, NULL, 'R'},    {"times", required_argument, NULL, 'T'},
        {"uuids", no_argument, NULL, 'u'},         {"push", no_argument, NULL, 'p'},
        {"print", no_argument, NULL, 'P'},         {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        long number = optarg ? strtol(optarg, NULL, 10) : 0;
        switch (option) {
        case 't':
            o->to = optarg;
            break;
        case 'n':
            o->mix.count = number;
            break;
        case 's':
            o->senders = number;
            break;
        case 'w':
            o->window = number;
            break;
        case 'r':
            o->mix.run = optarg;
            break;
        case 'f':
            o->mix.first = number;
            break;
        case 'd':
            o->mix.devices = number;
            break;
        case 'z':
            o->mix.zipf = strtod(optarg, NULL);
            break;
        case 'R':
            o->rate = strtod(optarg, NULL);
            break;
        case 'T':
            o->times = optarg;
            break;
        case 'u':
            o->mix.uuids = true;
            break;
        case 'p':
            o->push = true;
            break;
        case 'P':
            o->print = true;
            break;
        default:
            return false;
        }
    }
    return (o->to || o->print) && o->mix.count >= 1 && o->mix.devices >= 1 && o->senders >= 1 &&
           o->senders <= SENDERS_MAX && o->window >= 1 && !(o->mix.uuids && o->rate > 0);
}

int main(int argc, char **argv)
{
    struct options o = {.mix = {.run = "run", .count = 500000, .devices = 20000, .zipf = 1.1, .now = time(NULL)},
                        .senders = 2,
                        .window = 1000};
    if (!read_options(argc, argv, &o)) {
        fputs("usage: bench_send (--to ENDPOINT | --print) --count N [--senders 1..16] [--window N] [--run WORD]\n"
              "                  [--first N] [--devices N] [--zipf S] [--uuids] [--rate N [--times FILE] | --push]\n",
              stderr);
        return 2;
    }
    double mean_bytes = 0;
    struct bench_message *messages = bench_alerts(&o.mix, &mean_bytes);
    int status = o.print      ? print_alerts(&o, messages)
                 : o.push     ? send_push(&o, messages, mean_bytes)
                 : o.rate > 0 ? send_on_schedule(&o, messages, mean_bytes)
                              : send_throughput(&o, messages, mean_bytes);
    bench_alerts_free(messages, o.mix.count);
    return status;
}
