/* The loader of the registry with a simulated database: how it handles failures, and changes at any moment.
 * Rows: test_registry_loader. */
#include <endian.h>

#include "played_connection.h"
#include "store/registry_loader.h"
#include "store/registry_rows.h"

static struct registry *registry;
static struct registry_loader *loader;
static struct loop *loop;
static unsigned current, area_loads;

static void on_areas(void *ctx, struct area_rows *rows)
{
    (void)ctx;
    area_rows_free(&rows);
    area_loads++;
}

static void on_current(void *ctx)
{
    (void)ctx;
    current++;
}

static void setup(void)
{
    static const struct registry_loader_calls calls = {on_areas, on_current};
    cr_redirect_stderr();
    loop = open_played_loop();
    registry = registry_new();
    current = area_loads = 0;
    loader = registry_loader_new(loop, "host=db", "test", registry, &calls, NULL);
    registry_loader_reconfigure(loader, "host=db2", "test"); /* before it starts */
    registry_loader_start(loader);
    connect_played();
}

static void teardown(void)
{
    registry_loader_free(&loader);
    registry_loader_free(&loader);
    registry_free(&registry);
    loop_free(&loop);
}

TestSuite(registry_session, .init = setup, .fini = teardown, .timeout = 60);

/* A row of some binary columns; NULL: null. Its text may be gone afterwards. */
static void give_row(int columns, const struct str *values)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_SINGLE_TUPLE);
    PGresAttDesc descriptions[PLAYED_COLUMNS_MAX];
    for (int i = 0; i < columns; i++)
        descriptions[i] = (PGresAttDesc){.name = (char *)"c", .format = 1, .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, columns, descriptions));
    for (int i = 0; i < columns; i++)
        cr_assert(PQsetvalue(result, 0, i, (char *)values[i].p, values[i].p ? (int)values[i].len : -1));
    conn.calls.on_result(conn.ctx, result);
    PQclear(result);
}

/* The first row of the registry; further ones are of devices. */
static void give_head(uint64_t version, const char *what)
{
    uint64_t be = htobe64(version);
    give_row(11, (struct str[11]){{(char *)&be, 8}, STR(""), STR("head"), str_from(what)});
}

static void give_device(const char *id)
{
    give_row(11, (struct str[11]){{NULL, 0}, str_from(id), STR("device")});
}

static void answer_devices(uint64_t version, const char *what)
{
    assert_asks(REGISTRY_ROWS_SQL);
    give_head(version, what);
    end_query();
}

static void answer_version(const char *version)
{
    assert_asks("where name = 'areas'");
    answer(version ? 1 : 0, 1, ROW(version));
}

static void answer_areas(uint64_t version)
{
    uint64_t be = htobe64(version);
    assert_asks(AREA_ROWS_SQL);
    give_row(7, (struct str[7]){{(char *)&be, 8}});
    end_query();
}

static void load_all(void)
{
    answer_devices(17, "everything");
    answer_version("4");
    answer_areas(4);
    cr_assert_eq(current, 1);
}

/* The version after which changes are asked for. */
static uint64_t asked_since(void)
{
    uint64_t since;
    memcpy(&since, conn.params, sizeof(since));
    return be64toh(since);
}

Test(registry_session, a_change_is_read_alone_and_the_areas_only_if_they_are_newer)
{
    cr_expect_eq(conn.configured, 2);
    cr_expect_eq(asked_since(), 0);
    load_all();
    conn.calls.on_notify(conn.ctx, "");
    cr_expect_not(conn.querying, "not from within a notification");
    pass(loop, 0);
    cr_expect_eq(asked_since(), 17);
    conn.calls.on_notify(conn.ctx, ""); /* that change may come too late for this answer */
    answer_devices(18, "changes");
    answer_version("4");
    cr_expect_eq(current, 2);
    cr_expect_eq(area_loads, 1);
    pass(loop, 0);
    cr_expect_eq(asked_since(), 18);
    answer_devices(19, "changes");
    answer_version("5");
    answer_areas(5);
    cr_expect_eq(current, 3);
    cr_expect_eq(area_loads, 2);
    pass(loop, CLOCK_HOUR);
    cr_expect_not(conn.querying);
    registry_loader_refresh(loader);
    pass(loop, 0);
    answer_devices(19, "changes");
    answer_version(NULL); /* the row is gone: the areas that are known stay */
    cr_expect_eq(current, 4);
    cr_expect_eq(area_loads, 2);
    cr_expect_str_eq(take_log(), "");
}

Test(registry_session, after_a_failure_everything_is_read_again)
{
    for (int step = 0; step < 3; step++) {
        give_head(17, "everything");
        give_device("NL-1");
        if (step > 0)
            end_query();
        if (step > 1)
            answer_version("4");
        fail_query("57014");
        const char *log = take_log();
        cr_expect_not_null(strstr(log, "devices and areas cannot be read: the server's reason (SQLSTATE 57014)"), "%s",
                           log);
        cr_expect_eq(registry_loader_bytes(loader), 0);
        cr_expect_eq(current, 0);
        cr_expect_not(conn.querying, "it waits before it asks again");
        registry_loader_refresh(loader);
        cr_expect_not(conn.querying);
        registry_loader_suppress_log(loader, true);
        pass(loop, CLOCK_SECOND);
        assert_asks(REGISTRY_ROWS_SQL);
        cr_expect_eq(asked_since(), 0);
        fail_query("57014");
        cr_expect_str_eq(take_log(), "", "while the writer says the same");
        registry_loader_suppress_log(loader, false);
        pass(loop, CLOCK_MINUTE);
    }
    load_all();
    cr_expect_eq(registry->version, 17);
}

Test(registry_session, a_server_that_only_follows_another_is_left)
{
    fail_query("25006");
    cr_expect(conn.dropped);
    cr_expect_eq(current, 0);
    connect_played();
    load_all();
}

Test(registry_session, of_another_server_everything_is_read)
{
    load_all();
    registry_loader_reconfigure(loader, "host=db2", "test");
    cr_expect_eq(conn.configured, 2);
    registry_loader_reconfigure(loader, "host=other", "test");
    cr_expect_eq(conn.configured, 3);
    pass(loop, CLOCK_HOUR);
    connect_played();
    cr_expect_eq(asked_since(), 0);
    answer_devices(3, "everything");
    answer_version("4");
    answer_areas(4); /* of the same version, and others */
    cr_expect_eq(current, 2);
    cr_expect_eq(registry->version, 3);
}

/* The address and input of a device; its placement from that time on. */
static void give_address(const char *id, const char *account, uint32_t input)
{
    uint32_t be = htobe32(input);
    give_row(11, (struct str[11]){{NULL, 0}, str_from(id), STR("address"), str_from(account), {(char *)&be, 4}});
}

static void give_placement(const char *id, uint64_t day)
{
    uint64_t since = htobe64(day * (uint64_t)CLOCK_DAY), until = htobe64((day + 1) * (uint64_t)CLOCK_DAY);
    give_row(11, (struct str[11]){{NULL, 0},
                                  str_from(id),
                                  STR("placement"),
                                  {NULL, 0},
                                  {NULL, 0},
                                  {NULL, 0},
                                  {(char *)&since, 8},
                                  {(char *)&until, 8}});
}

Test(registry_session, a_device_may_have_many_addresses_and_placements)
{
    enum { MANY = 20 };
    assert_asks(REGISTRY_ROWS_SQL);
    give_head(17, "everything");
    give_device("NL-1");
    for (uint32_t i = 1; i <= MANY; i++) {
        give_address("NL-1", "12AB", i);
        give_placement("NL-1", i);
    }
    give_address("NL-1", "an account that is longer than any panel's", 1); /* no message can come from it */
    give_device("NL-2");
    end_query();
    const struct device *device = registry_find(registry, STR("NL-1"));
    cr_assert_not_null(device);
    cr_expect_eq(device->n_placements, MANY);
    for (int32_t i = 1; i <= MANY; i++) {
        struct dc09_address address;
        cr_assert(dc09_address_make(&address, STR("12AB"), i));
        cr_expect_eq(registry_find_address(registry, &address, 0), device, "%d", (int)i);
        cr_expect_eq(device->placements[i - 1].until_us - device->placements[i - 1].from_us, CLOCK_DAY);
    }
    cr_expect_not_null(registry_find(registry, STR("NL-2")));
}

Test(registry_session, a_server_that_refuses_to_notify_is_left)
{
    fail_query(NULL);
    conn.dropped = false;
    conn.calls.on_up(conn.ctx);
    assert_asks("listen mobeye_registry");
    fail_query("25006"); /* it follows another */
    cr_expect(conn.dropped);
    cr_expect_eq(current, 0);
    connect_played();
    load_all();
}
