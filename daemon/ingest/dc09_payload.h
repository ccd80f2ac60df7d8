/*
 * A DC-09 frame as the JSON that is stored: valid UTF-8 that PostgreSQL's jsonb takes, whatever bytes the frame holds.
 *
 * {"protocol":"sia-dc09","id":"SIA-DCS","encrypted":false,"crc":"hex","sequence":"0001","line":"0","account":"1234",
 *  "sent":"2018-12-01T21:15:00Z","frame":"65290053\"SIA-DCS\"0001L0#1234[...","extended":[{"field":"longitude","id":"X",
 *  "value":"005E22.800"}],"event":{"number":1,"of":1,"raw":"BA001","code":"BA","zone":"001","area":"1"}}
 *
 * "frame" is CRC to before CR; a binary CRC stands there in hex, with "crc":"binary". "body" is what stands between '['
 * and CR, decrypted, where the frame was encrypted. Bytes that are not UTF-8 read as Latin-1, control characters as
 * control pictures (from U+2400).
 */
#ifndef MOBEYE_INGEST_DC09_PAYLOAD_H
#define MOBEYE_INGEST_DC09_PAYLOAD_H

#include "ingest/dc09_data.h"

/* The beginning of every payload. It is followed by complete members, each after its comma. */
#define DC09_PAYLOAD_HEAD STR("{\"protocol\":\"sia-dc09\"")

/* Texts that several events of a frame share are cut to these lengths in each payload; the frame has them in full. */
enum { DC09_TEXT_MAX = 256, DC09_MODIFIER_MAX = 16 };

/* Appends a JSON string with its quotes. At most 3 bytes for each byte, and 2 quotes. */
void dc09_json_string(struct buf *out, struct str text);

/* Appends the beginning of the object, which all events share, without the closing brace. A frame
 * of DC09_FRAME_MAX bytes takes at most half of ALERT_PAYLOAD_MAX. */
void dc09_payload_frame(struct buf *out, const struct dc09_frame *frame, const struct dc09_content *content);

/* Appends the event, with text, area, user and clock cut, and the closing brace. event NULL: the frame has none (NULL),
 * and "event" is left out. */
void dc09_payload_event(struct buf *out, const struct dc09_event *event, size_t number, size_t of);

#endif
