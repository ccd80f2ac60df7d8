/* A stream of bytes through framing, decoding and replies. Bit 0 of the first byte: correct each frame's CRC and length
 * first, so that the fuzzer gets past them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/dc09_reply.h"
#include "ingest/validate.h"
#include "journal/journal.h"
#include "model/record.h"
#include "round_trip.h"

/* Frames from the bytes between LF and CR, whatever precedes their first quote. */
static void put_right(struct str bytes, struct buf *out)
{
    while (bytes.len > 0) {
        const char *end = memchr(bytes.p, '\r', bytes.len);
        struct str line = {bytes.p, end ? (size_t)(end - bytes.p) : bytes.len};
        const char *quote = memchr(line.p, '"', line.len);
        size_t skip = quote ? (size_t)(quote - line.p) : 0;
        if (quote && line.len - skip <= DC09_BODY_MAX)
            dc09_build(out, (struct str){quote, line.len - skip}, skip == 7);
        size_t used = line.len + (end != NULL);
        bytes = (struct str){bytes.p + used, bytes.len - used};
    }
}

/* The keys of the corpus, through a file, since that is how keys are read. */
static const struct dc09_keys *fuzz_keys(void)
{
    static struct dc09_keys *keys;
    static const char text[] = "1128 00112233445566778899AABBCCDDEEFF\n"
                               "1192 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\n"
                               "1256 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n";
    if (keys)
        return keys;
    char path[] = "/tmp/mobeye-fuzz-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1)
        abort();
    close(fd);
    struct err err;
    keys = dc09_keys_load(path, &err);
    unlink(path);
    if (!keys)
        abort();
    return keys;
}

/* As assert(), but in every build. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is shared is the same in all payloads and can be left out; the message fits into the journal. */
static void check_shared(const struct dc09_message *message)
{
    struct buf records = {0};
    for (size_t i = 0; i < message->n; i++) {
        struct alert alert = message->alerts[i];
        struct str first = message->alerts[0].payload;
        size_t end = message->shared_offset + message->shared_bytes;
        must(end < alert.payload.len &&
             alert.payload.p[end] == (message->shared_bytes > 0 ? ',' : alert.payload.p[end]));
        must(memcmp(alert.payload.p, first.p, end) == 0);
        alert.occurred_us = alert.received_us = 0;
        alert.endpoint = (struct str){first.p, ALERT_TEXT_MAX < first.len ? ALERT_TEXT_MAX : first.len};
        record_pack(&records, &alert);
    }
    must(records.len <=
         JOURNAL_MESSAGE_BYTES + (message->n > 0 ? (message->n - 1) * message->shared_bytes : 0) - 16 * message->n);
    buf_free(&records);
}

static void run(struct str bytes)
{
    static const uint8_t pad[DC09_PAD_MAX];
    static const struct dc09_policy policy = {.check_time = true};
    struct dc09_decoder *decoder = dc09_decoder_new();
    for (;;) {
        struct dc09_frame frame;
        struct dc09_message message = {0};
        struct buf reply = {0};
        size_t used = 0;
        enum dc09_result result = dc09_scan(bytes, &frame, &used);
        must(used <= bytes.len && (used > 0 || result == DC09_INCOMPLETE));
        if (result == DC09_INCOMPLETE)
            break;
        if (result == DC09_COMPLETE)
            result = decode_dc09(decoder, &frame, fuzz_keys(), &message);
        for (size_t i = 0; i < message.n; i++)
            must(message.alerts[i].payload.len <= ALERT_PAYLOAD_MAX && message.alerts[i].kind_word.len > 0);
        check_shared(&message);
        if (message.n > 0)
            dc09_set_identity(decoder, &message, 1);
        for (size_t i = 0; i < message.n; i++) {
            validate_time(&message.alerts[i], 1, NULL);
            message.alerts[i].endpoint = STR("panels");
            must(round_trip(&message.alerts[i]));
        }
        enum dc09_verdict verdict = dc09_judge(result, &frame, &message, &policy, 0, used & 1);
        dc09_reply(&reply, verdict <= DC09_STORE_STALE ? DC09_SAY_ACK : verdict, &frame, message.key, 0, pad);
        buf_free(&reply);
        bytes = (struct str){bytes.p + used, bytes.len - used};
    }
    dc09_decoder_free(&decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str bytes = {(const char *)data + 1, size - 1};
    struct dc09_frame frame;
    dc09_whole(bytes, &frame);
    if (data[0] & 1) {
        struct buf right = {0};
        put_right(bytes, &right);
        run(buf_str(&right));
        buf_free(&right);
    } else {
        run(bytes);
    }
    return 0;
}
