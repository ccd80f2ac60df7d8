/*
 * For `./run bench flood`: the quiet senders whose ACKs are timed, and the senders that flood.
 *
 *   bench_flood probe --to ENDPOINT --tcp HOST:PORT --seconds S
 *       Eight ZeroMQ peers with 25 alerts a second each, and as many DC-09 connections with 25 frames. Prints one line
 *       of JSON: how long each took from send to ACK.
 *   bench_flood small|large --to ENDPOINT
 *       One DEALER with up to 1,000 alerts of 300 bytes in flight, or 64 of 64 KiB, until it is killed.
 *   bench_flood dc09 --tcp HOST:PORT
 *       One connection with up to 64 frames of 4 kB in flight, 64 events in each, until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#define PEERS         8
#define PEER_RATE     25
#define PATIENCE_MS   120000
#define SMALL_WINDOW  1000
#define LARGE_WINDOW  64
#define LARGE_BYTES   65000
#define FRAMES_WINDOW 64
#define FRAME_EVENTS  64
#define FRAME_BODY    4000

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_flood: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

/* ---- what is sent ---- */

static size_t make_alert(char *out, size_t size, const char *run, long n, size_t text_bytes)
{
    int len =
        snprintf(out, size,
                 "{\"specversion\":\"1.0\",\"id\":\"%s-%d-%08ld\",\"source\":\"/mobeye/%s\",\"type\":\"mobeye.alert."
                 "v1\",\"data\":{\"device\":\"NL-0307-%05ld\",\"kind\":\"motion\",\"battery_pct\":88,\"text\":\"",
                 run, (int)getpid(), n, run, n % 20000);
    if (len < 0 || (size_t)len + text_bytes + 4 > size)
        abort();
    memset(out + len, 'x', text_bytes);
    memcpy(out + len + text_bytes, "\"}}", 3);
    return (size_t)len + text_bytes + 3;
}

static unsigned crc16(const char *bytes, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return crc;
}

/* A frame with `events` events, filled up with a text of control characters: each takes three bytes in JSON. */
static size_t make_frame(char *out, size_t size, const char *account, long n, int events, size_t body_bytes)
{
    char body[4096], time_text[32];
    time_t now = time(NULL);
    strftime(time_text, sizeof(time_text), "_%H:%M:%S,%m-%d-%Y", gmtime(&now));
    int len = snprintf(body, sizeof(body), "\"SIA-DCS\"%04ldL0#%s[#%s|Nri1", n % 10000, account, account);
    for (int i = 0; i < events; i++)
        len += snprintf(body + len, sizeof(body) - (size_t)len, "/BA%03d", i + 1);
    len += snprintf(body + len, sizeof(body) - (size_t)len, "|A%d-%ld", (int)getpid(), n);
    for (; (size_t)len + 1 + strlen(time_text) < body_bytes; len++)
        body[len] = 1;
    len += snprintf(body + len, sizeof(body) - (size_t)len, "]%s", time_text);
    int all = snprintf(out, size, "\n%04X0%03X", crc16(body, (size_t)len), (unsigned)len);
    if (all < 0 || (size_t)all + (size_t)len + 1 > size)
        abort();
    memcpy(out + all, body, (size_t)len);
    out[all + len] = '\r';
    return (size_t)(all + len) + 1;
}

/* ---- peers ---- */

static void *dealer(void *context, const char *to)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof(zero)) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &zero, sizeof(zero)) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero)) != 0 || zmq_connect(socket, to) != 0)
        die(to);
    return socket;
}

/* 1: an ACK, 0: another reply, -1: none is there. */
static int take_reply(void *socket, int flags)
{
    char word[16] = "", rest[256];
    int more = 1;
    size_t size = sizeof(more);
    if (zmq_recv(socket, word, sizeof(word) - 1, flags) < 0)
        return -1;
    while (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more)
        if (zmq_recv(socket, rest, sizeof(rest), 0) < 0)
            die("reply");
    return strcmp(word, "ACK") == 0;
}

static int connect_tcp(const char *host_port)
{
    char host[64];
    const char *colon = strrchr(host_port, ':');
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (!colon || (size_t)(colon - host_port) >= sizeof(host))
        abort();
    memcpy(host, host_port, (size_t)(colon - host_port));
    host[colon - host_port] = '\0';
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || fd < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die(host_port);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, bytes + at, len - at, MSG_NOSIGNAL);
        if (n < 0)
            die("tcp");
        at += (size_t)n;
    }
}

/* How many replies have arrived: each ends in CR. Waits for one if `block`. */
static long take_tcp_replies(int fd, bool block)
{
    char bytes[16384];
    long n = 0;
    ssize_t got = recv(fd, bytes, sizeof(bytes), block ? 0 : MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        errno = got == 0 ? ECONNRESET : errno;
        die("tcp");
    }
    for (ssize_t i = 0; i < got; i++)
        n += bytes[i] == '\r';
    return n;
}

/* ---- the floods ---- */

static _Noreturn void flood(const char *to, const char *run, long window, size_t text_bytes)
{
    static char message[80 * 1024];
    void *socket = dealer(zmq_ctx_new(), to);
    long in_flight = 0;
    for (long n = 0;; n++) {
        while (take_reply(socket, in_flight < window ? ZMQ_DONTWAIT : 0) >= 0)
            in_flight--;
        if (zmq_send(socket, message, make_alert(message, sizeof(message), run, n, text_bytes), 0) < 0)
            die("send");
        in_flight++;
    }
}

static _Noreturn void flood_frames(const char *host_port)
{
    char message[8192];
    int fd = connect_tcp(host_port);
    long in_flight = 0;
    for (long n = 0;; n++) {
        in_flight -= take_tcp_replies(fd, in_flight >= FRAMES_WINDOW);
        send_all(fd, message, make_frame(message, sizeof(message), "F100D", n, FRAME_EVENTS, FRAME_BODY));
        in_flight++;
    }
}

/* ---- the quiet ---- */

/* A quiet sender: its messages are replied to in order. */
struct quiet {
    void *socket; /* NULL: fd is it */
    int fd;
    char name[16];
    long n, sent, answered;
    double *sent_at;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void send_one(struct quiet *quiet)
{
    char message[1024];
    size_t len;
    if (quiet->socket)
        len = make_alert(message, sizeof(message), quiet->name, quiet->sent, 100);
    else
        len = make_frame(message, sizeof(message), quiet->name, quiet->sent, 1, 0);
    quiet->sent_at[quiet->sent++] = now_s();
    if (!quiet->socket)
        send_all(quiet->fd, message, len);
    else if (zmq_send(quiet->socket, message, len, 0) < 0)
        die("send");
}

/* Returns how many of the replies received were not ACK. */
static long take_answers(struct quiet *quiet, double *took, long *n_took)
{
    long other = 0;
    if (!quiet->socket) {
        for (long n = take_tcp_replies(quiet->fd, false); n > 0; n--)
            took[(*n_took)++] = now_s() - quiet->sent_at[quiet->answered++];
        return 0;
    }
    for (int got; (got = take_reply(quiet->socket, ZMQ_DONTWAIT)) >= 0;) {
        other += !got;
        took[(*n_took)++] = now_s() - quiet->sent_at[quiet->answered++];
    }
    return other;
}

static void print_times(double *took, long n, long lost, long other)
{
    qsort(took, (size_t)n, sizeof(double), compare);
    printf("{\"n\": %ld, \"lost\": %ld, \"other\": %ld, \"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f}\n", n,
           lost, other, took[n / 2] * 1e6, took[n * 99 / 100] * 1e6, took[n - 1] * 1e6);
}

static int probe(const char *to, const char *host_port, long seconds)
{
    void *context = zmq_ctx_new();
    struct quiet all[2 * PEERS] = {0};
    zmq_pollitem_t items[2 * PEERS];
    long each = seconds * PEER_RATE, n_took = 0, other = 0;
    double *took = calloc((size_t)(2 * PEERS * each), sizeof(double));
    for (int i = 0; i < 2 * PEERS; i++) {
        all[i].socket = i < PEERS ? dealer(context, to) : NULL;
        all[i].fd = i < PEERS ? -1 : connect_tcp(host_port);
        all[i].n = each;
        all[i].sent_at = calloc((size_t)each, sizeof(double));
        snprintf(all[i].name, sizeof(all[i].name), i < PEERS ? "quiet%d" : "A%03d", i);
        items[i] = (zmq_pollitem_t){.socket = all[i].socket, .fd = all[i].fd, .events = ZMQ_POLLIN};
    }
    double start = now_s();
    while (n_took < 2 * PEERS * each && now_s() < start + (double)seconds + PATIENCE_MS / 1e3) {
        double now = now_s();
        for (int i = 0; i < 2 * PEERS; i++) {
            double due = start + ((double)all[i].sent + (double)i / (2 * PEERS)) / PEER_RATE;
            if (all[i].sent < all[i].n && now >= due)
                send_one(&all[i]);
        }
        zmq_poll(items, 2 * PEERS, 1);
        for (int i = 0; i < 2 * PEERS; i++)
            if (items[i].revents & ZMQ_POLLIN)
                other += take_answers(&all[i], took, &n_took);
    }
    if (n_took == 0)
        die("nobody was answered");
    print_times(took, n_took, 2 * PEERS * each - n_took, other);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'},
        {"tcp", required_argument, NULL, 'T'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    const char *to = NULL, *host_port = NULL, *what = argc > 1 ? argv[1] : "";
    long seconds = 5;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 't')
            to = optarg;
        else if (option == 'T')
            host_port = optarg;
        else if (option == 's')
            seconds = strtol(optarg, NULL, 10);
        else
            return 2;
    }
    if (strcmp(what, "probe") == 0 && to && host_port && seconds > 0)
        return probe(to, host_port, seconds);
    if (strcmp(what, "small") == 0 && to)
        flood(to, "small", SMALL_WINDOW, 150);
    if (strcmp(what, "large") == 0 && to)
        flood(to, "large", LARGE_WINDOW, LARGE_BYTES);
    if (strcmp(what, "dc09") == 0 && host_port)
        flood_frames(host_port);
    fputs("usage: bench_flood probe|small|large|dc09 [--to ENDPOINT] [--tcp HOST:PORT] [--seconds S]\n", stderr);
    return 2;
}
