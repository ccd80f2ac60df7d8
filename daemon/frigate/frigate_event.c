#include "frigate/frigate_event.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "frigate/frigate_config.h"
#include "ingest/json_read.h"

#define LEVELS_MAX 32
#define NAME_SIZE  65

/* A time before 2000 or after 2200 is not taken for a time. */
#define TIME_MIN_S 946684800.0
#define TIME_MAX_S 7258118400.0

enum document { DOCUMENT_MESSAGE, DOCUMENT_LIST, DOCUMENT_CONFIG, DOCUMENT_TEXT };

struct frigate_reader {
    struct json_reader *json;
    struct buf wrapped;

    /* The document being read. */
    enum document document;
    unsigned depth;                        /* open objects and arrays; the outermost is 1 */
    char names[LEVELS_MAX + 2][NAME_SIZE]; /* the last member name at each depth; empty in an array */
    unsigned base;                         /* the depth of an event's own members */
    struct frigate_event event;
    size_t n;
    void (*on_event)(void *ctx, const struct frigate_event *event);
    void *ctx;
    struct frigate_config *config; /* DOCUMENT_CONFIG */
    struct frigate_camera *camera; /* being read; NULL: none */
    const char *wanted;            /* DOCUMENT_TEXT */
    char *text;
    size_t text_size;
};

struct frigate_reader *frigate_reader_new(void)
{
    static const struct json_limits limits = {.bytes = FRIGATE_LIST_MAX + 64, .at_once = 65536, .levels = LEVELS_MAX};
    struct frigate_reader *reader = mem_zalloc(sizeof(*reader));
    reader->json = json_reader_new(&limits);
    return reader;
}

void frigate_reader_free(struct frigate_reader **reader)
{
    if (!*reader)
        return;
    json_reader_free(&(*reader)->json);
    buf_free(&(*reader)->wrapped);
    free(*reader);
    *reader = NULL;
}

/* ---- values ---- */

/* Copies a string, cut at a character if it is too long. */
static void copy_text(char *to, size_t size, const struct json_value *value)
{
    if (value->type != JSON_STRING)
        return;
    size_t len = value->string.len < size ? value->string.len : size - 1;
    while (len > 0 && len < value->string.len && ((unsigned char)value->string.p[len] & 0xc0) == 0x80)
        len--;
    if (len > 0)
        memcpy(to, value->string.p, len);
    to[len] = '\0';
}

/* An ID becomes part of URLs and alert IDs; text that cannot is not accepted as an ID. */
static void set_id(struct frigate_event *event, const struct json_value *value)
{
    if (value->type != JSON_STRING || value->string.len == 0 || value->string.len >= FRIGATE_ID_SIZE)
        return;
    for (size_t i = 0; i < value->string.len; i++)
        if (value->string.p[i] <= ' ' || value->string.p[i] > '~' || strchr("/?#%\\\"", value->string.p[i]))
            return;
    copy_text(event->id, sizeof(event->id), value);
}

static double time_of(const struct json_value *value)
{
    bool good = value->type == JSON_NUMBER && value->number >= TIME_MIN_S && value->number <= TIME_MAX_S;
    return good ? value->number : NAN;
}

static void set_frame(struct frigate_event *event, const struct json_value *value)
{
    event->frame_s = time_of(value);
    if (isnan(event->frame_s))
        return;
    int len = value->string.len < FRIGATE_FRAME_SIZE ? (int)value->string.len : 0;
    snprintf(event->frame_time, sizeof(event->frame_time), "%.*s", len, value->string.p);
    if (len == 0)
        snprintf(event->frame_time, sizeof(event->frame_time), "%.6f", event->frame_s);
}

static void set_score(struct frigate_event *event, const struct json_value *value)
{
    if (value->type == JSON_NUMBER && value->number >= 0 && value->number <= 1)
        event->top_score = value->number;
}

static enum frigate_tri tri_of(const struct json_value *value)
{
    return value->type != JSON_BOOLEAN ? TRI_UNKNOWN : value->boolean ? TRI_YES : TRI_NO;
}

static void add_zone(struct frigate_event *event, const struct json_value *value)
{
    if (value->type != JSON_STRING || value->string.len == 0)
        return;
    event->n_zones++;
    copy_text(event->zone, sizeof(event->zone), value);
}

static void add_box(struct frigate_event *event, const struct json_value *value, bool relative)
{
    if (event->n_box == 4 && relative && !event->box_relative)
        event->n_box = 0;
    event->box_relative = relative;
    if (event->n_box < 4 && value->type == JSON_NUMBER)
        event->box[event->n_box++] = value->number;
    else
        event->n_box = 5;
}

/* ---- members ---- */

/* A member of the event itself. */
static void set_member(struct frigate_event *event, const char *name, const struct json_value *value)
{
    if (strcmp(name, "id") == 0)
        set_id(event, value);
    else if (strcmp(name, "camera") == 0)
        copy_text(event->camera, sizeof(event->camera), value);
    else if (strcmp(name, "label") == 0)
        copy_text(event->label, sizeof(event->label), value);
    else if (strcmp(name, "sub_label") == 0)
        copy_text(event->sub_label, sizeof(event->sub_label), value);
    else if (strcmp(name, "recognized_license_plate") == 0)
        copy_text(event->plate, sizeof(event->plate), value);
    else if (strcmp(name, "start_time") == 0)
        event->start_s = time_of(value);
    else if (strcmp(name, "frame_time") == 0)
        set_frame(event, value);
    else if (strcmp(name, "top_score") == 0)
        set_score(event, value);
    else if (strcmp(name, "false_positive") == 0)
        event->false_positive = tri_of(value);
    else if (strcmp(name, "stationary") == 0)
        event->stationary = tri_of(value);
    else if (strcmp(name, "active") == 0 && event->stationary == TRI_UNKNOWN && value->type == JSON_BOOLEAN)
        event->stationary = value->boolean ? TRI_NO : TRI_YES;
    else if (strcmp(name, "has_snapshot") == 0)
        event->has_snapshot = tri_of(value);
    else if (strcmp(name, "end_time") == 0) {
        event->end_s = time_of(value);
        event->ended = event->ended || value->type == JSON_NUMBER;
    }
}

/* A member of `data` of a REST event, or an element of an array in the event. */
static void set_nested(struct frigate_event *event, const char *outer, const char *name, const struct json_value *value)
{
    if (strcmp(outer, "data") == 0 && strcmp(name, "top_score") == 0)
        set_score(event, value);
    else if (strcmp(outer, "data") == 0 && strcmp(name, "recognized_license_plate") == 0)
        copy_text(event->plate, sizeof(event->plate), value);
    else if (strcmp(outer, "entered_zones") == 0 || strcmp(outer, "zones") == 0)
        add_zone(event, value);
    else if (strcmp(outer, "box") == 0 && !event->box_relative)
        add_box(event, value, false);
    else if (strcmp(outer, "sub_label") == 0 && value->type == JSON_STRING && !*event->sub_label)
        copy_text(event->sub_label, sizeof(event->sub_label), value);
    else if (strcmp(outer, "recognized_license_plate") == 0 && value->type == JSON_STRING && !*event->plate)
        copy_text(event->plate, sizeof(event->plate), value);
}

static void set_at(struct frigate_reader *reader, const struct json_value *value)
{
    struct frigate_event *event = &reader->event;
    const char *own = reader->names[reader->base];
    if (reader->depth == reader->base)
        set_member(event, own, value);
    else if (reader->depth == reader->base + 1)
        set_nested(event, own, reader->names[reader->depth], value);
    else if (reader->depth == reader->base + 2 && strcmp(own, "data") == 0 &&
             strcmp(reader->names[reader->base + 1], "box") == 0)
        add_box(event, value, true);
}

/* ---- events of the reader ---- */

static void begin_event(struct frigate_reader *reader)
{
    reader->event = (struct frigate_event){
        .start_s = NAN,
        .end_s = NAN,
        .frame_s = NAN,
        .top_score = NAN,
        .false_positive = TRI_UNKNOWN,
        .stationary = TRI_UNKNOWN,
        .has_snapshot = TRI_UNKNOWN,
    };
}

/* Fills in missing members that can be derived. */
static void finish_event(struct frigate_event *event)
{
    double from_id = strtod(event->id, NULL);
    if (isnan(event->start_s) && from_id >= TIME_MIN_S && from_id <= TIME_MAX_S)
        event->start_s = from_id;
}

/* Whether the value just opened is an event. */
static bool opens_event(const struct frigate_reader *reader, const struct json_value *value)
{
    if (value->type != JSON_OBJECT)
        return false;
    if (reader->document == DOCUMENT_MESSAGE)
        return reader->depth == 2 && strcmp(reader->names[1], "after") == 0;
    return reader->document == DOCUMENT_LIST && reader->depth == 3;
}

static bool within_event(const struct frigate_reader *reader)
{
    if (reader->document == DOCUMENT_MESSAGE)
        return reader->depth >= 2 && strcmp(reader->names[1], "after") == 0;
    return reader->document == DOCUMENT_LIST && reader->depth >= 3;
}

/* Whether the value is at this path from depth `from` on: "detect", "width". */
static bool is_at(const struct frigate_reader *reader, unsigned from, const char *section, const char *name)
{
    return strcmp(reader->names[from], section) == 0 && strcmp(reader->names[from + 1], name) == 0;
}

/* cameras.NAME.SECTION.NAME */
static void set_of_camera(struct frigate_reader *reader, const struct json_value *value)
{
    struct frigate_camera *camera = reader->camera;
    bool number = value->type == JSON_NUMBER && value->number > 0;
    if (camera && number && is_at(reader, 3, "detect", "width"))
        camera->width = value->number;
    else if (camera && number && is_at(reader, 3, "detect", "height"))
        camera->height = value->number;
    else if (camera && is_at(reader, 3, "snapshots", "enabled"))
        camera->snapshots = tri_of(value);
}

static void add_label(struct frigate_reader *reader, const struct json_value *value)
{
    char label[FRIGATE_NAME_SIZE] = "";
    if (value->type == JSON_STRING && value->string.len < sizeof(label))
        copy_text(label, sizeof(label), value);
    frigate_config_add_label(reader->config, label);
}

static void set_config(struct frigate_reader *reader, const struct json_value *value)
{
    struct frigate_config *config = reader->config;
    bool cameras = strcmp(reader->names[1], "cameras") == 0;
    if (reader->depth == 2 && is_at(reader, 1, "mqtt", "topic_prefix"))
        copy_text(config->topic_prefix, sizeof(config->topic_prefix), value);
    else if (reader->depth == 2 && is_at(reader, 1, "mqtt", "enabled"))
        config->mqtt = tri_of(value);
    else if (reader->depth == 2 && cameras && value->type == JSON_OBJECT)
        reader->camera = frigate_config_add_camera(config, reader->names[2]);
    else if (reader->depth == 4 && cameras)
        set_of_camera(reader, value);
    else if (reader->depth == 5 && cameras &&
             (is_at(reader, 3, "objects", "track") || is_at(reader, 3, "audio", "listen")))
        add_label(reader, value);
}

static void on_name(void *ctx, struct str name)
{
    struct frigate_reader *reader = ctx;
    size_t len = name.len < NAME_SIZE ? name.len : 0;
    if (len > 0)
        memcpy(reader->names[reader->depth], name.p, len);
    reader->names[reader->depth][len] = '\0';
}

static void on_value(void *ctx, const struct json_value *value)
{
    struct frigate_reader *reader = ctx;
    bool opens = value->type == JSON_OBJECT || value->type == JSON_ARRAY;
    if (reader->document == DOCUMENT_CONFIG)
        set_config(reader, value);
    else if (reader->document == DOCUMENT_TEXT && reader->depth == 1 && strcmp(reader->names[1], reader->wanted) == 0)
        copy_text(reader->text, reader->text_size, value);
    else if (within_event(reader) && !opens)
        set_at(reader, value);
    else if (reader->document == DOCUMENT_MESSAGE && reader->depth == 1 && strcmp(reader->names[1], "type") == 0)
        reader->event.ended = reader->event.ended || (value->type == JSON_STRING && str_is(value->string, "end"));
    if (reader->document == DOCUMENT_LIST && reader->depth == 2)
        reader->n++;
    if (!opens)
        return;
    if (within_event(reader) && reader->depth == reader->base && strcmp(reader->names[reader->base], "snapshot") == 0)
        reader->event.has_snapshot = TRI_YES;
    reader->names[++reader->depth][0] = '\0';
    if (reader->document == DOCUMENT_LIST && opens_event(reader, value))
        begin_event(reader);
}

static void on_close(void *ctx)
{
    struct frigate_reader *reader = ctx;
    if (reader->document == DOCUMENT_LIST && reader->depth == 3 && *reader->event.id) {
        finish_event(&reader->event);
        reader->on_event(reader->ctx, &reader->event);
        begin_event(reader);
    }
    reader->depth--;
}

static bool read_document(struct frigate_reader *reader, enum document document, struct str text)
{
    static const struct json_calls calls = {on_name, on_value, on_close};
    size_t offset;
    reader->document = document;
    reader->depth = 1;
    reader->base = document == DOCUMENT_LIST ? 3 : 2;
    reader->n = 0;
    reader->camera = NULL;
    reader->names[1][0] = '\0';
    begin_event(reader);
    return json_read(reader->json, text, &calls, reader, &offset) == NULL;
}

bool frigate_read_message(struct frigate_reader *reader, struct str text, struct frigate_event *ret)
{
    if (text.len > FRIGATE_MESSAGE_MAX)
        return false;
    reader->wrapped.len = 0;
    buf_append_str(&reader->wrapped, text);
    frigate_repair(reader->wrapped.data, reader->wrapped.len);
    if (!read_document(reader, DOCUMENT_MESSAGE, buf_str(&reader->wrapped)) || !*reader->event.id)
        return false;
    finish_event(&reader->event);
    *ret = reader->event;
    return true;
}

bool frigate_read_list(struct frigate_reader *reader, struct str text,
                       void (*on_event)(void *ctx, const struct frigate_event *event), void *ctx, size_t *ret_n)
{
    size_t at = 0;
    *ret_n = 0;
    if (text.len > FRIGATE_LIST_MAX)
        return false;
    while (at < text.len && strchr(" \t\r\n", text.p[at]))
        at++;
    bool one = at < text.len && text.p[at] == '{';
    reader->wrapped.len = 0;
    buf_append_str(&reader->wrapped, one ? STR("{\"e\":[") : STR("{\"e\":"));
    buf_append_str(&reader->wrapped, text);
    buf_append_str(&reader->wrapped, one ? STR("]}") : STR("}"));
    frigate_repair(reader->wrapped.data, reader->wrapped.len);
    reader->on_event = on_event;
    reader->ctx = ctx;
    bool good = read_document(reader, DOCUMENT_LIST, buf_str(&reader->wrapped));
    *ret_n = reader->n;
    return good && at < text.len && (one || text.p[at] == '[');
}

bool frigate_read_config(struct frigate_reader *reader, struct str text, struct frigate_config *ret)
{
    *ret = (struct frigate_config){.mqtt = TRI_UNKNOWN};
    if (text.len > FRIGATE_LIST_MAX)
        return false;
    reader->wrapped.len = 0;
    buf_append_str(&reader->wrapped, text);
    frigate_repair(reader->wrapped.data, reader->wrapped.len);
    reader->config = ret;
    return read_document(reader, DOCUMENT_CONFIG, buf_str(&reader->wrapped));
}

bool frigate_read_text(struct frigate_reader *reader, struct str text, const char *name, char *ret, size_t size)
{
    *ret = '\0';
    if (text.len > FRIGATE_MESSAGE_MAX)
        return false;
    reader->wanted = name;
    reader->text = ret;
    reader->text_size = size;
    return read_document(reader, DOCUMENT_TEXT, text) && *ret;
}
