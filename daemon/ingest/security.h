/*
 * Access control: the ZAP handler of libzmq, which checks connections, and the check of every message.
 *
 * libzmq calls the handler when a peer connects to an endpoint that checks its peers: by CURVE, by allow_from or both.
 * It fails closed because the endpoint has a ZAP domain (its name) and enforces it: without a handler no peer is
 * admitted. ZAP only checks at connection time, so each message is checked again by the current list: a removed or
 * expired key is rejected on open connections too.
 *
 * A client is identified by its key, never by a name it chooses or by its routing id. The handler sets the User-Id of
 * its messages to "KEY NAME": the name is for the log, in case the key is no longer on the list.
 *
 * Denied peers get no reply, so that the handshake times out (libzmq's status 300, not 400): after an explicit denial
 * libzmq never reconnects, and a device whose key is renewed at night would have to be visited. This way it reconnects
 * every few seconds, with its messages.
 */
#ifndef MOBEYE_INGEST_SECURITY_H
#define MOBEYE_INGEST_SECURITY_H

#include "base/err.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "ingest/endpoint.h"
#include "ingest/reject.h"

struct security;

/* Why a peer is denied. */
enum security_refusal {
    SECURITY_ADDRESS, /* its address is not in allow_from */
    SECURITY_UNKNOWN, /* its key is not on the list */
    SECURITY_EXPIRED, /* its key has expired */
    SECURITY_CURVE,   /* only one side has CURVE, or the peer has another server key */
    SECURITY_REFUSALS
};

/* The label value in the metrics. */
const char *security_word(enum security_refusal refusal);

/* Why a peer with another mechanism, or other keys, cannot connect to the endpoint. */
const char *security_mismatch(const struct conf_endpoint *conf);

/* Why an endpoint that connects lost a connection permanently. denied: the peer, or the ZAP handler, denied it. */
const char *security_given_up(const struct conf_endpoint *conf, bool denied);

/* The client's name in a message's User-Id, as it was when it connected. NULL: none. */
const char *security_client_name(const char *user);

struct security_refused {
    enum security_refusal reason;
    const char *endpoint; /* its name */
    const char *client;   /* the name of the client; NULL: unknown */
    const char *address;  /* of the peer */
    const char *why;      /* SECURITY_CURVE: why the handshake failed */
};

/* Binds the handler: before any endpoint of the context is opened, and until all are closed. on_refused() is called for
 * each peer that is denied. NULL with err set. */
struct security *security_new(struct loop *loop, void *context,
                              void (*on_refused)(void *ctx, const struct security_refused *refused), void *ctx,
                              struct err *err);
void security_free(struct security **security); /* safe on NULL */

/* Uses this configuration from now on; it must live until the next call. Before the first call every peer is denied. */
void security_use(struct security *security, const struct conf *conf);

/* Whether the handler checks the peers of the endpoint: it has CURVE or allow_from. */
bool security_checks_peers(const struct conf_endpoint *conf);

/* Who sent a message on an endpoint that checks its peers: *ret_client, NULL if the endpoint has no CURVE. false: it
 * may not send (any more); ret_reject says why, but for its id. */
bool security_admits(struct security *security, const struct conf_endpoint *conf,
                     const struct endpoint_message *message, const struct conf_client **ret_client,
                     struct reject *ret_reject);

/* Whether the client may report for the alert's device and, in CloudEvents, use its source; NULL may all. false:
 * ret_reject says why. */
bool security_allows(const struct conf_client *client, const struct alert *alert, struct reject *ret_reject);

#endif
