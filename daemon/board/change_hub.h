/*
 * Passes the changes from patrol.changes to every page that follows them.
 *
 * One session listens and reads for all: on a notification, and every 5 s, one query asks what is new for everyone who
 * is connected, and each person gets what they may see. A page that connects, or was away, is first brought up to date
 * by separate queries on the hub's session. Numbers are in commit order, so a page that has N has missed nothing below
 * N.
 *
 * A heartbeat is sent only when the database has just replied: a page that receives none shows that it is not current.
 */
#ifndef MOBEYE_BOARD_CHANGE_HUB_H
#define MOBEYE_BOARD_CHANGE_HUB_H

#include "board/board_http.h"
#include "board/board_metrics.h"

struct change_hub;

/* Connects at change_hub_start(): the database must have the schema. */
struct change_hub *change_hub_new(struct loop *loop, const char *conninfo, struct board_metrics *metrics);

/* Only the first call does something. */
void change_hub_start(struct change_hub *hub);

/* After board_http_free(), which ends every stream. Safe on NULL. */
void change_hub_free(struct change_hub **hub);

/* Turns the request into an event stream of what comes after this change_id; -1: of what comes from now on. The hub
 * then owns the request. */
void change_hub_follow(struct change_hub *hub, struct board_request *request, int64_t after);

/* Somebody has just changed something through the board: reads it without waiting for the notification. */
void change_hub_wake(struct change_hub *hub);

#endif
