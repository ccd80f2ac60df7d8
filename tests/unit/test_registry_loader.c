/* The registry as it is read from PostgreSQL, and kept. Needs one (writer_rig.h). */
#include "store/registry_loader.h"
#include "writer_rig.h"

static struct rig rig;
static struct registry *registry;
static struct registry_loader *loader;
static struct area_rows *areas; /* as they came last */
static unsigned current, area_loads;

static void on_areas(void *ctx, struct area_rows *rows)
{
    (void)ctx;
    area_rows_free(&areas);
    areas = rows;
    area_loads++;
}

static void on_current(void *ctx)
{
    (void)ctx;
    current++;
}

static void setup(void)
{
    rig_open(&rig);
    registry = registry_new();
    current = area_loads = 0;
}

static void teardown(void)
{
    registry_loader_free(&loader);
    registry_free(&registry);
    area_rows_free(&areas);
    rig_close(&rig);
}

TestSuite(registry_loader, .init = setup, .fini = teardown, .timeout = 300);

static void start(void)
{
    static const struct registry_loader_calls calls = {on_areas, on_current};
    loader = registry_loader_new(rig.loop, rig.conninfo, "test", registry, &calls, NULL);
    registry_loader_start(loader);
    RIG_WAIT(&rig, current > 0);
}

static uint64_t version(void)
{
    return (uint64_t)rig_number(&rig, "select value from mobeye.counter where name = 'registry'");
}

/* What was committed is read, without being asked for. */
static void wait_version(void)
{
    uint64_t wanted = version();
    RIG_WAIT(&rig, registry->version == wanted && !registry->loading);
}

static const struct device *find(const char *id)
{
    return registry_find(registry, str_from(id));
}

static void expect_address_then(const char *account, int32_t input, int64_t at_us, const char *id)
{
    struct dc09_address address;
    cr_assert(dc09_address_make(&address, str_from(account), input));
    const struct device *device = registry_find_address(registry, &address, at_us);
    cr_expect(device ? str_is(device->id, id) : id == NULL, "%s/%d", account, (int)input);
}

static void expect_address(const char *account, int32_t input, const char *id)
{
    expect_address_then(account, input, clock_wall_us(), id);
}

#define FILL                                                                                                           \
    "insert into mobeye.team values ('oost', 'Oost');"                                                                 \
    "insert into mobeye.device (device_id, device_group) values ('a', 'loan'), ('b', null), ('c', 'fixed');"           \
    "insert into mobeye.device_address values ('12AB', 1, 'a'), ('12AB', null, 'b');"                                  \
    "insert into mobeye.placement (device_id, during, geom, team) values"                                              \
    " ('a', '[2026-11-02 00:00+00,)', st_setsrid(st_makepoint(5.5, 52.5), 4326), 'oost'),"                             \
    " ('a', '[2026-11-01 00:00+00,2026-11-01 12:00+00)', st_setsrid(st_makepoint(5.25, 52.25), 4326), null)"

#define DAY_US INT64_C(1793491200000000) /* 2026-11-01T00:00Z */

Test(registry_loader, everything_is_read_after_connecting)
{
    rig_sql(&rig, FILL);
    rig_sql(&rig, "insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at,"
                  " last_occurred_at, endpoint, source, kind, fix, fix_accuracy_m, fix_at) values"
                  " ('b', true, now(), now(), now(), 'e', 's', 'motion', st_setsrid(st_makepoint(5, 52), 4326), 12,"
                  "  now() - interval '23 hours'),"
                  " ('x', false, now(), now(), now(), 'e', 's', 'motion', st_setsrid(st_makepoint(6, 53), 4326), null,"
                  "  now() - interval '1 hour'),"
                  " ('old', false, now(), now(), now(), 'e', 's', 'motion', st_setsrid(st_makepoint(6, 53), 4326), 1,"
                  "  now() - interval '25 hours')");
    start();
    cr_expect_eq(registry->n_registered, 3);
    cr_expect_eq(registry->version, version());
    const struct device *a = find("a"), *b = find("b"), *x = find("x");
    cr_assert(a && b && x && find("c"));
    cr_expect(str_is(a->group, "loan"));
    cr_expect_eq(b->group.len, 0);
    expect_address("12AB", 1, "a");
    expect_address("12AB", ALERT_NO_INT, "b");
    cr_assert_eq(a->n_placements, 2);
    cr_expect_eq(a->placements[0].from_us, DAY_US);
    cr_expect_eq(a->placements[0].until_us, DAY_US + 12 * CLOCK_HOUR);
    cr_expect_eq(a->placements[0].team.len, 0);
    cr_expect_eq(a->placements[1].from_us, DAY_US + CLOCK_DAY);
    cr_expect_eq(a->placements[1].until_us, INT64_MAX);
    cr_expect(str_is(a->placements[1].team, "oost"));
    cr_expect(a->placements[1].lon == 5.5 && a->placements[1].lat == 52.5);
    cr_expect(b->fix.lon == 5 && b->fix.lat == 52 && b->fix.accuracy_m == 12);
    cr_expect(!x->registered && x->fix.lon == 6 && isnan(x->fix.accuracy_m));
    cr_expect_null(find("old"));
}

Test(registry_loader, a_change_is_told_and_only_that_is_read)
{
    rig_sql(&rig, FILL);
    start();
    rig_sql(&rig,
            "delete from mobeye.device_status; update mobeye.device set device_group = 'lent' where device_id = 'b'");
    wait_version();
    cr_expect(str_is(find("b")->group, "lent"));
    cr_expect_eq(find("a")->n_placements, 2);
    rig_sql(&rig, "delete from mobeye.device where device_id = 'a'");
    wait_version();
    cr_expect_null(find("a"));
    expect_address("12AB", 1, "b");
    expect_address("12AC", 1, NULL);
    rig_sql(&rig, "update mobeye.device set device_id = 'bb' where device_id = 'b'");
    wait_version();
    cr_expect_null(find("b"));
    cr_expect_not_null(find("bb"));
    expect_address("12AB", ALERT_NO_INT, "bb");
    cr_expect_eq(registry->n_registered, 2);
    cr_expect_eq(registry->load, 1, "everything was read once");
}

Test(registry_loader, an_address_that_goes_from_one_device_to_another_is_that_ones)
{
    rig_sql(&rig, FILL);
    start();
    rig_sql(&rig, "begin; delete from mobeye.device_address where device_id = 'b';"
                  "insert into mobeye.device_address values ('12AB', null, 'a'); commit");
    wait_version();
    expect_address("12AB", ALERT_NO_INT, "a");
    expect_address("12AB", 1, "a");
    rig_sql(&rig, "update mobeye.device_address set device_id = 'c' where input is null");
    wait_version();
    expect_address("12AB", ALERT_NO_INT, "c");
    expect_address("12AB", 1, "a");
}

Test(registry_loader, which_device_had_an_address_is_read_too)
{
    rig_sql(&rig, FILL);
    rig_sql(&rig, "update mobeye.device_address set since = now() - interval '2 days'");
    start();
    int64_t before_us = clock_wall_us() - CLOCK_HOUR;
    rig_sql(&rig, "update mobeye.device_address set device_id = 'c' where input = 1");
    wait_version();
    expect_address_then("12AB", 1, before_us, "a");
    expect_address("12AB", 1, "c");
    registry_loader_free(&loader);
    registry_free(&registry);
    registry = registry_new();
    current = 0;
    start();
    expect_address_then("12AB", 1, before_us, "a");
    expect_address("12AB", 1, "c");
}

Test(registry_loader, where_the_log_no_longer_reaches_everything_is_read)
{
    rig_sql(&rig, FILL);
    start();
    registry_loader_free(&loader);
    rig_sql(&rig, "update mobeye.device set device_group = 'x' where device_id = 'a';");
    rig_sql(&rig, "update mobeye.device set device_group = 'y' where device_id = 'b'; delete from mobeye.registry_log");
    PGresult *since = PQexec(rig.admin, "select name from mobeye.registry_since(1) where what = 'head'");
    cr_expect_str_eq(PQgetvalue(since, 0, 0), "everything");
    PQclear(since);
    RIG_EXPECT(&rig,
               "select name from mobeye.registry_since((select value from mobeye.counter where name = 'registry'))",
               "changes");
    RIG_EXPECT(&rig, "select name from mobeye.registry_since(1000000)", "everything");
}

static int64_t start_of_us(int year)
{
    char sql[120];
    snprintf(sql, sizeof(sql), "select (extract(epoch from mobeye.vintage_start(%d)) * 1000000)::bigint", year);
    return rig_number(&rig, sql);
}

Test(registry_loader, areas_are_handed_over_when_they_change_and_only_then)
{
    rig_sql(&rig, FILL);
    start();
    cr_assert_not_null(areas);
    cr_expect_eq(areas->n, 0);
    rig_sql(&rig, "insert into mobeye.area (layer, code, name, vintage, geom) select 'wijk', 'WK' || v, 'W', v,"
                  " st_geomfromtext('MULTIPOLYGON(((5 52,6 52,6 53,5 52)))', 4326) from (values (2014), (2022)) a (v)");
    RIG_WAIT(&rig, area_loads == 2);
    cr_assert_eq(areas->n, 2);
    size_t old = areas->rows[0].vintage == 2014 ? 0 : 1;
    cr_expect(str_is(area_row_layer(areas, old), "wijk"));
    cr_expect(str_is(area_row_code(areas, old), "WK2014"));
    cr_expect_eq(areas->rows[old].from_us, start_of_us(2014));
    cr_expect_eq(areas->rows[old].until_us, start_of_us(2022));
    cr_expect_eq(areas->rows[1 - old].until_us, INT64_MAX);
    cr_expect_eq(areas->version, (uint64_t)rig_number(&rig, "select value from mobeye.counter where name = 'areas'"));
    rig_sql(&rig, "update mobeye.device set device_group = 'x' where device_id = 'a'");
    wait_version();
    unsigned before = current;
    registry_loader_refresh(loader);
    RIG_WAIT(&rig, current > before);
    cr_expect_eq(area_loads, 2);
}

Test(registry_loader, a_server_that_comes_back_is_read_again)
{
    rig_sql(&rig, FILL);
    start();
    unsigned before = current;
    rig_sql(&rig,
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'mobeyed test registry'"
            " and datname = current_database()");
    rig_sql(&rig, "delete from mobeye.device where device_id = 'c'");
    RIG_WAIT(&rig, current > before);
    cr_expect_null(find("c"));
    cr_expect_eq(registry->n_registered, 2);
}

Test(registry_loader, many_devices_are_all_read)
{
    rig_sql(
        &rig,
        "insert into mobeye.device (device_id) select 'd' || n from generate_series(1, 20000) n;"
        "insert into mobeye.device_address select upper(to_hex(n + 4096)), 1, 'd' || n from generate_series(1, 20000) n"
        " on conflict do nothing");
    start();
    cr_expect_eq(registry->n_registered, 20000);
    cr_expect_eq((long long)registry->addresses.n, rig_number(&rig, "select count(*) from mobeye.device_address"));
    rig_sql(&rig, "delete from mobeye.device where device_id <> 'd7'");
    wait_version();
    cr_expect_eq(registry->n_registered, 1);
    cr_expect_eq(registry->addresses.n, 1);
}

Test(registry_loader, without_the_right_it_tries_again)
{
    static const struct registry_loader_calls calls = {on_areas, on_current};
    rig_sql(&rig, "revoke execute on function mobeye.registry_since(bigint) from mobeye_ingest");
    loader = registry_loader_new(rig.loop, rig.conninfo, "test", registry, &calls, NULL);
    registry_loader_start(loader);
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from pg_stat_activity where datname = current_database() and "
                                    "state = 'idle' and query ~ 'registry_since'") == 1);
    cr_expect_eq(current, 0);
    rig_sql(&rig, "grant execute on function mobeye.registry_since(bigint) to mobeye_ingest");
    RIG_WAIT(&rig, current > 0);
}
