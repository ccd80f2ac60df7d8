"""What results from frames of alarm panels: which device they concern, where it is, what is raised, restored, verified
and cancelled."""
import csv
import json

import pytest

from harness.daemon import mobeyectl
from harness.paths import ROOT
from harness.portal import Portal, ack, build, endpoint, event, stamp
from harness.wait import wait_until

HOME, SHOP = (5.40168265, 52.16646193), (5.36, 52.16)
LIENDERT = [[[5.39, 52.16], [5.41, 52.16], [5.41, 52.18], [5.39, 52.18], [5.39, 52.16]]]
RULES = """rules:
  - {name: signs-of-life, match: {kind: [keepalive, arm, bypass]}, action: store}
  - {name: strangers, match: {registered: false}, incident: {category: service, priority: 4, group_by: [endpoint], gap: 24h}}
  - {name: technical, match: {kind: [power, battery, comms]}, incident: {category: service, priority: 4, group_by: [device, kind], gap: 24h}}
  - {name: default, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m, settle: 10m, verify_by: {within: 5m, radius: 150m, priority: 1}}}
"""
DEVICES = [  # what stands at the table of accounts and inputs
    {"device_id": "NL-HOME", "account": "3071", "input": 1, "lon": HOME[0], "lat": HOME[1], "address": "Zonnehof 1"},
    {"device_id": "NL-SHOP", "account": "3071", "input": 2, "lon": SHOP[0], "lat": SHOP[1], "address": "Hof 2"},
    {"device_id": "NL-PANEL", "account": "40AB", "input": "", "lon": HOME[0], "lat": HOME[1], "address": "Zonnehof 9"},
    {"device_id": "NL-ZONE-7", "account": "40AB", "input": 7, "lon": "", "lat": "", "address": ""},
]


def register(database, tmp_path, devices):
    path = tmp_path / "devices.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, DEVICES[0].keys())
        table.writeheader()
        table.writerows(devices)
    done = mobeyectl("devices", "import", "--db", database.conninfo, path)
    assert done.returncode == 0, done.stderr


def draw_liendert(database, tmp_path):
    path = tmp_path / "wijken.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"code": "WK030710", "name": "Wijk 10 Liendert"},
         "geometry": {"type": "Polygon", "coordinates": LIENDERT}}]}))
    done = mobeyectl("areas", "import", "--layer", "wijk", "--db", database.conninfo, path)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def portal(database, daemons, tmp_path):
    """A panel's connection to a daemon that knows the devices and one area."""
    register(database, tmp_path, DEVICES)
    draw_liendert(database, tmp_path)
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[endpoint()], more=RULES)
    daemon.start()
    with Portal(daemon.address("portal")) as made:
        made.daemon = daemon
        yield made


def say(portal, *frames):
    """Sends frames numbered from where the connection stands, and has each acknowledged."""
    for account, data in frames:
        portal.seq = getattr(portal, "seq", 0) + 1
        id_word = "ADM-CID" if data[:1].isdigit() else "SIA-DCS"
        frame = build(f'"{id_word}"{portal.seq:04}L0#{account}[#{account}|{data}]{stamp()}')
        assert portal.ask(frame) == ack(portal.seq, account)


def incidents(database, columns):
    return database.rows(f"select {columns} from mobeye.incident order by incident_id")



def unknown_devices(database):
    """Unregistered senders with the near match of each, as the tool lists them: written soon after their alerts."""
    rows = json.loads(mobeyectl("devices", "unknown", "--json", "--db", database.conninfo).stdout)
    return {row["device_id"]: row["near"] for row in rows}


def test_the_device_is_that_of_account_and_input_then_that_of_the_account(portal, database):
    say(portal, ("3071", "Nri1/BA001"), ("3071", "1130 01 002"), ("40AB", "Nri1/BA003"), ("40ab", "Nri1/BA004"),
        ("40AB", "Nri1/BA007"), ("40AB", "Nri0/RP0000"), ("3071", "Nri1/BA009"), ("3071", "Nri0/RP0000"),
        ("BEEF", "Nri1/BA001"), ("BEEF", "Nri0/RP0000"))
    database.wait_stored(10)
    home, shop, nowhere = ("placement", *HOME, "WK030710"), ("placement", *SHOP, None), ("none", None, None, None)
    assert database.rows("select device_id, input, location_source, st_x(geom), st_y(geom), wijk_code "
                         "from mobeye.alert_decoded order by journal_seq") == [
        ("NL-HOME", 1, *home), ("NL-SHOP", 2, *shop), ("NL-PANEL", 3, *home), ("NL-PANEL", 4, *home),
        ("NL-ZONE-7", 7, *nowhere), ("NL-PANEL", None, *home),
        ("dc09:3071/9", 9, *nowhere), ("dc09:3071", None, *nowhere),
        ("dc09:BEEF/1", 1, *nowhere), ("dc09:BEEF", None, *nowhere)]
    assert {row[0] for row in database.rows("select source from patrol.alerts where device_id = 'NL-HOME'")} == {"dc09:3071"}
    unknown = database.rows("select event_id from patrol.alerts where rule = 'strangers' order by journal_seq")
    assert [event_id[:4] for event_id, in unknown] == ["0007", "0009"], "those are unregistered"
    wait_until(lambda: set(unknown_devices(database)) == {"dc09:3071/9", "dc09:3071", "dc09:BEEF/1", "dc09:BEEF"},
               "the unregistered senders are listed")


def test_a_holdup_of_an_unregistered_panel_reaches_the_patrol_by_the_sample(portal, database):
    """Also of a zone that no input can have. What else it says stays with those who keep the equipment."""
    text = (ROOT / "config/mobeyed.yaml").read_text()
    portal.daemon.reload(more=text[text.index("rules:"):])
    say(portal, ("BEEF", "NHA100001"), ("BEEF", "Nri1/PA002"), ("BEEF", "Nri1/BA003"))
    database.wait_stored(3)
    assert database.rows("select device_id, kind, input, rule, flags from patrol.alerts order by journal_seq") == [
        ("dc09:BEEF", "holdup", None, "panic", ["bad_input"]), ("dc09:BEEF/2", "panic", 2, "panic", []),
        ("dc09:BEEF/3", "intrusion", 3, "strangers", [])]
    assert database.rows("select device_id, priority from patrol.queue order by device_id") == [
        ("dc09:BEEF", 1), ("dc09:BEEF/2", 1)]


def test_accounts_compare_without_leading_zeros(portal, database, tmp_path):
    """The table of the portal after a spreadsheet. The source stays as received: it is part of the identity."""
    register(database, tmp_path, [{**DEVICES[0], "device_id": "NL-EXCEL", "account": "371", "input": 1},
                                  {**DEVICES[0], "device_id": "NL-FIRST", "account": "1", "input": ""}])
    say(portal, ("0371", "Nri1/BA001"), ("0371", "Nri1/BA002"), ("0001", "Nri1/BA001"), ("0373", "Nri1/BA001"))
    database.wait_stored(4)
    assert database.rows("select device_id, source from patrol.alerts order by journal_seq") == [
        ("NL-EXCEL", "dc09:0371"), ("dc09:0371/2", "dc09:0371"), ("NL-FIRST", "dc09:0001"), ("dc09:0373/1", "dc09:0373")]

    wait_until(lambda: unknown_devices(database) == {"dc09:0371/2": "NL-EXCEL (account 371 input 1)",
                                                     "dc09:0373/1": "NL-EXCEL (account 371 input 1)"}, "the near matches are named")
    path = tmp_path / "devices.csv"
    path.write_text("device_id,account,input\nNL-OTHER,00371,1\n")
    done = mobeyectl("devices", "import", "--db", database.conninfo, path)
    assert done.returncode == 1 and "account: account 00371 input 1 belongs to device NL-EXCEL" in done.stderr


def test_a_device_that_is_registered_while_it_reports_is_known_from_then_on(portal, database, tmp_path):
    say(portal, ("BEEF", "Nri1/BA001"))
    database.wait_stored(1)
    register(database, tmp_path, [{**DEVICES[0], "device_id": "NL-NEW", "account": "beef", "input": 1}])
    say(portal, ("BEEF", "Nri1/BA001"))
    database.wait_stored(2)
    assert database.rows("select device_id, location_source from patrol.alerts order by journal_seq") == [
        ("dc09:BEEF/1", "none"), ("NL-NEW", "placement")]


@pytest.mark.parametrize("raised, cancelled", [("BA001", "BC001"), ("BA003", "BC012"), ("BA003", "BC"), ("BV003", "BC3")],
                         ids=["the input of the alarm", "the number of a user", "no number", "written otherwise"])
def test_a_cancel_is_noted_on_its_alarm_and_closes_nothing(portal, database, raised, cancelled):
    say(portal, ("40AB", f"Nri1/{raised}"), ("40AB", f"Nri1/{cancelled}"))
    database.wait_stored(2)
    assert len({row[0] for row in database.rows("select incident_id from patrol.alerts")}) == 1
    assert database.rows("select phase, flags from patrol.alerts order by journal_seq")[1] == ("update", ["cancel"])
    assert incidents(database, "cancelled_at is not null, status, accepting, active, alert_count, closed_at, restored_at") == [
        (True, "new", True, 1, 1, None, None)]
    say(portal, ("40AB", "Nri1/BA003"))
    database.wait_stored(3)
    assert incidents(database, "status, alert_count") == [("new", 2)], "it goes on as the alarm that it is"


def test_the_number_of_a_user_finds_the_alarm_where_inputs_have_incidents_of_their_own(portal, database):
    portal.daemon.reload(more=RULES.replace("priority: 2, group_by: [device]", "priority: 2, group_by: [device, input]"))
    for count in (1, 2):
        say(portal, ("40AB", f"Nri1/BA00{2 + count}"))
        database.wait_stored(count)
    say(portal, ("40AB", "Nri1/BR004"), ("40AB", "Nri1/BC012"))
    database.wait_stored(4)
    assert incidents(database, "active, cancelled_at is not null, status") == [(1, True, "new"), (0, False, "new")]


def test_a_cancel_of_nothing_is_stored_and_makes_nothing(portal, database):
    say(portal, ("40AB", "Nri1/BC001"), ("3071", "Nri1/BA001"), ("3071", "Nri1/BC002"))
    database.wait_stored(3)
    assert incidents(database, "device_id, cancelled_at") == [("NL-HOME", None)], "the other one of the account is another set"


def test_a_panel_that_has_verified_says_so_and_the_incident_too(portal, database):
    say(portal, ("40AB", "Nri1/BA003"))
    database.wait_stored(1)
    assert incidents(database, "verified_by, priority") == [(None, 2)]
    say(portal, ("40AB", "Nri1/BV003"))
    database.wait_stored(2)
    assert incidents(database, "verified_by, priority, alert_count") == [("second_input", 1, 2)]


@pytest.mark.parametrize("restores", [["BR003", "BR004"], ["BH003", "BH004"], ["BR000"], ["BH"]],
                         ids=["BR of each", "BH of each", "BR of all", "BH of all"])
def test_restores_end_an_alarm_and_leave_it_to_people(portal, database, restores):
    say(portal, ("40AB", "Nri1/BA003"), ("40AB", "Nri1/BA004"))
    database.wait_stored(2)
    assert incidents(database, "active, restored_at") == [(2, None)]
    for restore in restores:
        say(portal, ("40AB", f"Nri1/{restore}"))
    database.wait_stored(2 + len(restores))
    assert incidents(database, "active, restored_at is not null, status, accepting, alert_count") == [(0, True, "new", True, 2)]


def test_a_restore_closes_what_is_service(portal, database):
    say(portal, ("3071", "1301 01 001"))
    database.wait_stored(1)
    say(portal, ("3071", "3301 01 001"))
    database.wait_stored(2)
    wait_until(lambda: incidents(database, "category, status, outcome") == [("service", "closed", "restored")], "closed")


def test_a_frame_of_a_raise_and_its_cancel_is_one_incident_called_off(portal, database):
    say(portal, ("40AB", "Nri1/BA003/BC001"))
    database.wait_stored(2)
    assert incidents(database, "cancelled_at is not null, status") == [(True, "new")]
