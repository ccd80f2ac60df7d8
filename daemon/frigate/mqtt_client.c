#include "frigate/mqtt_client.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event_struct.h>
#include <mosquitto.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "base/worker.h"
#include "frigate/frigate_event.h"
#include "frigate/mqtt_reason.h"

#define KEEPALIVE_S  30
#define ANSWER_US    (15 * CLOCK_SECOND) /* from the connection to the reply to the subscription */
#define TICK_US      CLOCK_SECOND
#define RETRY_MIN_US CLOCK_SECOND
#define RETRY_MAX_US (30 * CLOCK_SECOND)
#define SETTLED_US   CLOCK_MINUTE       /* a connection that lasts this long is not contested */
#define SILENT_US    (2 * CLOCK_MINUTE) /* Frigate's availability is retained: a subscriber receives it at once */
#define PACKETS_MAX  100
/* libmosquitto allocates what the broker announces, up to 256 MiB: the connection is ended when the broker has sent
 * this much without completing a message. */
#define UNREAD_MAX_BYTES (4u << 20)

enum mqtt_state {
    MQTT_WAITING,     /* for the next attempt. -> RESOLVING */
    MQTT_RESOLVING,   /* the worker looks the name up, which may block, and begins to connect. -> CONNECTING, WAITING */
    MQTT_CONNECTING,  /* until the reply to CONNECT. -> SUBSCRIBING, WAITING */
    MQTT_SUBSCRIBING, /* until the reply to SUBSCRIBE. -> FOLLOWING, WAITING */
    MQTT_FOLLOWING,   /* until the connection is lost. -> WAITING */
};

static const struct machine_state states[] = {
    [MQTT_WAITING] = {"waiting", STATE_BIT(MQTT_RESOLVING)},
    [MQTT_RESOLVING] = {"resolving", STATE_BIT(MQTT_CONNECTING) | STATE_BIT(MQTT_WAITING)},
    [MQTT_CONNECTING] = {"connecting", STATE_BIT(MQTT_SUBSCRIBING) | STATE_BIT(MQTT_WAITING)},
    [MQTT_SUBSCRIBING] = {"subscribing", STATE_BIT(MQTT_FOLLOWING) | STATE_BIT(MQTT_WAITING)},
    [MQTT_FOLLOWING] = {"following", STATE_BIT(MQTT_WAITING)},
};

struct mqtt_client {
    struct loop *loop;
    const struct conf_frigate *conf;
    struct frigate_metrics *metrics;
    struct mqtt_calls calls;
    struct mosquitto *mosq;
    struct worker *worker;
    enum mqtt_state state;
    int connect_rc, connect_error; /* result of the worker: from libmosquitto, and errno */
    int64_t since_us;              /* monotonic: of the state */
    int64_t retry_us;              /* until the next attempt */
    uint64_t read_bytes;           /* received by the connection when the last message was complete */
    struct event readable, writable, timer;
    int fd; /* that is watched; -1: none */
    char events_topic[160], available_topic[160];
    struct err lost;     /* why the connection must be ended after this callback; empty: it stays */
    char tls[128];       /* what OpenSSL last reported for this connection */
    unsigned short_ones; /* as in struct mqtt_loss */
    bool received;       /* a message, since the subscription */
    struct rate_limiter failures;
};

static void set_state(struct mqtt_client *client, enum mqtt_state state, const char *why)
{
    transition_check(states, client->state, state, "mqtt", "", why);
    client->state = state;
    client->since_us = loop_mono_us(client->loop);
    client->metrics->mqtt_connected = state == MQTT_FOLLOWING;
}

static void unwatch(struct mqtt_client *client)
{
    if (client->fd < 0)
        return;
    event_del(&client->readable);
    event_del(&client->writable);
    client->fd = -1;
}

/* Ends the connection, and tries again later. why may be that of `lost`. */
static void lose(struct mqtt_client *client, const char *why)
{
    unwatch(client);
    mosquitto_disconnect(client->mosq);
    if (client->state < MQTT_SUBSCRIBING) /* the broker was unreachable, or refuses the client */
        client->short_ones = 0;
    client->metrics->mqtt_contested = client->short_ones >= MQTT_SHORT_ONES;
    log_limited(&client->failures, loop_mono_us(client->loop), LOG_LEVEL_WARNING, "mqtt", "%s:%u: %s",
                client->conf->mqtt.host, client->conf->mqtt.port, why);
    set_state(client, MQTT_WAITING, why);
    client->lost.text[0] = '\0';
    loop_arm(&client->timer, client->retry_us);
    client->retry_us = client->retry_us * 2 < RETRY_MAX_US ? client->retry_us * 2 : RETRY_MAX_US;
}

/* The same for an error that libmosquitto returned or the socket reports. */
static void lose_by(struct mqtt_client *client, int rc, int error)
{
    bool subscribed = client->state == MQTT_FOLLOWING;
    if (subscribed && loop_mono_us(client->loop) - client->since_us < SETTLED_US)
        client->short_ones++;
    const struct mqtt_loss loss = {rc, error, client->tls, subscribed, client->short_ones};
    struct err why;
    mqtt_reason(client->conf, &loss, &why);
    lose(client, why.text);
}

static bool has_connection(const struct mqtt_client *client)
{
    return client->state >= MQTT_CONNECTING;
}

/* ---- callbacks of libmosquitto, during its functions: they only note what is to be done ---- */

static void on_connack(struct mosquitto *mosq, void *ctx, int rc)
{
    struct mqtt_client *client = ctx;
    char *const topics[] = {client->available_topic, client->events_topic};
    if (client->state != MQTT_CONNECTING)
        return;
    if (rc != 0)
        mqtt_refusal(rc, &client->lost);
    else if (mosquitto_subscribe_multiple(mosq, NULL, 2, topics, 0, 0, NULL) != MOSQ_ERR_SUCCESS)
        err_set(&client->lost, "cannot subscribe");
    else
        set_state(client, MQTT_SUBSCRIBING, "connected");
}

static void log_subscribed(struct mqtt_client *client)
{
    const char *host = client->conf->mqtt.host;
    unsigned port = client->conf->mqtt.port;
    client->retry_us = RETRY_MIN_US;
    if (client->failures.since_us == 0)
        log_info("mqtt", "subscribed to %s and %s at %s:%u", client->events_topic, client->available_topic, host, port);
    log_recover(&client->failures, "mqtt", "subscribed to %s and %s at %s:%u again", client->events_topic,
                client->available_topic, host, port);
}

static void on_suback(struct mosquitto *mosq, void *ctx, int mid, int n, const int *qos)
{
    (void)mosq;
    (void)mid;
    struct mqtt_client *client = ctx;
    if (client->state != MQTT_SUBSCRIBING)
        return;
    for (int i = 0; i < n; i++)
        if (qos[i] > 2) {
            err_set(&client->lost, "may not subscribe to %s (expected read access)",
                    i == 0 ? client->available_topic : client->events_topic);
            return;
        }
    set_state(client, MQTT_FOLLOWING, "subscribed");
    client->received = false;
    client->metrics->mqtt_silent = 0;
    client->metrics->mqtt_connections_total++;
    if (client->short_ones < MQTT_SHORT_ONES)
        log_subscribed(client);
    client->calls.on_connected(client->calls.ctx);
}

/* Also runs on the worker's thread, while nothing else uses the client. */
static void on_log(struct mosquitto *mosq, void *ctx, int level, const char *text)
{
    (void)mosq;
    struct mqtt_client *client = ctx;
    if (level == MOSQ_LOG_ERR)
        snprintf(client->tls, sizeof(client->tls), "%.*s", (int)sizeof(client->tls) - 1, text);
}

static uint64_t received_bytes(const struct mqtt_client *client)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    if (client->fd < 0 || getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message)
{
    (void)mosq;
    struct mqtt_client *client = ctx;
    struct str text = {message->payload, (size_t)message->payloadlen};
    client->read_bytes = received_bytes(client);
    client->received = true;
    client->metrics->mqtt_silent = 0;
    if (strcmp(message->topic, client->events_topic) == 0) {
        client->metrics->mqtt_events_total++;
        client->calls.on_event(client->calls.ctx, text);
    } else if (strcmp(message->topic, client->available_topic) == 0) {
        if (str_is(text, "online") || str_is(text, "offline"))
            client->calls.on_available(client->calls.ctx, str_is(text, "online"));
    }
}

/* ---- the connection ---- */

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* To be called after every use of the connection: ends it if it is lost, else watches for what libmosquitto waits
 * for. */
static void after_use(struct mqtt_client *client, int rc)
{
    if (!has_connection(client))
        return;
    if (client->lost.text[0])
        lose(client, client->lost.text);
    else if (rc != MOSQ_ERR_SUCCESS)
        lose_by(client, rc, 0);
    else if (received_bytes(client) > client->read_bytes + UNREAD_MAX_BYTES)
        lose(client, "sends an endless message");
    else if (mosquitto_want_write(client->mosq))
        event_add(&client->writable, NULL);
}

/* The error of the socket, reported once. libmosquitto closes it before it returns an error, and may leave errno
 * unchanged. */
static int socket_error(const struct mqtt_client *client)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct mqtt_client *client = arg;
    int error = socket_error(client);
    if (error != 0)
        lose_by(client, MOSQ_ERR_ERRNO, error);
    else
        after_use(client, mosquitto_loop_read(client->mosq, PACKETS_MAX));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct mqtt_client *client = arg;
    int error = socket_error(client);
    if (error != 0)
        lose_by(client, MOSQ_ERR_ERRNO, error);
    else
        after_use(client, mosquitto_loop_write(client->mosq, PACKETS_MAX));
}

static void watch(struct mqtt_client *client)
{
    struct event_base *base = loop_base(client->loop);
    client->fd = mosquitto_socket(client->mosq);
    client->read_bytes = 0;
    event_assign(&client->readable, base, client->fd, EV_READ | EV_PERSIST, on_readable, client);
    event_assign(&client->writable, base, client->fd, EV_WRITE, on_writable, client);
    event_add(&client->readable, NULL);
    event_add(&client->writable, NULL);
}

/* Runs on the worker's thread, while nothing else uses mosq: only looking up the name blocks. */
static void connect_on_thread(void *job)
{
    struct mqtt_client *client = job;
    errno = 0;
    client->connect_rc =
        mosquitto_connect_async(client->mosq, client->conf->mqtt.host, (int)client->conf->mqtt.port, KEEPALIVE_S);
    client->connect_error = client->connect_rc == MOSQ_ERR_ERRNO ? errno : 0;
}

static void on_connecting(void *job)
{
    struct mqtt_client *client = job;
    if (client->connect_rc != MOSQ_ERR_SUCCESS || mosquitto_socket(client->mosq) < 0) {
        lose_by(client, client->connect_rc, client->connect_error);
        return;
    }
    set_state(client, MQTT_CONNECTING, "resolved");
    watch(client);
    loop_arm(&client->timer, TICK_US);
}

static void start_connecting(struct mqtt_client *client)
{
    struct err err;
    client->tls[0] = '\0';
    set_state(client, MQTT_RESOLVING, "time to try");
    if (worker_run(client->worker, connect_on_thread, on_connecting, client, &err) != 0)
        lose(client, err.text);
}

/* Checks that depend on time: whether the connection has lasted, and whether nothing arrives on it. */
static void check_following(struct mqtt_client *client)
{
    int64_t age_us = loop_mono_us(client->loop) - client->since_us;
    if (age_us >= SETTLED_US && client->short_ones > 0) {
        client->metrics->mqtt_contested = 0;
        client->short_ones = 0;
        if (client->failures.since_us != 0)
            log_subscribed(client);
    }
    if (age_us < SILENT_US || client->received || client->metrics->mqtt_silent > 0)
        return;
    client->metrics->mqtt_silent = 1;
    log_warning("mqtt",
                "%s:%u has sent nothing under %s/, not even the availability of Frigate (is mqtt.topic_prefix that of "
                "Frigate, does Frigate publish to this broker, does the broker let mqtt.user read it?)",
                client->conf->mqtt.host, client->conf->mqtt.port, client->conf->mqtt.topic_prefix);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct mqtt_client *client = arg;
    if (client->state == MQTT_WAITING)
        start_connecting(client);
    if (!has_connection(client))
        return;
    loop_arm(&client->timer, TICK_US);
    if (client->state == MQTT_FOLLOWING)
        check_following(client);
    if (client->state != MQTT_FOLLOWING && loop_mono_us(client->loop) - client->since_us >= ANSWER_US)
        lose(client, "does not answer (is it an MQTT broker, does it require TLS: mqtt.ca_file?)");
    else
        after_use(client, mosquitto_loop_misc(client->mosq));
}

/* ---- the interface ---- */

static int set_options(struct mqtt_client *client, struct err *err)
{
    const struct conf_frigate_login *login = &client->conf->mqtt.login;
    int rc = MOSQ_ERR_SUCCESS;
    if (login->user)
        rc = mosquitto_username_pw_set(client->mosq, login->user, login->password);
    if (rc == MOSQ_ERR_SUCCESS && login->ca_file)
        rc = mosquitto_tls_set(client->mosq, login->ca_file, NULL, NULL, NULL, NULL);
    if (rc != MOSQ_ERR_SUCCESS)
        return err_set(err, "mqtt: %s", mosquitto_strerror(rc));
    mosquitto_log_callback_set(client->mosq, on_log);
    mosquitto_connect_callback_set(client->mosq, on_connack);
    mosquitto_subscribe_callback_set(client->mosq, on_suback);
    mosquitto_message_callback_set(client->mosq, on_message);
    return 0;
}

struct mqtt_client *mqtt_client_new(struct loop *loop, const struct conf_frigate *conf, struct frigate_metrics *metrics,
                                    const struct mqtt_calls *calls, struct err *err)
{
    mosquitto_lib_init();
    struct mqtt_client *client = mem_zalloc(sizeof(*client));
    *client = (struct mqtt_client){
        .loop = loop, .conf = conf, .metrics = metrics, .calls = *calls, .retry_us = RETRY_MIN_US, .fd = -1};
    snprintf(client->events_topic, sizeof(client->events_topic), "%s/events", conf->mqtt.topic_prefix);
    snprintf(client->available_topic, sizeof(client->available_topic), "%s/available", conf->mqtt.topic_prefix);
    evtimer_assign(&client->timer, loop_base(loop), on_tick, client);
    client->worker = worker_new(loop, err);
    if (!client->worker) {
        mqtt_client_free(&client);
        return NULL;
    }
    client->mosq = mosquitto_new(mqtt_client_id(conf).text, true, client);
    if (!client->mosq) {
        err_set(err, "mqtt: cannot initialise libmosquitto");
        mqtt_client_free(&client);
    } else if (set_options(client, err) != 0) {
        mqtt_client_free(&client);
    } else {
        loop_arm(&client->timer, 0);
    }
    return client;
}

int64_t mqtt_client_since_us(const struct mqtt_client *client)
{
    return client->state == MQTT_FOLLOWING ? client->since_us : 0;
}

void mqtt_client_free(struct mqtt_client **client)
{
    struct mqtt_client *c = *client;
    if (!c)
        return;
    event_del(&c->timer);
    unwatch(c);
    worker_free(&c->worker);
    if (c->mosq) {
        mosquitto_disconnect(c->mosq);
        mosquitto_destroy(c->mosq);
    }
    free(c);
    *client = NULL;
    mosquitto_lib_cleanup();
}
