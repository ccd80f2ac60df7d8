/*
 * Cuts off peers that pile up memory in libzmq.
 *
 * ZMQ_MAXMSGSIZE holds for one frame and ZMQ_RCVHWM counts whole messages: a message of frames without end grows
 * libzmq's memory, and the application sees nothing of it until its last frame. Closing its connection frees it. So the
 * resident memory is watched, and over the limit the connection that holds most is cut, and the next, until what they
 * held is what is too much (ingest/connections.h knows what each holds). Only where no connection accounts for it,
 * endpoints are closed and bound again, one after the other, until it is below the limit or each has had its turn; that
 * goes on only when there is more of it. Accepted alerts are not touched; a message that was on its way is sent again
 * by its sender.
 */
#ifndef MOBEYE_INGEST_MEMORY_WATCH_H
#define MOBEYE_INGEST_MEMORY_WATCH_H

#include "ingest/endpoint_set.h"

struct memory_watch;

/* The limit is what the process has now, room_bytes, what memory_watch_own() says, and something for each connection
 * and for the queues of pull and sub.
 * freed() is called after a connection of the endpoint was cut, or after the endpoint was closed and bound again (or
 * could not be bound: it is tried again). */
struct memory_watch *memory_watch_new(struct loop *loop, struct endpoint_set *set, size_t room_bytes,
                                      void (*freed)(void *ctx, struct endpoint *endpoint, bool rebound), void *ctx);
/* So much the process has taken for itself since the start, as well as it knows: it is not the peers'. */
void memory_watch_own(struct memory_watch *watch, size_t bytes);

void memory_watch_free(struct memory_watch **watch); /* safe on NULL */

#endif
