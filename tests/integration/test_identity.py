"""One source and id, two devices: what somebody else has sent with them does not silence an alarm."""
from harness.alerts import alert
from harness.peers import Dealer

FORGED, ALARM = alert("panel-7-0043", device="NL-OTHER", kind="keepalive"), alert("panel-7-0043", device="NL-PANEL", kind="holdup")
RULES = """rules:
  - {name: signs-of-life, match: {kind: [keepalive, arm, bypass]}, action: store}
  - {name: default, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}}
"""


def stored(database):
    return database.rows("select device_id, kind, flags, incident_id is not null from patrol.alerts order by device_id")


def test_an_alarm_whose_id_was_taken_is_stored_flagged_and_counted(context, database, daemons):
    daemon = daemons(database.ingest, more=RULES).start()
    dealer = Dealer(context, daemon.address())
    for message in [FORGED, ALARM] * 3:
        assert dealer.ask(message).word == b"ACK"
    daemon.wait_drained()
    assert stored(database) == [("NL-OTHER", "keepalive", [], False), ("NL-PANEL", "holdup", ["identity_conflict"], True)]
    scrape = daemon.metrics()
    assert scrape.total("identity_conflict_total") == 1
    assert scrape.total("committed_total") == 2 and scrape.total("duplicate_total") == 4
    assert daemon.wait_log("identity conflict: an alert of device NL-PANEL .* source /test/gateway, endpoint door")
    assert database.rows("select device_id from patrol.queue") == [("NL-PANEL",)]


def test_both_in_one_batch_after_a_kill_and_by_another_daemon(cluster, context, database, daemons):
    """The database is away while both come; the daemon is killed; a second one has them in the other order."""
    cluster.stop()
    pair = [daemons(database.ingest, instance=f"test-{n}").start() for n in (1, 2)]
    for daemon, messages in zip(pair, ([FORGED, ALARM], [ALARM, FORGED])):
        dealer = Dealer(context, daemon.address())
        for message in messages * 2:
            assert dealer.ask(message).word == b"ACK"
    pair[0].kill()
    cluster.start()
    pair[0].start()
    for daemon in pair:
        daemon.wait_drained()
    rows = stored(database)
    assert [row[0] for row in rows] == ["NL-OTHER", "NL-PANEL"]
    assert sorted(row[2] for row in rows) == [[], ["identity_conflict"]]
    scrapes = [daemon.metrics() for daemon in pair]
    assert sum(scrape.total("identity_conflict_total") for scrape in scrapes) == 1
    assert sum(scrape.total("committed_total") for scrape in scrapes) == 2
    assert sum(scrape.total("duplicate_total") for scrape in scrapes) == 6


def test_no_message_may_call_itself_a_panel_that_speaks_dc09(context, database, daemons):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    reply = dealer.ask(alert("0043", source="dc09:0371"))
    assert reply == (b"REJECT", b"0043", b"forbidden: source: must not begin with dc09:")
    assert dealer.ask(alert("0044", source="/dc09:0371")).word == b"ACK"
    assert daemon.metric("rejected_total", code="forbidden") == 1
