#include "ingest/decode_dc09.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "ingest/dc09_payload.h"

#define NO_ACCOUNT "0" /* not a valid account: those have at least 3 characters */

#define UNDECIPHERED "the frame cannot be decrypted with the key of its account"

struct dc09_decoder {
    EVP_MD *sha256; /* fetched only once: fetching takes as long as hashing */
    EVP_MD_CTX *hash;
    struct buf plain; /* decrypted content */
    struct buf json;  /* the payloads, one after the other */
    char source[sizeof(ALERT_DC09_PREFIX) + DC09_ACCOUNT_MAX];
    struct dc09_event events[DC09_EVENTS_MAX];
    struct alert alerts[DC09_EVENTS_MAX];
    char event_ids[DC09_EVENTS_MAX][ALERT_ID_MAX];
    char devices[DC09_EVENTS_MAX][ALERT_DEVICE_MAX];
    char words[DC09_EVENTS_MAX][ALERT_KIND_MAX];
};

struct dc09_decoder *dc09_decoder_new(void)
{
    struct dc09_decoder *decoder = mem_zalloc(sizeof(*decoder));
    decoder->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    decoder->hash = EVP_MD_CTX_new();
    if (!decoder->sha256 || !decoder->hash)
        abort(); /* libcrypto fails here only when memory runs out */
    return decoder;
}

void dc09_decoder_free(struct dc09_decoder **decoder)
{
    if (!*decoder)
        return;
    buf_free(&(*decoder)->plain);
    buf_free(&(*decoder)->json);
    EVP_MD_CTX_free((*decoder)->hash);
    EVP_MD_free((*decoder)->sha256);
    free(*decoder);
    *decoder = NULL;
}

static enum dc09_result not_understood(struct dc09_message *ret, const char *reason)
{
    ret->reason = reason;
    return DC09_NOT_UNDERSTOOD;
}

/* One in 1,500 frames of another key decrypts to a pad, a bar and printable bytes with a ']' among them. Those of the
 * key have a time of sending, or data that is empty or begins with an account, which may itself be empty. */
static bool is_plausible(const struct dc09_content *content)
{
    return content->time_us != ALERT_NO_TIME || content->data.len == 0 || content->data.p[0] == '#' ||
           content->data.p[0] == '|';
}

static enum dc09_result read_content(struct dc09_decoder *decoder, const struct dc09_frame *frame,
                                     const struct dc09_keys *keys, struct dc09_message *ret)
{
    struct str text = frame->content;
    if (frame->encrypted) {
        ret->key = dc09_keys_find(keys, frame->account);
        if (!ret->key)
            return not_understood(ret, "the frame is encrypted, but its account has no key");
        if (!dc09_decrypt(ret->key, text, &decoder->plain))
            return not_understood(ret, UNDECIPHERED);
        text = buf_str(&decoder->plain);
    }
    if (!dc09_content_parse(text, &ret->content))
        return not_understood(ret, "the data is not terminated (expected [data])");
    if (frame->encrypted && !is_plausible(&ret->content))
        return not_understood(ret, UNDECIPHERED);
    return DC09_COMPLETE;
}

/* Sets the source from the account of the header or, if that has none, of the data. */
static void set_source(struct dc09_decoder *decoder, struct str account, struct str data_account)
{
    if (account.len == 0)
        account = data_account;
    if (account.len < 3 || account.len > DC09_ACCOUNT_MAX || !dc09_is_hex(account))
        account = STR(NO_ACCOUNT);
    size_t prefix = strlen(ALERT_DC09_PREFIX);
    memcpy(decoder->source, ALERT_DC09_PREFIX, prefix);
    for (size_t i = 0; i < account.len; i++)
        decoder->source[prefix + i] = (char)toupper((unsigned char)account.p[i]);
    decoder->source[prefix + account.len] = '\0';
}

/* A NUL ends each part; only the last, the content, may itself contain one. */
static void hash_part(EVP_MD_CTX *ctx, struct str part)
{
    if (EVP_DigestUpdate(ctx, part.p, part.len) != 1 || EVP_DigestUpdate(ctx, "", 1) != 1)
        abort();
}

static void set_digest(const struct dc09_decoder *decoder, const struct dc09_frame *frame, struct dc09_message *ret)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = decoder->hash;
    if (EVP_DigestInit_ex(ctx, decoder->sha256, NULL) != 1)
        abort();
    hash_part(ctx, str_from(decoder->source));
    hash_part(ctx, frame->id_word);
    hash_part(ctx, frame->seq);
    if (ret->undated) {
        hash_part(ctx, frame->receiver);
        hash_part(ctx, frame->line);
    }
    hash_part(ctx, ret->content.whole);
    if (EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        abort();
    memcpy(ret->digest, hash, DC09_DIGEST_SIZE);
}

/* Writes the event ids, each with `suffix` appended. */
static void set_event_ids(struct dc09_decoder *decoder, struct str seq, const struct dc09_message *message,
                          const char *suffix)
{
    char digest[2 * DC09_DIGEST_SIZE + 1] = "";
    hex_write(digest, message->digest, DC09_DIGEST_SIZE);
    for (size_t i = 0; i < message->n; i++) {
        int len = snprintf(decoder->event_ids[i], ALERT_ID_MAX, "%.4s-%s-%zu%s", seq.p, digest, i + 1, suffix);
        message->alerts[i].event_id = (struct str){decoder->event_ids[i], (size_t)len};
    }
}

static struct str set_device(struct dc09_decoder *decoder, size_t i, int32_t input)
{
    char *out = decoder->devices[i];
    int len = input == ALERT_NO_INT ? snprintf(out, ALERT_DEVICE_MAX, "%s", decoder->source)
                                    : snprintf(out, ALERT_DEVICE_MAX, "%s/%" PRId32, decoder->source, input);
    return (struct str){out, (size_t)len};
}

size_t dc09_kind_word(struct str text, char out[ALERT_KIND_MAX])
{
    size_t len = text.len < ALERT_KIND_MAX ? text.len : ALERT_KIND_MAX;
    for (size_t at = 0; at < len; at++)
        out[at] = text.p[at] >= 0x20 && text.p[at] < 0x7F ? text.p[at] : '?';
    return len;
}

static struct str set_word(struct dc09_decoder *decoder, size_t i, const struct dc09_event *event)
{
    struct str text = event->code.len > 0 ? event->code : event->raw;
    return (struct str){decoder->words[i], dc09_kind_word(text, decoder->words[i])};
}

static void set_location(struct alert *alert, const struct dc09_content *content)
{
    int given = dc09_location(content, &alert->lon, &alert->lat);
    alert->has_location = given > 0;
    if (given <= 0)
        alert->lon = alert->lat = 0;
    if (given < 0)
        alert->flags |= FLAG_BAD_LOCATION;
}

/* The fields that all alerts of a frame share. */
static struct alert common_alert(const struct dc09_decoder *decoder, const struct dc09_content *content)
{
    struct alert alert = {
        ALERT_UNSET,
        .format = ALERT_SIA_DC09,
        .source = str_from(decoder->source),
        .occurred_us = dc09_occurred_us(content),
    };
    set_location(&alert, content);
    return alert;
}

static void set_event(struct dc09_decoder *decoder, size_t i, const struct dc09_event *event)
{
    struct alert *alert = &decoder->alerts[i];
    alert->kind = event->meaning.kind;
    alert->phase = event->meaning.phase;
    alert->kind_word = set_word(decoder, i, event);
    alert->input = event->input;
    if (event->bad_zone)
        alert->flags |= FLAG_BAD_INPUT;
    alert->flags |= event->meaning.flags;
}

static void set_payloads(struct dc09_decoder *decoder, const struct dc09_frame *frame, struct dc09_message *message)
{
    size_t from[DC09_EVENTS_MAX + 1];
    struct buf *json = &decoder->json;
    json->len = 0;
    dc09_payload_frame(json, frame, &message->content);
    size_t shared = json->len;
    message->shared_offset = DC09_PAYLOAD_HEAD.len;
    message->shared_bytes = message->n > 1 ? shared - DC09_PAYLOAD_HEAD.len : 0;
    for (size_t i = 0; i < message->n; i++) {
        from[i] = i == 0 ? 0 : json->len;
        if (i > 0) {
            buf_reserve(json, shared); /* before the copy, since it may move the source */
            buf_append(json, json->data, shared);
        }
        dc09_payload_event(json, frame->id == DC09_ID_NULL ? NULL : &decoder->events[i], i + 1, message->n);
    }
    from[message->n] = json->len;
    for (size_t i = 0; i < message->n; i++) {
        decoder->alerts[i].payload = (struct str){json->data + from[i], from[i + 1] - from[i]};
        assert(decoder->alerts[i].payload.len <= ALERT_PAYLOAD_MAX);
    }
}

/* A link test: a sign of life from the whole account. */
static void set_null_event(struct dc09_decoder *decoder, const struct dc09_frame *frame)
{
    decoder->events[0] = (struct dc09_event){
        .code = frame->id_word,
        .input = ALERT_NO_INT,
        .meaning = {KIND_KEEPALIVE, PHASE_RAISE, 0},
    };
}

enum dc09_result decode_dc09(struct dc09_decoder *decoder, const struct dc09_frame *frame, const struct dc09_keys *keys,
                             struct dc09_message *ret)
{
    *ret = (struct dc09_message){.alerts = decoder->alerts};
    if (read_content(decoder, frame, keys, ret) != DC09_COMPLETE)
        return DC09_NOT_UNDERSTOOD;
    size_t n = 1;
    struct str data_account = {0};
    switch (frame->id) {
    case DC09_ID_SIA_DCS:
    case DC09_ID_ADM_CID:
        n = dc09_events(frame->id, ret->content.data, decoder->events, DC09_EVENTS_MAX, &data_account);
        break;
    case DC09_ID_NULL:
        set_null_event(decoder, frame);
        break;
    default:
        return not_understood(ret, "the ID is not that of an event (expected SIA-DCS, ADM-CID or NULL)");
    }
    if (n == 0)
        return not_understood(ret, "the data contains no event");
    if (n > DC09_EVENTS_MAX)
        return not_understood(ret, "the data contains more than 64 events");
    set_source(decoder, frame->account, data_account);
    ret->n = n;
    ret->undated = ret->content.time_us == ALERT_NO_TIME;
    set_digest(decoder, frame, ret);
    struct alert common = common_alert(decoder, &ret->content);
    for (size_t i = 0; i < n; i++) {
        decoder->alerts[i] = common;
        set_event(decoder, i, &decoder->events[i]);
        decoder->alerts[i].device = set_device(decoder, i, decoder->alerts[i].input);
    }
    set_event_ids(decoder, frame->seq, ret, "");
    set_payloads(decoder, frame, ret);
    return DC09_COMPLETE;
}

void dc09_set_identity(struct dc09_decoder *decoder, struct dc09_message *message, int64_t first_us)
{
    char suffix[32], seq[4];
    snprintf(suffix, sizeof(suffix), "@%" PRId64, first_us);
    memcpy(seq, decoder->event_ids[0], sizeof(seq));
    set_event_ids(decoder, (struct str){seq, sizeof(seq)}, message, suffix);
}

bool dc09_undated_id(struct str event_id, uint8_t ret_digest[DC09_DIGEST_SIZE], int64_t *ret_first_us)
{
    enum { DIGEST_AT = 5, NUMBER_AT = DIGEST_AT + 2 * DC09_DIGEST_SIZE };
    char text[ALERT_ID_MAX + 1];
    if (event_id.len <= NUMBER_AT || event_id.len > ALERT_ID_MAX)
        return false;
    memcpy(text, event_id.p, event_id.len);
    text[event_id.len] = '\0';
    const char *at = strchr(text, '@');
    if (!at || text[4] != '-' || text[NUMBER_AT] != '-' || !hex_read(ret_digest, DC09_DIGEST_SIZE, text + DIGEST_AT))
        return false;
    char *end = NULL;
    *ret_first_us = strtoll(at + 1, &end, 10);
    return end != at + 1 && *end == '\0';
}
