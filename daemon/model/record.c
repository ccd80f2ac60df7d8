#include "model/record.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"

enum { VERSION_PLAIN = 1, VERSION_IMAGE = 2, BIT_DRILL = 1, BIT_LOCATION = 2, BITS_ALL = BIT_DRILL | BIT_LOCATION };

/* The strings of an alert in the order of the record, and how long each may be. */
static const struct {
    size_t member;
    uint16_t min_bytes, max_bytes;
    const char *name;
} strings[] = {
    {offsetof(struct alert, source), 1, ALERT_SOURCE_MAX, "source"},
    {offsetof(struct alert, event_id), 1, ALERT_ID_MAX, "event_id"},
    {offsetof(struct alert, device), 1, ALERT_DEVICE_MAX, "device"},
    {offsetof(struct alert, kind_word), 1, ALERT_KIND_MAX, "kind_word"},
    {offsetof(struct alert, camera.label), 0, ALERT_TEXT_MAX, "label"},
    {offsetof(struct alert, camera.track), 0, ALERT_TEXT_MAX, "track"},
    {offsetof(struct alert, camera.zone), 0, ALERT_TEXT_MAX, "camera_zone"},
    {offsetof(struct alert, endpoint), 0, ALERT_TEXT_MAX, "endpoint"},
};
enum { STRINGS = ARRAY_LEN(strings) };

/* The fixed part as it lies in the record, every member little-endian. */
struct fixed {
    uint8_t version, format, kind, phase, bits, image_kind, zero[2];
    uint32_t flags, input, battery_pct, signal_dbm;
    uint64_t occurred_us, skew_us, fix_us, received_us;
    uint64_t lon, lat;
    uint32_t accuracy_m, score;
    uint32_t payload_len, extra_len;
    uint32_t offsets[STRINGS];
    uint16_t lens[STRINGS];
};
_Static_assert(sizeof(struct fixed) == RECORD_PAYLOAD_OFFSET, "the layout in record.h, without padding");

/* Before the bytes of the image. */
struct image_head {
    uint32_t width, height, length;
};
_Static_assert(RECORD_MAX - RECORD_PLAIN_MAX == sizeof(struct image_head) + IMAGE_BYTES_MAX, "with the largest image");
_Static_assert(RECORD_PLAIN_MAX > sizeof(struct fixed) + ALERT_PAYLOAD_MAX + (size_t)STRINGS * ALERT_TEXT_MAX,
               "RECORD_PLAIN_MAX is an upper bound");

static uint32_t float_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return htole32(bits);
}

static uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return htole64(bits);
}

static float bits_float(uint32_t bits)
{
    float v;
    bits = le32toh(bits);
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static double bits_double(uint64_t bits)
{
    double v;
    bits = le64toh(bits);
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static int32_t bits_int(uint32_t bits)
{
    return (int32_t)le32toh(bits);
}

static int64_t bits_time(uint64_t bits)
{
    return (int64_t)le64toh(bits);
}

static const struct str *string_of(const struct alert *alert, size_t i)
{
    return (const struct str *)((const char *)alert + strings[i].member);
}

/* Writes the strings that are not in the payload to `extra`, and all offsets and lengths to `fixed`. Returns the end.
 */
static char *pack_strings(struct fixed *fixed, const struct alert *alert, char *extra)
{
    const struct str payload = alert->payload;
    char *end = extra;
    for (size_t i = 0; i < STRINGS; i++) {
        const struct str s = *string_of(alert, i);
        size_t offset = 0;
        if (s.len) {
            offset = (size_t)((uintptr_t)s.p - (uintptr_t)payload.p);
            if (offset > payload.len || s.len > payload.len - offset) {
                offset = payload.len + (size_t)(end - extra);
                memcpy(end, s.p, s.len);
                end += s.len;
            }
        }
        fixed->offsets[i] = htole32((uint32_t)offset);
        fixed->lens[i] = htole16((uint16_t)s.len);
    }
    return end;
}

/* Returns the end. */
static char *pack_image(const struct image *image, char *at)
{
    const struct image_head head = {htole32(image->width), htole32(image->height), htole32((uint32_t)image->bytes.len)};
    memcpy(at, &head, sizeof(head));
    memcpy(at + sizeof(head), image->bytes.p, image->bytes.len);
    return at + sizeof(head) + image->bytes.len;
}

void record_pack(struct buf *out, const struct alert *alert)
{
    bool has_image = alert->image.kind != IMAGE_NONE;
    size_t most = sizeof(struct fixed) + alert->payload.len;
    if (has_image)
        most += sizeof(struct image_head) + alert->image.bytes.len;
    for (size_t i = 0; i < STRINGS; i++)
        most += string_of(alert, i)->len;
    char *start = buf_reserve(out, most);
    char *payload = start + sizeof(struct fixed), *extra = payload + alert->payload.len;

    struct fixed fixed = {
        .version = has_image ? VERSION_IMAGE : VERSION_PLAIN,
        .format = (uint8_t)alert->format,
        .kind = (uint8_t)alert->kind,
        .phase = (uint8_t)alert->phase,
        .image_kind = (uint8_t)alert->image.kind,
        .bits = (uint8_t)((alert->drill ? BIT_DRILL : 0) | (alert->has_location ? BIT_LOCATION : 0)),
        .flags = htole32(alert->flags),
        .input = htole32((uint32_t)alert->input),
        .battery_pct = htole32((uint32_t)alert->battery_pct),
        .signal_dbm = htole32((uint32_t)alert->signal_dbm),
        .occurred_us = htole64((uint64_t)alert->occurred_us),
        .skew_us = htole64((uint64_t)alert->skew_us),
        .fix_us = htole64((uint64_t)alert->fix_us),
        .received_us = htole64((uint64_t)alert->received_us),
        .lon = double_bits(alert->has_location ? alert->lon : 0),
        .lat = double_bits(alert->has_location ? alert->lat : 0),
        .accuracy_m = float_bits(alert->accuracy_m),
        .score = float_bits(alert->camera.score),
        .payload_len = htole32((uint32_t)alert->payload.len),
    };
    char *end = pack_strings(&fixed, alert, extra);
    fixed.extra_len = htole32((uint32_t)(end - extra));
    if (has_image)
        end = pack_image(&alert->image, end);
    memcpy(start, &fixed, sizeof(fixed));
    memcpy(payload, alert->payload.p, alert->payload.len);
    out->len += (size_t)(end - start);
}

static bool int_ok(int32_t v, int32_t min, int32_t max)
{
    return v == ALERT_NO_INT || (v >= min && v <= max);
}

static bool float_ok(float v, float max)
{
    return isnan(v) || (v >= 0 && v <= max);
}

static bool time_ok(int64_t us)
{
    return us >= CLOCK_WALL_MIN_US && us <= CLOCK_WALL_MAX_US;
}

static bool skew_ok(int64_t us)
{
    return us == ALERT_NO_TIME ||
           (us >= CLOCK_WALL_MIN_US - CLOCK_WALL_MAX_US && us <= CLOCK_WALL_MAX_US - CLOCK_WALL_MIN_US);
}

/* The first number or enum that is out of range; NULL: none. */
static const char *fixed_fault(const struct fixed *fixed, const struct alert *alert)
{
    if (fixed->format != ALERT_CLOUDEVENTS && fixed->format != ALERT_SIA_DC09)
        return "format";
    if (fixed->kind >= KIND_COUNT)
        return "kind";
    if (fixed->phase >= PHASE_COUNT)
        return "phase";
    if ((fixed->version == VERSION_IMAGE) != (fixed->image_kind != IMAGE_NONE) || fixed->image_kind >= IMAGE_KINDS)
        return "image kind";
    if (fixed->bits & ~BITS_ALL || fixed->zero[0] || fixed->zero[1])
        return "bits";
    if (alert->flags & ~ALERT_FLAGS_ALL)
        return "flags";
    if (!int_ok(alert->input, 0, ALERT_INPUT_MAX))
        return "input";
    if (!int_ok(alert->battery_pct, 0, 100))
        return "battery_pct";
    if (!int_ok(alert->signal_dbm, ALERT_SIGNAL_MIN_DBM, 0))
        return "signal_dbm";
    if (!time_ok(alert->occurred_us))
        return "occurred_us";
    if (!skew_ok(alert->skew_us))
        return "skew_us";
    if (alert->fix_us != ALERT_NO_TIME && !time_ok(alert->fix_us))
        return "fix_us";
    if (!time_ok(alert->received_us))
        return "received_us";
    if (!(fabs(alert->lon) <= 180 && fabs(alert->lat) <= 90) || (!alert->has_location && (fixed->lon || fixed->lat)))
        return "location";
    if (!float_ok(alert->accuracy_m, ALERT_ACCURACY_MAX_M))
        return "accuracy_m";
    if (!float_ok(alert->camera.score, 1))
        return "score";
    return NULL;
}

static int unpack_strings(const struct fixed *fixed, struct str area, struct alert *ret, struct err *err)
{
    for (size_t i = 0; i < STRINGS; i++) {
        size_t offset = le32toh(fixed->offsets[i]), len = le16toh(fixed->lens[i]);
        if (len < strings[i].min_bytes || len > strings[i].max_bytes || offset > area.len || len > area.len - offset)
            return err_set(err, "damaged record: %s: offset %zu, %zu bytes (expected %u to %u bytes within the record)",
                           strings[i].name, offset, len, strings[i].min_bytes, strings[i].max_bytes);
        *(struct str *)((char *)ret + strings[i].member) = (struct str){area.p + offset, len};
    }
    return 0;
}

static bool side_ok(uint32_t width, uint32_t height)
{
    return width <= IMAGE_SIDE_MAX && height <= IMAGE_SIDE_MAX && (width == 0) == (height == 0);
}

/* area: what follows the extra bytes. */
static int unpack_image(const struct fixed *fixed, struct str area, struct image *ret, struct err *err)
{
    struct image_head head;
    if (fixed->version == VERSION_PLAIN)
        return area.len == 0
                   ? 0
                   : err_set(err, "damaged record: %zu bytes after the extra bytes (expected none)", area.len);
    if (area.len < sizeof(head))
        return err_set(err, "damaged record: image cut short");
    memcpy(&head, area.p, sizeof(head));
    *ret = (struct image){
        .bytes = {area.p + sizeof(head), area.len - sizeof(head)},
        .kind = (enum image_kind)fixed->image_kind,
        .width = le32toh(head.width),
        .height = le32toh(head.height),
    };
    if (le32toh(head.length) != ret->bytes.len || ret->bytes.len == 0 || ret->bytes.len > IMAGE_BYTES_MAX)
        return err_set(err, "damaged record: image of %u bytes (expected %zu, 1 to %d)", le32toh(head.length),
                       ret->bytes.len, IMAGE_BYTES_MAX);
    return side_ok(ret->width, ret->height) ? 0 : err_set(err, "damaged record: size of the image is out of range");
}

int record_unpack(struct str bytes, struct alert *ret, struct err *err)
{
    struct fixed fixed;
    if (bytes.len == 0)
        return err_set(err, "damaged record: empty");
    if (*bytes.p != VERSION_PLAIN && *bytes.p != VERSION_IMAGE)
        return err_set(err, "unsupported record version %u (expected %d or %d)", (unsigned char)*bytes.p, VERSION_PLAIN,
                       VERSION_IMAGE);
    if (bytes.len < sizeof(fixed))
        return err_set(err, "damaged record: %zu bytes (expected at least %zu)", bytes.len, sizeof(fixed));
    memcpy(&fixed, bytes.p, sizeof(fixed));

    struct str area = {bytes.p + sizeof(fixed), bytes.len - sizeof(fixed)};
    uint64_t payload_len = le32toh(fixed.payload_len), extra_len = le32toh(fixed.extra_len);
    if (payload_len == 0 || payload_len > ALERT_PAYLOAD_MAX || payload_len + extra_len > area.len)
        return err_set(err, "damaged record: payload of %llu and extra of %llu bytes (expected at most %zu in all)",
                       (unsigned long long)payload_len, (unsigned long long)extra_len, area.len);
    struct str rest = {area.p + payload_len + extra_len, area.len - (size_t)(payload_len + extra_len)};
    area.len -= rest.len;
    *ret = (struct alert){
        .format = (enum alert_format)fixed.format,
        .kind = (enum alert_kind)fixed.kind,
        .phase = (enum alert_phase)fixed.phase,
        .drill = fixed.bits & BIT_DRILL,
        .has_location = fixed.bits & BIT_LOCATION,
        .flags = le32toh(fixed.flags),
        .input = bits_int(fixed.input),
        .battery_pct = bits_int(fixed.battery_pct),
        .signal_dbm = bits_int(fixed.signal_dbm),
        .occurred_us = bits_time(fixed.occurred_us),
        .skew_us = bits_time(fixed.skew_us),
        .fix_us = bits_time(fixed.fix_us),
        .received_us = bits_time(fixed.received_us),
        .lon = bits_double(fixed.lon),
        .lat = bits_double(fixed.lat),
        .accuracy_m = bits_float(fixed.accuracy_m),
        .camera.score = bits_float(fixed.score),
        .place.accuracy_m = NAN,
        .payload = {area.p, (size_t)payload_len},
    };
    const char *fault = fixed_fault(&fixed, ret);
    if (fault)
        return err_set(err, "damaged record: %s is out of range", fault);
    if (unpack_image(&fixed, rest, &ret->image, err) != 0)
        return -1;
    return unpack_strings(&fixed, area, ret, err);
}
