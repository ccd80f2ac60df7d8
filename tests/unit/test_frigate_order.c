/* The same event by MQTT and by REST, in every order: one raise first, one restore last, no ID twice. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mem.h"
#include "frigate/event_mapper.h"

#define MINIMAL "name: noord\napi: {url: \"http://127.0.0.1:5000\"}\nto: \"tcp://127.0.0.1:5555\"\n"
#define ID      "\"id\": \"1795467590.5-a\", \"camera\": \"yard\", \"label\": \"person\""
#define SAYS    6
#define IDS_MAX 16

static const struct event_time now = {INT64_C(1795467600) * CLOCK_SECOND, CLOCK_SECOND};

/* What Frigate says; the last is what its interface says in the end, whatever came before. */
static const char *const says[SAYS] = {
    "{\"type\": \"new\", \"after\": {" ID
    ", \"start_time\": 1795467590.5, \"frame_time\": 1795467591, \"top_score\": 0.6}}",
    "{\"type\": \"update\", \"after\": {" ID ", \"start_time\": 1795467590.5, \"frame_time\": 1795467592, "
    "\"top_score\": 0.9, \"entered_zones\": [\"gate\"]}}",
    "[{" ID ", \"start_time\": 1795467585.5, \"end_time\": null, \"data\": {\"top_score\": 0.7}}]",
    "{\"type\": \"end\", \"after\": {" ID ", \"start_time\": 1795467590.5, \"frame_time\": 1795467595, "
    "\"end_time\": 1795467596, \"top_score\": 0.9}}",
    "[{" ID ", \"start_time\": 1795467585.5, \"end_time\": 1795467596, \"data\": {\"top_score\": 0.9}}]",
    "[{" ID ", \"start_time\": 1795467585.5, \"end_time\": 1795467596, \"data\": {\"top_score\": 0.9}}]",
};

struct order_run {
    struct event_mapper *mapper;
    char ids[IDS_MAX][ALERT_ID_MAX + 1];
    size_t n;
};

static bool on_send(void *ctx, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text)
{
    struct order_run *run = ctx;
    (void)track;
    (void)alert;
    cr_assert_lt(run->n, IDS_MAX);
    for (size_t i = 0; i < run->n; i++)
        cr_assert_str_neq(run->ids[i], text->id);
    strcpy(run->ids[run->n++], text->id);
    buf_free(&text->payload);
    return true;
}

static void on_want_image(void *ctx, struct track *track, enum frigate_alert alert)
{
    (void)ctx;
    (void)track;
    (void)alert;
}

static bool on_full(void *ctx)
{
    (void)ctx;
    return false;
}

static void on_listed(void *ctx, const struct frigate_event *event)
{
    struct order_run *run = ctx;
    cr_assert(event_mapper_map(run->mapper, event, now));
}

static void play_in_order(const struct conf_frigate *conf, struct frigate_reader *reader, const size_t order[SAYS])
{
    struct tracks tracks;
    struct order_run run = {.mapper = mem_zalloc(sizeof(*run.mapper))};
    tracks_init(&tracks, true);
    run.mapper->conf = conf;
    run.mapper->tracks = &tracks;
    run.mapper->sink = (struct event_sink){on_send, on_want_image, on_full, &run};
    for (size_t i = 0; i < SAYS; i++) {
        struct frigate_event event;
        size_t n;
        struct str text = str_from(says[order[i]]);
        if (*text.p == '[')
            cr_assert(frigate_read_list(reader, text, on_listed, &run, &n));
        else if (frigate_read_message(reader, text, &event))
            on_listed(&run, &event);
    }
    cr_assert_geq(run.n, 2);
    cr_expect_str_eq(run.ids[0], "1795467590.5-a:new");
    cr_expect_str_eq(run.ids[run.n - 1], "1795467590.5-a:end");
    tracks_clear(&tracks);
    free(run.mapper);
}

/* Every order of the first n. */
static unsigned permute(const struct conf_frigate *conf, struct frigate_reader *reader, size_t order[SAYS], size_t n)
{
    unsigned played = 0;
    if (n == 1) {
        play_in_order(conf, reader, order);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        size_t kept = order[i];
        order[i] = order[n - 1];
        order[n - 1] = kept;
        played += permute(conf, reader, order, n - 1);
        order[n - 1] = order[i];
        order[i] = kept;
    }
    return played;
}

Test(frigate_order, an_event_by_both_ways_is_one_raise_and_one_restore_in_any_order)
{
    struct buf diagnostics = {0};
    size_t order[SAYS] = {0, 1, 2, 3, 4, 5};
    struct conf_frigate *conf = conf_frigate_parse("conf", STR(MINIMAL), &diagnostics);
    struct frigate_reader *reader = frigate_reader_new();
    cr_assert_not_null(conf);
    cr_expect_eq(permute(conf, reader, order, SAYS - 1), 120);
    frigate_reader_free(&reader);
    conf_frigate_free(&conf);
    buf_free(&diagnostics);
}
