/* Identities in the periods in which they were stored: each alert once, whenever a period ends. */
#include "store/identity_periods.h"
#include "writer_rig.h"

RIG_SUITE(periods);

/* Every event twice: 1 2 ... half, and again. */
static uint64_t half;

static uint64_t twice(uint64_t seq)
{
    return (seq - 1) % half + 1;
}

static void turn(void)
{
    rig_sql(&rig, "select mobeye.turn_identity_period(0)");
}

/* Ends the period after this many alerts, and again after as many; then all of them come again. */
static void expect_once(bool filters, bool after_each)
{
    struct owner owner = {.total = 0, .batch_rows = 7, .event = twice};
    half = 60;
    owner_start(&owner, &rig, "a", rig.conninfo);
    for (uint64_t total = 20; total <= 2 * half; total += 20) {
        owner_more(&owner, 20);
        RIG_WAIT(&rig, OWNER_STORED(&owner));
        if (total <= half || after_each)
            turn();
        if (filters)
            rig_sql(&rig, "select mobeye.make_identity_filters()");
    }
    owner_stop(&owner);
    cr_expect_eq(owner.committed, half);
    cr_expect_eq(owner.duplicate, half);
    RIG_EXPECT(&rig, "select count(*) || ' ' || count(distinct event_id) from mobeye.alert", "60 60");
    RIG_EXPECT(&rig, "select count(*) from mobeye.identity_period where closed_at is null", "1");
    RIG_EXPECT(&rig, "select count(distinct period) from mobeye.alert_identity", "3");
}

Test(periods, each_alert_once_where_closed_ones_have_no_filter)
{
    expect_once(false, false);
}

Test(periods, each_alert_once_where_all_have_theirs)
{
    expect_once(true, false);
}

/* A period without an identity does not end. */
Test(periods, each_alert_once_where_nothing_new_comes)
{
    expect_once(true, true);
}

/* The writer learns it only from the refusal, and the batch concerned is stored in the next period. */
Test(periods, one_that_ends_while_a_batch_is_under_way)
{
    struct owner owner = {.total = 10};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "begin; lock table mobeye.journal_position in exclusive mode");
    owner_more(&owner, 10);
    RIG_WAIT(&rig, rig_waits(&rig, "amersfoort-1"));
    turn();
    rig_sql(&rig, "commit");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    cr_expect_eq(owner.committed, 20u);
    RIG_EXPECT(&rig,
               "select string_agg(n::text, ' ') from (select count(*) as n from mobeye.alert_identity group by "
               "period order by period) as p",
               "10 10");
}

/* The same event from two devices, the second together with an alert that is refused; and the first one again. */
static const char *const two_devices[] = {"A", "B", "refused", "another", "A"};

static uint64_t event_of_two_devices(uint64_t seq)
{
    return seq == 3 || seq == 4 ? seq : 1;
}

static void make_of_two_devices(struct batch_row *row, uint64_t seq)
{
    row->alert.device = str_from(two_devices[seq - 1]);
}

Test(periods, anothers_alert_is_stored_as_its_own_beside_a_refused_one)
{
    struct owner owner = {.total = 1, .batch_rows = 2, .event = event_of_two_devices, .change = make_of_two_devices};
    rig_sql(&rig, "alter table mobeye.alert add constraint refuse check (device_id <> 'refused')");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    static const unsigned more[] = {2, 1, 1};
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        turn();
        rig_sql(&rig, "select mobeye.make_identity_filters()");
        owner_more(&owner, more[i]);
        RIG_WAIT(&rig, OWNER_STORED(&owner));
    }
    owner_stop(&owner);
    RIG_EXPECT(&rig, "select string_agg(device_id, ' ' order by device_id) from mobeye.alert", "A B another");
    cr_expect_eq(owner.conflicts, 1u);
    cr_expect_eq(owner.quarantined, 1u);
    cr_expect_eq(owner.duplicate, 1u);
}

Test(periods, a_filter_is_believed)
{
    struct owner owner = {.total = 10};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    turn();
    rig_sql(&rig, "select mobeye.make_identity_filters()");
    /* As if nothing were in it. */
    rig_sql(&rig, "update mobeye.identity_period set filter = '\\x0000000000000000' where filter is not null");
    owner_stop(&owner);
    struct owner again = {.total = 10, .journal = {2}};
    owner_start(&again, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&again));
    owner_stop(&again);
    cr_expect_eq(again.committed, 10u);
}

Test(periods, without_a_current_one_it_says_so_and_waits)
{
    struct owner owner = {.total = 10};
    rig_sql(&rig, "update mobeye.identity_period set closed_at = now()");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "no current period"));
    rig_sql(&rig, "update mobeye.identity_period set closed_at = null");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    cr_expect_eq(owner.committed, 10u);
}

static struct identity_periods read_periods(void)
{
    struct identity_periods periods = {0};
    PGresult *rows = PQexecParams(rig.admin, identity_periods_sql, 0, NULL, NULL, NULL, NULL, 1);
    cr_assert(identity_periods_take(&periods, rows));
    PQclear(rows);
    return periods;
}

static void read_slice(struct identity_period *period)
{
    struct buf values[IDENTITY_FILTER_PARAMS] = {0};
    identity_period_encode_slice(period, values);
    PGresult *row = PQexecParams(rig.admin, identity_filter_sql, IDENTITY_FILTER_PARAMS, identity_filter_types,
                                 (const char *const[]){values[0].data, values[1].data}, (const int[]){4, 4},
                                 (const int[]){1, 1}, 1);
    identity_period_take_slice(period, row);
    PQclear(row);
    buf_free(&values[0]);
    buf_free(&values[1]);
}

/* It is not consulted before all of it is here. The second is as large as a slice: only an empty one shows its end. */
Test(periods, a_large_filter_is_read_in_slices)
{
    static const int words[] = {2 * IDENTITY_FILTER_SLICE / 8 + 3, IDENTITY_FILTER_SLICE / 8}, slices[] = {3, 2};
    for (int i = 0; i < 2; i++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "insert into mobeye.alert_identity values (gen_random_uuid(), 0, %d)", i + 1);
        rig_sql(&rig, sql);
        turn();
        snprintf(
            sql, sizeof(sql),
            "update mobeye.identity_period set filter = decode(repeat('00', 8 * (%d - 1)) || repeat('ff', 8), 'hex') "
            "where period = %d",
            words[i], i + 1);
        rig_sql(&rig, sql);
        struct identity_periods periods = read_periods();
        struct identity_period *period = identity_periods_next_filter(&periods);
        cr_assert_eq(period->number, (unsigned)i + 1);
        int n = 0;
        for (; identity_periods_next_filter(&periods) == period; n++) {
            cr_expect(identity_period_may_have(period, 0));
            read_slice(period);
        }
        cr_expect_eq(n, slices[i]);
        cr_expect_eq(period->n, (size_t)words[i]);
        cr_expect_not(identity_period_may_have(period, 0));
        cr_expect(identity_period_may_have(period, (uint64_t)(words[i] - 1) << 24));
        identity_periods_clear(&periods);
        rig_sql(&rig, "update mobeye.identity_period set filter = null");
    }
}

Test(periods, a_filter_that_is_gone_between_two_slices_counts_as_not_made)
{
    for (int gone = 0; gone < 2; gone++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "insert into mobeye.alert_identity values (gen_random_uuid(), 0, %d)", gone + 1);
        rig_sql(&rig, sql);
        turn();
        snprintf(sql, sizeof(sql),
                 "update mobeye.identity_period set filter = decode(repeat('00', %d), 'hex') where period = %d",
                 2 * IDENTITY_FILTER_SLICE, gone + 1);
        rig_sql(&rig, sql);
        struct identity_periods periods = read_periods();
        struct identity_period *period = identity_periods_next_filter(&periods);
        read_slice(period);
        rig_sql(&rig, gone ? "delete from mobeye.identity_period where filter is not null"
                           : "update mobeye.identity_period set filter = null");
        read_slice(period);
        cr_expect_not(period->made);
        cr_expect(identity_period_may_have(period, 0));
        identity_periods_clear(&periods);
    }
}

/* Whatever the database puts into a filter is found in it, and little else. */
Test(periods, the_filter_knows_all_and_few_others)
{
    enum { STORED = 20000 };
    unsigned known = 0, others = 0;
    rig_sql(&rig,
            "insert into mobeye.alert_identity select md5(n::text)::uuid, 0, 1 from generate_series(1, 20000) as n");
    turn();
    rig_sql(&rig, "select mobeye.make_identity_filters()");
    struct identity_periods periods = read_periods();
    cr_assert_eq(periods.current, 2u);
    struct identity_period *period = identity_periods_next_filter(&periods);
    cr_assert_eq(period->number, 1u);
    read_slice(period);
    cr_assert_eq(period->n, STORED * 12 / 64);
    cr_expect_null(identity_periods_next_filter(&periods));
    PGresult *rows = PQexecParams(rig.admin, "select uuid_send(md5(n::text)::uuid) from generate_series(1, 40000) as n",
                                  0, NULL, NULL, NULL, NULL, 1);
    for (int i = 0; i < PQntuples(rows); i++) {
        uint64_t low;
        memcpy(&low, PQgetvalue(rows, i, 0) + 8, sizeof(low));
        *(i < STORED ? &known : &others) += identity_period_may_have(period, be64toh(low));
    }
    PQclear(rows);
    identity_periods_clear(&periods);
    cr_expect_eq(known, STORED);
    cr_expect_lt(others, STORED / 50, "%u", others);
    cr_expect_gt(others, 0u);
}
