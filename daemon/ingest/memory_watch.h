/*
 * Cuts off peers that make libzmq's memory grow.
 *
 * ZMQ_MAXMSGSIZE applies to one frame and ZMQ_RCVHWM counts whole messages: a message of endlessly many frames makes
 * libzmq's memory grow, and the application sees nothing until the last frame. Closing the connection frees it. So the
 * resident memory is watched; above the limit the connection that holds most is cut, then the next, until they account
 * for the excess (ingest/connections.h knows what each holds). Only if no connection accounts for it are endpoints
 * closed and bound again, one after the other, until the memory is below the limit or each has been rebound once; after
 * that only if it grows further. Accepted alerts are not affected; a message in transit is resent by its sender.
 */
#ifndef MOBEYE_INGEST_MEMORY_WATCH_H
#define MOBEYE_INGEST_MEMORY_WATCH_H

#include "ingest/endpoint_set.h"

struct memory_watch;

/* The limit is the sum of what the process uses now, room_bytes, memory_watch_own(), and an allowance for each
 * connection and for the queues of pull and sub. on_freed() is called after a connection of the endpoint was cut, or
 * after the endpoint was closed to bind it again. An endpoint that could not be bound again, also by a reload, is tried
 * every second. */
struct memory_watch *memory_watch_new(struct loop *loop, struct endpoint_set *set, size_t room_bytes,
                                      void (*on_freed)(void *ctx, struct endpoint *endpoint, bool rebound), void *ctx);
/* The memory that the process itself has allocated since the start, approximately: not attributed to peers. */
void memory_watch_own(struct memory_watch *watch, size_t bytes);

void memory_watch_free(struct memory_watch **watch); /* safe on NULL */

#endif
