/* The server itself is stopped and started: these tests need it for themselves. */
#include "writer_rig.h"

static struct rig rig;

static void setup(void)
{
    if (!getenv("MOBEYE_PG_CTL"))
        cr_skip_test("needs a PostgreSQL that may be stopped: tests/with-postgres sets MOBEYE_PG_CTL");
    rig_open(&rig);
}

static void teardown(void)
{
    rig_close(&rig);
}

TestSuite(server, .init = setup, .fini = teardown, .timeout = 300);

static void server(const char *verb)
{
    char command[300];
    snprintf(command, sizeof(command), "%s %s", getenv("MOBEYE_PG_CTL"), verb);
    cr_assert_eq(system(command), 0, "%s failed", command);
}

Test(server, stopped_or_crashed_and_started_again)
{
    struct owner owner = {.total = 3000, .batch_rows = 50};
    owner_start(&owner, &rig, "a", rig.conninfo);
    for (uint64_t mark = 200; mark < 800; mark += 200) {
        RIG_WAIT(&rig, owner.stored_seq >= mark);
        server(mark == 200 ? "stop" : "kill");
        RIG_WAIT(&rig, !owner.up && strstr(writer_state(owner.writer), "waiting: "));
        server("start");
    }
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    PQfinish(rig.admin);
    rig_admin(&rig, rig.admin_conninfo);
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), count(distinct event_id)) from mobeye.alert", "3000 3000");
    owner_stop(&owner);
}
