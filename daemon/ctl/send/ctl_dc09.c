/* mobeyectl dc09: encodes, decodes and sends SIA DC-09 frames. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/table.h"
#include "ctl/send/dc09_dial.h"
#include "ingest/dc09_payload.h"
#include "ingest/dc09_reply.h"

#define VERB "dc09"

enum { INPUT_MAX_BYTES = 64 << 20, TRIES_MAX = 1000 };

struct options {
    struct dc09_keys *keys;
    const char *to;
    int timeout_ms;
    int tries;
    bool crc_binary;
    struct ctl_call call;
};

static const char help[] = "Usage: mobeyectl dc09 encode [--keys FILE] [--binary-crc] [LINE]...\n"
                           "       mobeyectl dc09 decode [--keys FILE] [--json] [FRAME]...\n"
                           "       mobeyectl dc09 send --to HOST:PORT [--keys FILE] [--binary-crc]\n"
                           "                           [--timeout SECONDS] [--tries N] [SCENARIO]\n"
                           "Encodes, decodes and sends frames of SIA DC-09, the protocol of alarm equipment.\n\n"
                           "encode converts lines to frames; decode prints the contents of frames. Both read their\n"
                           "arguments, or standard input if there are none or the argument is -. send acts as a\n"
                           "panel: it sends the lines of a file (standard input if missing or -) one by one, waits\n"
                           "for each reply, sends a frame again unless the reply is ACK or DUH, and prints the\n"
                           "replies.\n\n"
                           "A line is a frame from its first quote on; CRC and length are computed. _now at its end\n"
                           "is the current time; _now-60s and _now+5m are relative to it. With an asterisk in the ID\n"
                           "the frame is encrypted. A line with any other beginning is sent unchanged; # begins a\n"
                           "comment.\n"
                           "  \"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001]_now\n"
                           "  \"*ADM-CID\"0002L0#1234[#1234|1130 01 001]_now\n\n"
                           "      --keys FILE        file of lines ACCOUNT HEXKEY, accessible to its owner only\n"
                           "      --binary-crc       write the CRC as 2 raw bytes\n"
                           "      --json             decode: print one JSON object per frame\n"
                           "      --to HOST:PORT     send: the receiver\n"
                           "      --timeout SECONDS  send: how long to wait for a reply (default: 5)\n"
                           "      --tries N          send: how often to send a frame at most (default: 3)\n"
                           "  -h, --help             print this help\n\n"
                           "Example:\n"
                           "  $ mobeyectl dc09 send --to 127.0.0.1:5556 evening.dc09\n\n"
                           "Exit status: 0 every frame is valid (send: acknowledged), 1 failure, or a frame is not;\n"
                           "2 usage error.\n";

/* Called with each item of input; false: it is not valid. */
typedef bool (*input_fn)(const struct options *options, struct str piece);

static int each_line(const struct options *options, struct str text, input_fn piece)
{
    int rc = CTL_OK;
    while (text.len > 0) {
        const char *end = memchr(text.p, '\n', text.len);
        struct str line = {text.p, end ? (size_t)(end - text.p) : text.len};
        if (!piece(options, line))
            rc = CTL_FAILED;
        size_t used = line.len + (end != NULL);
        text = (struct str){text.p + used, text.len - used};
    }
    return rc;
}

static bool make_frame(const struct options *options, struct str line, struct buf *out)
{
    struct err err;
    uint8_t pad[DC09_PAD_MAX];
    arc4random_buf(pad, sizeof(pad));
    int rc = dial_frame(line, options->keys, options->crc_binary, clock_wall_us(), pad, out, &err);
    if (rc < 0)
        ctl_fail(VERB, "%.*s: %s", (int)line.len, line.p, err.text);
    return rc >= 0;
}

static bool encode_line(const struct options *options, struct str line)
{
    struct buf frame = {0};
    bool ok = make_frame(options, line, &frame);
    if (ok && frame.len > 0 && isatty(STDOUT_FILENO))
        buf_append(&frame, "\n", 1); /* a frame ends with CR, so that further output would overwrite it */
    if (ok && frame.len > 0)
        fwrite(frame.data, 1, frame.len, stdout);
    buf_free(&frame);
    return ok;
}

/* Appends a frame without LF and CR; a binary CRC as 4 hex characters. */
static void append_visible(struct buf *out, const struct dc09_frame *frame)
{
    struct str text =
        frame->crc_binary && frame->raw.len >= 2 ? (struct str){frame->raw.p + 2, frame->raw.len - 2} : frame->raw;
    if (frame->crc_binary)
        buf_printf(out, "%04X", frame->crc);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c >= 0x7F)
            buf_printf(out, "\\x%02X", c);
        else
            buf_append(out, &c, 1);
    }
}

/* Appends the reply of a daemon without check_time and require_encryption; nothing for silence. */
static void append_answer(struct buf *out, enum dc09_result result, const struct dc09_frame *frame,
                          const struct dc09_message *message)
{
    static const uint8_t pad[DC09_PAD_MAX];
    const struct dc09_policy policy = {0};
    int64_t now_us = clock_wall_us();
    enum dc09_verdict verdict = dc09_judge(result, frame, message, &policy, now_us, false);
    struct buf reply = {0};
    dc09_reply(&reply, verdict == DC09_STORE ? DC09_SAY_ACK : verdict, frame, message->key, now_us, pad);
    struct dc09_frame visible;
    if (reply.len > 0 && dc09_whole(buf_str(&reply), &visible) == DC09_COMPLETE)
        append_visible(out, &visible);
    buf_free(&reply);
}

static const char *why(enum dc09_result result, const struct dc09_message *message)
{
    return message->reason ? message->reason : dc09_result_text(result);
}

static void alert_json(struct buf *out, const struct alert *alert)
{
    buf_printf(out, "{\"source\":");
    dc09_json_string(out, alert->source);
    buf_printf(out, ",\"event_id\":");
    dc09_json_string(out, alert->event_id);
    buf_printf(out, ",\"device\":");
    dc09_json_string(out, alert->device);
    buf_printf(out, ",\"kind\":\"%s\",\"kind_word\":", alert_kind_word(alert->kind));
    dc09_json_string(out, alert->kind_word);
    buf_printf(out, ",\"phase\":\"%s\"", alert_phase_word(alert->phase));
    if (alert->input != ALERT_NO_INT)
        buf_printf(out, ",\"input\":%d", alert->input);
    if (alert->occurred_us != ALERT_NO_TIME) {
        char occurred[CLOCK_RFC3339_SIZE];
        buf_printf(out, ",\"occurred\":\"%s\"", clock_format_rfc3339(alert->occurred_us, 0, occurred));
    }
    if (alert->has_location)
        buf_printf(out, ",\"lon\":%.6f,\"lat\":%.6f", alert->lon, alert->lat);
    buf_printf(out, ",\"payload\":");
    buf_append_str(out, alert->payload);
    buf_append(out, "}", 1);
}

static void print_json(enum dc09_result result, const struct dc09_frame *frame, const struct dc09_message *message)
{
    struct buf out = {0}, text = {0};
    buf_printf(&out, "{\"good\":%s,\"result\":", result == DC09_COMPLETE ? "true" : "false");
    dc09_json_string(&out, str_from(why(result, message)));
    append_visible(&text, frame);
    buf_printf(&out, ",\"frame\":");
    dc09_json_string(&out, buf_str(&text));
    text.len = 0;
    append_answer(&text, result, frame, message);
    buf_printf(&out, ",\"answer\":");
    dc09_json_string(&out, buf_str(&text));
    buf_printf(&out, ",\"alerts\":[");
    for (size_t i = 0; i < message->n; i++) {
        if (i > 0)
            buf_append(&out, ",", 1);
        alert_json(&out, &message->alerts[i]);
    }
    printf("%.*s]}\n", (int)out.len, out.data);
    buf_free(&text);
    buf_free(&out);
}

static void print_alert(const struct alert *alert)
{
    printf("  %s %s", alert_kind_word(alert->kind), alert_phase_word(alert->phase));
    printf("%s%s (%.*s)", alert->flags & FLAG_VERIFIED ? ", verified" : "",
           alert->flags & FLAG_CANCEL ? ", cancelled" : "", (int)alert->kind_word.len, alert->kind_word.p);
    printf("  %.*s", (int)alert->device.len, alert->device.p);
    char occurred[CLOCK_RFC3339_SIZE];
    if (alert->occurred_us != ALERT_NO_TIME)
        printf("  %s", clock_format_rfc3339(alert->occurred_us, 0, occurred));
    if (alert->has_location)
        printf("  %.6f,%.6f", alert->lon, alert->lat);
    printf("  id %.*s\n", (int)alert->event_id.len, alert->event_id.p);
}

static void print_text(enum dc09_result result, const struct dc09_frame *frame, const struct dc09_message *message)
{
    struct buf text = {0};
    append_visible(&text, frame);
    buf_printf(&text, "\n");
    if (result != DC09_COMPLETE)
        buf_printf(&text, "  %s\n", why(result, message));
    printf("%.*s", (int)text.len, text.data);
    for (size_t i = 0; i < message->n; i++)
        print_alert(&message->alerts[i]);
    text.len = 0;
    append_answer(&text, result, frame, message);
    printf("  answer: %.*s\n", text.len > 0 ? (int)text.len : 4, text.len > 0 ? text.data : "none");
    buf_free(&text);
}

static bool show_frame(const struct options *options, enum dc09_result result, const struct dc09_frame *frame)
{
    struct dc09_decoder *decoder = dc09_decoder_new();
    struct dc09_message message = {0};
    if (result == DC09_GARBLED && frame->raw.len > 0 && frame->raw.p[0] == '"')
        message.reason = "CRC and length before the first quote are missing (mobeyectl dc09 encode adds them)";
    if (result == DC09_COMPLETE)
        result = decode_dc09(decoder, frame, options->keys, &message);
    if (options->call.json)
        print_json(result, frame, &message);
    else
        print_text(result, frame, &message);
    dc09_decoder_free(&decoder);
    return result == DC09_COMPLETE;
}

static bool decode_input(const struct options *options, struct str piece)
{
    struct dc09_frame frame;
    if (piece.len == 0)
        return true;
    return show_frame(options, dc09_whole(piece, &frame), &frame);
}

static int decode_stream(const struct options *options, struct str bytes)
{
    if (bytes.len > 0 && !memchr(bytes.p, '\r', bytes.len))
        return each_line(options, bytes, decode_input); /* frames written by a person, one per line */
    int rc = CTL_OK;
    for (;;) {
        struct dc09_frame frame;
        size_t used = 0;
        enum dc09_result result = dc09_scan(bytes, &frame, &used);
        bytes = (struct str){bytes.p + used, bytes.len - used};
        if (result == DC09_INCOMPLETE)
            break;
        if (!show_frame(options, result, &frame))
            rc = CTL_FAILED;
    }
    return bytes.len > 0 ? ctl_fail(VERB, "the last frame is incomplete (expected LF ... CR)") : rc;
}

/* Prints the reply; returns whether it acknowledges the frame. */
static bool print_reply(const struct options *options, const struct dc09_frame *sent, const struct dc09_frame *reply,
                        enum dc09_result result)
{
    struct buf text = {0};
    append_visible(&text, reply);
    printf("< %.*s\n", (int)text.len, text.data);
    buf_free(&text);
    if (result != DC09_COMPLETE) {
        printf("  %s\n", dc09_result_text(result));
        return false;
    }
    if (reply->encrypted) {
        const struct dc09_key *key = dc09_keys_find(options->keys, reply->account);
        struct buf plain = {0}, shown = {0};
        if (key && dc09_decrypt(key, reply->content, &plain)) {
            ctl_escape(&shown, buf_str(&plain), false);
            printf("  decrypted: %.*s\n", (int)shown.len, shown.data);
        } else {
            printf("  cannot decrypt this answer\n");
        }
        buf_free(&shown);
        buf_free(&plain);
    }
    bool ours = str_eq(reply->seq, sent->seq) && str_eq(reply->account, sent->account);
    if (reply->id == DC09_ID_ACK && !ours)
        printf("  this is the answer to another frame\n");
    return reply->id == DC09_ID_ACK && ours;
}

/* Sends the frame once; returns whether it was acknowledged. *ret_final: sending it again is useless. */
static bool send_once(const struct options *options, struct dial *dial, struct str bytes, bool *ret_final)
{
    struct dc09_frame sent, reply;
    enum dc09_result result = DC09_INCOMPLETE;
    struct err err;
    struct buf text = {0};
    dc09_whole(bytes, &sent);
    append_visible(&text, &sent);
    printf("> %.*s\n", (int)text.len, text.data);
    buf_free(&text);
    switch (dial_send(dial, bytes, &reply, &result, &err)) {
    case DIAL_REPLY:
        *ret_final = result == DC09_COMPLETE && reply.id == DC09_ID_DUH;
        return print_reply(options, &sent, &reply, result);
    case DIAL_SILENCE:
        printf("  no answer within %g s\n", options->timeout_ms / 1000.0);
        break;
    case DIAL_CLOSED:
        printf("  the receiver closed the connection\n");
        break;
    case DIAL_ERROR:
        ctl_fail(VERB, "%s", err.text);
        break;
    }
    return false;
}

static int send_lines(const struct options *options, struct str text)
{
    struct dial dial = {.to = options->to, .timeout_ms = options->timeout_ms, .fd = -1};
    size_t sent = 0, acknowledged = 0, bad = 0;
    while (text.len > 0) {
        const char *end = memchr(text.p, '\n', text.len);
        struct str line = {text.p, end ? (size_t)(end - text.p) : text.len};
        text = (struct str){text.p + line.len + (end != NULL), text.len - line.len - (end != NULL)};
        struct buf frame = {0};
        if (!make_frame(options, line, &frame))
            bad++;
        bool done = frame.len == 0, final = false;
        sent += !done;
        for (int i = 0; !done && !final && i < options->tries; i++) {
            done = send_once(options, &dial, buf_str(&frame), &final);
            acknowledged += done;
            fflush(stdout);
        }
        buf_free(&frame);
    }
    dial_close(&dial);
    printf("%zu of %zu frames acknowledged\n", acknowledged, sent);
    return acknowledged == sent && bad == 0 ? CTL_OK : CTL_FAILED;
}

static int run_arguments(const struct options *options, char **arguments, input_fn piece)
{
    int rc = CTL_OK;
    for (; *arguments; arguments++)
        if (!piece(options, str_from(*arguments)))
            rc = CTL_FAILED;
    return rc;
}

static int encode_stream(const struct options *options, struct str text)
{
    return each_line(options, text, encode_line);
}

static int run_input(const struct options *options, const char *path, int (*stream)(const struct options *, struct str))
{
    struct buf text = {0};
    int rc = ctl_read(VERB, path ? path : "-", INPUT_MAX_BYTES, &text);
    if (rc == CTL_OK)
        rc = stream(options, buf_str(&text));
    buf_free(&text);
    return rc;
}

enum { ENCODE, DECODE, SEND };

static const struct ctl_verb actions[] = {
    [ENCODE] = {"encode", .takes = "keys binary-crc", .argument = "LINE", .most = INT_MAX},
    [DECODE] = {"decode", .takes = "keys json", .argument = "FRAME", .most = INT_MAX},
    [SEND] = {"send", .takes = "to keys binary-crc timeout tries", .argument = "SCENARIO", .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

static int run_action(const struct options *options)
{
    char **arguments = options->call.arguments;
    bool encode = options->call.action == ENCODE;
    bool from_stdin = !arguments[0] || (strcmp(arguments[0], "-") == 0 && !arguments[1]);
    if (options->call.action == SEND)
        return run_input(options, arguments[0], send_lines);
    if (!from_stdin)
        return run_arguments(options, arguments, encode ? encode_line : decode_input);
    return run_input(options, NULL, encode ? encode_stream : decode_stream);
}

/* CTL_GO if the option is not given (text is NULL) or is an integer from 1 to max. */
static int take_number(const char *option, const char *text, int max, const char *unit, int *ret)
{
    char *end = NULL;
    if (!text)
        return CTL_GO;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 1 || value > max)
        return ctl_usage(VERB, "--%s %s: not a number in range (expected 1 to %d%s)", option, text, max, unit);
    *ret = (int)value;
    return CTL_GO;
}

static int load_keys(const char *file, struct options *ret)
{
    struct err err;
    ret->keys = file ? dc09_keys_load(file, &err) : NULL;
    return !file || ret->keys ? CTL_GO : ctl_fail(VERB, "%s", err.text);
}

static int parse_options(int argc, char **argv, struct options *ret)
{
    const char *keys = NULL, *timeout = NULL, *tries = NULL;
    const struct ctl_option options[] = {{"keys", .text = &keys},   {"binary-crc", .flag = &ret->crc_binary},
                                         {"to", .text = &ret->to},  {"timeout", .text = &timeout},
                                         {"tries", .text = &tries}, {0}};
    struct err err;
    int seconds = 5;
    bool option_first = argc > 1 && argv[1][0] == '-';
    int status = ctl_parse(argc, argv, &verb, options, &ret->call);
    if (status == CTL_GO && option_first)
        status = ctl_usage(VERB, "options must follow encode, decode or send");
    if (status == CTL_GO)
        status = take_number("timeout", timeout, 3600, " seconds", &seconds);
    if (status == CTL_GO)
        status = take_number("tries", tries, TRIES_MAX, "", &ret->tries);
    if (status == CTL_GO && ret->call.action == SEND && !ret->to)
        status = ctl_usage(VERB, "missing option --to HOST:PORT");
    if (status == CTL_GO && ret->to && dial_check_address(ret->to, &err) != 0)
        status = ctl_usage(VERB, "--to %s", err.text);
    ret->timeout_ms = seconds * 1000;
    return status == CTL_GO ? load_keys(keys, ret) : status;
}

int ctl_dc09(int argc, char **argv)
{
    struct options options = {.tries = 3};
    int rc = parse_options(argc, argv, &options);
    if (rc == CTL_GO)
        rc = run_action(&options);
    dc09_keys_free(&options.keys);
    return rc;
}
