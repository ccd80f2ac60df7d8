/*
 * An accepted alert as one journal record.
 *
 * The decoded fields are stored with the payload, so that a message is decoded once (decoding it again would take a
 * quarter of the CPU budget of 5 us per alert) and what reaches the database is what was accepted, even if the program,
 * the keys or the configuration have changed since.
 *
 * Version 1, little-endian, without gaps: a fixed part, then the payload, then the extra bytes.
 *
 *   offset size type  field
 *        0    1 u8    version: 1, or 2 with an image
 *        1    1 u8    format: enum alert_format
 *        2    1 u8    kind: enum alert_kind
 *        3    1 u8    phase: enum alert_phase
 *        4    1 u8    bits: 1 drill, 2 has_location; the others are 0
 *        5    3       0
 *        8    4 u32   flags: 1 << bit number of ALERT_FLAGS
 *       12    4 i32   input: 0 to 65535, or INT32_MIN for none
 *       16    4 i32   battery_pct: 0 to 100, or INT32_MIN
 *       20    4 i32   signal_dbm: -200 to 0, or INT32_MIN
 *       24    8 i64   occurred_us: microseconds since 1970-01-01 UTC, as the times below; years 1 to 9999
 *       32    8 i64   skew_us: microseconds, or INT64_MIN for none
 *       40    8 i64   fix_us, or INT64_MIN for none
 *       48    8 i64   received_us
 *       56    8 f64   lon: degrees; 0 without has_location
 *       64    8 f64   lat
 *       72    4 f32   accuracy_m: 0 to 10,000,000, or NaN for none
 *       76    4 f32   score: 0 to 1, or NaN
 *       80    4 u32   payload length: 1 to 65,536
 *       84    4 u32   extra length
 *       88   32 u32   8 string offsets: source, event_id, device, kind_word, label, track, camera_zone, endpoint
 *      120   16 u16   8 string lengths, in the same order
 *      136      bytes payload
 *                     extra
 *
 * Version 2 is version 1 with an image: offset 5 has its enum image_kind, and after the extra bytes come three u32, its
 * width and height (both 0: unknown) and its length (1 to 1,000,000), then its bytes, up to the end of the record.
 *
 * A string offset is relative to the start of the payload and may point into the extra bytes: a string that occurs
 * literally in the payload takes no space, any other is in the extra bytes. An empty string has offset 0. A record
 * of version 1 ends with the extra bytes.
 */
#ifndef MOBEYE_MODEL_RECORD_H
#define MOBEYE_MODEL_RECORD_H

#include "base/err.h"
#include "model/alert.h"

/* Offset of the payload. */
#define RECORD_PAYLOAD_OFFSET 136

/* Upper bounds of a packed record, in bytes: without an image, and of any. */
#define RECORD_PLAIN_MAX (ALERT_PAYLOAD_MAX + 8192)
#define RECORD_MAX       (RECORD_PLAIN_MAX + 12 + IMAGE_BYTES_MAX)

/* Appends the record: the fields "from the message" and "from the receipt", which must be within the limits of alert.h
 * and of the layout above. */
void record_pack(struct buf *out, const struct alert *alert);

/* The slices of ret point into bytes. Fields of later stages are zeroed, ret->place.accuracy_m is NAN. -1: damaged or
 * of another version. Every offset, number and enum is checked; no input can make it read outside bytes. */
int record_unpack(struct str bytes, struct alert *ret, struct err *err);

#endif
