/* Whatever a decoder accepts is promised to the sender: it packs, unpacks to the same, and PostgreSQL stores it. */
#include "../messages/messages.h"
#include "alert_equal.h"
#include "dc09_frames.h"
#include "enrich/location.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/validate.h"
#include "writer_rig.h"

RIG_SUITE(let_through);

#define MESSAGES MOBEYE_SOURCE "/tests/messages/cloudevents.txt"

static const struct conf bounds = {.has_bounds = true, .bounds = {3.2, 50.7, 7.3, 53.6}};

/* What was accepted, as the journal keeps it. */
static struct buf bytes;
static size_t *start;
static size_t n_records, records_cap;

static void keep_record(struct alert *alert)
{
    struct alert back;
    struct err err = {""};
    if (n_records + 1 >= records_cap) {
        records_cap = records_cap ? 2 * records_cap : 1024;
        start = mem_realloc(start, records_cap, sizeof(*start));
    }
    start[n_records] = bytes.len;
    alert->endpoint = STR("cameras");
    record_pack(&bytes, alert);
    start[++n_records] = bytes.len;
    struct str record = {bytes.data + start[n_records - 1], bytes.len - start[n_records - 1]};
    cr_assert_leq(record.len, (size_t)RECORD_MAX);
    cr_assert_eq(record_unpack(record, &back, &err), 0, "%s: %.*s", err.text, TEXT(alert->payload));
    const char *difference = alert_difference(alert, &back);
    cr_assert_null(difference, "%s differs: %.*s", difference, TEXT(alert->payload));
}

static void from_records(struct batch_row *row, uint64_t seq)
{
    struct alert *alert = &row->alert;
    uint64_t checksum = alert->checksum;
    struct str record = {bytes.data + start[seq - 1], start[seq] - start[seq - 1]};
    cr_assert_eq(record_unpack(record, alert, NULL), 0);
    location_set(alert, &bounds, NULL);
    alert->seq = seq;
    alert->checksum = checksum;
    alert->incident = NO_INCIDENT;
    row->record = record;
}

/* Stores what was kept; nothing of it may end in quarantine. */
static void expect_stored(size_t least)
{
    struct owner owner = {.total = n_records, .batch_rows = 500, .change = from_records};
    cr_assert_gt(n_records, least);
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 0u);
    cr_expect_eq(owner.committed + owner.duplicate, n_records);
    cr_expect_gt(owner.committed, least);
    cr_expect_eq(rig_number(&rig, "select count(*) from mobeye.alert"), (long long)owner.committed);
    char *refused = rig_text(&rig, "select reason || ': ' || payload from mobeye.quarantine limit 1");
    cr_expect_str_empty(refused, "%s", refused);
    free(refused);
    owner_stop(&owner);
    buf_free(&bytes);
    free(start);
}

/* ---- CloudEvents ---- */

static const char *const edges[] = {
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "-0.5",
    "99.5",
    "100",
    "100.5",
    "101",
    "-199.5",
    "-200",
    "-200.5",
    "-201",
    "90",
    "180",
    "180.0000001",
    "65535",
    "65535.5",
    "65536",
    "100001",
    "999999999",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1e7",
    "10000001",
    "9007199254740993",
    "18446744073709551616",
    "1e308",
    "1.7976931348623157e308",
    "-1e308",
    "1e309",
    "1e-300",
    "1e-16383",
    "1e-16384",
    "4.9e-324",
    "0.1e1",
    "1E+2",
    "1e1000000000000",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1,2]",
    "[5.4,52.1]",
    "[5.4,52.1,3]",
    "[180,90]",
    "[-180,-90]",
    "[0,0]",
    "[52.1,5.4]",
    "[5.4]",
    "[1e308,0]",
    "[0,0,1,1]",
    "[0,0,1,1.5]",
    "[null,1]",
    "[[[[[[[[[[[[1]]]]]]]]]]]]",
    "\"\"",
    "\"x\"",
    "\"motion\"",
    "\"panic\"",
    "\"camera\"",
    "\"restore\"",
    "\"Point\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\u0000\"",
    "\"\\uffff\"",
    "\"\xef\xbf\xbf\"",
    "\"\xf4\x8f\xbf\xbf\"",
    "\"\x7f\"",
    "\"\\u0001\"",
    "\"\xff\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999Z\"",
    "\"2026-11-23T21:04:11+14:00\"",
    "\"2026-11-23T21:04:60Z\"",
    "\"2016-12-31T23:59:60Z\"",
    "\"1969-12-31T23:59:59Z\"",
    "\"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF\"",
    "\"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG\"",
};

static const char *edge(void)
{
    return edges[below(sizeof(edges) / sizeof(edges[0]))];
}

/* ,"name":value, more often one that is as it should be. */
static void put_member(struct buf *out, const char *name, const char *good)
{
    if (below(3) > 0)
        buf_printf(out, ",\"%s\":%s", name, below(3) ? edge() : good);
}

static void put_alert(struct buf *out, unsigned round)
{
    buf_printf(out, "{\"specversion\":\"1.0\",\"id\":\"%u\",\"source\":%s,\"type\":\"mobeye.alert.v1\"", round,
               below(4) ? "\"/made\"" : edge());
    put_member(out, "time", "\"2026-11-23T21:04:11.250Z\"");
    put_member(out, "extra", "{\"a\":[1,{\"b\":null}]}");
    buf_printf(out, ",\"data\":{\"device\":%s,\"kind\":%s", below(4) ? "\"NL-1\"" : edge(),
               below(2) ? "\"camera\"" : edge());
    put_member(out, "phase", "\"raise\"");
    put_member(out, "input", "1");
    put_member(out, "battery_pct", "88");
    put_member(out, "signal_dbm", "-91");
    put_member(out, "text", "\"hal\"");
    put_member(out, "drill", "false");
    if (below(2)) {
        buf_printf(out, ",\"location\":{\"type\":\"Point\"");
        put_member(out, "coordinates", "[5.38421,52.19634]");
        put_member(out, "accuracy_m", "12");
        put_member(out, "fix_time", "\"2026-11-23T21:04:02Z\"");
        buf_printf(out, "}");
    }
    if (below(2)) {
        buf_printf(out, ",\"camera\":{\"x\":%s", edge());
        put_member(out, "label", "\"person\"");
        put_member(out, "score", "0.87");
        put_member(out, "box", "[0.1,0.2,0.3,0.6]");
        put_member(out, "track", "\"1732394651.2-x9\"");
        put_member(out, "camera_zone", "\"oprit\"");
        buf_printf(out, "}");
    }
    buf_printf(out, "}}");
}

static void decode_and_keep(struct cloudevents_decoder *decoder, struct str payload)
{
    struct alert alert;
    struct reject reject;
    if (!decode_cloudevents(decoder, payload, &alert, &reject))
        return;
    validate_time(&alert, RIG_TIME_US, NULL);
    keep_record(&alert);
}

Test(let_through, cloudevents)
{
    struct cloudevents_decoder *decoder = cloudevents_decoder_new();
    struct messages table = messages_load(MESSAGES, RIG_TIME_US);
    random_state = 12;
    for (size_t i = 0; i < table.n; i++)
        decode_and_keep(decoder, buf_str(&table.all[i].bytes));
    for (unsigned round = 0; round < 20000; round++) {
        struct buf text = {0};
        put_alert(&text, round);
        decode_and_keep(decoder, buf_str(&text));
        buf_free(&text);
    }
    messages_free(&table);
    cloudevents_decoder_free(&decoder);
    expect_stored(1000);
}

/* ---- SIA DC-09 ---- */

static void put_zone(struct buf *out)
{
    static const char *const zones[] = {"0", "65535", "65536", "100001", "999999999", "2147483648", "4294967297"};
    if (below(2)) {
        buf_printf(out, "%s", zones[below(sizeof(zones) / sizeof(zones[0]))]);
        return;
    }
    for (unsigned n = below(13); n > 0; n--)
        buf_printf(out, "%u", below(10));
}

static void put_body(struct buf *out)
{
    static const char *const extras[] = {
        "",           "[X005E22.800][Y52N11.640]", "[X180][Y90]", "[X181][Y91]", "[X][Y]",
        "[X1e9][Y1]", "[H21:15:00,12-01-2018]",    "[H]",         "[V\\\"]"};
    static const char *const times[] = {"", "_21:15:00,11-23-2026", "_23:59:60,12-31-9999", "_00:00:00,01-01-0001",
                                        "_"};
    bool sia = below(2);
    unsigned account = below(0x10000);
    buf_printf(out, "\"%s\"%04uL0#%04X[#%04X|%s", sia ? "SIA-DCS" : "ADM-CID", below(10000), account, account,
               sia ? "N" : "");
    for (unsigned n = 1 + below(4); n > 0; n--) {
        buf_printf(out, sia ? "HA" : "1%u %02u ", 100 + below(900), below(100));
        put_zone(out);
        buf_printf(out, n == 1 ? "" : sia ? "/" : "|");
    }
    buf_printf(out, "]%s%s", extras[below(sizeof(extras) / sizeof(extras[0]))],
               times[below(sizeof(times) / sizeof(times[0]))]);
}

static void frame_and_keep(struct dc09_decoder *decoder, const struct dc09_keys *keys, struct str line)
{
    struct dc09_frame frame;
    struct dc09_message message = {0};
    if (dc09_whole(line, &frame) != DC09_COMPLETE || decode_dc09(decoder, &frame, keys, &message) != DC09_COMPLETE)
        return;
    if (message.undated)
        dc09_set_identity(decoder, &message, RIG_TIME_US);
    for (size_t i = 0; i < message.n; i++) {
        validate_time(&message.alerts[i], RIG_TIME_US, NULL);
        keep_record(&message.alerts[i]);
    }
}

Test(let_through, dc09)
{
    struct dc09_decoder *decoder = dc09_decoder_new();
    struct dc09_keys *keys = load_keys();
    struct frame_cases *all = load_frames();
    random_state = 13;
    for (size_t i = 0; i < all->n; i++)
        frame_and_keep(decoder, keys, buf_str(&all->cases[i].frame));
    for (unsigned round = 0; round < 10000; round++) {
        struct dc09_frame frame;
        struct buf body = {0}, line = {0};
        const struct frame_case *c = &all->cases[below((unsigned)all->n)];
        if (below(2) || dc09_whole(buf_str(&c->frame), &frame) < DC09_NOT_UNDERSTOOD)
            put_body(&body);
        else
            buf_append_str(&body, frame.body);
        if (below(2))
            mutate(&body);
        if (body.len <= DC09_BODY_MAX)
            dc09_build(&line, buf_str(&body), below(2) == 0);
        if (line.len > 2)
            frame_and_keep(decoder, keys, (struct str){line.data + 1, line.len - 2});
        buf_free(&body);
        buf_free(&line);
    }
    free_frames(all);
    dc09_keys_free(&keys);
    dc09_decoder_free(&decoder);
    expect_stored(1000);
}
