#include "ingest/security.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ingest/allow.h"

#define ADDRESS "inproc://zeromq.zap.01"
/* Requests processed in one turn of the loop. */
#define REQUESTS_PER_TURN 64
/* Frames of a request that are read, and bytes of each; libzmq sends at most 255. */
#define FRAMES_MAX 7
#define FRAME_MAX  256

enum { VERSION, REQUEST, DOMAIN, PEER, IDENTITY, MECHANISM, CREDENTIALS };

struct security {
    struct loop *loop;
    void *socket;
    struct event readable; /* on ZMQ_FD */
    struct event more;     /* armed while requests are waiting */
    const struct conf *conf;
    void (*on_refused)(void *ctx, const struct security_refused *refused);
    void *ctx;
    int64_t today_s; /* the second at which `today` was read */
    uint32_t today;  /* in the form of conf_client.until */
};

/* A frame, terminated by a NUL. */
struct zap_frame {
    char bytes[FRAME_MAX + 1];
    size_t len;
};

struct zap_request {
    struct zap_frame frame[FRAMES_MAX];
    size_t n;
};

const char *security_word(enum security_refusal refusal)
{
    static const char *const words[SECURITY_REFUSALS] = {
        [SECURITY_ADDRESS] = "address",
        [SECURITY_UNKNOWN] = "unknown",
        [SECURITY_EXPIRED] = "expired",
        [SECURITY_CURVE] = "curve",
    };
    return words[refusal];
}

const char *security_mismatch(const struct conf_endpoint *conf)
{
    if (!conf->curve)
        return "it uses CURVE, which this endpoint does not";
    if (!conf->bind)
        return "it does not use CURVE with the key in server_key";
    return "it uses no CURVE, or not the present public key of this daemon (mobeyectl keygen --public with the file of "
           "security.server_key prints that)";
}

const char *security_given_up(const struct conf_endpoint *conf, bool denied)
{
    if (denied && conf->n_allow_from > 0)
        return "denied by allow_from of this endpoint, or by its peer";
    if (denied && !conf->curve)
        return "its peer does not admit this daemon";
    if (denied)
        return "its peer does not accept the public key of this daemon (mobeyectl keygen --public with the file of "
               "security.server_key prints that)";
    return "the connection ended in an error: its peer sent a frame above 8 MiB, is a socket of another type, or "
           "speaks another protocol or security mechanism";
}

bool security_checks_peers(const struct conf_endpoint *conf)
{
    return conf->curve || conf->n_allow_from > 0;
}

/* ---- the client list ---- */

static int compare_key(const void *key, const void *client)
{
    return strncmp(key, ((const struct conf_client *)client)->key, CONF_KEY_LEN);
}

/* The client whose key the text begins with. */
static const struct conf_client *find_client(const struct security *security, const char *key)
{
    const struct conf *conf = security->conf;
    if (conf->n_clients == 0 || strlen(key) < CONF_KEY_LEN)
        return NULL;
    return bsearch(key, conf->clients, conf->n_clients, sizeof(*conf->clients), compare_key);
}

/* The local day. Read once a second: the time zone may change at a reload, and clocks may be set. */
static uint32_t local_day(struct security *security)
{
    struct tm tm;
    time_t now_s = (time_t)(loop_wall_us(security->loop) / CLOCK_SECOND);
    if (security->today_s != now_s && localtime_r(&now_s, &tm)) {
        security->today_s = now_s;
        security->today = (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
    }
    return security->today;
}

static bool has_expired(struct security *security, const struct conf_client *client)
{
    return client->until > 0 && local_day(security) > client->until;
}

/* ---- connections ---- */

static const struct conf_endpoint *find_endpoint(const struct security *security, const char *name)
{
    for (size_t i = 0; security->conf && i < security->conf->n_endpoints; i++)
        if (strcmp(security->conf->endpoints[i].name, name) == 0)
            return &security->conf->endpoints[i];
    return NULL;
}

/* The client whose key, of 32 bytes, is in the frame. */
static const struct conf_client *client_of(const struct security *security, const struct zap_frame *credentials)
{
    char key[CONF_KEY_LEN + 1];
    if (credentials->len != 32 || !zmq_z85_encode(key, (const uint8_t *)credentials->bytes, 32))
        return NULL;
    return find_client(security, key);
}

/* false: the peer is denied, for *ret_refusal. */
static bool check_peer(struct security *security, const struct conf_endpoint *endpoint,
                       const struct zap_request *request, const struct conf_client **ret_client,
                       enum security_refusal *ret_refusal)
{
    *ret_refusal = SECURITY_ADDRESS;
    if (!allow_text(endpoint, request->frame[PEER].bytes))
        return false;
    if (!endpoint->curve)
        return true;
    *ret_refusal = SECURITY_UNKNOWN;
    if (request->n <= CREDENTIALS || strcmp(request->frame[MECHANISM].bytes, "CURVE") != 0)
        return false;
    *ret_client = client_of(security, &request->frame[CREDENTIALS]);
    if (!*ret_client)
        return false;
    *ret_refusal = SECURITY_EXPIRED;
    return !has_expired(security, *ret_client);
}

/* A peer of an endpoint that has just been closed is denied without being reported. */
static bool admits_peer(struct security *security, const struct zap_request *request,
                        const struct conf_client **ret_client)
{
    const char *domain = request->frame[DOMAIN].bytes, *peer = request->frame[PEER].bytes;
    const struct conf_endpoint *endpoint = request->n > MECHANISM ? find_endpoint(security, domain) : NULL;
    *ret_client = NULL;
    if (!endpoint)
        return false;
    enum security_refusal refusal;
    if (check_peer(security, endpoint, request, ret_client, &refusal))
        return true;
    const char *name = *ret_client ? (*ret_client)->name : NULL;
    security->on_refused(security->ctx, &(struct security_refused){refusal, endpoint->name, name, peer, NULL});
    return false;
}

/* false: no request is waiting. */
static bool receive_request(struct security *security, struct zap_request *ret)
{
    struct zap_frame extra;
    int more = 1;
    ret->n = 0;
    while (more) {
        struct zap_frame *frame = ret->n < FRAMES_MAX ? &ret->frame[ret->n] : &extra;
        size_t size = sizeof(more);
        int len = (int)TEMP_FAILURE_RETRY(zmq_recv(security->socket, frame->bytes, FRAME_MAX, ZMQ_DONTWAIT));
        if (len < 0)
            return false;
        frame->len = len < FRAME_MAX ? (size_t)len : FRAME_MAX;
        frame->bytes[frame->len] = '\0';
        ret->n += frame != &extra;
        zmq_getsockopt(security->socket, ZMQ_RCVMORE, &more, &size);
    }
    return true;
}

static void send_frame(struct security *security, const char *bytes, size_t len, int flags)
{
    (void)TEMP_FAILURE_RETRY(zmq_send(security->socket, bytes, len, ZMQ_DONTWAIT | flags));
}

static void reply_to_request(struct security *security, const struct zap_request *request)
{
    const struct conf_client *client;
    const struct zap_frame *id = &request->frame[REQUEST];
    char user[CONF_KEY_LEN + FRAME_MAX + 2] = "";
    bool in = admits_peer(security, request, &client);
    int len = in && client ? snprintf(user, sizeof(user), "%s %s", client->key, client->name) : 0;
    send_frame(security, "1.0", 3, ZMQ_SNDMORE);
    send_frame(security, id->bytes, request->n > REQUEST ? id->len : 0, ZMQ_SNDMORE);
    send_frame(security, in ? "200" : "300", 3, ZMQ_SNDMORE);
    send_frame(security, "", 0, ZMQ_SNDMORE);
    send_frame(security, user, (size_t)len, ZMQ_SNDMORE);
    send_frame(security, "", 0, 0);
}

/* Sending may consume the edge of ZMQ_FD, so requests are read until the socket is empty or the turn's share is used
 * up; then the event continues by itself. */
static void on_request(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct security *security = arg;
    struct zap_request request;
    for (unsigned n = 0; n < REQUESTS_PER_TURN; n++) {
        if (!receive_request(security, &request))
            return;
        reply_to_request(security, &request);
    }
    loop_arm(&security->more, 0);
}

static int open_socket(struct security *security, void *context, struct err *err)
{
    int fd, none = 0;
    size_t size = sizeof(fd);
    security->socket = zmq_socket(context, ZMQ_REP);
    if (!security->socket || zmq_setsockopt(security->socket, ZMQ_LINGER, &none, sizeof(none)) != 0 ||
        zmq_bind(security->socket, ADDRESS) != 0 || zmq_getsockopt(security->socket, ZMQ_FD, &fd, &size) != 0)
        return err_set(err, "cannot open the ZAP handler, which checks peers: %s", zmq_strerror(zmq_errno()));
    event_assign(&security->readable, loop_base(security->loop), fd, EV_READ | EV_PERSIST, on_request, security);
    evtimer_assign(&security->more, loop_base(security->loop), on_request, security);
    event_add(&security->readable, NULL);
    loop_arm(&security->more, 0);
    return 0;
}

struct security *security_new(struct loop *loop, void *context,
                              void (*on_refused)(void *ctx, const struct security_refused *refused), void *ctx,
                              struct err *err)
{
    struct security *security = mem_zalloc(sizeof(*security));
    *security = (struct security){.loop = loop, .on_refused = on_refused, .ctx = ctx};
    if (open_socket(security, context, err) != 0)
        security_free(&security);
    return security;
}

void security_free(struct security **security)
{
    struct security *s = *security;
    if (!s)
        return;
    if (event_initialized(&s->readable)) {
        event_del(&s->readable);
        event_del(&s->more);
    }
    if (s->socket)
        zmq_close(s->socket);
    free(s);
    *security = NULL;
}

void security_use(struct security *security, const struct conf *conf)
{
    security->conf = conf;
}

/* ---- messages ---- */

const char *security_client_name(const char *user)
{
    return user && strlen(user) > CONF_KEY_LEN + 1 ? user + CONF_KEY_LEN + 1 : NULL;
}

/* The name that the client had when it connected. */
static const char *name_when_connected(const char *user)
{
    const char *name = security_client_name(user);
    return name ? name : "the server";
}

bool security_admits(struct security *security, const struct conf_endpoint *conf,
                     const struct endpoint_message *message, const struct conf_client **ret_client, struct reject *ret)
{
    *ret_client = NULL;
    if (!allow_text(conf, message->address))
        return reject_set(ret, REJECT_FORBIDDEN, STR(""), "address", "not in allow_from");
    if (!conf->curve)
        return true;
    /* A peer that the daemon connected to has the key that the daemon required. */
    const char *user = conf->bind ? message->user : conf->server_key;
    if (!user)
        return reject_set(ret, REJECT_FORBIDDEN, STR(""), "client", "no CURVE key was presented");
    *ret_client = find_client(security, user);
    if (!*ret_client)
        return reject_set(ret, REJECT_FORBIDDEN, STR(""), "client", "the key of %s is not on the client list",
                          name_when_connected(user));
    if (has_expired(security, *ret_client))
        return reject_set(ret, REJECT_FORBIDDEN, STR(""), "client", "the key of %s has expired", (*ret_client)->name);
    return true;
}

static bool matches_any(char *const *globs, size_t n, struct str text)
{
    char copy[ALERT_SOURCE_MAX + 1];
    snprintf(copy, sizeof(copy), "%.*s", (int)text.len, text.p);
    for (size_t i = 0; text.len < sizeof(copy) && i < n; i++)
        if (fnmatch(globs[i], copy, 0) == 0)
            return true;
    return false;
}

bool security_allows(const struct conf_client *client, const struct alert *alert, struct reject *ret)
{
    if (!client)
        return true;
    if (!matches_any(client->devices, client->n_devices, alert->device))
        return reject_set(ret, REJECT_FORBIDDEN, alert->event_id, "device", "%s may not report for this device",
                          client->name);
    if (alert->format == ALERT_CLOUDEVENTS && !matches_any(client->sources, client->n_sources, alert->source))
        return reject_set(ret, REJECT_FORBIDDEN, alert->event_id, "source", "%s may not use this source", client->name);
    return true;
}
