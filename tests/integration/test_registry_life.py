"""The registry in everyday use: listed, shown, exported and imported again, undone, retired, removed."""
import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import pty
import re
import subprocess

import psycopg
import pytest

from harness.alerts import alert
from harness.paths import MOBEYECTL, MOBEYED
from harness.peers import Dealer
from harness.registry import collection, square
from harness.wait import wait_until

FULL = """\
device_id,model,group,account,input,heartbeat,grace,placed_from,placed_until,address,lon,lat,team,secret,instructions
NL-1,CM4000,woning,00AB,1,26h,90s,2026-01-01T00:00:00Z,2026-03-01T00:00:00Z,"Straat 1, achter",5.38421,52.19634,noord,yes,
NL-1,CM4000,woning,00AB,1,26h,90s,2026-03-01T00:00:00Z,,Straat 2,5.4,52.2,noord,no,"say ""hello""
twice"
NL-2,iCM41,,,,500ms,,,,,,,,,
"""


@pytest.fixture
def filled(registry):
    registry.done("areas", "import", "--layer", "wijk", "-", stdin=collection(
        ({"code": "WK01", "name": "Centrum"}, square(5.3, 52.1)), ({"code": "WK02", "name": "Oost"}, square(5.4, 52.1))))
    registry.done("teams", "import", "-", stdin="team,layer,code\nnoord,wijk,WK01\nzuid,,\n")
    registry.done("people", "import", "-", stdin='login,name,team\njan,"Jansen, Jan",noord\nkim,Kim,*\npiet,Piet,\n')
    registry.done("devices", "import", "-", stdin=FULL)
    return registry


def exported(registry, *arguments):
    ran = registry.run(*arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_what_is_exported_imports_back_and_changes_nothing(filled, database):
    areas = exported(filled, "areas", "export", "--layer", "wijk")
    files = {verb: exported(filled, verb, "export") for verb in ("teams", "people", "devices")}
    before = filled.state()
    assert set(filled.done("devices", "import", "-", stdin=files["devices"])[0][0].values()) == {0, 2}
    assert filled.done("people", "import", "-", stdin=files["people"])[0][0]["stored"] == 0
    assert filled.done("teams", "import", "-", stdin=files["teams"])[0][0] == {
        "teams": 2, "created": 0, "areas_added": 0, "areas_removed": 0}
    counts = filled.done("areas", "import", "--layer", "wijk", "-", stdin=areas)[0]
    assert counts == [{"areas": 2, "added": 0, "changed": 0, "removed": 0}]
    assert filled.state() == before
    for table in "device", "placement", "person", "team", "area":
        database.execute(f"delete from mobeye.{table}")
    filled.done("areas", "import", "--layer", "wijk", "-", stdin=areas)
    for verb in files:
        filled.done(verb, "import", "-", stdin=files[verb])
    assert {verb: exported(filled, verb, "export") for verb in files} == files
    assert exported(filled, "areas", "export", "--layer", "wijk") == areas


def test_an_export_warns_of_what_the_file_cannot_hold(filled, database):
    database.execute("insert into mobeye.device_address values ('BB', null, 'NL-1')")
    warned = filled.run("devices", "export").stderr
    assert warned == ("mobeyectl devices: warning: device NL-1 has 2 accounts; the first is exported, and importing the "
                      "file removes the others\n")


def test_lists_and_pages(filled, database):
    rows = filled.done("devices", "list")[0]
    assert [(row["device_id"], row["state"], row["account"], row["address"]) for row in rows] == [
        ("NL-1", "placed", "00AB", "Straat 2"), ("NL-2", "stock", None, None)]
    assert [row["device_id"] for row in filled.done("devices", "list", "--state", "stock")[0]] == ["NL-2"]
    assert [row["device_id"] for row in filled.done("devices", "list", "--team", "noord")[0]] == ["NL-1"]
    assert 'is not a state (did you mean stock?)' in filled.refused("devices", "list", "--state", "stok", status=2)[0]
    filled.done("people", "import", "-", stdin='login,name,team\nloes,"Jansen, Loes",noord\n')
    filled.query("delete from mobeye.person where login = 'jan' returning 1")
    database.execute("create role loes login in role mobeye_patrol")
    people = filled.done("people", "list")[0]
    assert [tuple(row.values()) for row in people] == [
        ("kim", "Kim", "*", False), ("loes", "Jansen, Loes", "noord", True), ("piet", "Piet", None, False)]
    shown = filled.done("people", "show", "loes")[0]
    assert shown == {"person": people[1], "roles": [{"role": "mobeye_patrol"}], "open_incidents": []}
    assert [tuple(row.values()) for row in filled.done("teams", "list")[0]] == [("noord", 1, 1, 1), ("zuid", 0, 0, 0)]
    team = filled.done("teams", "show", "noord")[0]
    assert team["areas"] == [{"code": "WK01", "layer": "wijk", "name": "Centrum"}]
    assert [row["device_id"] for row in team["placements"]] == ["NL-1"]
    assert [(row["layer"], row["vintage"], row["areas"]) for row in filled.done("areas", "list")[0]] == [("wijk", None, 2)]
    assert [row["code"] for row in filled.done("areas", "list", "--layer", "wijk")[0]] == ["WK01", "WK02"]
    area = filled.done("areas", "show", "--layer", "wijk", "WK01")[0]
    assert area["teams"] == [{"team": "noord"}] and area["areas"][0]["name"] == "Centrum"
    for verb in ("devices", "list"), ("people", "show", "loes"), ("teams", "show", "noord"), ("areas", "list"):
        ran = filled.run(*verb)
        assert ran.returncode == 0 and "---" in ran.stdout, ran.stderr


@pytest.mark.parametrize("arguments, words", [
    (["people", "show", "jna"], 'person "jna" does not exist (did you mean jan?)'),
    (["people", "remove", "kmi"], 'person "kmi" does not exist (did you mean kim?)'),
    (["teams", "show", "nord"], 'team "nord" does not exist (did you mean noord?)'),
    (["teams", "remove", "--yes", "Zuid"], 'team "Zuid" does not exist (did you mean zuid?)'),
    (["areas", "show", "--layer", "wjik", "WK01"], 'layer "wjik" does not exist (did you mean wijk?)'),
    (["areas", "remove", "--yes", "--layer", "wijk", "WK03"], 'area "WK03" does not exist (did you mean WK01?)'),
    (["areas", "export", "--layer", "wijk", "--vintage", "2014"], "layer wijk has no vintage 2014"),
    (["device", "show", "NL1"], 'device "NL1" is not registered (did you mean NL-1?)'),
    (["device", "show", "quite-else"], 'device "quite-else" is not registered'),
])
def test_a_name_that_does_not_exist_is_answered_with_one_that_does(filled, arguments, words):
    assert words in filled.refused(*arguments)[0]


def test_did_you_mean(registry):
    for arguments, words in ((["devcies"], 'unknown verb "devcies" (did you mean devices?)'),
                             (["device", "shwo", "x"], 'unknown action "shwo" (did you mean show?)'),
                             (["status", "--jsno"], "unknown option --jsno (did you mean --json?)")):
        assert words in registry.run(*arguments).stderr


@pytest.mark.parametrize("name", ["NL-1", "nl-1", "AB", "00ab", "ab/1", "dc09:AB/1"])
def test_a_device_is_found_as_people_write_it(filled, name):
    shown, said = filled.done("device", "show", name)
    assert shown["device"]["device_id"] == "NL-1"
    assert said == ("" if name == "NL-1" else f"mobeyectl device: note: {name} is device NL-1\n")


def test_a_name_of_several_devices_is_refused(filled):
    filled.done("devices", "import", "-", stdin="device_id,account,input\nNL-3,AB,2\n")
    assert '"AB" is more than one device (NL-1, NL-3)' in filled.refused("device", "show", "ab".upper())[0]
    assert filled.done("device", "show", "AB/2")[0]["device"]["device_id"] == "NL-3"


def test_nobody_waits_for_the_answer_to_a_question(filled):
    def importing(*areas):
        return "areas", "import", "--layer", "wijk", filled.file(
            collection(*(({"code": code, "name": code}, square(x, 52.1)) for code, x in areas)), f"{len(areas)}.geojson")

    def question():
        said = b""
        while b"[y/N]" not in said:
            piece = os.read(asking.stderr.fileno(), 4096)
            assert piece, said
            said += piece
        return said

    read, write = pty.openpty()
    asking = subprocess.Popen([MOBEYECTL, *importing(("WK01", 5.3)), "--json", "--db", filled.database.conninfo],
                              stdin=write, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert b"lacks 1 area of layer wijk: WK02. Remove it?" in question()
        filled.done(*importing(("WK01", 5.3), ("WK03", 5.5)))
        os.write(read, b"y\n")
        assert b"lacks 1 area of layer wijk: WK03. Remove it?" in question()  # it is not what was agreed to
        filled.done(*importing(("WK01", 5.3), *((f"WK{n:02}", 5.5) for n in range(2, 9))))
        os.write(read, b"y\n")
        assert b"lacks 7 areas of layer wijk: WK02, WK03, WK04, WK05, WK06 and 2 more. Remove them?" in question()
        os.write(read, b"y\n")
        out, said = asking.communicate()
        assert (asking.returncode, json.loads(out)[0]["removed"]) == (0, 7), said
    finally:
        asking.kill()
        asking.wait()
        os.close(read)
        os.close(write)
    assert filled.query("select code from mobeye.area") == [("WK01",)]


def test_who_reads_no_people_lists_teams_without_them(filled):
    note = "mobeyectl teams: note: people are left out: only members of mobeye_owner read them\n"
    listed, shown = (filled.run("teams", *arguments, "--json", role="mobeye_registry") for arguments in (["list"], ["show", "noord"]))
    assert (listed.stderr, shown.stderr) == (note, note)
    assert json.loads(listed.stdout) == [{"team": "noord", "areas": 1, "placements": 1}, {"team": "zuid", "areas": 0, "placements": 0}]
    assert "people" not in json.loads(shown.stdout)
    listed, said = filled.done("teams", "list")
    assert (listed[0]["people"], said) == (1, "")
    assert filled.run("teams", "list", role="mobeye_registry").stdout.startswith("team ")
    refused = filled.run("teams", "list", role="mobeye_patrol")
    assert refused.returncode == 1 and refused.stderr.count("permission denied") == 1


@pytest.mark.parametrize("verb, file, stored, done", [
    ("burglaries", "reference,occurred_from\nPL1,2026-02-01T00:00:00Z\nPL2,2026-02-01T00:00:00Z\n",
     "insert into mobeye.burglary (reference, occurred_from) values ('PL1', '2026-02-01T00:00:00Z')",
     {"burglaries": 2, "added": 1, "changed": 0}),
    ("measures", "kind,layer,code,from,number\nletter,wijk,WK01,2026-02-01T00:00:00Z,250\n",
     "insert into mobeye.measure (kind, layer, code, from_at, number) values ('letter', 'wijk', 'WK01', '2026-02-01T00:00:00Z', 1)",
     {"measures": 1, "added": 0, "changed": 1}),
])
def test_imports_of_the_same_rows_take_turns(filled, database, verb, file, stored, done):
    with concurrent.futures.ThreadPoolExecutor() as pool, psycopg.connect(database.conninfo) as other:
        other.execute("select mobeye.lock_imports()")
        other.execute(stored)
        second = pool.submit(filled.done, verb, "import", "-", stdin=file)
        wait_until(lambda: second.done() or database.value("select count(*) from pg_locks where not granted"), "the second waits")
        other.commit()
        assert second.result()[0] == [done]


def test_the_last_placement_is_undone(filled):
    def placements():
        return filled.query("select address, upper_inf(during) from mobeye.placement where device_id = 'NL-1'"
                            " order by lower(during)")
    stood = [("Straat 1, achter", False), ("Straat 2", True)]
    assert placements() == stood
    filled.done("device", "place", "NL-1", "--at", "5.5,52.3", "--address", "wrong")
    assert placements() == [("Straat 1, achter", False), ("Straat 2", False), ("wrong", True)]
    undone = filled.done("device", "undo", "NL-1")[0]
    assert placements() == stood and undone[0]["open_again"] is not None
    assert (undone[0]["address"], undone[0]["placed_until"]) == ("wrong", None) and undone[0]["placed_from"]
    filled.done("devices", "import", "-", stdin="device_id,lon,lat,placed_from\nNL-1,5.5,52.3,2026-05-01T00:00:00Z\n")
    filled.done("device", "undo", "NL-1")
    assert placements() == stood
    undone = filled.done("device", "undo", "NL-1")[0]  # the end of the first one was given: it stays
    assert undone[0]["open_again"] is None and placements() == [("Straat 1, achter", False)]
    filled.done("device", "undo", "NL-1")
    assert 'device "NL-1" has no placement' in filled.refused("device", "undo", "NL-1")[0]


def test_of_a_file_the_latest_placement_is_undone_first(filled):
    filled.done("devices", "import", "-", stdin="device_id,placed_from,placed_until,address,lon,lat\n"
                                                "NL-3,2026-05-01T00:00:00Z,,now,5.4,52.2\nNL-3,2025-01-01T00:00:00Z,2025-02-01T00:00:00Z,then,5.5,52.2\n")
    undone = filled.done("device", "undo", "NL-3")[0][0]
    assert undone["address"] == "now" and undone["placed_from"].startswith("2026-05-01")
    assert filled.query("select address from mobeye.placement where device_id = 'NL-3'") == [("then",)]


def test_a_device_goes_to_repair_and_comes_back(filled):
    assert "Retrieve it first" in filled.refused("device", "repair", "NL-1")[0]
    filled.done("device", "retrieve", "NL-1")
    for action, state in ("repair", "repair"), ("retire", "retired"):
        assert filled.done("device", action, "NL-1")[0] == [{"device_id": "NL-1", "state": state}]
        assert "cannot be placed" in filled.refused("device", "place", "NL-1", "--at", "5.5,52.3")[0]
    assert filled.done("device", "stock", "NL-1")[0] == [{"device_id": "NL-1", "state": "stock"}]
    filled.done("device", "place", "NL-1", "--at", "5.5,52.3")


def test_nothing_is_removed_without_a_yes(filled):
    for arguments in (["device", "remove", "NL-1"], ["teams", "remove", "noord"], ["areas", "remove", "--layer", "wijk"]):
        assert "use --yes to skip the confirmation" in filled.refused(*arguments, stdin="")[0]
    assert filled.done("device", "remove", "--yes", "NL-1")[0] == [{"device_id": "NL-1", "placements": 2}]
    assert filled.done("teams", "remove", "--yes", "noord")[0] == [
        {"team": "noord", "people_without_team": 1, "placements_without_team": 0, "incidents_without_team": 0}]
    assert filled.done("areas", "remove", "--yes", "--layer", "wijk", "WK01")[0] == [{"removed": 1}]
    assert filled.done("areas", "remove", "--yes", "--layer", "wijk")[0] == [{"removed": 1}]
    assert filled.query("select (select count(*) from mobeye.area), (select count(*) from mobeye.team)") == [(0, 1)]


def test_a_device_that_an_incident_names_is_kept(filled, daemons, context):
    daemon = daemons(filled.database.ingest)
    daemon.conf.set(more="rules:\n  - {name: all, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h}}\n")
    daemon.start()
    peer = Dealer(context, daemon.conf.address())
    peer.ask(alert("x1", device="NL-1"))
    peer.close()
    wait_until(lambda: filled.query("select count(*) from mobeye.incident") == [(1,)], "the incident")
    (reference,), = filled.query("select reference from mobeye.incident")
    (since,), = filled.query("select to_json(lower(during)) #>> '{}' from mobeye.placement"
                            " where device_id = 'NL-1' and during @> now()")
    for role in "mobeye_registry", None:
        for action, *options in ["undo"], ["remove", "--yes"], ["retrieve", "--at", since]:
            assert "incidents or alerts refer to it" in filled.run("device", action, *options, "NL-1", role=role).stderr
    year, number = reference.split("-")
    explained = [filled.run("explain", "-c", daemon.file, *option).stdout for option in (
        ["--reference", reference], ["--reference", f"{year}-{int(number)}"], ["--incident", reference],
        ["--incident", str(int(number))])]
    assert "rule" in explained[0] and len(set(explained)) == 1
    assert "incident 2020-000001 does not exist" in filled.run("explain", "-c", daemon.file, "--reference", "2020-000001").stderr
    assert "is not a reference" in filled.run("explain", "-c", daemon.file, "--reference", "x").stderr
    _, said = filled.done("device", "place", "NL-2", "--at", reference)
    assert f"{reference} is 5.4,52.2, the place of its device NL-1" in said
    filled.query("update mobeye.placement set secret = true where device_id = 'NL-1' returning 1")
    filled.done("device", "place", "NL-2", "--at", reference)
    assert filled.query("select address, team, secret from mobeye.placement where device_id = 'NL-2' and upper_inf(during)") == [
        ("Straat 2", "noord", True)]


PEOPLE = "login,name,team\nlotte,Lotte,noord\nkarel,Karel,*\n"


def passwords(ran):
    assert ran.returncode == 0, ran.stderr
    return dict(line.split() for line in ran.stdout.splitlines() if re.fullmatch(r"\w+ [a-z0-9-]{23}", line))


def test_logins_are_made_with_passwords_that_are_printed_once(filled, database):
    dry = filled.run("people", "import", "-", "--make-logins", "--dry-run", stdin=PEOPLE)
    assert passwords(dry) == {} and filled.query("select count(*) from pg_roles where rolname in ('lotte', 'karel')") == [(0,)]
    database.execute("create role karel login")
    ran = filled.run("people", "import", "-", "--make-logins", stdin=PEOPLE)
    made = passwords(ran)
    assert set(made) == {"lotte"} and f'hostssl "{database.name}" +mobeye_patrol' in ran.stderr and "warning" not in ran.stderr
    assert made["lotte"] not in ran.stderr
    (verifier,), = filled.query("select rolpassword from pg_authid where rolname = 'lotte'")
    kind, rest = verifier.split("$", 1)
    (iterations, salt), (stored, _) = (part.split(":") for part in rest.split("$"))
    salted = hashlib.pbkdf2_hmac("sha256", made["lotte"].encode(), base64.b64decode(salt), int(iterations))
    key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    assert kind == "SCRAM-SHA-256" and base64.b64encode(key).decode() == stored, "the password is that of the login"
    assert filled.query("select pg_has_role('lotte', 'mobeye_patrol', 'member'), pg_has_role('karel', 'mobeye_patrol', 'member')") == [
        (True, True)]
    assert passwords(filled.run("people", "import", "-", "--make-logins", stdin=PEOPLE)) == {}


def test_rights_of_people_are_given_to_people_only(filled, database):
    """Roles of the programs, superusers and roles without a login would get rights that nobody expects."""
    for statement in ("create role chief superuser login", "create role crew"):
        database.execute(statement)
    people = "login,name,team\nmobeye_board,Board,*\nchief,Chief,*\nliesbeth,L,noord\ncrew,Crew,*\n"
    complaints = filled.refused("people", "import", "-", "--make-logins", stdin=people)
    assert [line.split(" (")[0] for line in complaints if "--make-logins expects" in line] == [
        "-:2: login: is a role of mobeyed", "-:3: login: is a superuser, who needs no rights",
        "-:5: login: is a role that cannot log in"]
    assert filled.query("select rolname from pg_roles where rolname = 'liesbeth' or rolname in ('mobeye_board', 'crew')"
                        " and pg_has_role(oid, 'mobeye_patrol', 'member')") == []


def test_no_login_that_would_be_made_is_called_missing(filled):
    """Where another line has an error: by a role, by the database, by the line itself."""
    for line in "mobeye_board,Board,*", "public,P,*", "piet,Piet,nowhere", "too,many,cells,here":
        complaints = filled.refused("people", "import", "-", "--make-logins", stdin=f"login,name,team\n{line}\nunmade,U,noord\n")
        assert any(complaint.startswith("-:2: ") for complaint in complaints), complaints
        assert not [complaint for complaint in complaints if "unmade" in complaint]
    assert filled.query("select from pg_roles where rolname = 'unmade'") == []


def test_no_login_is_made_whose_password_nobody_gets_to_see(filled, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("login,name,team\nunseen1,U,noord\nunseen2,U,*\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run([MOBEYECTL, "people", "import", "--make-logins", file, "--db", str(filled.database.conninfo)],
                              stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "the passwords cannot be printed: No space left on device" in done.stderr
    assert "valid only if the people are stored" in done.stderr and "not shown again" not in done.stderr
    assert filled.query("select count(*) from pg_roles where rolname in ('unseen1', 'unseen2')") == [(0,)]
    assert filled.query("select count(*) from mobeye.person where login in ('unseen1', 'unseen2')") == [(0,)]


@pytest.mark.parametrize("arguments", [("people", "list"), ("devices", "export"), ("areas", "list"), ("queue",)])
def test_what_could_not_be_written_is_a_failure(filled, arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([MOBEYECTL, *arguments, "--db", str(filled.database.conninfo)], stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "standard output: " in done.stderr


def test_a_file_with_errors_makes_no_login(filled):
    filled.refused("people", "import", "-", "--make-logins", stdin="login,name,team\nbart,Bart,noord\nels,Els,oost\n")
    assert filled.query("select count(*) from pg_roles where rolname in ('bart', 'els')") == [(0,)]


def test_what_the_rules_and_the_teams_lack_is_named(filled, daemons):
    filled.done("people", "import", "-", stdin="login,name,team\ndora,Dora,noord\n")
    daemon = daemons(filled.database.ingest)
    daemon.write(more="""rules:
  - {name: spot, match: {area: {layer: hotspot}}, action: store}
  - {name: all, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h, team: zuid}}
""")
    said = filled.run("doctor", "-c", daemon.file).stdout
    assert "rules name layer hotspot: 0 areas" in said
    assert "person dora has no database login" in said and "no person may see" not in said  # kim sees all teams
    assert "team zuid has no area and no placement" in said and "names team" not in said
    daemon.write(more="""rules:
  - {name: slip, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h, team: zuit}}
""")
    assert "rule slip names team zuit, which does not exist" in filled.run("doctor", "-c", daemon.file).stdout
    for conninfo in (filled.database.conninfo, filled.database.ingest):
        checked = subprocess.run([MOBEYED, "--check", "-c", daemon.file, "--db", conninfo], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0 and '"zuit" is unknown' in checked.stderr, checked.stderr
    daemon.write(more="""rules:
  - {name: spot, match: {area: {layer: hotspot}}, action: store}
  - {name: all, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h, team: zuid}}
""")
    checked = subprocess.run([MOBEYED, "--check", "-c", daemon.file, "--db", filled.database.conninfo], capture_output=True,
                             text=True, timeout=60)
    assert 'warning: rules.spot.match.area.layer: "hotspot" is unknown: it has 0 areas (expected' in checked.stderr
    assert "no person" not in checked.stderr and checked.stdout == f"{daemon.file}: valid\n"
    filled.query("delete from mobeye.person where all_teams returning 1")
    assert "no person may see team zuid" in filled.run("doctor", "-c", daemon.file).stdout
    checked = subprocess.run([MOBEYED, "--check", "-c", daemon.file, "--db", filled.database.conninfo], capture_output=True,
                             text=True, timeout=60)
    assert 'warning: rules.all.incident.team: "zuid" may be seen by no person (expected' in checked.stderr
