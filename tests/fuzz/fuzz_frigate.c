/* Whatever Frigate may say: everything that results must be an alert that mobeyed accepts. The first
 * byte chooses the document: a message of MQTT, a list of REST, a configuration, or a state file. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "frigate/event_mapper.h"
#include "ingest/decode_cloudevents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct event_time now = {INT64_C(1795467600) * CLOCK_SECOND, CLOCK_SECOND};

struct fuzz_sink {
    struct event_mapper *mapper;
    struct cloudevents_decoder *decoder;
};

static void check_alert(struct fuzz_sink *sink, struct frigate_alert_text *text)
{
    struct alert alert;
    struct reject why;
    if (text->payload.len > ALERT_PAYLOAD_MAX ||
        !decode_cloudevents(sink->decoder, buf_str(&text->payload), &alert, &why))
        abort();
    buf_free(&text->payload);
}

static bool on_send(void *ctx, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text)
{
    check_alert(ctx, text);
    track->done |= event_mapper_bit(alert);
    track->accepted = track->sent;
    return true;
}

static void on_want_image(void *ctx, struct track *track, enum frigate_alert alert)
{
    struct fuzz_sink *sink = ctx;
    struct frigate_alert_text text;
    event_mapper_image_text(sink->mapper, track, alert, now, &text);
    check_alert(sink, &text);
}

static bool on_full(void *ctx)
{
    (void)ctx;
    return false;
}

static void on_event(void *ctx, const struct frigate_event *event)
{
    struct fuzz_sink *sink = ctx;
    event_mapper_map(sink->mapper, event, now);
}

static void on_mismatch(void *ctx, const char *key, const char *text)
{
    (void)ctx;
    if (!*key || !*text)
        abort();
}

/* What was written must read back without a line skipped. */
static void read_state(struct tracks *tracks, struct str text)
{
    struct tracks again;
    struct tracks_extra extra;
    struct buf written = {0};
    tracks_read(tracks, &extra, text, 1);
    tracks_write(tracks, &extra, &written);
    tracks_init(&again, true);
    if (tracks_read(&again, &extra, buf_str(&written), 1) != 0)
        abort();
    tracks_clear(&again);
    buf_free(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "noord";
    static char camera[] = "front_door", label[] = "person", prefix[] = "frigate", *labels[] = {label};
    static struct conf_frigate_camera cameras[] = {{.name = camera}};
    static struct conf_frigate conf = {.name = name, .keep = FRIGATE_KEEP_PLATE | FRIGATE_KEEP_SUB_LABEL};
    static struct conf_frigate named = {.mqtt = {.given = true, .topic_prefix = prefix},
                                        .images = {.given = true},
                                        .cameras = cameras,
                                        .n_cameras = 1,
                                        .labels = labels,
                                        .n_labels = 1};
    static struct frigate_reader *reader;
    static struct fuzz_sink sink;
    static struct frigate_config config;
    struct frigate_event event;
    struct tracks tracks;
    size_t n;
    if (size == 0)
        return 0;
    if (!reader) {
        reader = frigate_reader_new();
        sink = (struct fuzz_sink){mem_zalloc(sizeof(struct event_mapper)), cloudevents_decoder_new()};
    }
    struct str text = {(const char *)data + 1, size - 1};
    tracks_init(&tracks, true);
    *sink.mapper = (struct event_mapper){&conf, &tracks, {on_send, on_want_image, on_full, &sink}, .frigate = NULL};
    switch (data[0]) {
    case 'm':
        if (frigate_read_message(reader, text, &event))
            on_event(&sink, &event);
        break;
    case 'l':
        frigate_read_list(reader, text, on_event, &sink, &n);
        break;
    case 'c':
        if (frigate_read_config(reader, text, &config))
            frigate_config_compare(&named, &config, on_mismatch, NULL);
        break;
    default:
        read_state(&tracks, text);
    }
    tracks_clear(&tracks);
    return 0;
}
