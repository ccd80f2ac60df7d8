#include "store/copyrow.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "store/pgtype.h"

enum {
    ALERT_COLUMNS = 26,
    FIXED_MAX = 256, /* all lengths and numbers of a row */
};

const struct str copyrow_header = {"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};
const struct str copyrow_trailer = {"\377\377", 2};

static char *put_bytes(char *p, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(p, bytes, len);
    return p + len;
}

static char *put16(char *p, uint16_t v)
{
    v = htobe16(v);
    return put_bytes(p, &v, sizeof(v));
}

static char *put64(char *p, uint64_t v)
{
    v = htobe64(v);
    return put_bytes(p, &v, sizeof(v));
}

static char *put_null(char *p)
{
    return pgtype_put32(p, UINT32_MAX);
}

static char *put_text(char *p, struct str text)
{
    return put_bytes(pgtype_put32(p, (uint32_t)text.len), text.p, text.len);
}

static char *put_int2(char *p, int v)
{
    return put16(pgtype_put32(p, 2), (uint16_t)v);
}

static char *put_int4(char *p, uint32_t v)
{
    return pgtype_put32(pgtype_put32(p, 4), v);
}

static char *put_bool(char *p, bool v)
{
    return put_bytes(pgtype_put32(p, 1), v ? "\1" : "\0", 1);
}

static char *put_int8(char *p, uint64_t v)
{
    return put64(pgtype_put32(p, 8), v);
}

static char *put_time(char *p, int64_t wall_us)
{
    return put_int8(p, (uint64_t)pgtype_timestamp(wall_us));
}

static char *put_interval(char *p, int64_t us)
{
    if (us == ALERT_NO_TIME)
        return put_null(p);
    return put64(put64(pgtype_put32(p, 16), (uint64_t)us), 0); /* no days, no months */
}

static char *put_real(char *p, float v)
{
    uint32_t bits;
    if (isnan(v))
        return put_null(p);
    memcpy(&bits, &v, sizeof(bits));
    return pgtype_put32(pgtype_put32(p, 4), bits);
}

static char *put_place(char *p, const struct alert *alert)
{
    uint8_t point[PGTYPE_POINT_BYTES];
    if (alert->place.source == LOCATION_NONE)
        return put_null(p);
    pgtype_point(point, alert->place.lon, alert->place.lat);
    return put_bytes(pgtype_put32(p, sizeof(point)), point, sizeof(point));
}

/* "layer:code" of each. */
static char *put_areas(char *p, const struct alert_areas *areas)
{
    char *len = p;
    p = pgtype_put_array(p + 4, TYPE_TEXT, areas->n);
    for (size_t i = 0; i < areas->n; i++) {
        const struct alert_area *area = &areas->area[i];
        p = pgtype_put32(p, (uint32_t)(area->layer.len + 1 + area->code.len));
        p = put_bytes(put_bytes(put_bytes(p, area->layer.p, area->layer.len), ":", 1), area->code.p, area->code.len);
    }
    pgtype_put32(len, (uint32_t)(p - len - 4));
    return p;
}

static size_t areas_room(const struct alert_areas *areas)
{
    size_t room = 32;
    for (size_t i = 0; i < areas->n; i++)
        room += 4 + areas->area[i].layer.len + 1 + areas->area[i].code.len;
    return room;
}

static struct str area_code(const struct alert *alert, const char *layer)
{
    for (size_t i = 0; alert->areas && i < alert->areas->n; i++)
        if (str_is(alert->areas->area[i].layer, layer))
            return alert->areas->area[i].code;
    return (struct str){0};
}

static char *put_text_or_null(char *p, struct str text)
{
    return text.len == 0 ? put_null(p) : put_text(p, text);
}

void copyrow_alert(struct buf *out, const struct alert *alert, uint64_t origin)
{
    struct str wijk = area_code(alert, "wijk"), buurt = area_code(alert, "buurt");
    size_t room = FIXED_MAX + alert->source.len + alert->event_id.len + alert->device.len + wijk.len + buurt.len +
                  alert->placement_team.len;
    char *p = buf_reserve(out, room);
    p = put16(p, ALERT_COLUMNS);
    p = put_int2(p, (int)alert_class(alert->kind));
    p = put_int2(p, (int)alert->kind);
    p = put_int2(p, (int)alert->phase);
    p = put_int2(p, (int)alert->place.source);
    p = put_time(p, alert->occurred_us);
    p = put_time(p, alert->received_us);
    p = put_int8(p, alert->seq);
    p = put_int8(p, origin);
    p = put_interval(p, alert->skew_us);
    p = put_int4(p, alert->flags);
    p = alert->input == ALERT_NO_INT ? put_null(p) : put_int4(p, (uint32_t)alert->input);
    p = alert->place.source == LOCATION_NONE ? put_null(p) : put_real(p, alert->place.accuracy_m);
    p = put_bool(p, alert->drill);
    p = put_bool(p, alert->secret);
    p = alert->placement_id == 0 ? put_null(p) : put_int8(p, alert->placement_id);
    p = put_text_or_null(p, alert->placement_team);
    p = put_place(p, alert);
    p = put_text_or_null(p, wijk);
    p = put_text_or_null(p, buurt);
    p = put_text(p, alert->device);
    p = put_text(p, alert->source);
    p = put_text(p, alert->event_id);
    out->len = (size_t)(p - out->data);
}

void copyrow_rest(struct buf *out, const struct alert *alert, uint64_t incident_id, const uint8_t *image_id)
{
    bool by_areas = incident_id == 0 && alert->placement_team.len == 0 && alert->areas;
    size_t areas = by_areas ? areas_room(alert->areas) : 4;
    char *p = buf_reserve(out, 4 + alert->payload.len + 4 + 8 + areas + 4 + IDENTITY_BYTES);
    p = put_text(p, alert->payload);
    p = incident_id == 0 ? put_null(p) : put_int8(p, incident_id);
    p = by_areas ? put_areas(p, alert->areas) : put_null(p);
    p = image_id ? put_bytes(pgtype_put32(p, IDENTITY_BYTES), image_id, IDENTITY_BYTES) : put_null(p);
    out->len = (size_t)(p - out->data);
}

void copyrow_identity(struct buf *out, const uint8_t id[IDENTITY_BYTES], uint64_t device, uint32_t period)
{
    char *p = buf_reserve(out, 2 + 4 + IDENTITY_BYTES + 4 + 8 + 4 + 4);
    p = put_bytes(pgtype_put32(put16(p, 3), IDENTITY_BYTES), id, IDENTITY_BYTES);
    p = put_int8(p, device);
    p = put_int4(p, period);
    out->len = (size_t)(p - out->data);
}
