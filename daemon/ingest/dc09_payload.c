#include "ingest/dc09_payload.h"

#include <unistr.h>

#include "base/clock.h"

/* One character that stands for byte `c`, which is not valid UTF-8, or is a control character. */
static void append_stand_in(struct buf *out, unsigned char c)
{
    uint8_t utf8[4];
    ucs4_t character = c < 0x20 ? 0x2400u + c : c == 0x7F ? 0x2421u : c;
    int len = u8_uctomb(utf8, character, sizeof(utf8));
    buf_append(out, utf8, len > 0 ? (size_t)len : 0);
}

/* How many bytes at the front can stand in a JSON string as they are: ASCII without controls, quote, backslash. */
static size_t plain_run(struct str text)
{
    size_t len = 0;
    while (len < text.len && text.p[len] >= 0x20 && text.p[len] < 0x7F && text.p[len] != '"' && text.p[len] != '\\')
        len++;
    return len;
}

/* Appends the character at the front, in whatever form it can have. Returns how many bytes it takes. */
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
        size_t used = plain_run(text);
        if (used > 0)
            buf_append(out, text.p, used);
        else
            used = append_character(out, text);
        text = (struct str){text.p + used, text.len - used};
    }
    buf_append(out, "\"", 1);
}

/* What stands in the code as it stands in the JSON. Appended, as buf_printf() costs more than the rest of a frame. */
static void put(struct buf *out, const char *json)
{
    buf_append_str(out, str_from(json));
}

/* ,"name":"text" unless it is empty. */
static void member(struct buf *out, const char *name, struct str text)
{
    if (text.len == 0)
        return;
    put(out, ",\"");
    put(out, name);
    put(out, "\":");
    dc09_json_string(out, text);
}

static void frame_text(struct buf *out, const struct dc09_frame *frame)
{
    if (!frame->crc_binary) {
        member(out, "frame", frame->raw);
        return;
    }
    struct buf text = {0};
    buf_printf(&text, "%04X%04X", frame->crc, (unsigned)frame->body.len);
    buf_append_str(&text, frame->body);
    member(out, "frame", buf_str(&text));
    buf_free(&text);
}

static void extended(struct buf *out, const struct dc09_content *content)
{
    if (content->n_fields == 0)
        return;
    for (size_t i = 0; i < content->n_fields; i++) {
        const struct dc09_field *field = &content->fields[i];
        put(out, i == 0 ? ",\"extended\":[{\"field\":\"" : ",{\"field\":\"");
        put(out, dc09_field_word(field->id));
        put(out, "\",\"id\":");
        dc09_json_string(out, (struct str){&field->id, 1});
        put(out, ",\"value\":");
        dc09_json_string(out, field->value);
        put(out, "}");
    }
    put(out, "]");
}

void dc09_payload_frame(struct buf *out, const struct dc09_frame *frame, const struct dc09_content *content)
{
    buf_append_str(out, DC09_PAYLOAD_HEAD);
    member(out, "id", frame->id_word);
    put(out, frame->encrypted ? ",\"encrypted\":true" : ",\"encrypted\":false");
    put(out, frame->crc_binary ? ",\"crc\":\"binary\"" : ",\"crc\":\"hex\"");
    member(out, "sequence", frame->seq);
    member(out, "receiver", frame->receiver);
    member(out, "line", frame->line);
    member(out, "account", frame->account);
    if (content->time_us != ALERT_NO_TIME) {
        char sent[CLOCK_RFC3339_SIZE];
        member(out, "sent", str_from(clock_format_rfc3339(content->time_us, 0, sent)));
    }
    frame_text(out, frame);
    if (frame->encrypted)
        member(out, "body", content->whole);
    extended(out, content);
}

/* Cuts the text to a maximum of bytes, at a character boundary. */
static struct str cut(struct str text, size_t most)
{
    if (text.len <= most)
        return text;
    while (most > 0 && (text.p[most] & 0xC0) == 0x80)
        most--;
    return (struct str){text.p, most};
}

static void event_object(struct buf *out, const struct dc09_event *event, size_t number, size_t of)
{
    buf_printf(out, ",\"event\":{\"number\":%zu,\"of\":%zu", number, of);
    member(out, "raw", event->raw);
    member(out, "code", event->code);
    if (event->qualifier)
        member(out, "qualifier", (struct str){&event->qualifier, 1});
    member(out, "zone", event->zone);
    member(out, "area", cut(event->area, DC09_MODIFIER_MAX));
    member(out, "user", cut(event->user, DC09_MODIFIER_MAX));
    member(out, "clock", cut(event->clock, DC09_MODIFIER_MAX));
    member(out, "text", cut(event->text, DC09_TEXT_MAX));
    if (event->meaning.flags & FLAG_VERIFIED)
        put(out, ",\"verified\":true");
    if (event->meaning.flags & FLAG_CANCEL)
        put(out, ",\"cancel\":true");
    put(out, "}");
}

void dc09_payload_event(struct buf *out, const struct dc09_event *event, size_t number, size_t of)
{
    if (event)
        event_object(out, event, number, of);
    put(out, "}");
}
