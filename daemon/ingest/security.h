/*
 * Who may send: the ZAP handler of libzmq, which judges a connection, and the judge of every message.
 *
 * libzmq asks the handler when a peer connects to an endpoint that is guarded: one that speaks CURVE, or one with
 * allow_from. Two things make that fail closed: the endpoint has a ZAP domain (its name), and the domain is enforced,
 * so that without a handler nobody gets in. ZAP asks at the connect only; so each message is judged again, by the list
 * as it is now: a key that was taken off it, or has run out, is refused on connections that are open already.
 *
 * A client is known by its key, never by a name that it gives itself or by its routing id. What it hands over to each
 * message as User-Id is "KEY NAME": the name is for the log where the key is no longer on the list.
 *
 * A peer that is refused is left without an answer until the handshake has taken too long (libzmq's status 300, not
 * 400): told that it is refused, libzmq never connects again, and a device whose key is renewed at night would have to
 * be visited. It comes back every few seconds instead, with what it has to say.
 */
#ifndef MOBEYE_INGEST_SECURITY_H
#define MOBEYE_INGEST_SECURITY_H

#include "base/err.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "ingest/endpoint.h"
#include "ingest/reject.h"

struct security;

/* Why a peer is not let in. */
enum security_refusal {
    SECURITY_ADDRESS, /* it is not in allow_from */
    SECURITY_UNKNOWN, /* its key is not on the list */
    SECURITY_EXPIRED, /* its key has run out */
    SECURITY_REFUSALS
};

/* The word of it in the metrics. */
const char *security_word(enum security_refusal refusal);

/* The client's name in a message's User-Id, as it was when it connected. NULL: none is in it. */
const char *security_client_name(const char *user);

struct security_refused {
    enum security_refusal reason;
    const char *endpoint; /* its name */
    const char *client;   /* the name of the client; NULL: unknown */
    const char *address;  /* where it connects from */
};

/* Binds the handler: before any endpoint of the context is opened, and until all are closed. refused() is called for
 * each peer that is not let in. NULL with err set. */
struct security *security_new(struct loop *loop, void *context,
                              void (*refused)(void *ctx, const struct security_refused *refused), void *ctx,
                              struct err *err);
void security_free(struct security **security); /* safe on NULL */

/* What holds from now on; conf must live until the next. Before the first nobody gets in. */
void security_use(struct security *security, const struct conf *conf);

/* Whether the handler is asked about the peers of the endpoint. */
bool security_guards(const struct conf_endpoint *conf);

/* Who sent a message on an endpoint that is guarded: *ret_client, NULL where it speaks no CURVE. false: it may not send
 * (any more); ret_reject says why, but for its id. */
bool security_admits(struct security *security, const struct conf_endpoint *conf,
                     const struct endpoint_message *message, const struct conf_client **ret_client,
                     struct reject *ret_reject);

/* Whether the client may report for the alert's device and, in CloudEvents, use its source; NULL may all. false: as
 * security_admits(). */
bool security_allows(const struct conf_client *client, const struct alert *alert, struct reject *ret_reject);

#endif
