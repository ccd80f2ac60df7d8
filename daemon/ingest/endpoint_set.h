/*
 * The endpoints of a configuration, replaced as a whole.
 */
#ifndef MOBEYE_INGEST_ENDPOINT_SET_H
#define MOBEYE_INGEST_ENDPOINT_SET_H

#include "ingest/endpoint.h"
#include "ingest/security.h"

struct endpoint_set;

/* An empty set with its own ZeroMQ context and security handler. refused() is called for each peer that is denied, also
 * in place of calls->on_refused. NULL with err set. */
struct endpoint_set *endpoint_set_new(struct loop *loop, const struct endpoint_calls *calls,
                                      void (*refused)(void *ctx, const struct security_refused *refused), void *ctx,
                                      struct err *err);

/* Closes every endpoint and the context; replies in flight get half a second. Safe on NULL. */
void endpoint_set_free(struct endpoint_set **set);

/*
 * Makes the set match conf: unchanged endpoints stay open and keep their peers, others are opened or closed. All or
 * nothing: -1 with err set leaves the set as it was. An endpoint whose address another one takes over is closed before
 * that is opened, after all others that bind, and loses what waits in it. It is reopened if opening fails; where that
 * fails, too, it stays in the set, closed, for endpoint_rebind(). Those that connect are opened last.
 * Pending replies must have been sent: endpoints may be freed. conf must live until the next apply or the end of the
 * set.
 */
int endpoint_set_apply(struct endpoint_set *set, const struct conf *conf, struct err *err);

/* -1 with err set: names an endpoint that is not open. */
int endpoint_set_check_open(const struct endpoint_set *set, struct err *err);

struct security *endpoint_set_security(const struct endpoint_set *set);
size_t endpoint_set_count(const struct endpoint_set *set);
struct endpoint *endpoint_set_at(const struct endpoint_set *set, size_t i);

#endif
