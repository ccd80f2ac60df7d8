"""An erased home is in no byte of a dump, nor in a daemon's memory, and in the journal no longer than announced."""
import datetime
import pathlib
import re
import struct
import subprocess

from harness.alerts import alert, encode, now, padded
from harness.daemon import mobeyectl
from harness.peers import Dealer
from harness.portal import Portal, ack, build, endpoint, stamp
from harness.wait import wait_until

HERE, FIX, NEIGHBOUR = (5.40168265, 52.16646193), (5.40171111, 52.16642222), (5.40191919, 52.16611111)
WORDS = ("Zonnehof 271", "bewoonster-ligt-op-bed", "sleutel-bij-nr-9", "kamer-boven", "grote-hond", "wijkagent-weet-ervan",
         "huis-wordt-verbouwd", "zij-is-weer-thuis", "gebeurtenis-1201", "kapot-bericht-van-haar", "haar-gezicht")
RULES = """
rules:
  - name: street
    incident: {category: alarm, priority: 2, group_by: [kind], gap: 5h}
"""
HOME = """
insert into mobeye.device (device_id, note) values ('NL-home', 'grote-hond'), ('NL-next', null);
insert into mobeye.device_input values ('NL-home', 1, 'kamer-boven');
select mobeye.device_place('NL-home', 5.40168265, 52.16646193, now() - interval '2 hours', address => 'Zonnehof 271',
                           instructions => 'sleutel-bij-nr-9');
select mobeye.device_place('NL-next', 5.40191919, 52.16611111, now() - interval '2 hours', address => 'Zonnehof 272');
"""
# What people did, and the retrieval of the device.
PEOPLE = """
select patrol.mute('NL-home', now() + interval '1 hour', 'huis-wordt-verbouwd');
select patrol.unmute(mute_id) from patrol.mutes;
select patrol.note(incident_id, 'wijkagent-weet-ervan') from mobeye.incident;
insert into mobeye.quarantine (reason, record) values ('cannot be read', 'kapot-bericht-van-haar');
select mobeye.device_retrieve('NL-home');
"""


def hex_of(place):
    """As in a dump."""
    return struct.pack("<dd", *place).hex().upper()


def traces(data):
    words = WORDS + (hex_of(HERE), hex_of(FIX))
    return [word for word in words if word.encode() in data or word.encode().hex().encode() in data]


def dump(database):
    return subprocess.run(["pg_dumpall", "-d", database.conninfo], check=True, capture_output=True).stdout


def journal_bytes(daemon):
    return b"".join(path.read_bytes() for path in pathlib.Path(daemon.conf.journal).iterdir() if path.is_file())


def alert_at(event, device, place=None, **more):
    location = {"location": {"type": "Point", "coordinates": list(place), "accuracy_m": 7}} if place else {}
    return alert(event, device=device, **location, **more)


def test_nothing_of_a_home_remains(database, daemons, context):
    daemon = daemons(database.ingest, more=RULES, keep="0", max_size="1MiB").start()
    database.execute(HOME)
    version = database.value("select value from mobeye.counter where name = 'registry'")
    daemon.wait_metric("registry_version", lambda known: known >= version)
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert_at("next door", "NL-next", NEIGHBOUR))
    seen = alert_at("gebeurtenis-1201", "NL-home", FIX, text="bewoonster-ligt-op-bed", input=1)
    dealer.ask(encode(seen), b"\xff\xd8\xff haar-gezicht")
    dealer.ask(alert_at("zij-is-weer-thuis", "NL-home", text="zij-is-weer-thuis"))
    daemon.wait_drained()
    wait_until(lambda: database.value("select count(*) from mobeye.device_status where fix is not null") == 2, "fixes are noted")
    database.execute(PEOPLE)
    before = traces(dump(database))
    assert before == list(WORDS) + [hex_of(HERE), hex_of(FIX)]
    assert traces(journal_bytes(daemon))

    asked_at = now()
    done = mobeyectl("subject", "erase", "--yes", "--device", "NL-home", "--from", "2000-01-01T00:00:00Z", "--until",
                     "2100-01-01T00:00:00Z", "-c", daemon.file, "--db", database.conninfo)
    assert done.returncode == 0, done.stderr
    assert traces(dump(database)) == []
    # The incident of the neighbour stays, without the home.
    assert database.rows("select device_id, st_x(geom) from mobeye.incident") == [("NL-next", NEIGHBOUR[0])]
    assert [row[0] for row in database.rows("select event_id from mobeye.alert")] == ["next door"]

    # The daemon has forgotten where the device was.
    version = database.value("select value from mobeye.counter where name = 'registry'")
    daemon.wait_metric("registry_version", version)
    dealer.ask(alert_at("afterwards", "NL-home"))
    database.wait_stored(2)
    assert database.alert("afterwards")["location_source"] == "none"

    # The journal has it until it is written on, at the latest until the time that was told.
    (until,) = re.findall(r"until (\S+ \S+) at the latest", done.stderr)
    an_hour = datetime.datetime.fromisoformat(until) - datetime.datetime.fromisoformat(asked_at)
    assert datetime.timedelta(minutes=59) < an_hour < datetime.timedelta(minutes=61)
    for n in range(60):
        dealer.ask(padded(f"large-{n:03}", 30000))
    daemon.wait_drained()
    wait_until(lambda: traces(journal_bytes(daemon)) == [], "the journal holds it no more")
    daemon.restart()
    daemon.wait_drained()
    assert traces(dump(database)) == []


def test_what_remains_and_that_nothing_was_found_is_the_status(database):
    database.execute(HOME)
    whose = ("--address", "zonnehof 271", "--db", database.conninfo)
    left = mobeyectl("subject", "erase", "--yes", *whose)
    assert left.returncode == 1 and "not erased: placement " in left.stderr and "the device is still there" in left.stderr
    for verb in (("erase", "--yes"), ("export",)):
        nothing = mobeyectl("subject", *verb, "--address", "Nergens 1", "--db", database.conninfo)
        assert nothing.returncode == 1 and nothing.stderr.endswith("no data found for this address or device\n")
        for other in "Zonnehof27", "Zonnehof2711":
            nothing = mobeyectl("subject", *verb, "--address", other, "--db", database.conninfo)
            assert nothing.returncode == 1 and "did you mean" not in nothing.stderr
        for written in "Zonnehof-271", "zonnehof 271a", "Zonnehof  271", "Zonnehof 271, Amersfoort", "zonnehof, 271", "Zonnehof271", "zonne hof 271", "Zonnehof271 Amersfoort":
            near = mobeyectl("subject", *verb, "--address", written, "--db", database.conninfo)
            assert near.returncode == 1 and '(did you mean "Zonnehof 271"?)' in near.stderr, near.stderr
    database.execute("select mobeye.device_retrieve('NL-home')")
    assert mobeyectl("subject", "export", *whose).returncode == 0
    assert mobeyectl("subject", "erase", "--yes", *whose).returncode == 0
    assert mobeyectl("subject", "erase", "--yes", *whose).returncode == 1


def test_a_deadlock_with_an_edit_is_tried_again(database):
    database.execute(HOME + """select mobeye.device_retrieve(device_id) from mobeye.device;
create sequence deadlocks;
create function deadlock_once() returns trigger language plpgsql as $$
begin
    if nextval('public.deadlocks') = 1 then raise 'as if with an edit' using errcode = 'deadlock_detected'; end if;
    return null;
end $$;
create trigger once before update or delete on mobeye.placement for each statement execute function deadlock_once()""")
    done = mobeyectl("subject", "erase", "--yes", "--address", "Zonnehof 271", "--db", database.conninfo)
    assert done.returncode == 0 and done.stdout.count("NL-home") == 1, done.stderr
    database.execute("update mobeye.placement set address = 'Zonnehof 271' where address is null; alter sequence deadlocks restart")
    done = mobeyectl("subject", "again", "--db", database.conninfo, "-", input=done.stdout)
    assert done.returncode == 0 and done.stdout == "1 row erased again\n", done.stderr


def test_a_home_in_two_spellings_is_told_of(database):
    database.execute(HOME + "select mobeye.device_retrieve(device_id) from mobeye.device;"
                     " update mobeye.placement set address = 'Zonnehof 271, Amersfoort' where device_id = 'NL-next'")
    database.execute("insert into mobeye.burglary (reference, occurred_from, occurred_until, geom, address) select 'PL-1', now(), now(), geom, 'Zonnehof 271 a'"
                     " from mobeye.placement limit 1")
    for verb in (("export",), ("erase", "--yes")):
        done = mobeyectl("subject", *verb, "--address", "zonnehof 271", "--db", database.conninfo)
        assert done.returncode == 0 and ' not meant: "Zonnehof 271 a", "Zonnehof 271, Amersfoort" (' in done.stderr, done.stderr
    done = mobeyectl("subject", "export", "--address", "Zonnehof 271a", "--db", database.conninfo)
    assert done.returncode == 1 and 'did you mean "Zonnehof 271 a"' in done.stderr, done.stderr


SECRET = """
insert into mobeye.device (device_id) values ('NL-home');
insert into mobeye.team (team) values ('zuid');
select mobeye.device_place('NL-home', 5.40168265, 52.16646193, now() - interval '2 hours', address => 'Zonnehof 271',
                           team => 'zuid', secret => true);
select mobeye.device_retrieve('NL-home', now() - interval '10 minutes');
"""


def test_a_late_alert_of_an_erased_secret_home_is_secret_and_found_again(database, daemons, context):
    daemon = daemons(database.ingest, more=RULES).start()
    database.execute(SECRET)
    whose = ("--address", "Zonnehof 271", "--db", database.conninfo)
    assert mobeyectl("subject", "erase", "--yes", *whose).returncode == 0
    assert traces(dump(database)) == []
    version = database.value("select value from mobeye.counter where name = 'registry'")
    daemon.wait_metric("registry_version", lambda known: known >= version)

    hour_ago = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).isoformat()
    dealer = Dealer(context, daemon.address())
    dealer.ask({**alert_at("gebeurtenis-1201", "NL-home", FIX, text="bewoonster-ligt-op-bed"), "time": hour_ago})
    database.wait_stored(1)
    assert database.rows("select a.secret, a.team, i.secret, i.secret_team from mobeye.alert_decoded a"
                         " join mobeye.incident i using (incident_id)") == [(True, "zuid", True, "zuid")]
    daemon.wait_drained()
    assert mobeyectl("subject", "erase", "--yes", *whose).returncode == 0
    assert traces(dump(database)) == []
    assert database.value("select count(*) from mobeye.alert") + database.value("select count(*) from mobeye.incident") == 0


def test_what_a_set_sent_before_it_was_registered_is_hidden_and_erased_too(database, daemons, tmp_path):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[endpoint()], more=RULES)
    daemon.start()
    with Portal(daemon.address("portal")) as portal:
        for seq, account, event in ((1, "0371", "Nri1/BA001"), (2, "371", "BA"), (3, "3710", "Nri1/BA001")):
            assert portal.ask(build(f'"SIA-DCS"{seq:04}L0#{account}[#{account}|{event}]{stamp()}')) == ack(seq, account)
    database.wait_stored(3)
    named = "select device_id, secret from mobeye.alert order by journal_seq"
    assert database.rows(named) == [("dc09:0371/1", False), ("dc09:371", False), ("dc09:3710/1", False)]

    database.execute("insert into mobeye.team (team) values ('zuid')")
    table = tmp_path / "devices.csv"
    began = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)).isoformat()
    table.write_text("device_id,account,lon,lat,address,team,secret,placed_from\n"
                     f"NL-home,371,{HERE[0]},{HERE[1]},Zonnehof 271,zuid,yes,{began}\n")
    done = mobeyectl("devices", "import", "--db", database.conninfo, table)
    assert done.returncode == 0, done.stderr
    assert database.rows(named) == [("dc09:0371/1", True), ("dc09:371", True), ("dc09:3710/1", False)]

    database.execute("select mobeye.device_retrieve('NL-home')")
    done = mobeyectl("subject", "erase", "--yes", "--address", "Zonnehof 271", "--db", database.conninfo)
    assert done.returncode == 0, done.stderr
    assert database.rows(named) == [("dc09:3710/1", False)]


def test_what_waits_while_a_secret_set_is_replaced_is_stored_as_that_of_the_earlier_one(database, daemons):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[endpoint()], more=RULES)
    daemon.start()
    database.execute(SECRET + "insert into mobeye.device_address (account, device_id) values ('D371', 'NL-home');")
    version = database.value("select value from mobeye.counter where name = 'registry'")
    daemon.wait_metric("registry_version", lambda known: known >= version)
    database.execute(f"revoke connect on database {database.name} from public")
    database.disconnect_all()
    with Portal(daemon.address("portal")) as portal:
        assert portal.ask(build(f'"SIA-DCS"0001L0#D371[#D371|Nri1/BA001]{stamp(-900)}')) == ack(1, "D371")
    assert database.stored() == 0

    database.execute("delete from mobeye.device_address; insert into mobeye.device (device_id) values ('NL-new');"
                     "insert into mobeye.device_address (account, device_id) values ('D371', 'NL-new');")
    database.execute("select mobeye.device_place('NL-new', 5.36, 52.16, address => 'Dorpsweg 2')")
    database.execute(f"grant connect on database {database.name} to public")
    database.wait_stored(1)
    assert database.rows("select device_id, secret, team, placement_id is not null from mobeye.alert") == [
        ("NL-home", True, "zuid", True)]


def test_an_erased_alert_of_the_quarantine_comes_back_neither_from_the_journal_nor_from_its_sender(database, daemons, context):
    database.execute("insert into mobeye.device (device_id) values ('d');"
                     " alter table mobeye.alert add constraint refuse check (event_id <> 'refused')")
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    message = alert("refused", device="d", text="achterdeur van mevrouw Jansen")
    assert dealer.ask(message)[0] == b"ACK"
    daemon.wait_drained()
    assert database.value("select count(*) from mobeye.quarantine") == 1
    database.execute("alter table mobeye.alert drop constraint refuse")
    erased = mobeyectl("subject", "erase", "--device", "d", "--from", "2020-01-01", "--until", "2100-01-01", "--yes",
                       "--db", database.conninfo)
    assert erased.returncode in (0, 1) and database.value("select count(*) from mobeye.quarantine") == 0, erased.stderr
    assert dealer.ask(message)[0] == b"ACK"
    daemon.wait_drained()
    assert daemon.ctl("journal", "replay", "--db", database.ingest).returncode == 0
    daemon.wait_drained()
    assert database.value("select count(*) from mobeye.alert") == 0
    assert database.value("select count(*) from mobeye.alert_identity where device <> 0") == 1
