/* Events, areas, zones, texts and coordinates from the data. */
#include "dc09_frames.h"

#include "ingest/dc09_data.h"

/* All events of the data, as "qualifier code zone area user clock text;". */
static void expect_events(enum dc09_id id, const char *data, const char *wanted)
{
    struct dc09_event events[8];
    struct str account;
    struct buf got = {0};
    size_t n = dc09_events(id, str_from(data), events, 8, &account);
    for (size_t i = 0; i < n && i < 8; i++)
        buf_printf(&got, "%c %.*s %.*s %.*s %.*s %.*s %.*s;", events[i].qualifier ? events[i].qualifier : '-',
                   TEXT(events[i].code), TEXT(events[i].zone), TEXT(events[i].area), TEXT(events[i].user),
                   TEXT(events[i].clock), TEXT(events[i].text));
    cr_expect(str_is(buf_str(&got), wanted), "%s: \"%.*s\" instead of \"%s\"", data, TEXT(buf_str(&got)), wanted);
    buf_free(&got);
}

Test(dc09_data, sia_events_stand_under_the_modifiers_before_them)
{
    expect_events(DC09_ID_SIA_DCS, "#1234|Nri1/BA001", "N BA 001 1   ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|Nri1/id7/ti21:14/BA1/ri2/BA2", "N BA 1 1 7 21:14 ;N BA 2 2 7 21:14 ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|NBA1/ri2/BA2", "N BA 1    ;N BA 2 2   ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|Nri1/BA1|OBA2", "N BA 1 1   ;O BA 2    ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|NBA1/BA2|Atext", "N BA 1    text;N BA 2    text;");
    expect_events(DC09_ID_SIA_DCS, "#1234|NBA1|NBA2|Atext", "N BA 1    ;N BA 2    text;");
    expect_events(DC09_ID_SIA_DCS, "#1234|NUA021*'detector hall'NM", "N UA 021    *'detector hall'NM;");
    expect_events(DC09_ID_SIA_DCS, "#1234|NBA1^a/b^/BA2", "N BA 1    ^a/b^;N BA 2    ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|NBA1^no end/BA2", "N BA 1    ^no end;N BA 2    ;");
}

Test(dc09_data, what_has_no_known_form_is_one_event_without_a_code)
{
    expect_events(DC09_ID_SIA_DCS, "#1234|hello|there", "-      ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|hello|NBA1", "N BA 1    ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|N", "-      ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|Atext", "-      ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|N{{1/b{2/B[3/{b4", "-      ;-      ;-      ;-      ;");
    expect_events(DC09_ID_ADM_CID, "#1234|130 01 001", "-      ;");
    expect_events(DC09_ID_ADM_CID, "#1234|A130 01 001", "-      ;");
    expect_events(DC09_ID_SIA_DCS, "#1234|", "");
    expect_events(DC09_ID_SIA_DCS, "#1234", "");
    expect_events(DC09_ID_SIA_DCS, "", "");
    expect_events(DC09_ID_SIA_DCS, "|||", "");
    expect_events(DC09_ID_ADM_CID, "||", "");
}

Test(dc09_data, contact_id_has_event_partition_zone)
{
    expect_events(DC09_ID_ADM_CID, "#1234|1130 01 001", "1 130 001 01   ;");
    expect_events(DC09_ID_ADM_CID, "#1234|3130  01  001", "3 130 001 01   ;");
    expect_events(DC09_ID_ADM_CID, "#1234|1130 01 001 hal", "1 130 001 01   hal;");
    expect_events(DC09_ID_ADM_CID, "#1234|1130 01 001|1131 02 002", "1 130 001 01   ;1 131 002 02   ;");
    expect_events(DC09_ID_ADM_CID, "1130", "1 130     ;");
}

Test(dc09_data, the_account_is_that_of_the_prefix)
{
    struct dc09_event events[2];
    struct str account;
    dc09_events(DC09_ID_SIA_DCS, STR("#12AB|NBA1"), events, 2, &account);
    cr_expect(str_is(account, "12AB"));
    dc09_events(DC09_ID_SIA_DCS, STR("NBA1"), events, 2, &account);
    cr_expect_eq(account.len, (size_t)0);
}

Test(dc09_data, more_events_than_room_are_counted)
{
    struct dc09_event events[2];
    struct str account;
    cr_expect_eq(dc09_events(DC09_ID_SIA_DCS, STR("NBA1/BA2/BA3|Atext"), events, 2, &account), (size_t)3);
    cr_expect(str_is(events[1].text, "text"));
}

static void expect_input(const char *data, int32_t input, bool bad)
{
    struct dc09_event event;
    struct str account;
    cr_assert_eq(dc09_events(DC09_ID_SIA_DCS, str_from(data), &event, 1, &account), (size_t)1);
    cr_expect_eq(event.input, input, "%s: %d", data, event.input);
    cr_expect_eq(event.bad_zone, bad, "%s", data);
}

Test(dc09_data, the_input_is_the_zones_number)
{
    expect_input("NBA001", 1, false);
    expect_input("NBA0", ALERT_NO_INT, false);
    expect_input("NBA0000", ALERT_NO_INT, false);
    expect_input("NBA", ALERT_NO_INT, false);
    expect_input("NBA65535", 65535, false);
    expect_input("NHA65536", ALERT_NO_INT, true);
    expect_input("NHA100001", ALERT_NO_INT, true);
    expect_input("NBA99999999999999999999", ALERT_NO_INT, true);
    expect_input("NBA000000000000065535", 65535, false);
    expect_input("NBA0000000000001", 1, false);
    expect_input("NBA1A", ALERT_NO_INT, true);
}

Test(dc09_data, coordinates_are_degrees_and_minutes_or_decimal)
{
    static const struct {
        char axis;
        const char *value;
        double degrees;
    } cases[] = {
        {'X', "005E22.800", 5.38},
        {'Y', "52N11.640", 52.194},
        {'X', "005W22.800", -5.38},
        {'Y', "52S11.640", -52.194},
        {'X', "005E00", 5},
        {'X', "180E0.0", 180},
        {'X', "5.38", 5.38},
        {'X', "+5.38", 5.38},
        {'X', "-5.38", -5.38},
        {'X', "5.38E", 5.38},
        {'X', "5.38W", -5.38},
        {'X', "W5.38", -5.38},
        {'Y', "90", 90},
        {'Y', "5.", 5},
        {'Y', ".5", .5},
    };
    static const struct {
        char axis;
        const char *value;
    } bad[] = {
        {'X', ""},
        {'X', "E"},
        {'X', "-"},
        {'X', "."},
        {'X', "180E0.1"},
        {'X', "180.1"},
        {'Y', "90.1"},
        {'Y', "-90.1"},
        {'X', "005E60"},
        {'X', "5.5E30"},
        {'X', "005N30.0"},
        {'Y', "52E30.0"},
        {'X', "1.2.3"},
        {'X', "-5.5E"},
        {'X', "E-5.5"},
        {'X', "5E3E1"},
        {'X', "nan"},
        {'X', "0x10"},
        {'X', "1e1"},
        {'X', " 5"},
        {'X', "5 "},
        {'X', "5,38"},
        {'X', "00000000000000000000000000000000000005"},
    };
    double degrees = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect(dc09_coordinate(cases[i].axis, str_from(cases[i].value), &degrees), "%s", cases[i].value);
        cr_expect_float_eq(degrees, cases[i].degrees, 1e-9, "%s: %f", cases[i].value, degrees);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(dc09_coordinate(bad[i].axis, str_from(bad[i].value), &degrees), "%s", bad[i].value);
}

Test(dc09_data, a_place_is_one_of_each_coordinate_and_what_is_else_given_is_bad)
{
    static const struct {
        const char *content;
        int given;
    } cases[] = {
        {"]", 0},          {"][X5][Y52]", 1},   {"][Y52][X5]", 1},       {"][X5]", -1},          {"][Y52]", -1},
        {"][X5][X5]", -1}, {"][Y52][Y52]", -1}, {"][X5][Y52][Y52]", -1}, {"][X5][X6][Y52]", -1}, {"][X5][Yx]", -1},
        {"][X][Y52]", -1}, {"][I5][H52]", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dc09_content content;
        double lon = 0, lat = 0;
        cr_assert(dc09_content_parse(str_from(cases[i].content), &content));
        cr_expect_eq(dc09_location(&content, &lon, &lat), cases[i].given, "%s", cases[i].content);
    }
}

Test(dc09_data, it_occurred_at_the_first_h_that_can_be_read_else_when_it_was_sent)
{
    static const struct {
        const char *content;
        int64_t occurred_us;
    } cases[] = {
        {"]", ALERT_NO_TIME},
        {"]_21:15:00,12-01-2018", 1543698900 * CLOCK_SECOND},
        {"][H21:14:59,12-01-2018]_21:15:00,12-01-2018", 1543698899 * CLOCK_SECOND},
        {"][H_21:14:59,12-01-2018]", 1543698899 * CLOCK_SECOND},
        {"][H][H_][Hx][Ix][H21:14:59,12-01-2018]_21:15:00,12-01-2018", 1543698899 * CLOCK_SECOND},
        {"][H]_21:15:00,12-01-2018", 1543698900 * CLOCK_SECOND},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dc09_content content;
        cr_assert(dc09_content_parse(str_from(cases[i].content), &content));
        cr_expect_eq(dc09_occurred_us(&content), cases[i].occurred_us, "%s", cases[i].content);
    }
}

Test(dc09_data, extended_data_has_names)
{
    static const char ids[] = "XYHVLIUSQx1";
    static const char *const words[] = {"longitude", "latitude", "occurred", "verification", "location", "text",
                                        "image",     "site",     "other",    "other",        "other"};
    for (size_t i = 0; ids[i]; i++)
        cr_expect_str_eq(dc09_field_word(ids[i]), words[i]);
}
