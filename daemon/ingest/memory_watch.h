/*
 * Cuts off peers that pile up memory in libzmq.
 *
 * ZMQ_MAXMSGSIZE holds for one frame and ZMQ_RCVHWM counts whole messages: a message of frames without end grows
 * libzmq's memory, and the application sees nothing of it until its last frame. Closing the socket frees it. So the
 * resident memory is watched, and over the limit the endpoints are closed and opened anew, one after the other, until
 * it is below again or each has had its turn: what no endpoint gives back is not the peers', and closing them goes on
 * only when there is more of it. Accepted alerts are not touched; a message that was on its way is sent again by its
 * sender.
 */
#ifndef MOBEYE_INGEST_MEMORY_WATCH_H
#define MOBEYE_INGEST_MEMORY_WATCH_H

#include "ingest/endpoint_set.h"

struct memory_watch;

/* rebound() is called after an endpoint was closed and opened anew (or could not be opened: it is tried again). The
 * limit is what the process has now, room_bytes, and what memory_watch_own() says. */
struct memory_watch *memory_watch_new(struct loop *loop, struct endpoint_set *set, size_t room_bytes,
                                      void (*rebound)(void *ctx, struct endpoint *endpoint), void *ctx);
/* So much the process has taken for itself since the start, as well as it knows: it is not the peers'. */
void memory_watch_own(struct memory_watch *watch, size_t bytes);

void memory_watch_free(struct memory_watch **watch); /* safe on NULL */

#endif
