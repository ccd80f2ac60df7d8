#include "answers.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "ingest/peer_address.h"

/* An address and the name of a client. */
#define SENDER_SIZE 192

struct intake *answers_intake(const struct endpoint *endpoint)
{
    return endpoint_user(endpoint);
}

static bool is_tcp(const struct endpoint *endpoint)
{
    return endpoint_conf(endpoint)->socket == CONF_TCP;
}

/* On tcp, detail alone goes out, and nothing where it is empty. */
static void add(struct answers *answers, struct endpoint *endpoint, const struct endpoint_peer *peer, const char *word,
                struct str id, struct str detail)
{
    if (detail.len > 0)
        reply_queue_add(&answers->queue, endpoint, peer, word, id, detail);
}

void answers_accept(struct answers *answers, struct endpoint *endpoint, const struct endpoint_peer *peer, struct str id,
                    uint64_t seq, struct str tcp_reply)
{
    char number[24];
    int len = snprintf(number, sizeof(number), "%" PRIu64, seq);
    add(answers, endpoint, peer, "ACK", id, is_tcp(endpoint) ? tcp_reply : (struct str){number, (size_t)len});
}

/* "10.0.0.7", or "10.0.0.7, client gate-1". */
static void name_sender(const struct endpoint_message *message, char ret[SENDER_SIZE])
{
    char address[PEER_ADDRESS_SIZE];
    const char *client = security_client_name(message->user);
    peer_address_of_property(message->address, address);
    snprintf(ret, SENDER_SIZE, "%s%s%s", address, client ? ", client " : "", client ? client : "");
}

void answers_refuse(struct answers *answers, struct endpoint *endpoint, const struct endpoint_message *message,
                    const struct reject *reject, struct str tcp_reply)
{
    char sender[SENDER_SIZE];
    struct intake *intake = answers_intake(endpoint);
    char detail[sizeof(reject->field) + sizeof(reject->reason) + 32];
    int len = snprintf(detail, sizeof(detail), "%s: %s: %s", reject_word(reject->code),
                       reject->field[0] ? reject->field : "message", reject->reason);
    intake->counters->rejected_total[reject->code]++;
    name_sender(message, sender);
    log_complain(&intake->refused[reject->code], loop_mono_us(answers->loop), LOG_LEVEL_WARNING, intake->subject,
                 "refused a message from %s: %s", sender, detail);
    add(answers, endpoint, &message->peer, "REJECT", reject->id,
        is_tcp(endpoint) ? tcp_reply : (struct str){detail, (size_t)len});
}

void answers_forbid(struct answers *answers, struct endpoint *endpoint, const struct endpoint_message *message,
                    struct decoder *decoder, struct reject *reject)
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
    answers_refuse(answers, endpoint, message, reject, STR(""));
}

void answers_refuse_frames(struct answers *answers, struct endpoint *endpoint, const struct endpoint_message *message)
{
    struct reject reject = {.code = message->malformed ? REJECT_MALFORMED : REJECT_TOO_LARGE};
    if (message->malformed)
        snprintf(reject.reason, sizeof(reject.reason), "%s; a message is an optional empty frame and one payload frame",
                 message->malformed);
    else
        snprintf(reject.reason, sizeof(reject.reason), "the payload has %zu bytes, at most %d are allowed",
                 message->payload.len, ALERT_PAYLOAD_MAX);
    answers_refuse(answers, endpoint, message, &reject, STR(""));
}

void answers_note_client(struct answers *answers, struct endpoint *endpoint, const struct endpoint_message *message,
                         const struct conf_client *client)
{
    char sender[SENDER_SIZE];
    if (!client || endpoint_conf(endpoint)->socket != CONF_ROUTER ||
        !reply_queue_sender(&answers->queue, endpoint, &message->peer, client->key))
        return;
    struct intake *intake = answers_intake(endpoint);
    name_sender(message, sender);
    intake->counters->routing_id_takeovers_total++;
    log_complain(&intake->taken_over, loop_mono_us(answers->loop), LOG_LEVEL_WARNING, intake->subject,
                 "%s uses the routing id of another client, whose replies are lost (senders should not choose one)",
                 sender);
}

void answers_retry(struct answers *answers, struct endpoint *endpoint, const struct endpoint_peer *peer, uint64_t n,
                   struct str id, struct str wait_ms, struct str tcp_reply)
{
    answers_intake(endpoint)->counters->retry_total += n;
    add(answers, endpoint, peer, "RETRY", id, is_tcp(endpoint) ? tcp_reply : wait_ms);
}

void answers_not_let_in(struct answers *answers, struct intake *intake, const struct security_refused *refused)
{
    static const char *const why[SECURITY_REFUSALS] = {
        [SECURITY_ADDRESS] = "its address is not in allow_from",
        [SECURITY_UNKNOWN] = "its key is not on the list of clients",
        [SECURITY_EXPIRED] = "its key has run out",
    };
    intake->counters->handshakes_refused_total[refused->reason]++;
    log_complain(&intake->not_let_in[refused->reason], loop_mono_us(answers->loop), LOG_LEVEL_WARNING, intake->subject,
                 "%s from %s is not let in: %s", refused->client ? refused->client : "a peer", refused->address,
                 why[refused->reason]);
}

static void on_dropped(void *ctx, struct endpoint *endpoint)
{
    struct answers *answers = ctx;
    struct intake *intake = answers_intake(endpoint);
    intake->counters->replies_dropped_total++;
    log_complain(&intake->unread, loop_mono_us(answers->loop), LOG_LEVEL_INFO, intake->subject,
                 "a peer is gone or does not read its replies; they are dropped");
}

void answers_send(struct answers *answers)
{
    reply_queue_send(&answers->queue, on_dropped, answers);
}
