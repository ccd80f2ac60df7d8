#include "ingest/dc09_data.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static struct str str_tail(struct str text, size_t from)
{
    return (struct str){text.p + from, text.len - from};
}

/* Removes the text up to `mark`, and the mark, from rest and returns that text; without a mark, all of rest. */
static struct str next_until(struct str *rest, char mark)
{
    const char *end = rest->len > 0 ? memchr(rest->p, mark, rest->len) : NULL;
    struct str piece = {rest->p, end ? (size_t)(end - rest->p) : rest->len};
    *rest = str_tail(*rest, piece.len + (end != NULL));
    return piece;
}

/* Removes the next part of a SIA block. Text between two ^ may contain a slash; a single ^ quotes nothing. */
static struct str next_part(struct str *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->p[len] != '/') {
        const char *close = rest->p[len] == '^' ? memchr(rest->p + len + 1, '^', rest->len - len - 1) : NULL;
        len = close ? (size_t)(close - rest->p) + 1 : len + 1;
    }
    struct str part = {rest->p, len};
    *rest = str_tail(*rest, len + (len < rest->len));
    return part;
}

static void set_zone(struct dc09_event *event, struct str zone)
{
    event->zone = zone;
    event->input = ALERT_NO_INT;
    int32_t number = 0;
    for (size_t i = 0; i < zone.len && !event->bad_zone; i++) {
        number = number * 10 + (zone.p[i] - '0');
        event->bad_zone = !is_digit(zone.p[i]) || number > ALERT_INPUT_MAX;
    }
    if (!event->bad_zone && number > 0)
        event->input = number;
}

/* The events found; n also counts those beyond max. */
struct event_list {
    struct dc09_event *events;
    size_t n, max;
};

static void add_event(struct event_list *list, const struct dc09_event *event)
{
    if (list->n < list->max)
        list->events[list->n] = *event;
    list->n++;
}

static void add_unreadable(struct event_list *list, struct str raw)
{
    add_event(list, &(struct dc09_event){.raw = raw, .input = ALERT_NO_INT});
}

/* A part of two letters, zone and text. */
static void add_sia_event(struct event_list *list, const struct dc09_event *modifiers, struct str part)
{
    struct dc09_event event = *modifiers;
    event.raw = part;
    event.code = (struct str){part.p, 2};
    event.meaning = dc09_code_sia(event.code);
    size_t end = 2;
    while (end < part.len && (is_digit(part.p[end]) || is_upper(part.p[end])))
        end++;
    set_zone(&event, (struct str){part.p + 2, end - 2});
    event.text = str_tail(part, end);
    add_event(list, &event);
}

static void set_modifier(struct dc09_event *modifiers, struct str part)
{
    struct str name = {part.p, 2}, value = str_tail(part, 2);
    if (str_is(name, "ri"))
        modifiers->area = value;
    else if (str_is(name, "id"))
        modifiers->user = value;
    else if (str_is(name, "ti"))
        modifiers->clock = value;
}

/* A block that begins with N or O. Unknown modifiers are skipped: the stored frame keeps them. */
static void add_function_block(struct event_list *list, struct str block)
{
    struct dc09_event modifiers = {.qualifier = block.p[0], .input = ALERT_NO_INT};
    struct str rest = str_tail(block, 1);
    size_t before = list->n;
    while (rest.len > 0) {
        struct str part = next_part(&rest);
        if (part.len >= 2 && is_upper(part.p[0]) && is_upper(part.p[1]))
            add_sia_event(list, &modifiers, part);
        else if (part.len >= 2 && is_lower(part.p[0]) && is_lower(part.p[1]))
            set_modifier(&modifiers, part);
        else if (part.len > 0)
            add_unreadable(list, part);
    }
    if (list->n == before)
        add_unreadable(list, block);
}

static void add_sia_blocks(struct event_list *list, struct str data)
{
    size_t first = 0; /* the first of the events to which a text block applies */
    struct str other = {0};
    while (data.len > 0) {
        struct str block = next_until(&data, '|');
        if (block.len == 0)
            continue;
        if (block.p[0] == 'N' || block.p[0] == 'O') {
            first = list->n;
            add_function_block(list, block);
        } else if (block.p[0] == 'A' && list->n > 0) {
            for (size_t i = first; i < list->n && i < list->max; i++)
                list->events[i].text = str_tail(block, 1);
        } else if (other.len == 0) {
            other = block;
        }
    }
    if (list->n == 0 && other.len > 0)
        add_unreadable(list, other);
}

/* The next word of a Contact-ID block. */
static struct str next_word(struct str *rest)
{
    while (rest->len > 0 && rest->p[0] == ' ')
        *rest = str_tail(*rest, 1);
    return next_until(rest, ' ');
}

static void add_cid_block(struct event_list *list, struct str block)
{
    struct str rest = block;
    struct str word = next_word(&rest);
    if (word.len != 4 || !is_digit(word.p[0]) || !dc09_is_hex(word)) {
        add_unreadable(list, block);
        return;
    }
    struct dc09_event event = {.raw = block, .code = str_tail(word, 1), .qualifier = word.p[0]};
    event.area = next_word(&rest);
    set_zone(&event, next_word(&rest));
    event.text = rest;
    event.meaning = dc09_code_cid(event.qualifier, event.code);
    add_event(list, &event);
}

size_t dc09_events(enum dc09_id id, struct str data, struct dc09_event *events, size_t max, struct str *ret_account)
{
    *ret_account = (struct str){0};
    if (data.len > 0 && data.p[0] == '#')
        *ret_account = str_tail(next_until(&data, '|'), 1);
    struct event_list list = {.events = events, .max = max};
    if (id == DC09_ID_SIA_DCS) {
        add_sia_blocks(&list, data);
        return list.n;
    }
    while (data.len > 0) {
        struct str block = next_until(&data, '|');
        if (block.len > 0)
            add_cid_block(&list, block);
    }
    return list.n;
}

/* Parses digits with at most one decimal point. false: anything else, or no digit. */
static bool parse_decimal(struct str text, double *ret)
{
    char digits[32];
    size_t points = 0;
    if (text.len == 0 || text.len >= sizeof(digits))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        points += text.p[i] == '.';
        if (!is_digit(text.p[i]) && text.p[i] != '.')
            return false;
        digits[i] = text.p[i];
    }
    digits[text.len] = '\0';
    *ret = strtod(digits, NULL);
    return points <= 1 && text.len > points;
}

/* Offset of the hemisphere letter; text.len: there is none. */
static size_t find_hemisphere(struct str text, const char *hemispheres)
{
    size_t at = 0;
    while (at < text.len && text.p[at] != hemispheres[0] && text.p[at] != hemispheres[1])
        at++;
    return at;
}

bool dc09_coordinate(char axis, struct str value, double *ret_degrees)
{
    const char *hemispheres = axis == 'X' ? "EW" : "NS"; /* the positive one first */
    double max_degrees = axis == 'X' ? 180 : 90;
    double degrees = 0, minutes = 0;
    size_t at = find_hemisphere(value, hemispheres);
    bool negative = at < value.len && value.p[at] == hemispheres[1];
    struct str before = {value.p, at};
    struct str after = at < value.len ? str_tail(value, at + 1) : (struct str){0};
    if (at == value.len && at > 0 && (value.p[0] == '-' || value.p[0] == '+')) {
        negative = value.p[0] == '-';
        before = str_tail(value, 1);
    }
    if (before.len > 0 && after.len > 0) {
        if (memchr(before.p, '.', before.len) || !parse_decimal(before, &degrees) || !parse_decimal(after, &minutes) ||
            minutes >= 60)
            return false;
    } else if (!parse_decimal(before.len > 0 ? before : after, &degrees)) {
        return false;
    }
    degrees += minutes / 60;
    if (!(degrees <= max_degrees))
        return false;
    *ret_degrees = negative ? -degrees : degrees;
    return true;
}

int dc09_location(const struct dc09_content *content, double *ret_lon, double *ret_lat)
{
    unsigned lons = 0, lats = 0, bad = 0;
    for (size_t i = 0; i < content->n_fields; i++) {
        const struct dc09_field *field = &content->fields[i];
        if (field->id == 'X')
            bad += ++lons > 1 || !dc09_coordinate('X', field->value, ret_lon);
        else if (field->id == 'Y')
            bad += ++lats > 1 || !dc09_coordinate('Y', field->value, ret_lat);
    }
    if (lons == 0 && lats == 0)
        return 0;
    return bad == 0 && lons == 1 && lats == 1 ? 1 : -1;
}

int64_t dc09_occurred_us(const struct dc09_content *content)
{
    for (size_t i = 0; i < content->n_fields; i++) {
        struct str value = content->fields[i].value;
        int64_t occurred_us = 0;
        if (content->fields[i].id != 'H')
            continue;
        if (value.len > 0 && value.p[0] == '_')
            value = str_tail(value, 1);
        if (dc09_time_parse(value, &occurred_us))
            return occurred_us;
    }
    return content->time_us;
}

const char *dc09_field_word(char id)
{
    switch (id) {
    case 'X':
        return "longitude";
    case 'Y':
        return "latitude";
    case 'H':
        return "occurred";
    case 'V':
        return "verification";
    case 'L':
        return "location";
    case 'I':
        return "text";
    case 'U':
        return "image";
    case 'S':
        return "site";
    default:
        return "other";
    }
}
