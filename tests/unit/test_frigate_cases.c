/* What Frigate says and what results: every case of tests/messages/frigate.cases, which describes the format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "frigate/event_mapper.h"
#include "ingest/decode_cloudevents.h"

#define CASES   MOBEYE_SOURCE "/tests/messages/frigate.cases"
#define MINIMAL "name: noord\napi: {url: \"http://127.0.0.1:5000\"}\nto: \"tcp://127.0.0.1:5555\"\n"

/* 2026-11-23T21:00:00Z */
static const struct event_time now = {INT64_C(1795467600) * CLOCK_SECOND, CLOCK_SECOND};

struct frigate_case {
    char title[256];
    struct buf conf, messages, expected;
    bool full, images;
};

struct case_run {
    struct event_mapper *mapper;
    struct frigate_reader *reader;
    struct cloudevents_decoder *decoder;
    struct buf got;
    bool full;
    struct frigate_config *config;
};

/* The text from the first to the last byte, which stand between two marks in a payload. */
static void append_between(struct buf *out, struct str payload, const char *from, const char *until)
{
    const char *at = memmem(payload.p, payload.len, from, strlen(from));
    cr_assert_not_null(at, "%.*s", (int)payload.len, payload.p);
    at += strlen(from);
    size_t left = (size_t)(payload.p + payload.len - at);
    const char *end = until ? memmem(at, left, until, strlen(until)) : payload.p + payload.len - 1;
    buf_append(out, at, (size_t)(end - at));
}

static bool on_send(void *ctx, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text)
{
    struct case_run *run = ctx;
    struct str payload = buf_str(&text->payload);
    struct alert decoded;
    struct reject why;
    (void)track;
    (void)alert;
    if (run->full)
        return false;
    cr_expect(decode_cloudevents(run->decoder, payload, &decoded, &why), "%s: %s: %.*s", why.field, why.reason,
              (int)payload.len, payload.p);
    cr_expect_eq(decoded.flags, 0, "flagged: %.*s", (int)payload.len, payload.p);
    buf_printf(&run->got, "%s ", text->id);
    append_between(&run->got, payload, "\"time\": \"", "\"");
    buf_printf(&run->got, " ");
    append_between(&run->got, payload, "\"data\": ", NULL);
    buf_printf(&run->got, "\n");
    buf_free(&text->payload);
    return true;
}

static void on_want_image(void *ctx, struct track *track, enum frigate_alert alert)
{
    struct case_run *run = ctx;
    struct frigate_alert_text text;
    event_mapper_image_text(run->mapper, track, alert, now, &text);
    buf_printf(&run->got, "image %s\n", text.id);
    buf_free(&text.payload);
}

static void report(struct case_run *run, const struct frigate_event *event)
{
    if (!event_mapper_map(run->mapper, event, now))
        buf_printf(&run->got, "full\n");
}

static bool on_full(void *ctx)
{
    (void)ctx;
    return false;
}

static void on_listed(void *ctx, const struct frigate_event *event)
{
    report(ctx, event);
}

static void on_mismatch(void *ctx, const char *key, const char *text)
{
    struct case_run *run = ctx;
    buf_printf(&run->got, "differs %s: %s\n", key, text);
}

static bool read_config(struct case_run *run, struct str text)
{
    struct frigate_config config;
    if (!frigate_read_config(run->reader, text, &config))
        return false;
    *run->config = config;
    frigate_config_compare(run->mapper->conf, run->config, on_mismatch, run);
    return true;
}

static void read_message(struct case_run *run, const char *line)
{
    struct frigate_event event;
    size_t n, word = strcspn(line, " ");
    struct str text = str_from(line + word + (line[word] == ' '));
    bool good = false;
    if (strncmp(line, "mqtt", word) == 0) {
        good = frigate_read_message(run->reader, text, &event);
        if (good)
            report(run, &event);
    } else if (strncmp(line, "rest", word) == 0) {
        good = frigate_read_list(run->reader, text, on_listed, run, &n);
    } else if (strncmp(line, "config", word) == 0) {
        good = read_config(run, text);
    } else {
        cr_assert_fail("not a message: %s", line);
    }
    if (!good)
        buf_printf(&run->got, "refused\n");
}

static void run_case(struct frigate_case *c)
{
    struct buf diagnostics = {0}, yaml = {0};
    buf_printf(&yaml, "%s", MINIMAL);
    buf_append_str(&yaml, buf_str(&c->conf));
    struct conf_frigate *conf = conf_frigate_parse("conf", buf_str(&yaml), &diagnostics);
    cr_assert_not_null(conf, "%s: %.*s", c->title, (int)diagnostics.len, diagnostics.data);
    struct tracks tracks;
    struct event_mapper *mapper = mem_zalloc(sizeof(*mapper));
    struct case_run run = {mapper,  frigate_reader_new(),           cloudevents_decoder_new(), {0},
                           c->full, mem_zalloc(sizeof(*run.config))};
    tracks_init(&tracks, c->images);
    mapper->conf = conf;
    mapper->frigate = run.config;
    mapper->tracks = &tracks;
    mapper->sink = (struct event_sink){on_send, on_want_image, on_full, &run};
    buf_append(&c->messages, "", 1);
    for (char *rest = c->messages.data, *line; (line = strsep(&rest, "\n"));)
        if (*line)
            read_message(&run, line);
    cr_expect(str_eq(buf_str(&run.got), buf_str(&c->expected)), "%s\nexpected:\n%.*sgot:\n%.*s", c->title,
              (int)c->expected.len, c->expected.len ? c->expected.data : "", (int)run.got.len,
              run.got.len ? run.got.data : "");
    tracks_clear(&tracks);
    frigate_reader_free(&run.reader);
    cloudevents_decoder_free(&run.decoder);
    conf_frigate_free(&conf);
    free(mapper);
    free(run.config);
    buf_free(&run.got);
    buf_free(&yaml);
    buf_free(&diagnostics);
    buf_free(&c->conf);
    buf_free(&c->messages);
    buf_free(&c->expected);
}

Test(frigate_cases, every_message_becomes_the_alerts_of_its_case)
{
    char *line = NULL;
    size_t size = 0;
    unsigned cases = 0;
    struct frigate_case c = {0};
    bool in_expected = false;
    FILE *file = fopen(CASES, "r");
    cr_assert_not_null(file, CASES);
    while (getline(&line, &size, file) > 0) {
        if (strncmp(line, "== ", 3) == 0) {
            if (cases++ > 0)
                run_case(&c);
            c = (struct frigate_case){.full = strstr(line, "(full)"), .images = strstr(line, "(images)")};
            snprintf(c.title, sizeof(c.title), "%.*s", (int)strcspn(line, "\n"), line);
            in_expected = false;
        } else if (cases > 0 && strcmp(line, "--\n") == 0) {
            in_expected = true;
        } else if (cases > 0 && strcmp(line, "\n") != 0) {
            bool is_conf = !in_expected && strncmp(line, "conf ", 5) == 0;
            buf_printf(in_expected ? &c.expected : is_conf ? &c.conf : &c.messages, "%s", line + (is_conf ? 5 : 0));
        }
    }
    if (cases > 0)
        run_case(&c);
    free(line);
    fclose(file);
    cr_expect_geq(cases, 13, "found only %u cases", cases);
}
