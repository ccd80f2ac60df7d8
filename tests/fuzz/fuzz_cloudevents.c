/* Any bytes as a CloudEvents message: what is accepted keeps its promises, and so does what is refused. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/validate.h"
#include "round_trip.h"

#define NOW INT64_C(1795467851250000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool length_in(struct str s, size_t min, size_t max)
{
    return s.len >= min && s.len <= max;
}

static void check_alert(const struct alert *alert)
{
    check(length_in(alert->event_id, 1, ALERT_ID_MAX));
    check(length_in(alert->source, 1, ALERT_SOURCE_MAX));
    check(length_in(alert->kind_word, 1, ALERT_KIND_MAX));
    check(length_in(alert->camera.label, 0, ALERT_TEXT_MAX));
    check(length_in(alert->camera.track, 0, ALERT_TEXT_MAX));
    check(length_in(alert->camera.zone, 0, ALERT_TEXT_MAX));
    check(validate_device(alert->device));
    check(!str_starts(alert->source, ALERT_DC09_PREFIX));
    check(alert->kind == alert_kind_from(alert->kind_word));
    check((alert->flags & ~ALERT_FLAGS_ALL) == 0);
    check(!alert->has_location || (fabs(alert->lon) <= 180 && fabs(alert->lat) <= 90));
    check(alert->has_location || (isnan(alert->accuracy_m) && alert->fix_us == ALERT_NO_TIME));
    check(!(alert->has_location && alert->flags & FLAG_BAD_LOCATION));
    check(!memchr(alert->payload.p, '\0', alert->payload.len));
}

static void check_reject(const struct reject *reject)
{
    check((reject->code == REJECT_INVALID || reject->code == REJECT_FORBIDDEN) == (reject->field[0] != '\0'));
    check(reject->reason[0] != '\0');
    check(length_in(reject->id, 0, ALERT_ID_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cloudevents_decoder *decoder;
    if (!decoder)
        decoder = cloudevents_decoder_new();
    struct alert alert;
    struct reject reject;
    if (!decode_cloudevents(decoder, (struct str){(const char *)data, size}, &alert, &reject)) {
        check_reject(&reject);
        return 0;
    }
    check(size <= ALERT_PAYLOAD_MAX);
    check_alert(&alert);
    validate_time(&alert, NOW, NULL);
    alert.endpoint = STR("cameras");
    check(round_trip(&alert));
    return 0;
}
