/*
 * Which request gets which response: pages, the JSON of patrol.board() and the event stream.
 */
#ifndef MOBEYE_BOARD_BOARD_API_H
#define MOBEYE_BOARD_BOARD_API_H

#include "board/board_http.h"
#include "board/change_hub.h"
#include "board/db_pool.h"

struct board_api {
    const struct conf_board *conf;
    struct db_pool *pool;
    struct change_hub *hub;
};

/* A board_request_fn; ctx: struct board_api. */
void board_api_on_request(void *ctx, struct board_request *request);

/* What a path below /api/ calls. */
struct board_route {
    const char *call; /* of patrol.board(); NULL: the path is unknown */
    int64_t id;       /* of an incident; 0: none */
    bool post;        /* else GET */
    struct str image; /* GET /api/image/ID: the ID; call is "image" */
};

/* Pure: reads a path. */
struct board_route board_route_of(struct str path);

/* The change_id after which an event stream begins: from Last-Event-ID, else from ?after=; -1: neither. INT64_MAX: not
 * a number. */
int64_t board_after(const char *last_event_id, const char *after);

#endif
