"""Stored alerts are for the rules what they were when they came: by the same rules the same results."""
import json

from harness.alerts import alert, encode, now
from harness.peers import Dealer
from harness.portal import Portal, ack, build, endpoint, stamp

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
