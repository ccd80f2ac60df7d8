"""A database or a journal from another time is recognised: nothing is stored twice, nothing is taken for stored."""
import shutil

from psycopg.conninfo import make_conninfo

from harness.alerts import alerts
from harness.peers import Dealer


def test_a_database_restored_to_before_is_caught_up(context, database, daemons):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "before"))
    daemon.wait_drained()
    daemon.stop()
    backup = database.copy()
    daemon.start()
    dealer.deliver(alerts(100, "after"))
    daemon.wait_drained()
    daemon.stop()
    daemon.conf.set(conninfo=backup.ingest)
    daemon.start()
    backup.wait_stored(200)
    daemon.wait_drained()
    backup.check(dealer.ledger)
    assert daemon.metric("recovered_total") == 100
    assert daemon.metric("committed_total") == 100
    daemon.stop()
    backup.drop()


def test_a_database_restored_under_a_running_daemon_is_caught_up(context, database, daemons):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "before"))
    daemon.wait_drained()
    dealer.deliver(alerts(100, "after"))
    daemon.wait_drained()
    database.execute("""
        do $$ begin
            truncate mobeye.alert, mobeye.alert_identity;
            update mobeye.journal_position set position = 0, checksum = 0;
        end $$""")
    dealer.deliver(alerts(100, "later"))
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 300


def test_an_empty_database_gets_everything_that_is_kept(context, database, daemons):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100))
    daemon.wait_drained()
    fresh = database.cluster.database()
    daemon.reload(conninfo=fresh.ingest)
    fresh.wait_stored(100)
    dealer.deliver(alerts(10, "more"))
    fresh.wait_stored(110)
    daemon.wait_drained()
    fresh.check(dealer.ledger)
    assert database.stored() == 100
    daemon.stop()
    fresh.drop()


def journal_from_before(context, database, daemons):
    """A daemon whose journal is a copy from when 100 alerts were in it, while the database has 200 of it."""
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "kept"))
    daemon.wait_drained()
    daemon.stop()
    copy = daemon.directory / "copy"
    shutil.copytree(daemon.conf.journal, copy)
    daemon.start()
    dealer.deliver(alerts(100, "rewound"))
    daemon.wait_drained()
    daemon.stop()
    shutil.rmtree(daemon.conf.journal)
    copy.rename(daemon.conf.journal)
    return daemon, dealer


def test_a_position_beyond_the_journals_end_makes_it_a_journal_of_its_own(context, database, daemons):
    daemon, dealer = journal_from_before(context, database, daemons)
    daemon.start()
    dealer.deliver(alerts(150, "new"))
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 350
    assert daemon.metric("duplicate_total") == 100, "everything that was kept was applied again"
    assert database.value("select count(*) from mobeye.journal_position") == 2


def test_another_checksum_at_the_position_makes_it_a_journal_of_its_own(context, database, daemons):
    """The rewound journal grew past the position while the database was away."""
    daemon, dealer = journal_from_before(context, database, daemons)
    daemon.conf.set(conninfo=make_conninfo(database.ingest, host="/nonexistent"))
    daemon.start()
    dealer.deliver(alerts(150, "new"))
    daemon.reload(conninfo=database.ingest)
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 350
    assert database.value("select count(*) from mobeye.journal_position") == 2


def test_a_new_disk_starts_a_new_journal(context, database, daemons):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "old"))
    daemon.wait_drained()
    daemon.stop()
    shutil.rmtree(daemon.conf.journal)
    daemon.start()
    assert dealer.deliver(alerts(100, "new"))[0] == 1
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 200


def test_the_journal_is_applied_again_on_request_without_doubles(context, daemon, database):
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100))
    daemon.wait_drained()
    done = daemon.ctl("journal", "replay", "--from", "1")
    assert done.returncode == 0, done.stderr
    daemon.wait_metric("duplicate_total", 100)
    daemon.wait_drained()
    assert daemon.metric("recovered_total") == 100
    database.check(dealer.ledger)
