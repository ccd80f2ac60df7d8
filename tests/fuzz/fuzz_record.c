/* Any bytes as a journal record: only these are read, and the result packs to a record that reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "../unit/alert_equal.h"
#include "model/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_within(struct str s, struct str bytes)
{
    check(s.p >= bytes.p && s.p <= bytes.p + bytes.len && s.len <= (size_t)(bytes.p + bytes.len - s.p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str bytes = {(const char *)data, size};
    struct alert alert, back;
    struct err err = {""};
    if (record_unpack(bytes, &alert, &err) != 0) {
        check(err.text[0] != '\0');
        return 0;
    }
    const struct str all[] = {alert.source,       alert.event_id, alert.device,   alert.kind_word,   alert.camera.label,
                              alert.camera.track, alert.payload,  alert.endpoint, alert.camera.zone, alert.image.bytes};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].len > 0)
            check_within(all[i], bytes);

    struct buf record = {0};
    record_pack(&record, &alert);
    check(record.len <= RECORD_MAX);
    check(record_unpack(buf_str(&record), &back, &err) == 0);
    check(!alert_difference(&alert, &back));
    buf_free(&record);
    return 0;
}
