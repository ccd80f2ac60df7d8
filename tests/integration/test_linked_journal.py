"""A copy of the journal made of hard links, and in use: neither daemon loses what it accepted."""
import os
import shutil

from psycopg.conninfo import make_conninfo

from harness.alerts import alerts
from harness.peers import Dealer, Load
from harness.wait import wait_until


def link_all(source, target):
    """As cp -al, but for the lock file: with it the second daemon would be refused."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file() and path.name != "lock":
            os.link(path, target / path.name)


def test_two_daemons_on_hard_links_of_one_journal_lose_nothing(context, database, daemons):
    away = make_conninfo(database.ingest, host="/nonexistent")
    one, two = daemons(away).start(), daemons(away, instance="test-2")
    loads = [Load(one.address(), "one")]
    wait_until(lambda: loads[0].accepted > 500, "some are in the journal that is copied")
    link_all(one.conf.journal, two.conf.journal)
    two.start()
    loads.append(Load(two.address(), "two"))
    for load in loads:
        before = load.accepted
        wait_until(lambda: load.accepted > before + 1000, "both take alerts")
    ledgers = [load.stop() for load in loads]
    for daemon in (one, two):
        daemon.kill()
        daemon.conf.set(conninfo=database.ingest)
        daemon.start()
        daemon.wait_drained()
        assert daemon.metric("journal_damaged_total") == 0
    database.check(*ledgers)


def test_backups_of_hard_links_under_load_hold_what_was_accepted_before(context, database, daemons, tmp_path):
    daemon = daemons(make_conninfo(database.ingest, host="/nonexistent")).start()
    load = Load(daemon.address(), "load")
    for n in range(5):
        wait_until(lambda: load.accepted > 300 * (n + 1), "some load")
        link_all(daemon.conf.journal, tmp_path / str(n))
    ledger = load.stop()
    daemon.kill()
    shutil.rmtree(daemon.conf.journal)
    (tmp_path / "4").rename(daemon.conf.journal)
    daemon.conf.set(conninfo=database.ingest)
    daemon.start()
    daemon.wait_drained()
    assert daemon.metric("journal_damaged_total") == 0
    assert 1500 < database.stored() <= len(ledger.accepted), "the last backup, as it was when it was made"


def test_a_second_daemon_on_the_same_directory_is_refused_without_its_lock_file(context, database, daemons):
    one = daemons(database.ingest).start()
    (one.conf.journal / "lock").unlink()
    two = daemons(database.ingest, journal=one.conf.journal)
    two.launch()
    assert two.wait_exit() == 1
    assert two.lines("another process has this directory open")
    Dealer(context, one.address()).deliver(alerts(10))
    one.wait_drained()
    assert database.stored() == 10
