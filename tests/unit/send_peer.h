/* The other side of mobeyectl send: a ROUTER that follows a script, and the command with what it prints. */
#ifndef MOBEYE_TESTS_SEND_PEER_H
#define MOBEYE_TESTS_SEND_PEER_H

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/sender_file.h"
#include "model/alert.h"

#define PATIENCE_MS 60000

/* The other side: a thread with a ROUTER that follows a script. */
struct peer {
    void *context, *socket;
    char address[128];
    pthread_t thread;
    void (*script)(struct peer *peer);
    unsigned received;
};

struct message {
    zmq_msg_t from, payload;
    bool has_image;
    char image[64]; /* how it begins */
    size_t image_len;
};

static char directory[] = "/tmp/test_send.XXXXXX";
static char path_in[64], path_out[64], path_err[64], path_image[64];

static __attribute__((unused)) void setup(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path_in, sizeof(path_in), "%s/in", directory);
    snprintf(path_out, sizeof(path_out), "%s/out", directory);
    snprintf(path_err, sizeof(path_err), "%s/err", directory);
    snprintf(path_image, sizeof(path_image), "%s/image", directory);
}

static __attribute__((unused)) void teardown(void)
{
    unlink(path_in);
    unlink(path_out);
    unlink(path_err);
    unlink(path_image);
    rmdir(directory);
}

static __attribute__((unused)) void peer_bind(struct peer *peer, const char *address)
{
    int ms = PATIENCE_MS, none = 0;
    peer->socket = zmq_socket(peer->context, ZMQ_ROUTER);
    zmq_setsockopt(peer->socket, ZMQ_RCVTIMEO, &ms, sizeof(ms));
    zmq_setsockopt(peer->socket, ZMQ_LINGER, &none, sizeof(none));
    cr_assert_eq(zmq_bind(peer->socket, address), 0, "%s: %s", address, zmq_strerror(errno));
    size_t len = sizeof(peer->address);
    zmq_getsockopt(peer->socket, ZMQ_LAST_ENDPOINT, peer->address, &len);
}

static __attribute__((unused)) void *peer_thread(void *arg)
{
    struct peer *peer = arg;
    peer->script(peer);
    return NULL;
}

static __attribute__((unused)) void peer_start(struct peer *peer, void (*script)(struct peer *peer))
{
    *peer = (struct peer){.context = zmq_ctx_new(), .script = script};
    peer_bind(peer, "tcp://127.0.0.1:*");
    pthread_create(&peer->thread, NULL, peer_thread, peer);
}

static __attribute__((unused)) void peer_stop(struct peer *peer)
{
    pthread_join(peer->thread, NULL);
    zmq_close(peer->socket);
    zmq_ctx_term(peer->context);
}

static __attribute__((unused)) bool peer_receive(struct peer *peer, struct message *ret, int flags)
{
    zmq_msg_init(&ret->from);
    zmq_msg_init(&ret->payload);
    if (zmq_msg_recv(&ret->from, peer->socket, flags) < 0)
        return false;
    cr_assert(zmq_msg_more(&ret->from));
    cr_assert_geq(zmq_msg_recv(&ret->payload, peer->socket, 0), 0);
    ret->has_image = zmq_msg_more(&ret->payload);
    if (ret->has_image) {
        zmq_msg_t image;
        zmq_msg_init(&image);
        cr_assert_geq(zmq_msg_recv(&image, peer->socket, 0), 0);
        cr_assert_not(zmq_msg_more(&image), "at most two frames");
        ret->image_len = zmq_msg_size(&image);
        memcpy(ret->image, zmq_msg_data(&image),
               ret->image_len < sizeof(ret->image) ? ret->image_len : sizeof(ret->image));
        zmq_msg_close(&image);
    }
    peer->received++;
    return true;
}

static __attribute__((unused)) struct message peer_next(struct peer *peer)
{
    struct message message;
    cr_assert(peer_receive(peer, &message, 0), "nothing came: %s", zmq_strerror(errno));
    return message;
}

static __attribute__((unused)) bool holds(struct message *message, const char *text)
{
    return memmem(zmq_msg_data(&message->payload), zmq_msg_size(&message->payload), text, strlen(text));
}

static __attribute__((unused)) void reply(struct peer *peer, struct message *to, const char *word, const char *id,
                                          const char *detail)
{
    zmq_send(peer->socket, zmq_msg_data(&to->from), zmq_msg_size(&to->from), ZMQ_SNDMORE);
    zmq_send(peer->socket, word, strlen(word), ZMQ_SNDMORE);
    zmq_send(peer->socket, id, strlen(id), ZMQ_SNDMORE);
    zmq_send(peer->socket, detail, strlen(detail), 0);
    zmq_msg_close(&to->from);
    zmq_msg_close(&to->payload);
}

/* The command */

static __attribute__((unused)) void write_alert(FILE *out, const char *id, const char *more)
{
    fprintf(out,
            "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/test\",\"type\":\"mobeye.alert.v1\","
            "\"data\":{\"device\":\"NL-0307-00042\",\"kind\":\"motion\",\"text\":\"%s\"}}\n",
            id, more);
}

static __attribute__((unused)) FILE *input(void)
{
    FILE *file = fopen(path_in, "w");
    cr_assert_not_null(file);
    return file;
}

static __attribute__((unused)) char *slurp(const char *path)
{
    static char text[2][65536];
    static int which;
    char *into = text[which++ % 2];
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    into[fread(into, 1, sizeof(text[0]) - 1, file)] = '\0';
    fclose(file);
    return into;
}

#define run_send(...) run_argv((const char *[]){"send", __VA_ARGS__, NULL})

static __attribute__((unused)) int run_argv(const char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    cr_assert_not_null(freopen(path_out, "w", stdout));
    cr_assert_not_null(freopen(path_err, "w", stderr));
    int status = ctl_send(argc, (char **)argv);
    fflush(stdout);
    fflush(stderr);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    return status;
}

static __attribute__((unused)) void assert_says(const char *path, const char *text)
{
    char *all = slurp(path);
    cr_assert(strstr(all, text), "\"%s\" is not in: %s", text, all);
}

static __attribute__((unused)) void write_two_alerts(void)
{
    FILE *file = input();
    write_alert(file, "a", "");
    write_alert(file, "b", "");
    fclose(file);
}

#endif
