#include "ctl/send/flag_reason.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/lib/nearest.h"
#include "ingest/validate.h"

/* Of BAD_x: the member. Of the others: the member and what is wrong with it. */
static const char *const members[] = {
    [0] = NULL, /* clock_reason() */
    [1] = "data.phase",
    [2] = "data.input",
    [3] = "data.location",
    [4] = "data.location.accuracy_m",
    [5] = "data.location.fix_time",
    [6] = "data.battery_pct",
    [7] = "data.signal_dbm",
    [8] = "data.text",
    [9] = "data.drill",
    [10] = "data.camera",
    [11] = "data.camera.label",
    [12] = "data.camera.score",
    [13] = "data.camera.box",
    [14] = "data.camera.track",
    [15] = "data.camera.camera_zone",
    [16] = "data.location: 0,0 is where devices are that have no fix; not used",
    [17] = "data.location: latitude comes first (expected longitude first); not used",
    [18] = "data.location: outside bounds; not used",
    [19] = "data.location.fix_time: too old; the location is not used",
    [20] = "data.location.accuracy_m: too inaccurate; the location is not used",
    [21] = "the same frame again, after NAK",
    [22] = "confirmed by a second detection",
    [23] = "cancelled by a user",
    [24] = "source and id: those of an alert of another device",
    [25] = "image: too large, or not a JPEG, PNG or WebP; dropped",
};
_Static_assert(sizeof(members) / sizeof(members[0]) == 26, "a reason for each of ALERT_FLAGS");

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
    if (bit == 0)
        clock_reason(alert, out);
    else
        buf_printf(out, "%s%s", members[bit],
                   strchr(members[bit], ' ') ? "" : ": out of range or of the wrong type; ignored");
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

/* Without "unknown", which nobody means. */
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
