/*
 * A sender in plain libzmq: client ENDPOINT PREFIX COUNT WINDOW
 *
 * Sends COUNT alerts with the ids PREFIX-0, PREFIX-1, ... from a DEALER, at most WINDOW of them without a reply, and
 * prints "WORD ID DETAIL" for every reply. Ends with 0 when each has one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static void die(const char *what)
{
    fprintf(stderr, "client: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void send_alert(void *socket, const char *prefix, unsigned long n)
{
    char now[32], text[512];
    time_t seconds = time(NULL);
    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
    int len = snprintf(text, sizeof(text),
                       "{\"specversion\":\"1.0\",\"id\":\"%s-%lu\",\"source\":\"/test/c\",\"type\":\"mobeye.alert.v1\","
                       "\"time\":\"%s\",\"data\":{\"device\":\"NL-0307-00001\",\"kind\":\"intrusion\"}}",
                       prefix, n, now);
    if (zmq_send(socket, text, (size_t)len, 0) < 0)
        die("zmq_send");
}

static void print_reply(void *socket)
{
    int more = 1;
    for (int i = 0; more; i++) {
        char frame[256];
        int len = zmq_recv(socket, frame, sizeof(frame), 0);
        if (len < 0 || len > (int)sizeof(frame))
            die("zmq_recv");
        size_t size = sizeof(more);
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
        printf("%s%.*s", i == 0 ? "" : " ", len, frame);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: client ENDPOINT PREFIX COUNT WINDOW\n");
        return 2;
    }
    unsigned long count = strtoul(argv[3], NULL, 10), window = strtoul(argv[4], NULL, 10);
    int patience_ms = 60000;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms));
    zmq_setsockopt(socket, ZMQ_SNDTIMEO, &patience_ms, sizeof(patience_ms));
    if (zmq_connect(socket, argv[1]) < 0)
        die("zmq_connect");
    for (unsigned long sent = 0, answered = 0; answered < count; answered++) {
        while (sent < count && sent - answered < window)
            send_alert(socket, argv[2], sent++);
        print_reply(socket);
    }
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
