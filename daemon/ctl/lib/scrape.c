#include "ctl/lib/scrape.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/address.h"
#include "base/clock.h"
#include "ctl/lib/table.h"

#define TIMEOUT_S  5
#define ANSWER_MAX (INT64_C(8) << 20)
#define PREFIX     "mobeyed_"
#define ENDPOINT   "endpoint=\""

/* Fetching */

struct fetch {
    struct buf *text;
    int status; /* HTTP status; 0: no response */
};

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct fetch *fetch = arg;
    if (!request)
        return;
    fetch->status = evhttp_request_get_response_code(request);
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(body);
    evbuffer_remove(body, buf_reserve(fetch->text, len), len);
    fetch->text->len += len;
}

static void fetch_page(const char *host, uint16_t port, const char *path, struct fetch *fetch)
{
    struct event_base *base = event_base_new();
    struct evhttp_connection *connection = evhttp_connection_base_new(base, NULL, host, port);
    evhttp_connection_set_timeout(connection, TIMEOUT_S);
    evhttp_connection_set_max_body_size(connection, ANSWER_MAX);
    struct evhttp_request *request = evhttp_request_new(on_answer, fetch);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Host", host);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    if (evhttp_make_request(connection, request, EVHTTP_REQ_GET, path) == 0)
        event_base_dispatch(base);
    evhttp_connection_free(connection);
    event_base_free(base);
}

/* Fetches into fetch->text, emptied before. -1 with err set: the address is wrong. */
static int fetch_from(const char *listen, const char *path, struct fetch *fetch, struct err *err)
{
    struct address address;
    fetch->text->len = 0;
    if (address_listen(listen, &address, NULL) != 0 || address.port == 0)
        return err_set(err, "http.listen: \"%s\" is not an address to connect to (expected ADDRESS:PORT)", listen);
    fetch_page(address.host, (uint16_t)address.port, path, fetch);
    return 0;
}

int scrape_fetch_of(const char *program, const char *listen, struct scrape *ret, struct err *err)
{
    char line[64];
    struct fetch fetch = {.text = &ret->text};
    if (fetch_from(listen, "/metrics", &fetch, err) != 0)
        return -1;
    ret->mono_us = clock_mono_us();
    snprintf(line, sizeof(line), "\n%s_", program);
    if (fetch.status == 0)
        return err_set(err, "no answer from http://%s/metrics (is it running?)", listen);
    bool named = memmem(ret->text.data, ret->text.len, line, strlen(line)) ||
                 (ret->text.len >= strlen(line) && memcmp(ret->text.data, line + 1, strlen(line) - 1) == 0);
    if (fetch.status != 200 || !named)
        return err_set(err, "http://%s does not serve the metrics of %s (status %d)", listen, program, fetch.status);
    buf_append(&ret->text, "", 1);
    ret->text.len--;
    return 0;
}

int scrape_fetch(const char *listen, struct scrape *ret, struct err *err)
{
    return scrape_fetch_of("mobeyed", listen, ret, err);
}

bool scrape_ready(const char *listen, struct buf *ret_why)
{
    struct str prefix = STR("not ready: ");
    struct buf text = {0};
    struct fetch fetch = {.text = &text};
    bool ready = fetch_from(listen, "/readyz", &fetch, NULL) != 0 || fetch.status != 503;
    struct str why = buf_str(&text);
    if (why.len > 0 && why.p[why.len - 1] == '\n')
        why.len--;
    if (why.len > prefix.len && memcmp(why.p, prefix.p, prefix.len) == 0)
        why = (struct str){why.p + prefix.len, why.len - prefix.len};
    if (!ready)
        ctl_escape(ret_why, why, false);
    buf_free(&text);
    return ready;
}

/* Reading */

struct sample {
    struct str name;   /* without the prefix */
    struct str labels; /* between the braces */
    double value;
};

/* The next sample of a mobeyed metric, from *at on. false: there are no more. */
static bool next_sample(const char **at, struct sample *ret)
{
    for (const char *line = *at; *line; line = *at) {
        const char *end = strchrnul(line, '\n');
        *at = *end ? end + 1 : end;
        if (strncmp(line, PREFIX, strlen(PREFIX)) != 0)
            continue;
        line += strlen(PREFIX);
        size_t name = strcspn(line, "{ \n");
        ret->name = (struct str){line, name};
        ret->labels = (struct str){line + name, 0};
        const char *space = memrchr(line, ' ', (size_t)(end - line));
        if (!space || (line[name] == '{' && space[-1] != '}'))
            continue;
        if (line[name] == '{')
            ret->labels = (struct str){line + name + 1, (size_t)(space - line) - name - 2};
        ret->value = strtod(space, NULL);
        return true;
    }
    return false;
}

/* Endpoint is always the first label. */
static bool endpoint_of(const struct sample *sample, struct str *ret)
{
    size_t skip = strlen(ENDPOINT);
    if (sample->labels.len < skip || memcmp(sample->labels.p, ENDPOINT, skip) != 0)
        return false;
    const char *name = sample->labels.p + skip;
    size_t len = 0, room = sample->labels.len - skip;
    while (len < room && name[len] != '"')
        len += name[len] == '\\' ? 2 : 1;
    *ret = (struct str){name, len < room ? len : room};
    return true;
}

/* Empty if nothing was fetched. */
static const char *text_of(const struct scrape *scrape)
{
    return scrape->text.data ? scrape->text.data : "";
}

double scrape_value(const struct scrape *scrape, const char *name, const struct str *endpoint)
{
    const char *at = text_of(scrape);
    struct sample sample;
    double sum = NAN;
    while (next_sample(&at, &sample)) {
        struct str of;
        if (!str_is(sample.name, name) || (endpoint && !(endpoint_of(&sample, &of) && str_eq(of, *endpoint))))
            continue;
        sum = isnan(sum) ? sample.value : sum + sample.value;
    }
    return sum;
}

bool scrape_endpoint(const struct scrape *scrape, size_t i, struct str *ret)
{
    const char *at = text_of(scrape);
    struct sample sample;
    while (next_sample(&at, &sample))
        if (str_is(sample.name, "received_total") && endpoint_of(&sample, ret) && i-- == 0)
            return true;
    return false;
}

double scrape_plain(const struct scrape *scrape, const char *program, const char *name)
{
    char line[128];
    double value = NAN;
    snprintf(line, sizeof(line), "\n%s_%s ", program, name);
    const char *at = memmem(scrape->text.data, scrape->text.len, line, strlen(line));
    if (at)
        value = strtod(at + strlen(line), NULL);
    return value;
}

double scrape_applied_at(const char *listen, bool *ret_refused)
{
    struct err err;
    struct scrape scrape = {0};
    double at = NAN;
    bool refused = false;
    if (listen && scrape_fetch(listen, &scrape, &err) == 0) {
        at = scrape_value(&scrape, "config_last_reload_timestamp_seconds", NULL);
        refused = scrape_value(&scrape, "config_last_reload_successful", NULL) == 0;
    }
    if (ret_refused)
        *ret_refused = refused;
    buf_free(&scrape.text);
    return at;
}
