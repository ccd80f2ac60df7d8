"""Where an alert is: from its message, from where the device was placed, from where it was last; and in which areas."""
import datetime
import threading

import psycopg
import pytest

from harness.alerts import alert, alerts, now
from harness.peers import Dealer
from harness.portal import Portal, endpoint, event
from harness.wait import wait_until

# A point of Liendert, one of a street away, and one across the town.
HERE, THERE, ELSEWHERE = (5.40168265, 52.16646193), (5.405, 52.168), (5.36, 52.16)
LIENDERT = "POLYGON((5.39 52.16,5.41 52.16,5.41 52.18,5.39 52.18,5.39 52.16))"
ISSELT = "POLYGON((5.35 52.15,5.37 52.15,5.37 52.17,5.35 52.17,5.35 52.15))"
BOUNDS = "bounds: [3.2, 50.7, 7.3, 53.6]\n"
RULES = """rules:
  - {name: signs, match: {kind: arm}, action: store}
  - {name: default, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h}}
"""


def ago(**how):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**how)


@pytest.fixture
def registry(database):
    return Registry(database)


class Registry:
    """What the people who manage devices and areas do."""

    def __init__(self, database):
        self.database = database

    def device(self, device, group=None, account=None, input=None):
        self.database.execute("insert into mobeye.device (device_id, device_group) values (%s, %s)", device, group)
        if account:
            self.database.execute("insert into mobeye.device_address values (%s, %s, %s)", account, input, device)

    def place(self, device, place, since=None):
        self.database.execute("select mobeye.device_place(%s, %s, %s, %s)", device, *place, since or ago(days=1))

    def area(self, layer, code, wkt, vintage=None):
        self.database.execute("insert into mobeye.area (layer, code, name, vintage, geom) "
                              "values (%s, %s, %s, %s, st_multi(st_geomfromtext(%s, 4326)))", layer, code, code, vintage, wkt)

    def version(self, name="registry"):
        return self.database.value("select value from mobeye.counter where name = %s", name)

    def wait_read(self, daemon):
        """The daemon has what the database has."""
        for name in ("registry", "areas"):
            daemon.wait_metric(f"{name}_version", self.version(name))


def place_of(database, event_id):
    """(source, lon, lat) of a stored alert."""
    row = database.rows("select location_source, st_x(geom), st_y(geom) from patrol.alerts where event_id = %s", event_id)
    assert len(row) == 1
    return row[0]


def test_a_set_without_coordinates_is_where_it_was_placed(database, daemons, registry, context):
    registry.device("NL-1", account="12AB", input=1)
    registry.place("NL-1", HERE)
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), endpoint()], more=BOUNDS)
    daemon.start()
    with Portal(daemon.address("portal")) as portal:
        portal.ask(event(1, account="12AB", zone=1))
        portal.ask(event(2, account="12AB", zone=2))
    Dealer(context, daemon.address()).ask(alert("a", device="NL-1"))
    database.wait_stored(3)
    rows = database.rows("select device_id, location_source, st_x(geom), st_y(geom), accuracy_m "
                         "from patrol.alerts order by journal_seq")
    assert rows == [("NL-1", "placement", *HERE, 10), ("dc09:12AB/2", "none", None, None, None),
                    ("NL-1", "placement", *HERE, 10)]


def test_an_alert_that_comes_late_is_where_the_set_stood_when_it_occurred(database, daemons, registry, context):
    registry.device("NL-1")
    registry.place("NL-1", HERE, ago(hours=5))
    registry.place("NL-1", THERE, ago(hours=1))
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    for name, minutes in (("now", 0), ("late", 120), ("before", 600)):
        dealer.ask({**alert(name, device="NL-1"), "time": now(minutes)})
    database.wait_stored(3)
    assert place_of(database, "now") == ("placement", *THERE)
    assert place_of(database, "late") == ("placement", *HERE)
    assert place_of(database, "before") == ("none", None, None)


def test_what_is_secret_is_stored_as_such_and_no_fix_of_it_is_remembered(database, daemons, registry, context):
    registry.area("wijk", "WK1", LIENDERT)
    registry.area("wijk", "WK2", ISSELT)
    registry.device("NL-1")
    database.execute("insert into mobeye.team values ('noord')")
    database.execute("select mobeye.device_place('NL-1', %s, %s, now() - interval '1 day', team => 'noord', secret => true)", *HERE)
    daemon = daemons(database.ingest, more=BOUNDS + RULES).start()
    dealer = Dealer(context, daemon.address())
    fix = {"type": "Point", "coordinates": list(ELSEWHERE), "accuracy_m": 7}
    dealer.ask(alert("fix", device="NL-1", location=fix))
    dealer.ask(alert("placed", device="NL-1"))
    dealer.ask({**alert("arm", device="NL-1"), "data": {"device": "NL-1", "kind": "arm"}})
    database.wait_stored(3)
    rows = database.rows("select event_id, a.secret, a.team, wijk_code, a.placement_id is not null, areas from mobeye.alert a "
                         "order by journal_seq")
    assert rows == [(name, True, "noord", "WK1", True, None) for name in ("fix", "placed", "arm")]
    rows = database.rows("select i.secret, i.secret_team, i.cell = p.cell, i.areas from mobeye.incident i "
                         "join mobeye.placement p using (placement_id)")
    assert rows == [(True, "noord", True, ["wijk:WK1"])]
    daemon.wait_metric("journal_pending", 0)
    database.execute("select mobeye.device_retrieve('NL-1')")
    registry.wait_read(daemon)
    dealer.ask(alert("afterwards", device="NL-1"))
    database.wait_stored(4)
    assert place_of(database, "afterwards") == ("none", None, None)
    wait_until(lambda: database.rows("select fix from mobeye.device_status") == [(None,)], "the device's status is written")


def test_a_fix_from_a_secret_home_is_secret_after_it_too(database, daemons, registry, context):
    registry.device("NL-1")
    database.execute("insert into mobeye.team values ('noord'), ('zuid')")
    database.execute("select mobeye.device_place('NL-1', %s, %s, now() - interval '1 day', now() - interval '5 minutes',"
                     " team => 'noord', secret => true)", *HERE)
    database.execute("select mobeye.device_place('NL-1', %s, %s, now() - interval '4 minutes', team => 'zuid')", *THERE)
    daemon = daemons(database.ingest, more=BOUNDS + RULES).start()
    registry.wait_read(daemon)
    dealer = Dealer(context, daemon.address())
    fix = {"type": "Point", "coordinates": list(HERE)}
    for name, minutes in (("fresh", 8), ("own", 1), ("old", 60)):
        dealer.ask(alert(name, device="NL-1", location={**fix, "fix_time": now(minutes)}))
        daemon.wait_drained()
    rows = database.rows("select event_id, location_source, secret, team from mobeye.alert_decoded order by journal_seq")
    assert rows == [("fresh", "message", True, "noord"), ("own", "message", False, "zuid"), ("old", "placement", True, "zuid")]
    rows = database.rows("select i.secret, i.secret_team, p.team from mobeye.incident i join mobeye.placement p using (placement_id) "
                         "order by i.incident_id")
    assert rows == [(True, "noord", "noord"), (False, None, "zuid")]


def test_an_undated_fix_that_may_be_of_a_secret_home_places_nothing_later_nor_after_a_restart(database, daemons, registry, context):
    registry.device("NL-1")
    database.execute("insert into mobeye.team values ('noord')")
    database.execute("select mobeye.device_place('NL-1', %s, %s, now() - interval '1 day', now() - interval '5 minutes',"
                     " team => 'noord', secret => true)", *HERE)
    daemon = daemons(database.ingest, more=BOUNDS).start()
    registry.wait_read(daemon)
    dealer = Dealer(context, daemon.address())
    buffered = alert("buffered", device="NL-1", location={"type": "Point", "coordinates": list(HERE)})
    del buffered["time"]
    dealer.ask(buffered)
    daemon.wait_drained()
    dealer.ask(alert("then", device="NL-1"))
    wait_until(lambda: database.rows("select st_x(fix), st_y(fix) from mobeye.device_status") == [HERE], "the status has the fix")
    daemon.restart()
    registry.wait_read(daemon)
    Dealer(context, daemon.address()).ask(alert("restarted", device="NL-1"))
    database.wait_stored(3)
    assert place_of(database, "then") == place_of(database, "restarted") == ("none", None, None)


def test_a_revealed_incident_is_secret_again_with_the_next_alert_and_says_so(database, daemons, registry, context):
    registry.device("NL-1")
    database.execute("insert into mobeye.team values ('noord')")
    database.execute("select mobeye.device_place('NL-1', %s, %s, now() - interval '1 day', team => 'noord', secret => true)", *HERE)
    daemon = daemons(database.ingest, more=BOUNDS + RULES).start()
    registry.wait_read(daemon)
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert("first", device="NL-1"))
    daemon.wait_drained()
    database.execute("select mobeye.reveal(incident_id, 'moved') from mobeye.incident")
    told = "select actor, action from patrol.incident_history where action in ('reveal', 'hide') order by entry"
    assert database.rows("select secret from mobeye.incident") == [(False,)]
    for name in ("second", "third"):
        dealer.ask(alert(name, device="NL-1"))
        daemon.wait_drained()
        assert database.rows("select secret, secret_team, cell is not null from mobeye.incident") == [(True, "noord", True)]
    assert database.rows(told) == [(database.value("select session_user"), "reveal"), ("mobeyed", "hide")]


def test_an_alert_without_incident_and_team_is_stored_with_its_areas(database, daemons, registry, context):
    registry.area("wijk", "WK1", LIENDERT)
    registry.area("beat", "B7", LIENDERT)
    registry.device("NL-1")
    registry.place("NL-1", HERE)
    daemon = daemons(database.ingest, more=BOUNDS).start()
    Dealer(context, daemon.address()).ask({**alert("arm"), "data": {"device": "NL-1", "kind": "arm"}})
    database.wait_stored(1)
    assert database.rows("select secret, team, areas from mobeye.alert") == [(False, None, ["beat:B7", "wijk:WK1"])]


def test_a_plausible_fix_comes_first_and_holds_for_later_alerts_of_the_device(database, daemons, registry, context):
    registry.device("NL-1")
    registry.place("NL-1", HERE)
    daemon = daemons(database.ingest, more=BOUNDS).start()
    dealer = Dealer(context, daemon.address())
    fix = {"type": "Point", "coordinates": list(THERE), "accuracy_m": 7}
    wrong = {"type": "Point", "coordinates": [0, 0]}
    dealer.ask(alert("fix", device="NL-1", location=fix))
    dealer.ask(alert("wrong", device="NL-1", location=wrong))
    dealer.ask(alert("stranger's fix", device="NL-2", location=fix))
    dealer.ask(alert("stranger", device="NL-2"))
    database.wait_stored(4)
    assert place_of(database, "fix") == ("message", *THERE)
    assert place_of(database, "wrong") == ("placement", *HERE)
    assert database.alert("wrong")["flags"] == ["null_island"]
    assert place_of(database, "stranger") == ("last_known", *THERE)
    assert 7 <= database.alert("stranger")["accuracy_m"] < 500


def test_an_alert_that_is_sent_again_does_not_bring_its_place_back(database, daemons, registry, context):
    daemon = daemons(database.ingest, more=BOUNDS).start()
    dealer = Dealer(context, daemon.address())
    messages = [alert(name, device="NL-2", location={"type": "Point", "coordinates": list(place)})
                for name, place in (("first", HERE), ("second", THERE))]
    for message in messages:
        del message["time"]
    for message in (*messages, messages[0]):
        dealer.ask(message)
        daemon.wait_drained()
    assert daemon.metric("duplicate_total") == 1
    dealer.ask(alert("panic", device="NL-2"))
    database.wait_stored(3)
    assert place_of(database, "panic") == ("last_known", *THERE)
    wait_until(lambda: database.rows("select st_x(fix), st_y(fix) from mobeye.device_status") == [THERE], "the status has the last fix")


def test_areas_of_every_layer_and_vintage(database, daemons, registry, context):
    registry.device("NL-1")
    registry.place("NL-1", HERE, ago(days=30))
    registry.device("NL-2")
    registry.place("NL-2", ELSEWHERE)
    registry.area("wijk", "WK030710", LIENDERT, 2014)
    registry.area("wijk", "WK030799", LIENDERT, 2023)
    registry.area("buurt", "BU03071001", LIENDERT)
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert("in", device="NL-1"))
    dealer.ask(alert("out", device="NL-2"))
    database.wait_stored(2)
    assert daemon.metric("areas") == 3
    codes = "select event_id, wijk_code, buurt_code from patrol.alerts order by event_id"
    assert database.rows(codes) == [("in", "WK030799", "BU03071001"), ("out", None, None)]
    registry.area("wijk", "WK030704", ISSELT, 2023)
    registry.wait_read(daemon)
    dealer.ask(alert("now in", device="NL-2"))
    database.wait_stored(3)
    assert database.rows(codes)[1] == ("now in", "WK030704", None)


def test_a_change_is_read_when_the_database_tells_of_it(database, daemons, registry, context):
    daemon = daemons(database.ingest).start()
    registry.wait_read(daemon)
    assert daemon.metric("registry_devices") == 0
    registry.device("NL-1")
    registry.place("NL-1", HERE)
    registry.wait_read(daemon)
    assert daemon.metric("registry_devices") == 1
    database.execute("delete from mobeye.device")
    registry.wait_read(daemon)
    assert daemon.metric("registry_devices") == 0


def test_after_a_lost_connection_all_is_read_again(database, daemons, registry):
    registry.device("NL-1")
    registry.area("wijk", "WK1", LIENDERT)
    daemon = daemons(database.ingest).start()
    registry.wait_read(daemon)
    daemon.wait_metric("registry_loaded", 1)
    database.execute("""do $$ begin
        delete from mobeye.device;
        insert into mobeye.device (device_id) values ('NL-2'), ('NL-3');
        perform pg_terminate_backend(pid) from pg_stat_activity where application_name like 'mobeyed % registry';
    end $$""")
    registry.wait_read(daemon)
    daemon.wait_metric("registry_devices", 2)
    daemon.wait_metric("registry_loaded", 1)
    assert daemon.metric("areas") == 1


def test_a_set_that_was_moved_is_never_again_where_it_stood(database, daemons, registry, context):
    """The transaction that stores an alert sees whether the registry is still that of its place."""
    registry.device("NL-1")
    registry.place("NL-1", HERE)
    daemon = daemons(database.ingest).start()
    registry.wait_read(daemon)
    dealer = Dealer(context, daemon.address())
    for number in range(20):
        place = (5 + number / 100, 52.0)
        registry.place("NL-1", place, ago(minutes=20 - number))
        dealer.ask(alert(f"moved-{number}", device="NL-1"))
        database.wait_stored(number + 1)
        assert place_of(database, f"moved-{number}") == ("placement", *place)


@pytest.mark.parametrize("closed", (False, True))
def test_a_set_that_was_moved_begins_an_incident_at_its_new_home(database, daemons, registry, context, closed):
    """Though the one at the first home is open, or was closed a moment ago and a rule has settle."""
    registry.device("NL-1")
    registry.place("NL-1", HERE, ago(minutes=20))
    daemon = daemons(database.ingest, more=RULES.replace("gap: 4h", "gap: 4h, settle: 10m")).start()
    registry.wait_read(daemon)
    dealer = Dealer(context, daemon.address())
    dealer.ask({**alert("first", device="NL-1"), "time": now(minutes_ago=10)})
    database.wait_stored(1)
    if closed:
        database.execute("select patrol.close(1, 'no_trace')")
    registry.place("NL-1", ELSEWHERE, ago(minutes=5))
    dealer.ask(alert("second", device="NL-1"))
    database.wait_stored(2)
    dealer.ask({**alert("late", device="NL-1"), "time": now(minutes_ago=8)})
    database.wait_stored(3)
    joined = dict(database.rows("select event_id, incident_id from patrol.alerts"))
    assert joined["second"] == 2
    assert joined["late"] == 1
    assert database.rows("select round(st_x(geom)::numeric, 2)::text from patrol.incidents where incident_id = 2") == [("5.36",)]


def test_what_the_registry_says_of_a_device_is_for_rules(database, daemons, registry, context):
    registry.device("NL-1", group="loan")
    daemon = daemons(database.ingest, more="""rules:
  - {name: strangers, match: {registered: false}, action: store}
  - {name: lent, match: {group: loan}, action: store}
  - {name: others, action: store}
""").start()
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert("known", device="NL-1"))
    dealer.ask(alert("unknown", device="NL-2"))
    database.wait_stored(2)
    assert dict(database.rows("select event_id, rule from patrol.alerts")) == {"known": "lent", "unknown": "strangers"}


def test_nothing_is_stored_before_the_registry_is_read(database, daemons, registry, context):
    registry.device("NL-1")
    registry.place("NL-1", HERE)
    database.execute("revoke execute on function mobeye.registry_since(bigint) from mobeye_ingest")
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert("waits", device="NL-1"))
    daemon.wait_log("devices and areas cannot be read: permission denied")
    assert (daemon.metric("registry_loaded"), daemon.metric("journal_pending")) == (0, 1)
    database.execute("grant execute on function mobeye.registry_since(bigint) to mobeye_ingest")
    wait_until(lambda: database.stored() == 1, "the alert is stored")
    assert place_of(database, "waits") == ("placement", *HERE)


STORM = """
create or replace procedure mobeye.storm() language plpgsql as $$
begin
    loop
        {};
        commit;
    end loop;
end
$$
"""


@pytest.mark.parametrize("edit", [
    "update mobeye.device set note = clock_timestamp()::text where device_id = 'NL-1'",
    "update mobeye.area set name = clock_timestamp()::text where code = 'WK030710'",
])
def test_alerts_are_stored_though_somebody_edits_without_end(edit, database, daemons, registry, context):
    registry.device("NL-1")
    registry.place("NL-1", HERE)
    registry.area("wijk", "WK030710", LIENDERT)
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(10, "before"))
    database.wait_stored(10)
    with psycopg.connect(database.conninfo, autocommit=True) as staff:
        staff.execute(STORM.format(edit))

        def storm():
            with pytest.raises(psycopg.errors.QueryCanceled):
                staff.execute("call mobeye.storm()")

        thread = threading.Thread(target=storm)
        thread.start()
        try:
            for n in range(10):
                dealer.deliver(alerts(10, f"during{n}"))
                database.wait_stored(20 + 10 * n)
        finally:
            staff.cancel()
            thread.join()


def test_fixes_that_arrive_newest_first_are_ordered_by_their_own_time(database, daemons, context):
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    known = "select st_x(fix), fix_accuracy_m from mobeye.device_status where device_id = 'TRAILER'"

    def report(event, minutes_ago, lon):
        place = {"type": "Point", "coordinates": [lon, 52.19634], "accuracy_m": 10 + minutes_ago, "fix_time": now(minutes_ago)}
        assert dealer.ask(alert(event, device="TRAILER", kind="camera", location=place)).word == b"ACK"

    report("newest", 1, 5.3801)
    wait_until(lambda: database.rows(known) == [(5.3801, 11)], "the fix is known")
    report("older", 3, 5.3803)
    report("oldest", 5, 5.3805)
    daemon.wait_drained()
    daemon.stop()  # writes what it knows of the devices
    assert database.rows(known) == [(5.3801, 11)]
    daemon.start()
    report("next", 0, 5.3800)
    wait_until(lambda: database.rows(known) == [(5.38, 10)], "a newer fix is known")


def test_a_restart_moves_the_settled_place_once_and_not_to_and_fro(database, daemons, registry, context):
    """After it the last fix that the database knows is the one that noise is judged by."""
    west, east = ("POLYGON((5.38 52.19,5.385 52.19,5.385 52.20,5.38 52.20,5.38 52.19))",
                  "POLYGON((5.385 52.19,5.39 52.19,5.39 52.20,5.385 52.20,5.385 52.19))")
    registry.area("buurt", "WEST", west)
    registry.area("buurt", "EAST", east)
    daemon = daemons(database.ingest, more=BOUNDS).start()
    registry.wait_read(daemon)
    areas = []

    def send(event_id, lon):
        location = {"type": "Point", "coordinates": [lon, 52.19634], "accuracy_m": 15}
        Dealer(context, daemon.address()).deliver([alert(event_id, device="TRAILER", location=location)])
        database.wait_stored(len(areas) + 1)
        areas.append(database.alert(event_id)["buurt_code"])

    send("first", 5.38495)
    send("noise", 5.38508)
    daemon.stop()
    kept = database.value("select st_x(fix) from mobeye.device_status where device_id = 'TRAILER'")
    daemon.start()
    registry.wait_read(daemon)
    for n, lon in enumerate((5.38495, 5.38508, 5.38499, 5.38505)):
        send(f"after-{n}", lon)
    send("left", 5.38540)
    assert areas[:2] == ["WEST", "WEST"]
    assert areas[2:] == ["WEST" if kept < 5.385 else "EAST"] * 4 + ["EAST"]


HOME = alert("home", device="NL-1")


def fix_east(degrees, accuracy_m):
    """Of a device that stands nowhere; 0.001 degrees are 68 m."""
    place = {"type": "Point", "coordinates": [HERE[0] + degrees, HERE[1]], "accuracy_m": accuracy_m}
    return alert(f"fix-{degrees}", device="CAM-9", location=place)


@pytest.mark.parametrize(
    "messages, east, address",
    [
        ([HOME, fix_east(0.0005, 5)], 0.0005, "Kerkstraat 1"),
        ([fix_east(0.0005, 5), HOME], 0.0005, "Kerkstraat 1"),
        ([HOME, fix_east(0.002, 5)], 0.002, None),
        ([HOME, fix_east(0.001, 50), fix_east(0.002, 20)], 0.002, None),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_an_incident_has_pin_and_address_of_the_same_place(
    database, daemons, registry, context, together, messages, east, address
):
    """Where another device joins that knows better where it is, the address is that of the first one's home only if it is there."""
    registry.device("NL-1")
    database.value("select mobeye.device_place('NL-1', %s, %s, now() - interval '1 day', address => 'Kerkstraat 1')", *HERE)
    rules = "rules:\n  - {name: one, incident: {category: alarm, priority: 2, group_by: [endpoint], gap: 4h}}\n"
    daemon = daemons(database.ingest, more=BOUNDS + rules, batch_wait="2s" if together else "5ms").start()
    registry.wait_read(daemon)
    dealer = Dealer(context, daemon.address())
    for n in [len(messages)] if together else range(1, len(messages) + 1):
        dealer.deliver(messages if together else [messages[n - 1]])
        database.wait_stored(n)
    assert database.rows("select st_x(geom), address from patrol.incidents") == [(HERE[0] + east, address)]
