"""Two PostgreSQL servers, the primary dies under load, its standby is promoted: nothing lost, nothing twice."""
import pytest

from harness.alerts import alert, alerts
from harness.peers import Dealer, Load
from harness.standby import Pair
from harness.wait import wait_until

RULES = """
rules:
  - name: all
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}
"""
CONNECTIONS = {"mobeyed test-1", "mobeyed test-1 registry", "mobeyed test-1 maintenance"}


@pytest.fixture(scope="module")
def servers():
    made = Pair()
    yield made
    made.close()


@pytest.fixture
def pair(servers):
    """After each test both are running again."""
    for cluster in servers.primary, servers.standby:
        cluster.recover()
    return servers


class DeviceLoad(Load):
    """From many devices; all senders use the same ones."""

    def messages(self):
        for n, message in enumerate(super().messages()):
            message["data"]["device"] = f"NL-0307-{n % 40:05}"
            yield message


def loads(daemon):
    return [DeviceLoad(daemon.address(), f"load{n}", source=f"/test/{n}", window=window)
            for n, window in enumerate((1, 20, 100))]


def some_accepted(senders, count):
    before = sum(sender.accepted for sender in senders)
    wait_until(lambda: sum(sender.accepted for sender in senders) >= before + count, f"{count} more accepted", every=0.001)


def some_stored(daemon, count=1000):
    before = daemon.metric("committed_total")
    daemon.wait_metric("committed_total", lambda value: value >= before + count)


def check_incidents(database):
    """Every alert is in one, which has counted it; no two accept alerts of one key."""
    assert database.value("select count(*) from mobeye.alert where incident_id is null") == 0
    wrong = database.rows("""
        select i.incident_id, i.alert_count, count(a) from mobeye.incident i left join mobeye.alert a using (incident_id)
         group by i.incident_id, i.alert_count having i.alert_count <> count(a)""")
    assert not wrong, f"incidents that counted other than they have: {wrong[:5]}"
    assert not database.rows("select incident_key from mobeye.incident where accepting group by 1 having count(*) > 1")
    numbers = database.rows("select change_id from patrol.changes")
    assert len(numbers) == len(set(numbers)), "a change has the number of another"


def check_connections(daemon, database, context):
    """Writer, registry and maintenance have found this server, and each works there."""
    wait_until(lambda: CONNECTIONS <= {name for name, in database.rows(
        "select application_name from pg_stat_activity where datname = current_database()")}, "all three connections")
    wait_until(lambda: database.value("select count(*) from mobeye.daemon where alive_at > pg_postmaster_start_time()"),
               "maintenance reports")
    database.execute("insert into mobeye.device (device_id) values ('NL-placed')")
    database.execute("select mobeye.device_place('NL-placed', 5.38421, 52.19634)")
    dealer = Dealer(context, daemon.address())
    assert dealer.ask(alert("placed", device="NL-placed")).word == b"ACK"
    wait_until(lambda: database.rows("select from patrol.alerts where event_id = 'placed'"), "it is stored")
    assert database.alert("placed")["location_source"] == "placement", "the registry knows what is new here"
    dealer.ledger.sent.add((alert("placed")["source"], "placed"))
    return dealer


def test_a_promoted_standby_takes_over_without_loss_or_double(pair, daemons, context):
    database = pair.primary.database()
    pair.follow()
    daemon = daemons(pair.conninfo(database), batch_max=200, more=RULES).start()
    senders = loads(daemon)
    for _ in range(2):
        some_stored(daemon)
        pair.primary.kill()
        some_accepted(senders, 1000)
        pair.promote()
        some_stored(daemon)
        pair.follow()
    ledgers = [sender.stop() for sender in senders]
    database = pair.database(database.name)
    ledgers.append(check_connections(daemon, database, context).ledger)
    daemon.wait_drained()
    print(f"{sum(len(ledger.accepted) for ledger in ledgers)} accepted, {database.stored()} stored")
    database.check(*ledgers)
    check_incidents(database)
    daemon.stop()
    database.drop()


def test_what_an_asynchronous_standby_lacked_is_stored_again(pair, daemons, context):
    database = pair.primary.database()
    pair.follow(synchronous=False)
    daemon = daemons(pair.conninfo(database), more=RULES).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(300, "before"))
    there = pair.standby_of(database)
    wait_until(lambda: there.stored() == 300, "the standby has them")
    pair.cut()
    dealer.deliver(alerts(300, "lost"))
    database.wait_stored(600)
    assert there.stored() == 300
    pair.primary.kill()
    pair.promote()
    dealer.deliver(alerts(300, "after"))
    there.wait_stored(900)
    daemon.wait_drained()
    there.check(dealer.ledger)
    check_incidents(there)
    assert daemon.metric("recovered_total") == 300
    daemon.stop()
    there.drop()


def test_while_commits_wait_for_a_standby_alerts_are_accepted(pair, daemons, context):
    """The primary dies and comes back meanwhile: what it had committed for itself counts once."""
    database = pair.primary.database()
    pair.follow()
    daemon = daemons(pair.conninfo(database), more=RULES).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(100, "before"))
    daemon.wait_drained()
    pair.standby.stop()
    dealer.deliver(alerts(300, "waiting"))
    wait_until(lambda: database.rows("select from pg_stat_activity where wait_event = 'SyncRep'"), "a COMMIT that waits")
    assert daemon.metric("committed_total") == 100
    pair.primary.kill()
    dealer.deliver(alerts(300, "without"))
    pair.primary.start()
    pair.standby.start()
    daemon.wait_drained()
    database.check(dealer.ledger)
    check_incidents(database)
    assert daemon.metric("committed_total") == 700
    daemon.stop()
    database.drop()


def test_a_standby_that_is_named_first_is_passed_by(pair, daemons, context):
    """If the conninfo accepts any server, each connection finds out by itself that this one accepts no writes."""
    database = pair.primary.database()
    pair.follow()
    daemon = daemons(pair.conninfo(database, target_session_attrs="any", standby_first=True), more=RULES).start()
    daemon.wait_log("connected to .*" + pair.standby.data.parent.name, 3)
    ledger = check_connections(daemon, database, context).ledger
    daemon.wait_drained()
    database.check(ledger)
    daemon.stop()
    database.drop()
