/* Bad frames, one at a time and by the thousand: the documented reply or silence, never a crash; and what is encoded
 * decodes to the same. */
#include "dc09_frames.h"

/* Runs a stream through all stages; returns the result of the first frame in it and the reply. */
static enum dc09_verdict run_stream(struct str stream, struct dc09_decoder *decoder, const struct dc09_keys *keys,
                                    enum dc09_result *ret_result)
{
    static const uint8_t pad[DC09_PAD_MAX];
    static const struct dc09_policy policy = {.check_time = true};
    enum dc09_verdict first = DC09_SILENT;
    *ret_result = DC09_INCOMPLETE;
    /* Exactly as large as it is, so that a sanitizer sees a read past its end. */
    char *exact = mem_strndup(stream.p, stream.len);
    struct str rest = {exact, stream.len};
    for (bool any = false;; any = true) {
        struct dc09_frame frame;
        struct dc09_message message = {0};
        struct buf reply = {0};
        size_t used = 0;
        enum dc09_result result = dc09_scan(rest, &frame, &used);
        cr_assert_leq(used, rest.len);
        if (result == DC09_INCOMPLETE)
            break;
        cr_assert_gt(used, (size_t)0);
        if (result == DC09_COMPLETE)
            result = decode_dc09(decoder, &frame, keys, &message);
        enum dc09_verdict verdict = dc09_judge(result, &frame, &message, &policy, 1543698900 * CLOCK_SECOND, any);
        dc09_reply(&reply, verdict <= DC09_STORE_STALE ? DC09_SAY_ACK : verdict, &frame, message.key, 0, pad);
        cr_assert_eq(reply.len == 0, verdict == DC09_SILENT);
        buf_free(&reply);
        for (size_t i = 0; i < message.n; i++)
            cr_assert_leq(message.alerts[i].payload.len, (size_t)ALERT_PAYLOAD_MAX);
        if (!any) {
            first = verdict;
            *ret_result = result;
        }
        rest = (struct str){rest.p + used, rest.len - used};
    }
    free(exact);
    return first;
}

/* Whether two lines are one in all but the case of the hex in their heads, as which a flip of 0x20 comes out. */
static bool same_but_for_case(struct str a, struct str b)
{
    return a.len == b.len && strncasecmp(a.p, b.p, a.len < 9 ? a.len : 9) == 0 &&
           (a.len < 9 || memcmp(a.p + 9, b.p + 9, a.len - 9) == 0);
}

Test(dc09_robust, every_bit_flipped_in_every_frame_ends_in_silence, .timeout = 300)
{
    struct frame_cases *all = load_frames();
    struct dc09_keys *keys = load_keys();
    struct dc09_decoder *decoder = dc09_decoder_new();
    for (size_t i = 0; i < all->n; i++) {
        struct buf wire = on_the_wire(buf_str(&all->cases[i].frame));
        struct dc09_frame frame;
        if (wire.len > 200 || dc09_whole(buf_str(&wire), &frame) < DC09_NOT_UNDERSTOOD)
            wire.len = 0;
        for (size_t at = 0; at < wire.len; at++) {
            for (int bit = 0; bit < 8; bit++) {
                struct buf bad = {0};
                enum dc09_result result;
                buf_append(&bad, wire.data, wire.len);
                bad.data[at] = (char)(bad.data[at] ^ 1 << bit);
                enum dc09_verdict verdict = run_stream(buf_str(&bad), decoder, keys, &result);
                if (!same_but_for_case(buf_str(&bad), buf_str(&wire)))
                    cr_expect_eq(verdict, DC09_SILENT, "line %u, byte %zu, bit %d", all->cases[i].line, at, bit);
                buf_free(&bad);
            }
        }
        buf_free(&wire);
    }
    dc09_decoder_free(&decoder);
    dc09_keys_free(&keys);
    free_frames(all);
}

Test(dc09_robust, a_frame_cut_off_anywhere_is_incomplete_and_the_next_one_is_found)
{
    struct frame_cases *all = load_frames();
    struct dc09_keys *keys = load_keys();
    struct dc09_decoder *decoder = dc09_decoder_new();
    for (size_t i = 0; i < all->n; i++) {
        struct buf wire = on_the_wire(buf_str(&all->cases[i].frame)), next = {0};
        dc09_build(&next, STR("\"NULL\"0042L0#1234[]"), false);
        for (size_t len = 0; len < wire.len; len++) {
            enum dc09_result result;
            cr_expect_eq(run_stream((struct str){wire.data, len}, decoder, keys, &result), DC09_SILENT);
            struct buf both = {0}, found = {0};
            struct str rest;
            buf_append(&both, wire.data, len);
            buf_append_str(&both, buf_str(&next));
            rest = buf_str(&both);
            for (;;) {
                struct dc09_frame frame;
                size_t used = 0;
                result = dc09_scan(rest, &frame, &used);
                if (result == DC09_INCOMPLETE)
                    break;
                if (result == DC09_COMPLETE)
                    buf_append_str(&found, frame.seq);
                rest = (struct str){rest.p + used, rest.len - used};
            }
            cr_expect(str_is(buf_str(&found), "0042"), "line %u cut at %zu", all->cases[i].line, len);
            buf_free(&found);
            buf_free(&both);
        }
        buf_free(&wire);
        buf_free(&next);
    }
    dc09_decoder_free(&decoder);
    dc09_keys_free(&keys);
    free_frames(all);
}

Test(dc09_robust, bodies_of_any_kind_after_a_good_crc_are_stored_or_not_understood)
{
    struct frame_cases *all = load_frames();
    struct dc09_keys *keys = load_keys();
    struct dc09_decoder *decoder = dc09_decoder_new();
    random_state = 9;
    for (unsigned round = 0; round < 30000; round++) {
        const struct frame_case *c = &all->cases[below((unsigned)all->n)];
        struct dc09_frame frame;
        struct buf body = {0}, wire = {0};
        enum dc09_result result;
        if (dc09_whole(buf_str(&c->frame), &frame) < DC09_NOT_UNDERSTOOD)
            continue;
        buf_append_str(&body, frame.body);
        mutate(&body);
        if (body.len <= DC09_BODY_MAX)
            dc09_build(&wire, buf_str(&body), below(2) == 0);
        run_stream(buf_str(&wire), decoder, keys, &result);
        buf_free(&body);
        buf_free(&wire);
    }
    dc09_decoder_free(&decoder);
    dc09_keys_free(&keys);
    free_frames(all);
}

Test(dc09_robust, binary_noise_is_passed_over)
{
    struct dc09_decoder *decoder = dc09_decoder_new();
    struct buf noise = {0};
    random_state = 10;
    for (unsigned round = 0; round < 200; round++) {
        enum dc09_result result;
        noise.len = 0;
        for (unsigned i = 0; i < 10000; i++)
            buf_append(&noise, &(char){(char)(below(4) ? random_bits() : (unsigned char)"\n\r\"0"[below(4)])}, 1);
        cr_expect_eq(run_stream(buf_str(&noise), decoder, NULL, &result), DC09_SILENT);
    }
    buf_free(&noise);
    dc09_decoder_free(&decoder);
}

/* What is put into a frame, to be found again. */
struct made {
    bool cid;
    unsigned n;
    unsigned code[8]; /* into codes */
    unsigned zone[8]; /* 0: none */
    unsigned area[8];
    int64_t time_us;     /* 0: none */
    int64_t occurred_us; /* 0: none */
    bool has_place;
    double lon, lat;
    const struct dc09_key *key;
    bool crc_binary;
};

static const struct {
    const char *sia, *cid;
    enum alert_kind kind;
    enum alert_phase phase;
} codes[] = {
    {"BA", "1130", KIND_INTRUSION, PHASE_RAISE}, {"BR", "3130", KIND_INTRUSION, PHASE_RESTORE},
    {"FA", "1110", KIND_FIRE, PHASE_RAISE},      {"WR", "3113", KIND_WATER, PHASE_RESTORE},
    {"RP", "1602", KIND_KEEPALIVE, PHASE_RAISE}, {"YT", "1302", KIND_BATTERY, PHASE_RAISE},
    {"QQ", "1999", KIND_UNKNOWN, PHASE_RAISE},   {"PA", "1120", KIND_PANIC, PHASE_RAISE},
};

static const char *const key_accounts[] = {"1128", "1192", "1256"};

static struct made make(const struct dc09_keys *keys, const char **ret_account)
{
    struct made made = {.cid = below(2) == 0, .n = 1 + below(8), .crc_binary = below(3) == 0};
    for (unsigned i = 0; i < made.n; i++) {
        made.code[i] = below(sizeof(codes) / sizeof(codes[0]));
        made.zone[i] = below(3) ? below(1000) : 0;
        made.area[i] = below(100);
    }
    if (below(3))
        made.time_us = (int64_t)(1000000000 + below(1000000000)) * CLOCK_SECOND;
    if (below(3) == 0)
        made.occurred_us = (int64_t)(1000000000 + below(1000000000)) * CLOCK_SECOND;
    made.has_place = below(2) == 0;
    made.lon = (int)below(360001) / 1000.0 - 180;
    made.lat = (int)below(180001) / 1000.0 - 90;
    *ret_account = key_accounts[below(3)];
    made.key = below(2) ? dc09_keys_find(keys, str_from(*ret_account)) : NULL;
    return made;
}

/* One half of the coordinate's two forms. */
static void put_degrees(struct buf *out, char axis, double degrees)
{
    char half = axis == 'X' ? (degrees < 0 ? 'W' : 'E') : (degrees < 0 ? 'S' : 'N');
    double plain = degrees < 0 ? -degrees : degrees;
    if (below(2))
        buf_printf(out, "[%c%.6f]", axis, degrees);
    else
        buf_printf(out, "[%c%03d%c%.6f]", axis, (int)plain, half, (plain - (int)plain) * 60);
}

static void put_content(struct buf *out, const struct made *made, const char *account)
{
    char time[DC09_TIME_SIZE];
    buf_printf(out, "#%s|%s", account, made->cid ? "" : "N");
    for (unsigned i = 0; i < made->n; i++) {
        if (made->cid)
            buf_printf(out, "%s%s %02u %03u", i > 0 ? "|" : "", codes[made->code[i]].cid, made->area[i], made->zone[i]);
        else
            buf_printf(out, "%sri%u/%s%03u", i > 0 ? "/" : "", made->area[i], codes[made->code[i]].sia, made->zone[i]);
    }
    buf_printf(out, "]");
    if (made->has_place) {
        put_degrees(out, 'X', made->lon);
        put_degrees(out, 'Y', made->lat);
    }
    if (made->occurred_us)
        buf_printf(out, "[H%s]", dc09_time_format(made->occurred_us, time));
    if (made->time_us)
        buf_printf(out, "_%s", dc09_time_format(made->time_us, time));
}

static void put_frame(struct buf *out, const struct made *made, const char *account)
{
    struct buf content = {0}, body = {0};
    put_content(&content, made, account);
    buf_printf(&body, "\"%s%s\"%04uL%X#%s[", made->key ? "*" : "", made->cid ? "ADM-CID" : "SIA-DCS", below(10000),
               below(0x1000000), account);
    if (made->key) {
        uint8_t pad[DC09_PAD_MAX];
        for (size_t i = 0; i < sizeof(pad); i++)
            pad[i] = (uint8_t)random_bits();
        dc09_encrypt(made->key, buf_str(&content), pad, &body);
    } else {
        buf_append_str(&body, buf_str(&content));
    }
    dc09_build(out, buf_str(&body), made->crc_binary);
    buf_free(&content);
    buf_free(&body);
}

static void expect_made(const struct made *made, const char *account, const struct dc09_message *message)
{
    cr_assert_eq(message->n, (size_t)made->n);
    cr_expect_eq(message->key, made->key);
    cr_expect_eq(message->undated, made->time_us == 0);
    for (unsigned i = 0; i < made->n; i++) {
        const struct alert *alert = &message->alerts[i];
        char device[64];
        snprintf(device, sizeof(device), made->zone[i] ? "dc09:%s/%u" : "dc09:%s", account, made->zone[i]);
        cr_expect(str_is(alert->device, device), "%.*s", TEXT(alert->device));
        cr_expect_eq(alert->kind, codes[made->code[i]].kind);
        cr_expect_eq(alert->phase, codes[made->code[i]].phase);
        cr_expect(str_is(alert->kind_word, made->cid ? codes[made->code[i]].cid + 1 : codes[made->code[i]].sia));
        int64_t when_us = made->occurred_us ? made->occurred_us : made->time_us ? made->time_us : ALERT_NO_TIME;
        cr_expect_eq(alert->occurred_us, when_us);
        cr_expect_eq(alert->has_location, made->has_place);
        if (made->has_place) {
            cr_expect_float_eq(alert->lon, made->lon, 1e-6);
            cr_expect_float_eq(alert->lat, made->lat, 1e-6);
        }
        cr_expect_eq(alert->flags, 0u);
        char area[32];
        snprintf(area, sizeof(area), made->cid ? "\"area\":\"%02u\"" : "\"area\":\"%u\"", made->area[i]);
        cr_expect_not_null(memmem(alert->payload.p, alert->payload.len, area, strlen(area)));
    }
}

Test(dc09_robust, what_is_encoded_comes_back_when_decoded)
{
    struct dc09_keys *keys = load_keys();
    struct dc09_decoder *decoder = dc09_decoder_new();
    random_state = 11;
    for (unsigned round = 0; round < 5000; round++) {
        const char *account = NULL;
        struct made made = make(keys, &account);
        struct buf wire = {0};
        put_frame(&wire, &made, account);
        struct dc09_frame frame;
        struct dc09_message message;
        size_t used = 0;
        cr_assert_eq(dc09_scan(buf_str(&wire), &frame, &used), DC09_COMPLETE, "round %u", round);
        cr_assert_eq(used, wire.len);
        cr_assert_eq(decode_dc09(decoder, &frame, keys, &message), DC09_COMPLETE, "round %u", round);
        expect_made(&made, account, &message);
        buf_free(&wire);
    }
    dc09_decoder_free(&decoder);
    dc09_keys_free(&keys);
}
