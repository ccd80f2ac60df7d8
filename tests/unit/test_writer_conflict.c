/* One source and id, two devices: better a duplicate than an alarm silenced by somebody else. */
#include "writer_rig.h"

RIG_SUITE(conflict);

/* What the alert with this number is: an id and a device, both letters; and its format. */
struct sent {
    const char *id, *device;
    enum alert_format format;
};

#define CE ALERT_CLOUDEVENTS
#define DC ALERT_SIA_DC09

static const struct sent *script;
static size_t script_len;

static uint64_t event_of(uint64_t seq)
{
    return (uint64_t)script[(seq - 1) % script_len].id[0];
}

static void change(struct batch_row *row, uint64_t seq)
{
    const struct sent *sent = &script[(seq - 1) % script_len];
    row->alert.device = str_from(sent->device);
    row->alert.kind = KIND_HOLDUP;
    row->alert.format = sent->format;
}

/* Sends the script `times` times, in batches of this many, and expects `rows` in the end: "id device flags". */
static void expect(const struct sent *sent, size_t n, unsigned times, size_t batch_rows, const char *rows)
{
    struct owner owner = {.total = n * times, .batch_rows = batch_rows, .event = event_of, .change = change};
    script = sent;
    script_len = n;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    RIG_EXPECT(&rig,
               "select string_agg(chr(event_id::int) || ' ' || device_id || ' ' || array_to_string(flags, '+'), ', ' "
               "order by event_id, array_to_string(flags, '+'), device_id) from mobeye.alert_decoded",
               rows);
    long long stored = rig_number(&rig, "select count(*) from mobeye.alert"),
              conflicts =
                  rig_number(&rig, "select count(*) from mobeye.alert_decoded where 'identity_conflict' = any (flags)");
    cr_expect_eq(owner.committed, (uint64_t)stored);
    cr_expect_eq(owner.conflicts, (uint64_t)conflicts);
    cr_expect_eq(owner.duplicate, owner.total - owner.committed);
    cr_expect_eq(owner.quarantined, 0u);
}

#define EXPECT(times, batch_rows, rows, ...)                                                                           \
    do {                                                                                                               \
        static const struct sent sent_[] = {__VA_ARGS__};                                                              \
        expect(sent_, sizeof(sent_) / sizeof(sent_[0]), times, batch_rows, rows);                                      \
    } while (0)

Test(conflict, another_devices_alert_is_stored_as_its_own_and_flagged)
{
    EXPECT(1, 1, "x A , x B identity_conflict", {"x", "A", CE}, {"x", "B", CE});
}

Test(conflict, both_within_one_batch)
{
    EXPECT(1, 100, "x A , x B identity_conflict, y A ", {"x", "A", CE}, {"y", "A", CE}, {"x", "B", CE});
}

Test(conflict, once_however_often_it_comes_again)
{
    EXPECT(10, 1, "x A , x B identity_conflict, x C identity_conflict", {"x", "A", CE}, {"x", "B", CE}, {"x", "A", CE},
           {"x", "C", CE}, {"x", "B", CE});
}

Test(conflict, once_within_one_batch_and_the_next)
{
    EXPECT(10, 7, "x A , x B identity_conflict, x C identity_conflict", {"x", "A", CE}, {"x", "B", CE}, {"x", "A", CE},
           {"x", "C", CE}, {"x", "B", CE});
}

Test(conflict, the_device_alone_is_what_differs)
{
    EXPECT(2, 3, "x A , y A , z B ", {"x", "A", CE}, {"y", "A", CE}, {"z", "B", CE});
}

Test(conflict, never_of_dc09)
{
    EXPECT(2, 1, "x A ", {"x", "A", DC}, {"x", "B", DC});
}

Test(conflict, never_of_dc09_within_one_batch)
{
    EXPECT(2, 100, "x A ", {"x", "A", DC}, {"x", "B", DC});
}

/* The first one's identity would otherwise be erased first, and the other be stored under it when it comes again. */
Test(conflict, both_identities_are_kept_as_long)
{
    EXPECT(1, 1, "x A ", {"x", "A", CE});
    rig_sql(&rig, "select mobeye.turn_identity_period(0)");
    struct owner owner = {.total = 1, .event = event_of, .change = change, .journal = {9}};
    static const struct sent other[] = {{"x", "B", CE}};
    script = other;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    RIG_EXPECT(&rig, "select string_agg(period::text, ' ' order by period) from mobeye.alert_identity", "1 2 2");
    /* Period 1 is past its retention; both come again. */
    rig_sql(&rig, "select mobeye.make_identity_filters(); select mobeye.erase_identities('infinity')");
    struct owner again = {.total = 2, .event = event_of, .change = change, .journal = {8}};
    static const struct sent both[] = {{"x", "A", CE}, {"x", "B", CE}};
    script = both;
    script_len = 2;
    owner_start(&again, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&again));
    owner_stop(&again);
    cr_expect_eq(again.duplicate, 2u);
}

Test(conflict, both_refused_are_both_in_quarantine)
{
    static const struct sent sent[] = {{"x", "A", CE}, {"x", "B", CE}, {"x", "A", CE}, {"y", "C", CE}};
    struct owner owner = {.total = 8, .batch_rows = 4, .event = event_of, .change = change};
    rig_sql(&rig, "alter table mobeye.alert add constraint no_x check (device_id = 'C')");
    script = sent;
    script_len = 4;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    RIG_EXPECT(&rig, "select string_agg(device_id, ' ' order by device_id) from mobeye.quarantine", "A B");
    RIG_EXPECT(&rig, "select string_agg(device_id, ' ') from mobeye.alert", "C");
    cr_expect_eq(owner.committed, 1u);
    cr_expect_eq(owner.quarantined, 2u);
    cr_expect_eq(owner.duplicate, 5u);
}

/* A quarter of the ids, three devices, and both daemons send much of the same, each in a different order. */
static uint64_t shuffled(uint64_t seq, unsigned which)
{
    uint64_t z = seq * UINT64_C(0x9E3779B97F4A7C15) + which;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    return z ^ (z >> 27);
}

static uint64_t few_events(uint64_t seq)
{
    return shuffled(seq, 1) % 1000;
}

static void one_of_three(struct batch_row *row, uint64_t seq)
{
    static const char *const devices[] = {"A", "B", "C"};
    row->alert.device = str_from(devices[shuffled(seq, 2) % 3]);
}

static uint64_t other_events(uint64_t seq)
{
    return shuffled(seq, 3) % 1000;
}

Test(conflict, two_daemons_store_each_device_once_and_one_of_them_unflagged)
{
    struct owner one = {.total = 4000, .batch_rows = 61, .event = few_events, .change = one_of_three};
    struct owner two = {.total = 4000, .batch_rows = 97, .event = other_events, .change = one_of_three, .journal = {7}};
    owner_start(&one, &rig, "a", rig.conninfo);
    owner_start(&two, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&one) && OWNER_STORED(&two));
    owner_stop(&one);
    owner_stop(&two);
    RIG_EXPECT(&rig,
               "select count(*) - count(distinct (event_id, device_id)) || ' ' || count(distinct event_id) - count(*) "
               "filter (where flags = '{}') from mobeye.alert_decoded",
               "0 0");
    long long conflicts =
        rig_number(&rig, "select count(*) from mobeye.alert_decoded where flags = '{identity_conflict}'");
    cr_expect_gt(conflicts, 1000);
    cr_expect_eq(one.conflicts + two.conflicts, (uint64_t)conflicts);
    cr_expect_eq(one.committed + two.committed, (uint64_t)rig_number(&rig, "select count(*) from mobeye.alert"));
    RIG_EXPECT(&rig, "select deadlocks from pg_stat_database where datname = current_database()", "0");
}
