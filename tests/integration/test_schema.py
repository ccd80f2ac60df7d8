"""A database that cannot be used yet: reported once; the journal fills, and drains once it can be used."""
import pytest
from psycopg.conninfo import make_conninfo

from harness.alerts import alerts
from harness.cluster import migrate
from harness.peers import Dealer
from harness.wait import wait_until


def accepted_but_not_stored(daemon, context, count=200):
    """The daemon works without the database, and says why."""
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(count))
    metrics = daemon.metrics()
    assert metrics.total("journal_pending") == count
    assert metrics.total("committed_total") == metrics.total("quarantined_total") == 0
    assert daemon.get("/readyz")[0] == 200
    return dealer


def complaints(daemon, pattern):
    return daemon.lines(r"(?i) (warning|error) .*" + pattern)


def test_a_missing_schema_is_told_once_and_drained_after_migrate(shared_cluster, database, daemons, context):
    empty = shared_cluster.database(template=None)
    daemon = daemons(empty.ingest).start()
    dealer = accepted_but_not_stored(daemon, context)
    wait_until(lambda: complaints(daemon, "schema"), "a line about the schema")
    assert len(complaints(daemon, "schema")) == 1, daemon.log()
    done = migrate(empty.conninfo)
    assert done.returncode == 0, done.stderr
    daemon.wait_drained()
    empty.check(dealer.ledger)
    # Of several migrations it may have seen that some were applied and not yet all.
    assert len(complaints(daemon, "no schema")) == 1, daemon.log()
    daemon.stop()
    empty.drop()


def test_a_newer_schema_is_told_once_and_waited_for(database, daemons, context):
    database.execute("insert into mobeye.schema_version (version, name) values (9999, 'from the future')")
    daemon = daemons(database.ingest).start()
    dealer = accepted_but_not_stored(daemon, context)
    assert len(wait_until(lambda: complaints(daemon, "9999"), "a line about it")) == 1
    assert database.stored() == 0
    database.execute("delete from mobeye.schema_version where version = 9999")
    daemon.wait_drained()
    database.check(dealer.ledger)


def test_an_older_schema_is_told_once_and_waited_for(database, daemons, context):
    database.execute("create table version_before as table mobeye.schema_version")
    database.execute("update mobeye.schema_version set version = version - 1")
    daemon = daemons(database.ingest).start()
    dealer = accepted_but_not_stored(daemon, context)
    assert len(wait_until(lambda: complaints(daemon, "(?=.*schema)(?=.*migrate)"), "a line about it")) == 1
    database.execute("do $$ begin delete from mobeye.schema_version; insert into mobeye.schema_version table version_before; end $$")
    daemon.wait_drained()
    database.check(dealer.ledger)


def test_a_schema_that_becomes_newer_under_a_running_daemon_does_not_end_it(daemon, database, context):
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100))
    daemon.wait_drained()
    database.execute("alter table mobeye.alert rename to alert_of_tomorrow")
    dealer.deliver(alerts(100, "b"))
    daemon.wait_log(r"(?i) (warning|error) .*(database|writer)")
    assert daemon.metric("quarantined_total") == 0, "a wrong schema does not send alerts to quarantine"
    database.execute("alter table mobeye.alert_of_tomorrow rename to alert")
    daemon.wait_drained()
    assert database.value("select count(*) from mobeye.alert") == 200


@pytest.mark.parametrize("user, pattern", [("mobeye_nobody", "mobeye_nobody"), ("locked", "locked|password")],
                         ids=["unknown role", "wrong password"])
def test_a_refused_login_is_told_once_without_the_password(cluster, database, daemons, context, user, pattern):
    hba = cluster.data / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("local all locked scram-sha-256\n" + before)
    cluster.reload()
    database.execute("drop role if exists locked")
    database.execute("create role locked login password 'right'")
    try:
        daemon = daemons(make_conninfo(database.ingest, user=user, password="hunter2-secret")).start()
        dealer = accepted_but_not_stored(daemon, context)
        assert len(wait_until(lambda: complaints(daemon, pattern), "a line about it")) == 1
        assert "hunter2" not in daemon.log()
        daemon.reload(conninfo=database.ingest)
        daemon.wait_drained()
        database.check(dealer.ledger)
    finally:
        hba.write_text(before)
        cluster.reload()


def test_a_role_without_the_grants_is_told_and_nothing_is_quarantined(database, daemons, context):
    database.execute("revoke insert on mobeye.alert from mobeye_ingest")
    daemon = daemons(database.ingest).start()
    dealer = accepted_but_not_stored(daemon, context)
    daemon.wait_log(r"(?i) (warning|error) .*(permission|42501)")
    assert daemon.metric("quarantined_total") == 0
    database.execute("grant insert on mobeye.alert to mobeye_ingest")
    daemon.wait_drained()
    database.check(dealer.ledger)


def test_a_missing_database_is_told_and_waited_for(database, daemons, context):
    daemon = daemons(make_conninfo(database.ingest, dbname=database.name + "_later")).start()
    dealer = accepted_but_not_stored(daemon, context)
    daemon.wait_log(r"(?i) (warning|error) .*_later.*does not exist")
    made = database.copy()
    made.alter(f"rename to {database.name}_later")
    made.name = database.name + "_later"
    made.conninfo = make_conninfo(made.conninfo, dbname=made.name)
    daemon.wait_drained()
    made.check(dealer.ledger)
    daemon.stop()
    made.drop()


def test_migrate_twice_changes_nothing_and_keeps_what_is_stored(daemon, database, context):
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(50))
    daemon.wait_drained()
    before = database.rows("select version, applied_at from mobeye.schema_version order by 1")
    done = migrate(database.conninfo)
    assert done.returncode == 0, done.stderr
    assert database.rows("select version, applied_at from mobeye.schema_version order by 1") == before
    dealer.deliver(alerts(50, "b"))
    daemon.wait_drained()
    database.check(dealer.ledger)


def test_migrate_refuses_a_database_newer_than_itself(database):
    database.execute("insert into mobeye.schema_version (version, name) values (9999, 'from the future')")
    done = migrate(database.conninfo)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "9999" in done.stderr
