#include "ingest/dc09_payload.h"

#include <unistr.h>

#include "base/clock.h"

/* Appends a character in place of byte `c`, which is a control character or not valid UTF-8. */
static void append_stand_in(struct buf *out, unsigned char c)
{
    uint8_t utf8[4];
    ucs4_t character = c < 0x20 ? 0x2400u + c : c == 0x7F ? 0x2421u : c;
    int len = u8_uctomb(utf8, character, sizeof(utf8));
    buf_append(out, utf8, len > 0 ? (size_t)len : 0);
}

/* Number of bytes at the front that a JSON string may contain unescaped: ASCII except controls, quote and backslash. */
static size_t plain_run(struct str text)
{
    size_t len = 0;
    while (len < text.len && text.p[len] >= 0x20 && text.p[len] < 0x7F && text.p[len] != '"' && text.p[len] != '\\')
        len++;
    return len;
}

/* Appends the character at the front, escaped or replaced as necessary. Returns its length in bytes. */
static size_t append_character(struct buf *out, struct str text)
{
    const uint8_t *at = (const uint8_t *)text.p;
    ucs4_t character = 0;
    int len = u8_mbtoucr(&character, at, text.len);
    if (len <= 0 || *at < 0x20 || *at == 0x7F) {
        append_stand_in(out, *at);
        return 1;
    }
    if (*at == '"' || *at == '\\')
        buf_append(out, "\\", 1);
    buf_append(out, at, (size_t)len);
    return (size_t)len;
}

void dc09_json_string(struct buf *out, struct str text)
{
    buf_append(out, "\"", 1);
    while (text.len > 0) {
        size_t consumed = plain_run(text);
        if (consumed > 0)
            buf_append(out, text.p, consumed);
        else
            consumed = append_character(out, text);
        text = (struct str){text.p + consumed, text.len - consumed};
    }
    buf_append(out, "\"", 1);
}

/* Appends literal JSON. Not with buf_printf(), which would cost more than the rest of the frame. */
static void append_json(struct buf *out, const char *json)
{
    buf_append_str(out, str_from(json));
}

/* Appends ,"name":"text" unless the text is empty. */
static void append_member(struct buf *out, const char *name, struct str text)
{
    if (text.len == 0)
        return;
    append_json(out, ",\"");
    append_json(out, name);
    append_json(out, "\":");
    dc09_json_string(out, text);
}

static void append_frame_text(struct buf *out, const struct dc09_frame *frame)
{
    if (!frame->crc_binary) {
        append_member(out, "frame", frame->raw);
        return;
    }
    struct buf text = {0};
    buf_printf(&text, "%04X%04X", frame->crc, (unsigned)frame->body.len);
    buf_append_str(&text, frame->body);
    append_member(out, "frame", buf_str(&text));
    buf_free(&text);
}

static void append_extended(struct buf *out, const struct dc09_content *content)
{
    if (content->n_fields == 0)
        return;
    for (size_t i = 0; i < content->n_fields; i++) {
        const struct dc09_field *field = &content->fields[i];
        append_json(out, i == 0 ? ",\"extended\":[{\"field\":\"" : ",{\"field\":\"");
        append_json(out, dc09_field_word(field->id));
        append_json(out, "\",\"id\":");
        dc09_json_string(out, (struct str){&field->id, 1});
        append_json(out, ",\"value\":");
        dc09_json_string(out, field->value);
        append_json(out, "}");
    }
    append_json(out, "]");
}

void dc09_payload_frame(struct buf *out, const struct dc09_frame *frame, const struct dc09_content *content)
{
    buf_append_str(out, DC09_PAYLOAD_HEAD);
    append_member(out, "id", frame->id_word);
    append_json(out, frame->encrypted ? ",\"encrypted\":true" : ",\"encrypted\":false");
    append_json(out, frame->crc_binary ? ",\"crc\":\"binary\"" : ",\"crc\":\"hex\"");
    append_member(out, "sequence", frame->seq);
    append_member(out, "receiver", frame->receiver);
    append_member(out, "line", frame->line);
    append_member(out, "account", frame->account);
    if (content->time_us != ALERT_NO_TIME) {
        char sent[CLOCK_RFC3339_SIZE];
        append_member(out, "sent", str_from(clock_format_rfc3339(content->time_us, 0, sent)));
    }
    append_frame_text(out, frame);
    if (frame->encrypted)
        append_member(out, "body", content->whole);
    append_extended(out, content);
}

/* Cuts the text to a maximum of bytes, at a character boundary. */
static struct str cut_text(struct str text, size_t max_bytes)
{
    if (text.len <= max_bytes)
        return text;
    while (max_bytes > 0 && (text.p[max_bytes] & 0xC0) == 0x80)
        max_bytes--;
    return (struct str){text.p, max_bytes};
}

static void append_event(struct buf *out, const struct dc09_event *event, size_t number, size_t of)
{
    buf_printf(out, ",\"event\":{\"number\":%zu,\"of\":%zu", number, of);
    append_member(out, "raw", event->raw);
    append_member(out, "code", event->code);
    if (event->qualifier)
        append_member(out, "qualifier", (struct str){&event->qualifier, 1});
    append_member(out, "zone", event->zone);
    append_member(out, "area", cut_text(event->area, DC09_MODIFIER_MAX));
    append_member(out, "user", cut_text(event->user, DC09_MODIFIER_MAX));
    append_member(out, "clock", cut_text(event->clock, DC09_MODIFIER_MAX));
    append_member(out, "text", cut_text(event->text, DC09_TEXT_MAX));
    if (event->meaning.flags & FLAG_VERIFIED)
        append_json(out, ",\"verified\":true");
    if (event->meaning.flags & FLAG_CANCEL)
        append_json(out, ",\"cancel\":true");
    append_json(out, "}");
}

void dc09_payload_event(struct buf *out, const struct dc09_event *event, size_t number, size_t of)
{
    if (event)
        append_event(out, event, number, of);
    append_json(out, "}");
}
