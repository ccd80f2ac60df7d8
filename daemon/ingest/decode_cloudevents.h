/*
 * CloudEvents 1.0 JSON -> struct alert. Pure: the result depends on the bytes alone; no clock, no configuration.
 *
 * JSON is read by json_read (simdjson: 0.76 us for 250 bytes including all work done here; yajl would take 1.13,
 * jansson 3 to 6, json-c 2, and the last two are less strict). Also refused, besides what is not JSON: a byte order
 * mark, U+0000, lone surrogates, duplicate member names, more than 16 levels (the outermost object is the first, arrays
 * count), numbers beyond an IEEE double or beyond PostgreSQL's numeric.
 */
#ifndef MOBEYE_INGEST_DECODE_CLOUDEVENTS_H
#define MOBEYE_INGEST_DECODE_CLOUDEVENTS_H

#include "ingest/reject.h"
#include "model/alert.h"

/* Memory for decoding, reused from message to message. Bounded: a few times ALERT_PAYLOAD_MAX. */
struct cloudevents_decoder;
struct cloudevents_decoder *cloudevents_decoder_new(void);
void cloudevents_decoder_free(struct cloudevents_decoder **decoder);

/* true: ret is filled ("from the message", except occurred_us and skew_us, which validate_time() sets: occurred_us is
 * the sender's time or ALERT_NO_TIME). false: ret_reject is filled. Slices point into payload or into the decoder, and
 * are valid until its next message. */
bool decode_cloudevents(struct cloudevents_decoder *decoder, struct str payload, struct alert *ret,
                        struct reject *ret_reject);

#endif
