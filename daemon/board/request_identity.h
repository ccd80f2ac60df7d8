/*
 * The person who sends a request, and whether another site caused their browser to send it. Pure functions of the
 * headers of a request.
 */
#ifndef MOBEYE_BOARD_REQUEST_IDENTITY_H
#define MOBEYE_BOARD_REQUEST_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/keyvalq_struct.h>

#include "base/err.h"
#include "conf/conf_board.h"

/* The value of a header that must occur exactly once and not be empty; NULL otherwise. */
const char *identity_single(const struct evkeyvalq *headers, const char *name);

/* The person; NULL: the request is not from the reverse proxy, or it names no person. The reason quotes nothing from
 * the headers. is_peer: whether the other end of a Unix socket is one of the users in conf->identity.peers. */
const char *identity_person(const struct conf_board *conf, const struct evkeyvalq *headers, bool is_peer,
                            struct err *err);

/* Whether the name can be a login, which is UTF-8. No person has any other name. */
bool identity_is_login(const char *person);

/* Whether a request that changes or reads something has an acceptable origin: a page of the board, or a program that is
 * not a browser. With identity.fixed, only a page at the machine's own name. */
bool identity_same_origin(const struct conf_board *conf, const struct evkeyvalq *headers);

#endif
