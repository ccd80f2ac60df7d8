"""Stored alerts are for the rules what they were when they came: by the same rules the same results."""
import json

from harness.alerts import alert, now
from harness.peers import Dealer
from harness.portal import Portal, ack, build, endpoint, stamp
from harness.wait import wait_until

HERE, THERE = (5.40168265, 52.16646193), (5.36, 52.16)
RULES = """
rules:
  - {name: person, match: {label: person}, incident: {category: alarm, priority: 1, group_by: [device, track], gap: 1h}}
  - {name: placed, match: {located: true}, incident: {category: alarm, priority: 2, group_by: [device, kind], gap: 1h}}
  - {name: rest, incident: {category: service, priority: 4, group_by: [device, kind], gap: 1h}}
"""


def replayed(daemon, database):
    done = daemon.ctl("replay", "--json", "--since", "30d", "--db", database.conninfo)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def explained(daemon, database, incident):
    done = daemon.ctl("explain", "--json", "--db", database.conninfo, "--incident", str(incident))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_codes_that_the_daemon_does_not_know_stay_apart(daemons, database):
    """As does what is no event at all, by its text."""
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[endpoint()], more=RULES)
    daemon.start()
    data = ["Nri1/XX001", "Nri1/YY001", "Nri1/?\N{LATIN SMALL LETTER E WITH ACUTE}1", "Nri1/?2", "Nri1/XX001"]
    with Portal(daemon.address("portal")) as portal:
        for seq, event in enumerate(data, 1):
            assert portal.ask(build(f'"SIA-DCS"{seq:04}L0#1234[#1234|{event}]{stamp()}')) == ack(seq)
    database.wait_stored(len(data))
    live = database.rows("select incident_id, device_id, alert_count from mobeye.incident order by 1")
    assert [count for _, _, count in live] == [2, 1, 1, 1]
    said = replayed(daemon, database)
    assert (said["stored"], said["same"], said["changes"]) == (4, 4, [])
    assert [explained(daemon, database, incident)["kind"] for incident, _, _ in live] == ["XX", "YY", "???1", "?2"]


def test_devices_are_where_they_were_when_the_alert_came(daemons, database, context):
    """Not where they were seen last: not before the first fix, and by the one before, though it is old now."""
    daemon = daemons(database.ingest, more=RULES).start()
    dealer = Dealer(context, daemon.address())

    def point(place):
        return {"type": "Point", "coordinates": list(place), "accuracy_m": 7}
    for event, minutes_ago, data in [("there", 1800, {"device": "CAM-1", "location": point(THERE)}),
                                     ("still there", 1790, {"device": "CAM-1", "kind": "tamper"}),
                                     ("somewhere", 60, {"device": "CAM-2"}),
                                     ("nowhere", 50, {"device": "CAM-2", "kind": "tamper"})]:
        dealer.ask({**alert(event, **data), "time": now(minutes_ago)})
    database.wait_stored(4)
    live = database.rows("select location_source from mobeye.alert_decoded order by journal_seq")
    assert live == [("message",), ("last_known",), ("none",), ("none",)]
    wait_until(lambda: database.value("select count(*) from mobeye.device_status") == 2, "the devices' status is written")
    database.execute("update mobeye.device_status set fix = st_setsrid(st_point(%s, %s), 4326), fix_at = now()", *HERE)
    said = replayed(daemon, database)
    assert (said["stored"], said["same"], said["changes"]) == (4, 4, [])
    incidents = database.rows("select i.incident_id, i.rule from mobeye.incident i join mobeye.alert a using (incident_id) order by journal_seq")
    explanations = [explained(daemon, database, incident) for incident, _ in incidents]
    assert [said["rule"] for said in explanations] == [rule for _, rule in incidents] == ["placed", "placed", "rest", "rest"]
    assert [said["place"] for said in explanations] == ["5.36000,52.16000 (message)", "5.36000,52.16000 (last_known)", "none", "none"]


def test_a_message_of_any_size_says_the_same_again(daemons, database, context):
    """jsonb writes it with spaces, and then it is larger than a message may be."""
    daemon = daemons(database.ingest, more=RULES).start()
    message = alert("large", device="CAM-1", kind="camera", camera={"label": "person", "track": "t"},
                    location={"type": "Point", "coordinates": list(HERE)}, readings=[1] * 32000)
    Dealer(context, daemon.address()).ask(json.dumps(message, separators=(",", ":")).encode())
    database.wait_stored(1)
    assert database.value("select octet_length(payload) < 65536 and octet_length(payload::jsonb::text) > 65536 from mobeye.alert")
    said = replayed(daemon, database)
    assert (said["stored"], said["same"], said["changes"]) == (1, 1, [])
    said = explained(daemon, database, database.value("select incident_id from mobeye.incident"))
    assert (said["rule"], said["place"]) == ("person", "5.40168,52.16646 (message)")
