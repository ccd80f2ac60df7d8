#include "ingest/reply_queue.h"

#include <string.h>

#include <xxhash.h>

#include "conf/conf.h"

#define NO_FLAGS UINT16_MAX

/* Followed by peer id, alert id, detail and flags. */
struct reply {
    struct endpoint *endpoint;
    const char *word;
    uint8_t peer_len;
    bool delimiter;
    uint16_t id_len, detail_len;
    uint16_t flags_len; /* NO_FLAGS: the frame is not sent */
    uint64_t key;       /* of the client to which it replies, as in senders; 0: unknown */
};

void reply_queue_free(struct reply_queue *queue)
{
    buf_free(&queue->bytes);
}

static uint64_t hash_id(const struct endpoint *endpoint, const struct endpoint_peer *peer)
{
    return endpoint_peer_hash(endpoint, peer) | 1;
}

/* The last client that used the routing id; 0: unknown. */
static uint64_t last_key(const struct reply_queue *queue, uint64_t id)
{
    size_t slot = (id >> 1) % REPLY_QUEUE_SENDERS;
    return queue->senders[slot].id == id ? queue->senders[slot].key : 0;
}

bool reply_queue_sender(struct reply_queue *queue, const struct endpoint *endpoint, const struct endpoint_peer *peer,
                        const char *key)
{
    uint64_t id = hash_id(endpoint, peer), hash = XXH3_64bits(key, CONF_KEY_LEN) | 1, last = last_key(queue, id);
    size_t slot = (id >> 1) % REPLY_QUEUE_SENDERS;
    queue->senders[slot].id = id;
    queue->senders[slot].key = hash;
    return last != 0 && last != hash;
}

void reply_queue_add(struct reply_queue *queue, const struct reply_to *to, const char *word, struct str detail,
                     const struct str *flags)
{
    const struct endpoint_peer *peer = to->peer;
    enum conf_socket socket = endpoint_conf(to->endpoint)->socket;
    if (socket != CONF_ROUTER && socket != CONF_TCP)
        return;
    struct reply reply = {to->endpoint,
                          word,
                          peer->id_len,
                          peer->delimiter,
                          (uint16_t)to->id.len,
                          (uint16_t)detail.len,
                          flags ? (uint16_t)flags->len : NO_FLAGS,
                          last_key(queue, hash_id(to->endpoint, peer))};
    buf_append(&queue->bytes, &reply, sizeof(reply));
    buf_append(&queue->bytes, peer->id, peer->id_len);
    buf_append_str(&queue->bytes, to->id);
    buf_append_str(&queue->bytes, detail);
    if (flags)
        buf_append_str(&queue->bytes, *flags);
}

void reply_queue_send(struct reply_queue *queue, void (*on_dropped)(void *ctx, struct endpoint *endpoint), void *ctx)
{
    for (size_t at = 0; at < queue->bytes.len;) {
        struct reply reply;
        memcpy(&reply, queue->bytes.data + at, sizeof(reply));
        const char *bytes = queue->bytes.data + at + sizeof(reply);
        struct endpoint_peer peer;
        peer.id_len = reply.peer_len;
        peer.delimiter = reply.delimiter;
        memcpy(peer.id, bytes, reply.peer_len);
        struct str id = {bytes + reply.peer_len, reply.id_len};
        struct str detail = {id.p + id.len, reply.detail_len};
        bool has_flags = reply.flags_len != NO_FLAGS;
        struct str flags = {detail.p + detail.len, has_flags ? reply.flags_len : 0};
        uint64_t key = reply.key ? last_key(queue, hash_id(reply.endpoint, &peer)) : 0;
        bool taken_over = key != 0 && key != reply.key;
        if (taken_over ||
            !endpoint_reply(reply.endpoint, &peer, str_from(reply.word), id, detail, has_flags ? &flags : NULL))
            on_dropped(ctx, reply.endpoint);
        at += sizeof(reply) + reply.peer_len + id.len + detail.len + flags.len;
    }
    queue->bytes.len = 0;
}
