#include "ingest/decode_cloudevents.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ingest/json_read.h"
#include "ingest/validate.h"

/* Nested objects and arrays, including the outermost object. */
enum { LEVELS_MAX = 16 };

/* Which object or array of the message is being read. */
enum context { IN_OTHER, IN_TOP, IN_DATA, IN_LOCATION, IN_CAMERA, IN_COORDINATES, IN_BOX };

/* In the order in which they are reported. */
enum required {
    REQUIRED_NONE,
    REQUIRED_SPECVERSION,
    REQUIRED_ID,
    REQUIRED_SOURCE,
    REQUIRED_TYPE,
    REQUIRED_DATA,
    REQUIRED_DEVICE,
    REQUIRED_KIND,
    REQUIRED_COUNT
};

static const struct {
    const char *field, *allowed;
} required[REQUIRED_COUNT] = {
    [REQUIRED_SPECVERSION] = {"specversion", "the string \"1.0\""},
    [REQUIRED_ID] = {"id", "a string of 1 to 128 bytes"},
    [REQUIRED_SOURCE] = {"source", "a string of 1 to 256 bytes"},
    [REQUIRED_TYPE] = {"type", "the string \"mobeye.alert.v1\""},
    [REQUIRED_DATA] = {"data", "an object"},
    [REQUIRED_DEVICE] = {"data.device", "a string of 1 to 64 characters from A-Z a-z 0-9 . _ : / -"},
    [REQUIRED_KIND] = {"data.kind", "a string of 1 to 32 bytes"},
};

/* The array of numbers that is being read. */
struct number_list {
    double numbers[4];
    unsigned n;  /* elements, including those beyond numbers[] */
    bool broken; /* an element is not a number */
};

struct cloudevents_decoder {
    struct json_reader *reader;
    struct alert *alert;
    enum context contexts[LEVELS_MAX];
    unsigned depth;              /* invariant: contexts[depth - 1] is the innermost open one */
    const struct member *member; /* the one whose value comes next; NULL: not one that is read */
    bool seen[REQUIRED_COUNT];   /* present, with any value */
    bool valid[REQUIRED_COUNT];  /* present, with an allowed value */
    struct number_list list;
    bool is_point, has_coordinates;
};

/* A member that is read; all others are skipped. */
struct member {
    struct str name;
    enum json_type type;
    uint32_t flag;          /* set where a member that is not required has a wrong type or is out of range */
    enum context opens;     /* for an object or array */
    enum required required; /* REQUIRED_NONE: optional */
    /* false: out of range; NULL: every value is valid. */
    bool (*read)(struct cloudevents_decoder *decoder, const struct json_value *value);
};

static bool set_string(struct str *ret, struct str s, size_t min_bytes, size_t max_bytes)
{
    if (s.len < min_bytes || s.len > max_bytes)
        return false;
    *ret = s;
    return true;
}

static bool in_range(double v, double min, double max)
{
    return v >= min && v <= max;
}

static bool read_specversion(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    (void)decoder;
    return str_is(value->string, "1.0");
}

static bool read_id(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return set_string(&decoder->alert->event_id, value->string, 1, ALERT_ID_MAX);
}

static bool read_source(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return set_string(&decoder->alert->source, value->string, 1, ALERT_SOURCE_MAX);
}

static bool read_type(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    (void)decoder;
    return str_is(value->string, "mobeye.alert.v1");
}

static bool read_time(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return clock_parse_rfc3339(value->string, &decoder->alert->occurred_us);
}

static bool read_device(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return validate_device(value->string) && set_string(&decoder->alert->device, value->string, 1, ALERT_DEVICE_MAX);
}

static bool read_kind(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    decoder->alert->kind = alert_kind_from(value->string);
    return set_string(&decoder->alert->kind_word, value->string, 1, ALERT_KIND_MAX);
}

static bool read_phase(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    int phase = alert_phase_from(value->string);
    if (phase >= 0)
        decoder->alert->phase = (enum alert_phase)phase;
    return phase >= 0;
}

static bool read_input(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    if (!in_range(value->number, 0, ALERT_INPUT_MAX) || value->number != floor(value->number))
        return false;
    decoder->alert->input = (int32_t)value->number;
    return true;
}

static bool read_battery(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    if (!in_range(value->number, 0, 100))
        return false;
    decoder->alert->battery_pct = (int32_t)lround(value->number);
    return true;
}

static bool read_signal(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    if (!in_range(value->number, ALERT_SIGNAL_MIN_DBM, 0))
        return false;
    decoder->alert->signal_dbm = (int32_t)lround(value->number);
    return true;
}

static bool read_drill(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    decoder->alert->drill = value->boolean;
    return true;
}

static bool read_point(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    decoder->is_point = str_is(value->string, "Point");
    return decoder->is_point;
}

static bool read_accuracy(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    if (!in_range(value->number, 0, ALERT_ACCURACY_MAX_M))
        return false;
    decoder->alert->accuracy_m = (float)value->number;
    return true;
}

static bool read_fix_time(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return clock_parse_rfc3339(value->string, &decoder->alert->fix_us);
}

static bool read_label(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return set_string(&decoder->alert->camera.label, value->string, 0, ALERT_TEXT_MAX);
}

static bool read_score(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    if (!in_range(value->number, 0, 1))
        return false;
    decoder->alert->camera.score = (float)value->number;
    return true;
}

static bool read_track(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return set_string(&decoder->alert->camera.track, value->string, 0, ALERT_TEXT_MAX);
}

static bool read_camera_zone(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    return set_string(&decoder->alert->camera.zone, value->string, 0, ALERT_TEXT_MAX);
}

static const struct member top_members[] = {
    {STR_INITIALIZER("specversion"), JSON_STRING, .read = read_specversion, .required = REQUIRED_SPECVERSION},
    {STR_INITIALIZER("id"), JSON_STRING, .read = read_id, .required = REQUIRED_ID},
    {STR_INITIALIZER("source"), JSON_STRING, .read = read_source, .required = REQUIRED_SOURCE},
    {STR_INITIALIZER("type"), JSON_STRING, .read = read_type, .required = REQUIRED_TYPE},
    {STR_INITIALIZER("time"), JSON_STRING, .read = read_time}, /* validate_time() flags it */
    {STR_INITIALIZER("data"), JSON_OBJECT, .opens = IN_DATA, .required = REQUIRED_DATA},
};

static const struct member data_members[] = {
    {STR_INITIALIZER("device"), JSON_STRING, .read = read_device, .required = REQUIRED_DEVICE},
    {STR_INITIALIZER("kind"), JSON_STRING, .read = read_kind, .required = REQUIRED_KIND},
    {STR_INITIALIZER("phase"), JSON_STRING, .read = read_phase, .flag = FLAG_BAD_PHASE},
    {STR_INITIALIZER("input"), JSON_NUMBER, .read = read_input, .flag = FLAG_BAD_INPUT},
    {STR_INITIALIZER("location"), JSON_OBJECT, .opens = IN_LOCATION, .flag = FLAG_BAD_LOCATION},
    {STR_INITIALIZER("battery_pct"), JSON_NUMBER, .read = read_battery, .flag = FLAG_BAD_BATTERY},
    {STR_INITIALIZER("signal_dbm"), JSON_NUMBER, .read = read_signal, .flag = FLAG_BAD_SIGNAL},
    {STR_INITIALIZER("text"), JSON_STRING, .flag = FLAG_BAD_TEXT},
    {STR_INITIALIZER("drill"), JSON_BOOLEAN, .read = read_drill, .flag = FLAG_BAD_DRILL},
    {STR_INITIALIZER("camera"), JSON_OBJECT, .opens = IN_CAMERA, .flag = FLAG_BAD_CAMERA},
};

static const struct member location_members[] = {
    {STR_INITIALIZER("type"), JSON_STRING, .read = read_point, .flag = FLAG_BAD_LOCATION},
    {STR_INITIALIZER("coordinates"), JSON_ARRAY, .opens = IN_COORDINATES, .flag = FLAG_BAD_LOCATION},
    {STR_INITIALIZER("accuracy_m"), JSON_NUMBER, .read = read_accuracy, .flag = FLAG_BAD_ACCURACY},
    {STR_INITIALIZER("fix_time"), JSON_STRING, .read = read_fix_time, .flag = FLAG_BAD_FIX_TIME},
};

static const struct member camera_members[] = {
    {STR_INITIALIZER("label"), JSON_STRING, .read = read_label, .flag = FLAG_BAD_LABEL},
    {STR_INITIALIZER("score"), JSON_NUMBER, .read = read_score, .flag = FLAG_BAD_SCORE},
    {STR_INITIALIZER("box"), JSON_ARRAY, .opens = IN_BOX, .flag = FLAG_BAD_BOX},
    {STR_INITIALIZER("track"), JSON_STRING, .read = read_track, .flag = FLAG_BAD_TRACK},
    {STR_INITIALIZER("camera_zone"), JSON_STRING, .read = read_camera_zone, .flag = FLAG_BAD_CAMERA_ZONE},
};

#define MEMBERS(array)                                                                                                 \
    {                                                                                                                  \
        (array), ARRAY_LEN(array)                                                                                      \
    }

static const struct {
    const struct member *all;
    size_t n;
} members_of[] = {
    [IN_TOP] = MEMBERS(top_members),       [IN_DATA] = MEMBERS(data_members), [IN_LOCATION] = MEMBERS(location_members),
    [IN_CAMERA] = MEMBERS(camera_members), [IN_COORDINATES] = {NULL, 0},      [IN_BOX] = {NULL, 0},
};

/* ---- the events of the reader ---- */

static void on_name(void *ctx, struct str name)
{
    struct cloudevents_decoder *decoder = ctx;
    enum context context = decoder->contexts[decoder->depth - 1];
    size_t i = 0, n = members_of[context].n;
    while (i < n && !str_eq(members_of[context].all[i].name, name))
        i++;
    decoder->member = i < n ? &members_of[context].all[i] : NULL;
}

/* Stores the value of decoder->member, or flags it. Returns whether it is valid. */
static bool read_member(struct cloudevents_decoder *decoder, const struct json_value *value)
{
    const struct member *member = decoder->member;
    bool valid = value->type == member->type && (!member->read || member->read(decoder, value));
    decoder->seen[member->required] = true;
    decoder->valid[member->required] = valid;
    if (!valid)
        decoder->alert->flags |= member->flag;
    return valid;
}

static void add_number(struct number_list *list, const struct json_value *value)
{
    if (value->type != JSON_NUMBER)
        list->broken = true;
    else if (list->n < 4)
        list->numbers[list->n] = value->number;
    list->n++;
}

static void on_value(void *ctx, const struct json_value *value)
{
    struct cloudevents_decoder *decoder = ctx;
    enum context within = decoder->contexts[decoder->depth - 1], opens = IN_OTHER;
    if (within == IN_COORDINATES || within == IN_BOX)
        add_number(&decoder->list, value);
    else if (decoder->member && read_member(decoder, value))
        opens = decoder->member->opens;
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY)
        return;
    decoder->contexts[decoder->depth++] = opens;
    decoder->member = NULL;
    if (opens == IN_COORDINATES || opens == IN_BOX)
        decoder->list = (struct number_list){0};
}

static void end_coordinates(struct cloudevents_decoder *decoder)
{
    const struct number_list *list = &decoder->list;
    if (list->broken || list->n < 2 || list->n > 3 || fabs(list->numbers[0]) > 180 || fabs(list->numbers[1]) > 90)
        return;
    decoder->has_coordinates = true;
    decoder->alert->lon = list->numbers[0];
    decoder->alert->lat = list->numbers[1];
}

static void end_box(struct cloudevents_decoder *decoder)
{
    const struct number_list *list = &decoder->list;
    bool valid = !list->broken && list->n == 4;
    for (unsigned i = 0; valid && i < 4; i++)
        valid = in_range(list->numbers[i], 0, 1);
    if (!valid)
        decoder->alert->flags |= FLAG_BAD_BOX;
}

/* Without a valid Point, accuracy and time of the fix are dropped too. */
static void end_location(struct cloudevents_decoder *decoder)
{
    struct alert *alert = decoder->alert;
    alert->has_location = decoder->is_point && decoder->has_coordinates;
    if (alert->has_location)
        return;
    alert->flags |= FLAG_BAD_LOCATION;
    alert->lon = alert->lat = 0;
    alert->accuracy_m = NAN;
    alert->fix_us = ALERT_NO_TIME;
}

static void on_close(void *ctx)
{
    struct cloudevents_decoder *decoder = ctx;
    switch (decoder->contexts[--decoder->depth]) {
    case IN_COORDINATES:
        end_coordinates(decoder);
        break;
    case IN_BOX:
        end_box(decoder);
        break;
    case IN_LOCATION:
        end_location(decoder);
        break;
    case IN_OTHER:
    case IN_TOP:
    case IN_DATA:
    case IN_CAMERA:
        break;
    }
}

/* ---- the decoder ---- */

struct cloudevents_decoder *cloudevents_decoder_new(void)
{
    struct cloudevents_decoder *decoder = mem_zalloc(sizeof(*decoder));
    decoder->reader = json_reader_new(&(struct json_limits){
        .bytes = ALERT_PAYLOAD_MAX, .at_once = ALERT_PAYLOAD_MAX, .levels = LEVELS_MAX, .unique_names = true});
    return decoder;
}

void cloudevents_decoder_free(struct cloudevents_decoder **decoder)
{
    if (!*decoder)
        return;
    json_reader_free(&(*decoder)->reader);
    free(*decoder);
    *decoder = NULL;
}

static void reset_decoder(struct cloudevents_decoder *decoder, struct str payload, struct alert *alert)
{
    *alert = (struct alert){
        ALERT_UNSET,
        .format = ALERT_CLOUDEVENTS,
        .occurred_us = ALERT_NO_TIME,
        .payload = payload,
    };
    *decoder =
        (struct cloudevents_decoder){.reader = decoder->reader, .alert = alert, .contexts = {IN_TOP}, .depth = 1};
}

bool decode_cloudevents(struct cloudevents_decoder *decoder, struct str payload, struct alert *ret,
                        struct reject *ret_reject)
{
    static const struct json_calls calls = {on_name, on_value, on_close};
    if (payload.len > ALERT_PAYLOAD_MAX)
        return reject_set(ret_reject, REJECT_TOO_LARGE, STR(""), "", "the payload has %zu bytes (expected at most %d)",
                          payload.len, ALERT_PAYLOAD_MAX);
    reset_decoder(decoder, payload, ret);
    size_t offset;
    const char *fault = json_read(decoder->reader, payload, &calls, decoder, &offset);
    if (fault)
        return reject_set(ret_reject, REJECT_MALFORMED, ret->event_id, "", "%s, near byte %zu", fault, offset);
    for (int i = 1; i < REQUIRED_COUNT; i++)
        if (!decoder->valid[i])
            return reject_set(ret_reject, REJECT_INVALID, ret->event_id, required[i].field, "is %s (expected %s)",
                              decoder->seen[i] ? "not allowed" : "missing", required[i].allowed);
    if (str_starts(ret->source, ALERT_DC09_PREFIX))
        return reject_set(ret_reject, REJECT_FORBIDDEN, ret->event_id, "source",
                          "must not begin with " ALERT_DC09_PREFIX);
    return true;
}
