#include "frigate/rest_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <curl/curl.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/transition.h"
#include "frigate/header_field.h"
#include "frigate/login_token.h"
#include "frigate/rest_reason.h"

#define CONNECT_TIMEOUT_S 5
#define HEADER_MAX_BYTES  (64 * 1024)
#define LOGIN_EVERY_US    (5 * CLOCK_SECOND)
#define CONNECTIONS_MAX   4L
#define WHY_SIZE          400 /* at least CURL_ERROR_SIZE */

enum call_state {
    CALL_WAITING, /* for a token, if it needs one. -> ASKED; the login failed, or there is no memory -> FAILED */
    CALL_ASKED,   /* libcurl has it, until it is called back. Got a 401 -> WAITING */
    CALL_FAILED,  /* is to be called back from the loop. Final */
};

static const struct machine_state states[] = {
    [CALL_WAITING] = {"waiting", STATE_BIT(CALL_ASKED) | STATE_BIT(CALL_FAILED)},
    [CALL_ASKED] = {"asked", STATE_BIT(CALL_WAITING)},
    [CALL_FAILED] = {"failed", 0},
};

struct rest_call {
    TAILQ_ENTRY(rest_call) entry;
    struct rest_client *client;
    enum call_state state;
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    char *post; /* the login; NULL: GET */
    struct buf body;
    size_t max_bytes, header_bytes;
    bool too_large, retried;
    unsigned login; /* the number of the token it was sent with */
    int64_t date_us;
    char why[WHY_SIZE];
    char location[200]; /* of a redirection; empty: none */
    rest_done_fn done;
    void *ctx;
};

TAILQ_HEAD(call_list, rest_call);

struct rest_socket {
    TAILQ_ENTRY(rest_socket) entry;
    struct rest_client *client;
    struct event event;
    curl_socket_t fd;
};

TAILQ_HEAD(socket_list, rest_socket);

struct rest_client {
    struct loop *loop;
    const struct conf_frigate *conf;
    CURLM *multi;
    struct event timer, wake;
    struct call_list calls;
    struct socket_list sockets;
    struct login_token token; /* from the last login; empty: none, or refused */
    unsigned logins;          /* logins so far: the number of the token */
    struct rest_call *login;
    int64_t login_us; /* monotonic: of the last login; 0: none */
    char login_why[WHY_SIZE];
};

/* ---- libcurl on the loop ---- */

static void finish_calls(struct rest_client *client);

static void on_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct rest_socket *socket = arg;
    struct rest_client *client = socket->client;
    int running, action = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(client->multi, fd, action, &running);
    finish_calls(client);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct rest_client *client = arg;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_calls(client);
}

static int on_timer_wanted(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct rest_client *client = ctx;
    if (ms < 0)
        event_del(&client->timer);
    else
        loop_arm(&client->timer, ms * CLOCK_MS);
    return 0;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    (void)easy;
    struct rest_client *client = ctx;
    struct rest_socket *socket = known;
    if (socket)
        event_del(&socket->event);
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            TAILQ_REMOVE(&client->sockets, socket, entry);
        free(socket);
        return 0;
    }
    if (!socket) {
        socket = mem_zalloc(sizeof(*socket));
        socket->client = client;
        socket->fd = fd;
        TAILQ_INSERT_TAIL(&client->sockets, socket, entry);
        curl_multi_assign(client->multi, fd, socket);
    }
    int events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);
    event_assign(&socket->event, loop_base(client->loop), fd, (short)events, on_socket_ready, socket);
    event_add(&socket->event, NULL);
    return 0;
}

/* ---- one call ---- */

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct rest_call *call = ctx;
    size_t bytes = size * n;
    if (bytes > call->max_bytes - call->body.len) {
        call->too_large = true;
        return 0;
    }
    buf_append(&call->body, data, bytes);
    return bytes;
}

/* libcurl determines the types. NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct rest_call *call = ctx;
    struct str line = {data, size * n};
    call->header_bytes += line.len;
    if (call->header_bytes > HEADER_MAX_BYTES)
        return 0;
    struct str value = header_value(line, "date");
    if (value.len > 0)
        call->date_us = header_date_us(value);
    value = header_value(line, "location");
    if (value.len > 0)
        snprintf(call->location, sizeof(call->location), "%.*s", (int)value.len, value.p);
    value = header_value(line, "set-cookie");
    if (call->post && value.len > 0)
        login_token_add_cookie(&call->client->token, value);
    return line.len;
}

static void set_state(struct rest_call *call, enum call_state state, const char *reason)
{
    transition_check(states, call->state, state, "frigate", "call", reason);
    call->state = state;
}

static void fail_call(struct rest_call *call, const char *why)
{
    set_state(call, CALL_FAILED, why);
    snprintf(call->why, sizeof(call->why), "%s", why);
    loop_arm(&call->client->wake, 0);
}

/* Ends a transfer; the call stays. */
static void stop_call(struct rest_call *call)
{
    curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    call->easy = NULL;
    call->headers = NULL;
}

static void call_free(struct rest_call *call)
{
    if (call->easy)
        stop_call(call);
    TAILQ_REMOVE(&call->client->calls, call, entry);
    free(call->url);
    secret_free_text(&call->post);
    buf_free(&call->body);
    free(call);
}

static void add_headers(struct rest_call *call)
{
    const struct rest_client *client = call->client;
    struct buf line = {0};
    if (call->post)
        call->headers = curl_slist_append(call->headers, "Content-Type: application/json");
    if (!call->post && *client->token.text) {
        buf_printf(&line, "Authorization: Bearer %s", client->token.text);
        call->headers = curl_slist_append(call->headers, line.data);
    }
    secret_free(&line);
}

static void set_options(struct rest_call *call)
{
    const struct rest_client *client = call->client;
    const struct conf_frigate_login *login = &client->conf->api.login;
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)REST_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* else its end would wait for the look-up thread */
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "mobeye-frigate/" MOBEYE_VERSION);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    if (login->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, login->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* else the authorities of the system would do as well */
    }
    if (call->post)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->post);
    else if (*client->token.text && *client->token.cookies)
        curl_easy_setopt(easy, CURLOPT_COOKIE, client->token.cookies);
}

static void start_call(struct rest_call *call)
{
    call->easy = curl_easy_init();
    if (!call->easy) {
        fail_call(call, "cannot initialise libcurl");
        return;
    }
    call->body.len = call->header_bytes = 0;
    call->too_large = false;
    call->date_us = 0;
    call->why[0] = call->location[0] = '\0';
    call->login = call->client->logins;
    add_headers(call);
    set_options(call);
    set_state(call, CALL_ASKED, "libcurl has it");
    curl_multi_add_handle(call->client->multi, call->easy);
}

static struct rest_call *call_new(struct rest_client *client, const char *path, size_t max_bytes, rest_done_fn done,
                                  void *ctx)
{
    struct rest_call *call = mem_zalloc(sizeof(*call));
    struct buf url = {0};
    buf_printf(&url, "%s%s", client->conf->api.url, path);
    *call = (struct rest_call){.client = client, .url = url.data, .max_bytes = max_bytes, .done = done, .ctx = ctx};
    TAILQ_INSERT_TAIL(&client->calls, call, entry);
    return call;
}

/* ---- login ---- */

/* Ends the waiting for a token: with one the calls are sent, without one they fail. */
static void release_waiting(struct rest_client *client)
{
    struct rest_call *call;
    TAILQ_FOREACH(call, &client->calls, entry)
    {
        if (call->state == CALL_WAITING && *client->token.text)
            start_call(call);
        else if (call->state == CALL_WAITING)
            fail_call(call, client->login_why);
    }
}

static void on_login(void *ctx, const struct rest_response *response)
{
    struct rest_client *client = ctx;
    client->login = NULL, client->logins++;
    if (response->status == 200 && login_token_read(&client->token, response->body))
        client->login_why[0] = '\0';
    else if (response->status == 200)
        snprintf(client->login_why, sizeof(client->login_why), "the login returned no token");
    else if (response->status == 401)
        snprintf(client->login_why, sizeof(client->login_why), "Frigate refused the login of api.user");
    else
        snprintf(client->login_why, sizeof(client->login_why), "login: %.380s", response->why);
    release_waiting(client);
}

/* Logs in, unless a login is in progress or has just failed. */
static void ensure_login(struct rest_client *client)
{
    const struct conf_frigate_login *login = &client->conf->api.login;
    int64_t now_us = loop_mono_us(client->loop);
    struct buf body = {0};
    if (client->login)
        return;
    if (client->login_us > 0 && now_us - client->login_us < LOGIN_EVERY_US) {
        release_waiting(client);
        return;
    }
    client->login_us = now_us;
    login_token_wipe(&client->token);
    /* A growing buffer would leave copies of the password. A byte takes at most six in JSON. */
    buf_reserve(&body, 6 * (strlen(login->user) + strlen(login->password)) + 64);
    buf_append_str(&body, STR("{"));
    json_write_text(&body, "user", str_from(login->user));
    json_write_text(&body, "password", str_from(login->password));
    buf_append_str(&body, STR("}"));
    struct rest_call *call = call_new(client, "/api/login", 65536, on_login, client);
    call->post = mem_strndup(body.data, body.len);
    secret_free(&body);
    client->login = call;
    start_call(call);
}

static void ask_or_wait(struct rest_call *call)
{
    struct rest_client *client = call->client;
    if (!client->conf->api.login.user || *client->token.text)
        start_call(call);
    else
        ensure_login(client);
}

/* ---- responses ---- */

static void call_back(struct rest_call *call, const struct rest_response *response)
{
    rest_done_fn done = call->done;
    void *ctx = call->ctx;
    struct buf body = call->body;
    struct rest_response kept = *response;
    struct err why;
    err_set(&why, "%s", response->why ? response->why : "");
    kept.why = response->why ? why.text : NULL;
    call->body = (struct buf){0};
    call_free(call);
    done(ctx, &kept);
    buf_free(&body);
}

static void finish_call(struct rest_call *call, CURLcode code)
{
    struct rest_client *client = call->client;
    struct rest_response response = {.date_us = call->date_us};
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &response.status);
    response.too_large = call->too_large && response.status == 200; /* otherwise it is an error page */
    bool renew = response.status == 401 && !call->post && client->conf->api.login.user && !call->retried;
    if (renew) {
        stop_call(call);
        set_state(call, CALL_WAITING, "status 401");
        call->retried = true;
        if (call->login == client->logins) { /* otherwise it was sent with an earlier token */
            client->token.text[0] = '\0';
            snprintf(client->login_why, sizeof(client->login_why), "Frigate refuses the token of its own login");
        }
        ask_or_wait(call);
        return;
    }
    if (code != CURLE_OK && !call->too_large) {
        curl_off_t sent_us = 0;
        curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
        response.status = 0;
        response.unsent = sent_us == 0 || code == CURLE_COULDNT_CONNECT; /* perhaps after a lost connection */
        response.timed_out = code == CURLE_OPERATION_TIMEDOUT;
        response.partial = call->body.len > 0;
    }
    struct err why;
    if (response.too_large) {
        response.why = "the response is too large";
    } else if (response.status != 200) {
        const struct rest_failure failure = {response.status, code, call->why, call->location};
        rest_reason(client->conf, &failure, &why);
        response.why = why.text;
    } else {
        response.body = buf_str(&call->body);
    }
    call_back(call, &response);
}

static void finish_calls(struct rest_client *client)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(client->multi, &left))) {
        struct rest_call *call = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish_call(call, code);
    }
}

/* Calls back the calls that failed before they were sent. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct rest_client *client = arg;
    struct rest_call *call = TAILQ_FIRST(&client->calls);
    while (call && call->state != CALL_FAILED)
        call = TAILQ_NEXT(call, entry);
    if (!call)
        return;
    const struct rest_response response = {.why = call->why};
    loop_arm(&client->wake, 0);
    call_back(call, &response);
}

/* ---- the interface ---- */

struct rest_client *rest_client_new(struct loop *loop, const struct conf_frigate *conf, struct err *err)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    struct rest_client *client = mem_zalloc(sizeof(*client));
    client->loop = loop;
    client->conf = conf;
    client->multi = code == CURLE_OK ? curl_multi_init() : NULL;
    TAILQ_INIT(&client->calls);
    TAILQ_INIT(&client->sockets);
    evtimer_assign(&client->timer, loop_base(loop), on_timer, client);
    evtimer_assign(&client->wake, loop_base(loop), on_wake, client);
    if (!client->multi) {
        err_set(err, "cannot initialise libcurl");
        rest_client_free(&client);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS_MAX);
    return client;
}

void rest_client_free(struct rest_client **client)
{
    struct rest_client *c = *client;
    if (!c)
        return;
    while (!TAILQ_EMPTY(&c->calls))
        call_free(TAILQ_FIRST(&c->calls));
    if (c->multi)
        curl_multi_cleanup(c->multi);
    for (struct rest_socket *socket = TAILQ_FIRST(&c->sockets), *next; socket; socket = next) {
        next = TAILQ_NEXT(socket, entry);
        event_del(&socket->event);
        free(socket);
    }
    event_del(&c->timer);
    event_del(&c->wake);
    login_token_wipe(&c->token);
    free(c);
    *client = NULL;
    curl_global_cleanup();
}

struct rest_call *rest_get(struct rest_client *client, const char *path, size_t max_bytes, rest_done_fn done, void *ctx)
{
    struct rest_call *call = call_new(client, path, max_bytes, done, ctx);
    ask_or_wait(call);
    return call;
}
