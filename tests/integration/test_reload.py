"""SIGHUP: a good file is applied as a whole, a bad one changes nothing and is reported."""
import contextlib
import socket

import pytest
import zmq

from harness.alerts import alert, alerts, encode
from harness.paths import free_port
from harness.peers import Dealer, Load
from harness.wait import wait_until


def succeeded(daemon):
    return daemon.metric("config_last_reload_successful") == 1


def test_a_new_endpoint_is_served_and_a_removed_one_is_closed(context, daemon, database):
    door, second = daemon.conf.endpoint("door"), daemon.conf.endpoint("second", bind=f"tcp://127.0.0.1:{free_port()}")
    first = Dealer(context, daemon.address())
    first.ask(alert("one"))
    daemon.reload(endpoints=[door, second])
    assert succeeded(daemon)
    two = Dealer(context, daemon.address("second"))
    assert two.ask(alert("two")).word == b"ACK"
    assert first.ask(alert("three")).word == b"ACK"
    daemon.reload(endpoints=[second])
    assert succeeded(daemon)
    first.send(alert("unheard"))
    assert two.ask(alert("four")).word == b"ACK"
    assert not first.socket.poll(0)
    database.wait_stored(4)


def test_an_endpoint_that_stays_keeps_its_connections_and_loses_nothing(context, daemon, database):
    load = Load(daemon.address(), "stay")
    for n in range(10):
        before = load.accepted
        wait_until(lambda: load.accepted > before + 50, "the load goes on")
        daemon.reload(batch_max=10 + n, batch_wait=f"{n + 1}ms")
        assert succeeded(daemon)
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)
    assert database.stored() == len(ledger.accepted)
    assert daemon.metric("duplicate_total") == 0, "no reply was lost, so nothing was sent twice"


def test_an_endpoint_that_moves_answers_at_its_new_address(context, daemon, database):
    daemon.reload(endpoints=[daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")])
    assert Dealer(context, daemon.address()).ask(alert("moved")).seq == 1
    daemon.reload(endpoints=[daemon.conf.endpoint("door", socket="pull")])
    push = Dealer(context, daemon.address())  # a DEALER reaches no PULL; once libzmq knows, it takes no message for it
    with contextlib.suppress(zmq.Again):
        push.socket.send(encode(alert("never")), zmq.DONTWAIT)
    push.socket.close(linger=0)  # or it would reach the ROUTER that comes next
    daemon.reload(endpoints=[daemon.conf.endpoint("door")])
    assert Dealer(context, daemon.address()).ask(alert("back")).seq == 2


def test_as_many_endpoints_as_there_may_be_change_all_at_once(context, daemon):
    for kind in "old", "new":
        daemon.reload(endpoints=[daemon.conf.endpoint(f"{kind}{n}") for n in range(256)])
        assert succeeded(daemon)
    assert Dealer(context, daemon.address("new255")).ask(alert("one")).word == b"ACK"


def test_the_counters_of_an_endpoint_outlive_its_removal(context, daemon):
    Dealer(context, daemon.address()).ask(alert("one"))
    daemon.reload(endpoints=[daemon.conf.endpoint("other")])
    metrics = daemon.metrics()  # the books balance in it
    assert metrics.total("received_total") == 1


def listens(path):
    """libzmq leaves the file of a Unix socket behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


BAD = {
    "an unknown key": ("instance: test-1", "instance: test-1\nflavour: vanilla", "flavour"),
    "a duplicate key": ("instance: test-1", "instance: test-1\ninstance: test-2", "instance"),
    "a wrong type": ("batch_max: 5000", "batch_max: lots", "database.batch_max"),
    "a bad duration": ("batch_wait: 5ms", "batch_wait: 5 parsecs", "database.batch_wait"),
    "a missing section": ("endpoints:", "#endpoints:\n#", ""),
    "no YAML": ("instance: test-1", "instance: [", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_changes_nothing_and_is_told_with_its_place(context, daemon, database, name):
    old, new, key = BAD[name]
    text = daemon.conf.text()
    assert old in text
    bad = text.replace(old, new).replace("ipc:", "tcp:") if name == "no YAML" else text.replace(old, new)
    daemon.file.write_text(bad)
    daemon.hang_up()
    assert not succeeded(daemon)
    told = daemon.lines(rf"{daemon.file}:\d+:\d+: .*{key}")
    assert told, daemon.log()
    assert Dealer(context, daemon.address()).ask(alert("still")).word == b"ACK"
    database.wait_stored(1)
    daemon.reload()
    assert succeeded(daemon)


def test_half_good_is_not_half_applied(context, daemon):
    extra = daemon.conf.endpoint("extra")
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), extra])
    daemon.file.write_text(daemon.conf.text() + "nonsense: 1\n")
    daemon.hang_up()
    assert not succeeded(daemon)
    assert not listens(daemon.directory / "extra")


def test_an_address_that_is_taken_changes_nothing(context, daemons, database):
    other = daemons(database.ingest, instance="test-2")
    other.conf.set(endpoints=[other.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")])
    other.start()
    daemon = daemons(database.ingest).start()
    door = daemon.conf.endpoint("door")
    daemon.reload(endpoints=[door, daemon.conf.endpoint("new"),
                             daemon.conf.endpoint("taken", bind=other.address())])
    assert not succeeded(daemon)
    wait_until(lambda: not listens(daemon.directory / "new"), "the endpoint that could be bound is closed again")
    assert Dealer(context, door["bind"]).ask(alert("still")).word == b"ACK"
    daemon.reload(endpoints=[door])
    assert succeeded(daemon)


def test_the_database_changes_at_reload(context, daemon, database):
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(20))
    daemon.wait_drained()
    daemon.reload(instance="renamed")
    dealer.deliver(alerts(20, "b"))
    daemon.wait_drained()
    assert database.rows("select instance, count(*) from patrol.alerts group by 1 order by 1") == \
        [("renamed", 20), ("test-1", 20)]


def test_what_needs_a_restart_is_told_against_what_runs(daemon, database):
    elsewhere = daemon.conf.journal.with_name("elsewhere")
    told = f"journal.directory: change requires a restart (running: {daemon.conf.journal}, file: {elsewhere})"
    runs, daemon.conf.journal = daemon.conf.journal, elsewhere
    for again in (1, 2):
        daemon.reload()
        assert daemon.log().count(told) == again
    daemon.conf.journal = runs
    daemon.reload()
    assert daemon.log().count("change requires a restart") == 2


def test_bounds_hold_from_the_reload_on(context, daemon, database):
    dealer = Dealer(context, daemon.address())
    paris = {"location": {"type": "Point", "coordinates": [2.35, 48.85]}}
    dealer.ask(alert("free", **paris))
    database.wait_stored(1)
    daemon.reload(more="bounds: [3.2, 50.7, 7.3, 53.6]\n")
    assert succeeded(daemon), daemon.log()
    dealer.ask(alert("bound", **paris))
    database.wait_stored(2)
    assert database.alert("free")["flags"] == [] and database.alert("free")["location_source"] == "message"
    assert database.alert("bound")["flags"] == ["outside_bounds"] and database.alert("bound")["geom"] is None


RULES = """rules:
  - name: %s
    match: {registered: false, kind: motion}
    incident: {category: service, priority: 4, group_by: [endpoint], gap: %s}
  - {name: rest, action: store}
"""


def test_rules_hold_from_the_reload_on_and_bad_ones_never(context, daemon, database):
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert("before"))
    database.wait_stored(1)
    daemon.reload(more=RULES % ("strangers", "24h"))
    assert succeeded(daemon), daemon.log()
    dealer.ask(alert("after"))
    database.wait_stored(2)
    daemon.reload(more=RULES % ("other", "tomorrow"))
    assert not succeeded(daemon)
    assert daemon.lines("rules.other.incident.gap")
    dealer.ask(alert("still"))
    database.wait_stored(3)
    assert [database.alert(name)["rule"] for name in ("before", "after", "still")] == [None, "strangers", "strangers"]


def test_a_removed_file_changes_nothing(context, daemon):
    daemon.file.unlink()
    daemon.hang_up()
    assert not succeeded(daemon)
    assert daemon.lines(str(daemon.file))
    assert Dealer(context, daemon.address()).ask(alert("still")).word == b"ACK"


def test_an_endpoint_that_a_refused_reload_could_not_reopen_is_not_ready_until_it_is_bound(context, daemons):
    daemon = daemons("host=/nowhere dbname=nothing")
    place, away = daemon.directory / "place", daemon.directory / "away"
    place.mkdir()
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", bind=f"ipc://{place}/door")])
    daemon.start()
    door = Dealer(context, daemon.address())
    assert door.ask(alert("before")).word == b"ACK"
    place.rename(away)  # its address cannot be bound meanwhile
    daemon.reload(endpoints=[daemon.conf.endpoint("gate", bind=f"ipc://{place}/door")])
    assert not succeeded(daemon)
    assert daemon.get("/readyz") == (503, "not ready: endpoint door is not open\n")
    away.rename(place)
    wait_until(lambda: daemon.get("/readyz")[0] == 200, "the door is bound again")
    assert Dealer(context, f"ipc://{place}/door").ask(alert("after")).word == b"ACK"
    daemon.wait_log("endpoint door is open again")
