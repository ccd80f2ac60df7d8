#include "board/board_api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/keyvalq_struct.h>

#include "base/json_write.h"
#include "base/log.h"
#include "base/mem.h"
#include "board/request_identity.h"
#include "board/web_file.h"

#define PAIRS_MAX 16
#define JSON      "application/json; charset=utf-8"

/* ---- replies of the database ---- */

struct api_work {
    struct board_api *api;
    struct board_request *request;
    struct db_call *call;        /* NULL once the reply has come */
    const struct web_file *file; /* a page, which is sent if the person is known */
    bool follows;                /* a stream of changes from `after` on, likewise */
    int64_t after;
    bool changes; /* once done, everybody's pages are to be updated */
    bool me;      /* the board adds what it knows itself */
};

static void on_abandoned(struct board_request *request)
{
    struct api_work *work = request->work;
    if (work->call)
        db_call_abandon(work->call);
    free(work);
}

static void respond_unavailable(struct board_request *request, bool unknown)
{
    board_respond_error(request, 503, "the database is not available",
                        unknown && request->post ? "Check whether it was done before you try again."
                                                 : "Try again in a moment.");
}

/* {"version": …, "language": …, "tiles": …, and what the database says of the person. */
static void respond_me(const struct api_work *work, struct str person)
{
    struct buf body = {0};
    const struct conf_board *conf = work->api->conf;
    buf_printf(&body, "{\"version\": \"" MOBEYE_VERSION "\", \"language\": \"%s\", \"tiles\": ",
               conf->language == BOARD_DUTCH ? "nl" : "en");
    if (conf->tiles.url) {
        buf_printf(&body, "{");
        json_write_text(&body, "url", str_from(conf->tiles.url));
        json_write_text(&body, "attribution", str_from(conf->tiles.attribution));
        buf_printf(&body, "}, ");
    } else {
        buf_printf(&body, "null, ");
    }
    buf_append(&body, person.p + 1, person.len - 1);
    board_respond(work->request, &(struct board_response){.status = 200, .type = JSON, .body = buf_str(&body)});
    buf_free(&body);
}

static void respond_file(struct board_request *request, const struct web_file *file)
{
    const char *known = board_request_header(request, "If-None-Match");
    bool same = known && strcmp(known, file->etag) == 0;
    board_respond(request, &(struct board_response){
                               .status = same ? 304 : 200,
                               .type = file->type,
                               .cache = "no-cache",
                               .etag = file->etag,
                               .body = {(const char *)file->bytes, same ? 0 : file->len},
                           });
}

static void respond_unregistered(struct board_request *request)
{
    board_respond_error(request, 403, "you are signed in, but not registered as a person who uses the board",
                        "Ask the administrator of the board to register you (mobeyectl people import).");
}

/* A page contains nothing from the database, and a stream sends nothing while it is down: both are served even then. */
static void respond_if_known(const struct api_work *work, const struct db_reply *reply)
{
    if (reply->status == 403)
        respond_unregistered(work->request);
    else if (work->follows && work->request->head)
        board_respond(work->request, &(struct board_response){.status = 200, .type = BOARD_STREAM_TYPE});
    else if (work->follows)
        change_hub_follow(work->api->hub, work->request, work->after);
    else
        respond_file(work->request, work->file);
}

static void on_reply(void *ctx, const struct db_reply *reply)
{
    struct api_work *work = ctx;
    struct board_request *request = work->request;
    if (work->file || work->follows)
        respond_if_known(work, reply);
    else if (reply->body.len == 0 && reply->image.len == 0)
        reply->status == 422 ? board_respond_error(request, 422, "the request is not valid UTF-8", NULL)
                             : respond_unavailable(request, reply->unknown);
    else if (reply->status == 200 && work->me)
        respond_me(work, reply->body);
    else if (reply->status == 200 && reply->image.len > 0)
        board_respond(request, &(struct board_response){.status = 200, .type = reply->type.p, .body = reply->image});
    else
        board_respond(request, &(struct board_response){.status = reply->status, .type = JSON, .body = reply->body});
    if (work->changes && reply->status == 200)
        change_hub_wake(work->api->hub);
    free(work);
}

/* Before a call that has waited is sent. A client that has left cannot be distinguished from one that merely has
 * nothing more to send and still reads: nothing is done, and the latter is told so. */
static bool is_wanted(void *ctx)
{
    struct api_work *work = ctx;
    if (!board_request_is_left(work->request))
        return true;
    board_respond_error(work->request, 503, "the client closed its side of the connection before the database was free",
                        "Nothing was done. Keep the connection open until the response has come.");
    free(work);
    return false;
}

static struct api_work *new_work(struct board_api *api, struct board_request *request)
{
    struct api_work *work = mem_zalloc(sizeof(*work));
    work->api = api;
    work->request = request;
    request->work = work;
    request->on_abandoned = on_abandoned;
    return work;
}

/* ---- requests ---- */

/* The query as name, value, name, value ..., pointing into the list, which must outlive it. */
static size_t pairs_of(const struct evkeyvalq *query, struct str pairs[PAIRS_MAX])
{
    size_t n = 0;
    const struct evkeyval *one;
    TAILQ_FOREACH(one, query, next)
    {
        if (n + 2 > PAIRS_MAX)
            break;
        pairs[n++] = str_from(one->key);
        pairs[n++] = str_from(one->value);
    }
    return n;
}

static void call_database(struct board_api *api, struct board_request *request, const struct board_route *route,
                          const struct evkeyvalq *query)
{
    struct str pairs[PAIRS_MAX];
    struct api_work *work = new_work(api, request);
    const struct db_caller caller = {on_reply, is_wanted, work};
    struct db_call *call;
    work->changes = request->post;
    work->me = strcmp(route->call, "me") == 0;
    if (route->image.p) {
        const char *reason = evhttp_find_header(query, "reason");
        call = db_pool_image(api->pool, request->person, route->image, str_from(reason), &caller);
    } else {
        struct db_request wanted = {.person = request->person, .name = route->call, .id = route->id};
        wanted.body = request->body;
        wanted.pairs = pairs;
        wanted.n_pairs = request->post ? 0 : pairs_of(query, pairs);
        call = db_pool_call(api->pool, &wanted, &caller);
    }
    /* Where it is NULL, the reply came at once, and work is gone. */
    if (call)
        work->call = call;
}

/* Whether the database knows the person. */
static void call_me(struct board_api *api, struct api_work *work)
{
    struct db_request wanted = {.person = work->request->person, .name = "me"};
    const struct db_caller caller = {on_reply, is_wanted, work};
    struct db_call *call = db_pool_call(api->pool, &wanted, &caller);
    /* Where it is NULL, the reply came at once, and work is gone. */
    if (call)
        work->call = call;
}

static void follow(struct board_api *api, struct board_request *request, const struct evkeyvalq *query)
{
    int64_t after = board_after(board_request_header(request, "Last-Event-ID"), evhttp_find_header(query, "after"));
    if (after == INT64_MAX) {
        board_respond_error(request, 422, "after: is not a change_id", "Expected a number.");
        return;
    }
    struct api_work *work = new_work(api, request);
    work->follows = true;
    work->after = after;
    call_me(api, work);
}

static void on_api_request(struct board_api *api, struct board_request *request)
{
    struct evkeyvalq query;
    struct board_route route = board_route_of(request->path);
    if (!route.call) {
        board_respond_error(request, 404, "path not found", NULL);
        return;
    }
    if (route.post != request->post) {
        board_respond_error(request, 405, "method not allowed", route.post ? "Expected POST." : "Expected GET.");
        return;
    }
    TAILQ_INIT(&query);
    if (request->query && evhttp_parse_query_str(request->query, &query) != 0)
        board_respond_error(request, 400, "the query string is not valid (expected name=value&...)", NULL);
    else if (strcmp(route.call, "changes") == 0)
        follow(api, request, &query);
    else
        call_database(api, request, &route, &query);
    evhttp_clear_headers(&query);
}

static void on_page_request(struct board_api *api, struct board_request *request)
{
    const struct web_file *file = web_file_find(request->path);
    if (!file) {
        board_respond_error(request, 404, "page not found", NULL);
    } else if (request->post) {
        board_respond_error(request, 405, "method not allowed", "Expected GET.");
    } else if (!web_file_is_page(request->path)) {
        respond_file(request, file);
    } else {
        struct api_work *work = new_work(api, request);
        work->file = file;
        call_me(api, work);
    }
}

void board_api_on_request(void *ctx, struct board_request *request)
{
    struct board_api *api = ctx;
    log_debug("board", "%s %.*s", request->post ? "POST" : "GET", (int)strcspn(request->path.p, "0123456789"),
              request->path.p);
    if (str_is(request->path, "/healthz"))
        board_respond(
            request, &(struct board_response){.status = 200, .type = "text/plain; charset=utf-8", .body = STR("ok\n")});
    else if (!identity_is_login(request->person))
        respond_unregistered(request); /* the database would refuse the bytes, as an error of its own */
    else if (str_starts(request->path, "/api/"))
        on_api_request(api, request);
    else
        on_page_request(api, request);
}
