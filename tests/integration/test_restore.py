"""A database restored from a backup: caught up from the journal, what was erased stays erased, what is missing is
reported."""
import json
import re
import subprocess

from harness.alerts import alerts, padded
from harness.daemon import mobeyectl
from harness.peers import Dealer
from harness.portal import Portal, endpoint, event
from harness.wait import wait_until

RULES = """
rules:
  - name: all
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}
"""
HOME = ("--device", "NL-home", "--from", "2000-01-01T00:00:00Z", "--until", "2100-01-01T00:00:00Z")


def dump(database):
    return subprocess.run(["pg_dump", "-Fc", "-d", database.conninfo], check=True, capture_output=True).stdout


def restore(database, backup):
    """As it was then, under its own name."""
    database.disconnect_all()
    database.drop()
    made = database.cluster.database(template=None)
    made.alter(f"rename to {database.name}")
    subprocess.run(["pg_restore", "--exit-on-error", "-d", database.conninfo], input=backup, check=True)


def home(prefix, count=20):
    return alerts(count, prefix, device="NL-home", text="in bed")


def about_home(database):
    return database.value("select (select count(*) from mobeye.alert where device_id = 'NL-home') "
                          "+ (select count(*) from mobeye.incident where device_id = 'NL-home')")


def test_it_is_caught_up_and_what_was_erased_stays_erased(database, daemons, context, tmp_path):
    daemon = daemons(database.ingest, more=RULES).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "before") + home("home-before"))
    daemon.wait_drained()
    backup = dump(database)
    dealer.deliver(alerts(100, "after") + home("home-after"))
    daemon.wait_drained()
    erased = mobeyectl("subject", "erase", "--yes", *HOME, "--db", database.conninfo)
    assert erased.returncode == 0 and about_home(database) == 0, erased.stderr
    log = tmp_path / "erased.log"
    log.write_text(erased.stdout)
    dealer.deliver(alerts(100, "later"))
    daemon.wait_drained()
    daemon.stop()

    restore(database, backup)
    assert database.stored() == 120
    daemon.start()
    wait_until(lambda: database.stored() == 340, "it is caught up")
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert daemon.metric("committed_total") == 220 and daemon.metric("duplicate_total") == 0
    assert daemon.metric("journal_gaps_total") == 0
    assert about_home(database) == 41
    again = mobeyectl("subject", "again", "--db", database.conninfo, log)
    assert again.returncode == 0 and again.stdout == "41 rows erased again\n", again.stderr
    assert about_home(database) == 0 and database.stored() == 300
    # The journal holds them still, and the identities say that they are known.
    assert daemon.ctl("journal", "replay", "--from", "1").returncode == 0
    daemon.wait_metric("duplicate_total", 340)
    daemon.wait_drained()
    assert about_home(database) == 0 and database.stored() == 300
    assert database.value("select alert_count from mobeye.incident") == 300
    assert json.loads(log.read_text())["device_id"] == "NL-home"


def test_what_no_journal_holds_any_more_is_a_gap_told_once(database, daemons, context):
    daemon = daemons(database.ingest, keep="0", max_size="1MiB").start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "before"))
    daemon.wait_drained()
    backup = dump(database)
    dealer.deliver([json.loads(padded(f"large-{n:03}", 30000)) for n in range(60)])
    daemon.wait_drained()
    # In the order of acceptance: what found the small journal full came again, after others.
    numbered = database.rows("select journal_seq, source, event_id from patrol.alerts where journal_seq > 100")
    daemon.stop()

    restore(database, backup)
    daemon.start()
    (line,) = daemon.wait_log(" gap: ")
    daemon.wait_drained()
    position, first = map(int, re.search(r"up to (\d+), .* from (\d+) on", line).groups())
    assert position == 100 and 101 < first <= 161
    database.disconnect_all()
    dealer.deliver(alerts(10, "new"))
    daemon.wait_drained()
    lost = {(source, event) for number, source, event in numbered if number < first}
    assert set(database.identities()) == set(dealer.ledger.accepted) - lost
    assert daemon.metric("journal_gaps_total") == 1
    assert len(daemon.lines(" gap: ")) == 1


def test_a_gap_of_a_database_that_knows_nothing_of_the_journal_is_told_too(database, daemons, context):
    daemon = daemons(database.ingest, keep="0", max_size="1MiB").start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver([json.loads(padded(f"large-{n:03}", 30000)) for n in range(60)])
    daemon.wait_drained()
    fresh = database.cluster.database()
    daemon.reload(conninfo=fresh.ingest)
    (line,) = daemon.wait_log(" gap: ")
    assert " up to 0, " in line
    assert daemon.metric("journal_gaps_total") == 1
    daemon.reload(conninfo=database.ingest)
    dealer.deliver(alerts(10, "new"))
    daemon.wait_drained()
    daemon.stop()
    fresh.drop()


def test_what_a_panel_sent_that_the_backup_does_not_know_is_erased_again(database, daemons, context, tmp_path):
    """The journal brings it back under the name of its account."""
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint()], more=RULES)
    daemon.start()
    Dealer(context, daemon.address()).deliver(alerts(5, "before"))
    daemon.wait_drained()
    backup = dump(database)
    database.execute("insert into mobeye.device (device_id) values ('NL-7')")
    database.execute("insert into mobeye.device_address (account, device_id) values ('12AB', 'NL-7')")
    database.execute("select mobeye.device_place('NL-7', 5.4, 52.16, now() - interval '1 hour', address => 'Zonnehof 271')")
    version = database.value("select value from mobeye.counter where name = 'registry'")
    daemon.wait_metric("registry_version", lambda known: known >= version)
    with Portal(daemon.address("portal")) as portal:
        portal.ask(event(1, account="012AB", zone=1))
        database.wait_stored(6)
        assert database.value("select count(*) from mobeye.alert where device_id = 'NL-7'") == 1
    daemon.wait_drained()
    database.execute("select mobeye.device_retrieve('NL-7')")
    erased = mobeyectl("subject", "erase", "--yes", "--address", "Zonnehof 271", "--db", database.conninfo)
    assert erased.returncode == 0 and database.stored() == 5, erased.stderr
    log = tmp_path / "erased.log"
    log.write_text(erased.stdout)
    daemon.stop()

    restore(database, backup)
    daemon.start()
    wait_until(lambda: database.stored() == 6, "it is caught up")
    daemon.wait_drained()
    about = "select count(*) from mobeye.incident where device_id = 'dc09:012AB/1'"
    assert database.value(about) == 1
    again = mobeyectl("subject", "again", "--db", database.conninfo, log)
    assert again.returncode == 0 and again.stdout == "2 rows erased again\n", again.stderr
    assert database.stored() == 5 and database.value(about) == 0
