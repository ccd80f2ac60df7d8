/* One of the board's connections, with a simulated database. */
#include "board/db_pool.h"
#include "played_connection.h"

static struct db_pool *pool;
static struct loop *loop;
static unsigned usable; /* calls */

static void on_usable(void *ctx)
{
    (void)ctx;
    usable++;
}

/* Connected. */
static void setup(void)
{
    cr_redirect_stderr();
    loop = open_played_loop();
    usable = 0;
    pool = db_pool_new(loop, "host=db", 1, on_usable, NULL);
    connect_played();
}

static void teardown(void)
{
    db_pool_free(&pool);
    db_pool_free(&pool);
    loop_free(&loop);
}

TestSuite(db_pool, .init = setup, .fini = teardown, .timeout = 60);

#define SCHEMA "to_regproc"

Test(db_pool, a_server_without_the_schema_is_asked_again)
{
    assert_asks(SCHEMA);
    answer(1, 1, ROW("f"));
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(db_pool_ready(pool), 0);
        pass(loop, 2 * CLOCK_SECOND);
        assert_asks(SCHEMA);
        fail_query("57014");
    }
    cr_expect_not(conn.dropped);
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "expected mobeyectl migrate"), "%s", log);
    pass(loop, 2 * CLOCK_SECOND);
    answer(1, 1, ROW("t"));
    cr_expect_eq(db_pool_ready(pool), 1);
    cr_expect_eq(usable, 1);
}

Test(db_pool, a_server_that_cannot_be_used_is_left_for_the_next)
{
    assert_asks(SCHEMA);
    fail_query("25006");
    cr_expect(conn.dropped);
    pass(loop, CLOCK_HOUR);
    cr_expect_not(conn.querying);
    connect_played();
    assert_asks(SCHEMA);
    answer(1, 1, ROW("t"));
    cr_expect_eq(db_pool_ready(pool), 1);
}
