/* Any frames as a ZAP request: one reply of six frames, which admits exactly the peers that the configuration admits;
 * and an admitted peer may immediately send messages, as the same client. A frame of the input is a byte with its
 * length, 255: the rest, and its bytes. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "ingest/allow.h"
#include "ingest/security.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES = 12, REPLY_FRAMES = 6 };

static char key_valid[CONF_KEY_LEN + 1], key_expired[CONF_KEY_LEN + 1];
static char *devices[] = {(char *)"NL-*", NULL}, *sources[] = {(char *)"*"};
/* In the order of their keys. */
static struct conf_client clients[] = {{.name = (char *)"old", .key = key_expired, .until = 20200101},
                                       {.name = (char *)"gateway", .key = key_valid}};
static struct network network = {.address = {[10] = 0xFF, [11] = 0xFF, [12] = 10}, .bits = 104}; /* 10.0.0.0/8 */
static struct conf_endpoint endpoints[] = {
    {.name = (char *)"door", .bind = true, .curve = true},
    {.name = (char *)"gate", .bind = true, .allow_from = &network, .n_allow_from = 1},
    {.name = (char *)"lock", .bind = true, .curve = true, .allow_from = &network, .n_allow_from = 1}};
static struct conf conf = {.endpoints = endpoints, .n_endpoints = 3, .clients = clients, .n_clients = 2};

static struct loop *loop;
static struct security *security;
static void *asking;
static unsigned n_refused; /* since the last request */

static void on_refused(void *ctx, const struct security_refused *refused)
{
    (void)ctx;
    if (!refused->endpoint || !refused->address || !security_word(refused->reason))
        abort();
    n_refused++;
}

/* The keys are those of 32 bytes of 1 and of 32 bytes of 2. */
static void open_handler(void)
{
    struct err err;
    uint8_t bytes[32];
    void *context = zmq_ctx_new();
    loop = loop_new(&err);
    security = security_new(loop, context, on_refused, NULL, &err);
    asking = zmq_socket(context, ZMQ_REQ);
    if (!loop || !security || zmq_connect(asking, "inproc://zeromq.zap.01") != 0)
        abort();
    memset(bytes, 1, sizeof(bytes));
    zmq_z85_encode(key_valid, bytes, sizeof(bytes));
    memset(bytes, 2, sizeof(bytes));
    zmq_z85_encode(key_expired, bytes, sizeof(bytes));
    for (size_t i = 0; i < conf.n_clients; i++) {
        clients[i].devices = devices;
        clients[i].n_devices = 1;
        clients[i].sources = sources;
        clients[i].n_sources = 1;
    }
    security_use(security, &conf);
}

struct frames {
    struct str list[FRAMES];
    size_t n;
};

static struct frames split(const uint8_t *data, size_t size)
{
    struct frames frames = {.n = 0};
    while (size > 0 && frames.n < FRAMES) {
        size_t len = *data++;
        size--;
        if (len == 255 || len > size)
            len = size;
        frames.list[frames.n++] = (struct str){(const char *)data, len};
        data += len;
        size -= len;
    }
    return frames;
}

/* libzmq's texts end at their first NUL. */
static bool frame_is(const struct frames *frames, size_t i, const char *text)
{
    struct str frame = frames->list[i];
    return strnlen(frame.p, frame.len) == strlen(text) && memcmp(frame.p, text, strlen(text)) == 0;
}

static const struct conf_endpoint *asked_endpoint(const struct frames *frames)
{
    for (size_t i = 0; frames->n > 5 && i < conf.n_endpoints; i++)
        if (frame_is(frames, 2, endpoints[i].name))
            return &endpoints[i];
    return NULL;
}

static bool has_key(const struct frames *frames, int byte)
{
    bool same = frames->list[6].len == 32;
    for (size_t i = 0; same && i < 32; i++)
        same = frames->list[6].p[i] == byte;
    return same;
}

/* The name of the client that is to be admitted, "" for a peer without one; NULL: it is to be denied. */
static const char *expected(const struct frames *frames)
{
    const struct conf_endpoint *endpoint = asked_endpoint(frames);
    char address[INET6_ADDRSTRLEN + 64] = "";
    if (!endpoint)
        return NULL;
    struct str peer = frames->list[3];
    size_t len = strnlen(peer.p, peer.len);
    if (len < sizeof(address))
        memcpy(address, peer.p, len);
    if (endpoint->n_allow_from > 0 && !allow_text(endpoint, address))
        return NULL;
    if (!endpoint->curve)
        return "";
    return frames->n > 6 && frame_is(frames, 5, "CURVE") && has_key(frames, 1) ? "gateway" : NULL;
}

/* What the reply says about the peer must hold for its messages too. */
static void check_messages(const struct conf_endpoint *endpoint, const char *user, const char *name)
{
    const struct conf_client *client;
    struct reject reject;
    struct endpoint_message message = {.user = user, .address = "10.0.0.7"};
    if (!security_admits(security, endpoint, &message, &client, &reject))
        abort();
    if (*name ? !client || strcmp(client->name, name) != 0 || strcmp(security_client_name(user), name) != 0
              : client || *user)
        abort();
}

static void check_reply(const struct frames *frames)
{
    char reply[REPLY_FRAMES][512];
    int len[REPLY_FRAMES], more = 1;
    size_t size = sizeof(more);
    for (int i = 0; i < REPLY_FRAMES; i++) {
        len[i] = more ? (int)TEMP_FAILURE_RETRY(zmq_recv(asking, reply[i], sizeof(reply[i]) - 1, ZMQ_DONTWAIT)) : -1;
        if (len[i] < 0)
            abort();
        reply[i][len[i]] = '\0';
        zmq_getsockopt(asking, ZMQ_RCVMORE, &more, &size);
    }
    const char *name = expected(frames);
    if (n_refused != (!name && asked_endpoint(frames)))
        abort();
    size_t id = frames->n > 1 ? frames->list[1].len : 0;
    if (more || strcmp(reply[0], "1.0") != 0 || strcmp(reply[2], name ? "200" : "300") != 0)
        abort();
    if ((size_t)len[1] != (id < 256 ? id : 256) || (id && memcmp(reply[1], frames->list[1].p, (size_t)len[1]) != 0))
        abort();
    if (name)
        check_messages(asked_endpoint(frames), reply[4], name);
    else if (len[4] != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!security)
        open_handler();
    struct frames frames = split(data, size);
    if (frames.n == 0)
        return 0;
    for (size_t i = 0; i < frames.n; i++)
        if (TEMP_FAILURE_RETRY(
                zmq_send(asking, frames.list[i].p, frames.list[i].len, i + 1 < frames.n ? ZMQ_SNDMORE : 0)) < 0)
            abort();
    zmq_pollitem_t answered = {.socket = asking, .events = ZMQ_POLLIN};
    while (zmq_poll(&answered, 1, 0) <= 0)
        loop_turn(loop);
    check_reply(&frames);
    n_refused = 0;
    return 0;
}
