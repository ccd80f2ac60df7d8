#include "ctl/send/flag_reason.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "ingest/validate.h"

/* Of BAD_x: the member. Of the others: the member and what is wrong with it. CLOCK: clock_reason(). */
#define REASON_CLOCK             NULL
#define REASON_BAD_PHASE         "data.phase"
#define REASON_BAD_INPUT         "data.input"
#define REASON_BAD_LOCATION      "data.location"
#define REASON_BAD_ACCURACY      "data.location.accuracy_m"
#define REASON_BAD_FIX_TIME      "data.location.fix_time"
#define REASON_BAD_BATTERY       "data.battery_pct"
#define REASON_BAD_SIGNAL        "data.signal_dbm"
#define REASON_BAD_TEXT          "data.text"
#define REASON_BAD_DRILL         "data.drill"
#define REASON_BAD_CAMERA        "data.camera"
#define REASON_BAD_LABEL         "data.camera.label"
#define REASON_BAD_SCORE         "data.camera.score"
#define REASON_BAD_BOX           "data.camera.box"
#define REASON_BAD_TRACK         "data.camera.track"
#define REASON_BAD_CAMERA_ZONE   "data.camera.camera_zone"
#define REASON_NULL_ISLAND       "data.location: 0,0 is where devices are that have no fix; not used"
#define REASON_SWAPPED           "data.location: latitude comes first (expected longitude first); not used"
#define REASON_OUTSIDE_BOUNDS    "data.location: outside bounds; not used"
#define REASON_STALE_FIX         "data.location.fix_time: too old; the location is not used"
#define REASON_INACCURATE        "data.location.accuracy_m: too inaccurate; the location is not used"
#define REASON_STALE             "the same frame again, after NAK"
#define REASON_VERIFIED          "confirmed by a second detection"
#define REASON_CANCEL            "cancelled by a user"
#define REASON_IDENTITY_CONFLICT "source and id: those of an alert of another device"
#define REASON_BAD_IMAGE         "image: too large, or not a JPEG, PNG or WebP; dropped"

#define REASON(bit, name, word) [bit] = REASON_##name,
static const char *const reasons[] = {ALERT_FLAGS(REASON)};
#undef REASON

static void clock_reason(const struct alert *alert, struct buf *out)
{
    static const char name[] = "\"time\"";
    bool named = alert->payload.len > 0 && memmem(alert->payload.p, alert->payload.len, name, sizeof(name) - 1);
    if (alert->skew_us == ALERT_NO_TIME)
        buf_printf(out, "time: %s", named ? "not RFC 3339" : "missing");
    else
        buf_printf(out, "time: more than %s",
                   alert->skew_us > VALIDATE_FUTURE_MAX_US  ? "5 minutes in the future"
                   : alert->skew_us < -VALIDATE_PAST_MAX_US ? "31 days in the past"
                                                            : "the retention of its class in the past");
    buf_printf(out, "; the receive time is used");
}

static int bit_of(struct str word)
{
    for (unsigned bit = 0; alert_flag_word(bit); bit++)
        if (str_is(word, alert_flag_word(bit)))
            return (int)bit;
    return -1;
}

static void append_reason(struct str word, const struct alert *alert, struct buf *out)
{
    int bit = bit_of(word);
    buf_printf(out, "%s%.*s", out->len ? ", " : "", (int)word.len, word.p);
    if (bit < 0)
        return;
    buf_printf(out, " (");
    if (!reasons[bit])
        clock_reason(alert, out);
    else
        buf_printf(out, "%s%s", reasons[bit],
                   strchr(reasons[bit], ' ') ? "" : ": out of range or of the wrong type; ignored");
    buf_printf(out, ")");
}

void flag_reasons(struct str words, const struct alert *alert, struct buf *out)
{
    for (size_t at = 0, end; at < words.len; at = end + 1) {
        for (end = at; end < words.len && words.p[end] != ' '; end++)
            ;
        if (end > at)
            append_reason((struct str){words.p + at, end - at}, alert, out);
    }
}

/* Without "unknown", which nobody would mean. */
static const char *kind_name(const void *ctx, size_t i)
{
    (void)ctx;
    return i + 1 < KIND_COUNT ? alert_kind_word((enum alert_kind)(i + 1)) : NULL;
}

void kind_reason(const struct alert *alert, struct buf *out)
{
    if (alert->kind != KIND_UNKNOWN || str_is(alert->kind_word, alert_kind_word(KIND_UNKNOWN)))
        return;
    char *word = mem_strndup(alert->kind_word.p, alert->kind_word.len);
    buf_printf(out, "data.kind: \"%s\" is stored as unknown%s", word, nearest_hint(word, kind_name, NULL).text);
    free(word);
}
