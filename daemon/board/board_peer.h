/*
 * The connections of the board: the process at the other end, what evhttp gets to see, and how long anything may take.
 *
 * Every connection that evhttp accepts gets a bufferevent from here, whose input board/wire_watch.h checks first: what
 * it refuses never reaches evhttp, and is responded to here. A request must be complete within 20 s of its first byte,
 * and that byte must arrive within 20 s of the connection; a connection that is idle after a response is closed after
 * 75 s, or earlier to make room for a new one. A response must be taken within 60 s.
 */
#ifndef MOBEYE_BOARD_BOARD_PEER_H
#define MOBEYE_BOARD_BOARD_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include <event2/http.h>

#include "base/buf.h"
#include "base/loop.h"

struct board_peers;
struct board_peer;

struct board_peer_calls {
    /* The response to a request that was refused: appends head and body as they are sent. */
    void (*on_refused)(void *ctx, int status, const char *why, struct buf *ret_response);
    /* The connection that has begun a request (board_peer_begin) is closed. by_us: evhttp frees its request; else the
     * callee must. */
    void (*on_closed)(void *ctx, void *request, bool by_us);
};

/* For all connections of this evhttp, of which there are at most `most`. */
struct board_peers *board_peers_new(struct loop *loop, struct evhttp *http, size_t most,
                                    const struct board_peer_calls *calls, void *ctx);

/* Before evhttp_free(). Safe on NULL. */
void board_peers_free(struct board_peers **peers);

size_t board_peers_count(const struct board_peers *peers);

/* The connection of a request. */
struct board_peer *board_peer_of(struct board_peers *peers, struct evhttp_request *request);

/* A response is being prepared: on_closed is called with `request` if the connection closes meanwhile. */
void board_peer_begin(struct board_peer *peer, void *request);

/* The response is complete and being sent: on_closed will no longer be called. */
void board_peer_responded(struct board_peer *peer);

/* The response has been sent: the next request may come. */
void board_peer_end(struct board_peer *peer);

/* Whether the request was followed by bytes, which must not be read as another request: the response has to close the
 * connection. */
bool board_peer_sent_ahead(const struct board_peer *peer);

/* Whether the process at the other end of a Unix socket runs as one of these users. */
bool board_peer_is(const struct board_peer *peer, const uid_t *uids, size_t n);

/* The connection is an event stream from now on: bytes that its peer has not read are counted. The kernel buffers
 * kernel_bytes in addition. */
void board_peer_stream(struct board_peer *peer, int kernel_bytes);

/* Bytes that the peer of an event stream has not read. */
size_t board_peer_unread(const struct board_peer *peer);

/* The same for all event streams that are not being closed. */
size_t board_peers_unread(const struct board_peers *peers);

/* The event stream with the most unread bytes among those that are not being closed; NULL: there is none. */
struct board_peer *board_peers_worst(struct board_peers *peers);

/* Whether the peer has closed its side of the connection. evhttp notices only after it has sent the response: it does
 * not read until then. */
bool board_peer_has_left(const struct board_peer *peer);

/* Closes the connection in the next turn. */
void board_peer_cut(struct board_peer *peer);
bool board_peer_is_cut(const struct board_peer *peer);

#endif
