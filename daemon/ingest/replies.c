#include "ingest/replies.h"

#include <stdio.h>

#include "base/log.h"
#include "ingest/peer_address.h"

/* An address and a client name. */
#define SENDER_SIZE 192
/* The digits of the largest sequence number. */
#define NUMBER_SIZE 20

void replies_free(struct replies *replies)
{
    reply_queue_free(&replies->queue);
}

static bool is_tcp(const struct endpoint *endpoint)
{
    return endpoint_conf(endpoint)->socket == CONF_TCP;
}

/* On tcp only the detail is sent, and nothing if it is empty. */
static void queue_reply(struct replies *replies, const struct reply_to *to, const char *word, struct str detail)
{
    if (detail.len > 0)
        reply_queue_add(&replies->queue, to, word, detail, NULL);
}

static void ack_with_flags(struct replies *replies, const struct reply_to *to, struct str seq, uint32_t flags)
{
    char bytes[ALERT_FLAG_WORDS_SIZE];
    struct str words = {bytes, alert_flag_words(flags, ' ', bytes)};
    reply_queue_add(&replies->queue, to, "ACK", seq, &words);
}

/* The digits of the number, at the end of the buffer. Every ACK has one, so snprintf() is too slow. */
static struct str print_number(uint64_t number, char buffer[NUMBER_SIZE])
{
    size_t at = NUMBER_SIZE;
    do
        buffer[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return (struct str){buffer + at, NUMBER_SIZE - at};
}

void replies_ack(struct replies *replies, const struct reply_to *to, uint64_t seq, uint32_t flags, struct str tcp_reply)
{
    char buffer[NUMBER_SIZE];
    struct str number = print_number(seq, buffer);
    if (endpoint_conf(to->endpoint)->reply_flags == 1)
        ack_with_flags(replies, to, number, flags);
    else
        queue_reply(replies, to, "ACK", is_tcp(to->endpoint) ? tcp_reply : number);
}

/* "10.0.0.7", or "10.0.0.7, client gate-1". */
static void name_sender(const struct endpoint_message *message, char ret[SENDER_SIZE])
{
    char address[PEER_ADDRESS_SIZE];
    const char *client = security_client_name(message->user);
    peer_address_of_property(message->address, address);
    snprintf(ret, SENDER_SIZE, "%s%s%s", address, client ? ", client " : "", client ? client : "");
}

void replies_reject(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                    const struct reject *reject, struct str tcp_reply)
{
    char sender[SENDER_SIZE];
    struct endpoint_state *state = endpoint_state_of(endpoint);
    char detail[sizeof(reject->field) + sizeof(reject->reason) + 32];
    int len = snprintf(detail, sizeof(detail), "%s: %s: %s", reject_word(reject->code),
                       reject->field[0] ? reject->field : "message", reject->reason);
    state->counters->rejected_total[reject->code]++;
    name_sender(message, sender);
    log_limited(&state->rejected[reject->code], loop_mono_us(replies->loop), LOG_LEVEL_WARNING, state->subject,
                "rejected a message from %s: %s", sender, detail);
    queue_reply(replies, &(struct reply_to){endpoint, &message->peer, reject->id}, "REJECT",
                is_tcp(endpoint) ? tcp_reply : (struct str){detail, (size_t)len});
}

void replies_forbid(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                    struct cloudevents_decoder *decoder, struct reject *reject)
{
    struct alert alert;
    struct reject unread;
    struct dc09_frame frame = {0};
    if (endpoint_conf(endpoint)->format == ALERT_SIA_DC09) {
        dc09_whole(message->payload, &frame);
        reject->id = frame.seq;
    } else {
        reject->id = decode_cloudevents(decoder, message->payload, &alert, &unread) ? alert.event_id : unread.id;
    }
    replies_reject(replies, endpoint, message, reject, STR(""));
}

void replies_reject_frames(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message)
{
    struct reject reject;
    if (message->malformed)
        reject_set(&reject, REJECT_MALFORMED, STR(""), "",
                   "%s (expected one payload frame and, for CloudEvents, an optional image)", message->malformed);
    else
        reject_set(&reject, REJECT_TOO_LARGE, STR(""), "", "the payload has %zu bytes (expected at most %d)",
                   message->payload.len, ALERT_PAYLOAD_MAX);
    replies_reject(replies, endpoint, message, &reject, STR(""));
}

void replies_note_client(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                         const struct conf_client *client)
{
    char sender[SENDER_SIZE];
    if (!client || endpoint_conf(endpoint)->socket != CONF_ROUTER ||
        !reply_queue_sender(&replies->queue, endpoint, &message->peer, client->key))
        return;
    struct endpoint_state *state = endpoint_state_of(endpoint);
    name_sender(message, sender);
    state->counters->routing_id_takeovers_total++;
    log_limited(
        &state->taken_over, loop_mono_us(replies->loop), LOG_LEVEL_WARNING, state->subject,
        "%s took over the routing ID of another client, which no longer gets replies (senders should not choose one)",
        sender);
}

void replies_retry(struct replies *replies, const struct reply_to *to, uint64_t n, struct str wait_ms,
                   struct str tcp_reply)
{
    endpoint_state_of(to->endpoint)->counters->retry_total += n;
    queue_reply(replies, to, "RETRY", is_tcp(to->endpoint) ? tcp_reply : wait_ms);
}

void replies_denied(struct replies *replies, struct endpoint_state *state, const struct security_refused *refused)
{
    const char *const why[SECURITY_REFUSALS] = {
        [SECURITY_ADDRESS] = "its address is not in allow_from",
        [SECURITY_UNKNOWN] = "its key is not on the client list",
        [SECURITY_EXPIRED] = "its key has expired",
        [SECURITY_CURVE] = refused->why,
    };
    state->counters->handshakes_refused_total[refused->reason]++;
    log_limited(&state->denied[refused->reason], loop_mono_us(replies->loop), LOG_LEVEL_WARNING, state->subject,
                "denied %s%s from %s: %s", refused->client ? "client " : "a peer",
                refused->client ? refused->client : "", refused->address, why[refused->reason]);
}

static void on_dropped(void *ctx, struct endpoint *endpoint)
{
    struct replies *replies = ctx;
    struct endpoint_state *state = endpoint_state_of(endpoint);
    state->counters->replies_dropped_total++;
    log_limited(&state->unread, loop_mono_us(replies->loop), LOG_LEVEL_INFO, state->subject,
                "dropped replies to a peer that disconnected or does not read them");
}

void replies_send(struct replies *replies)
{
    reply_queue_send(&replies->queue, on_dropped, replies);
}
