"""mobeyectl incident export: one incident as evidence."""
import hashlib
import json
import subprocess

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from harness.alerts import alert
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL
from harness.wait import wait_until

RULES = """
rules:
  - name: default
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h}
"""


@pytest.fixture
def incident(daemon, database, dealer):
    """Two alerts of one incident that a person closed, and one of another."""
    daemon.conf.more = RULES
    daemon.restart()
    dealer.deliver([alert("a", text="Beweging 'serre' – ✓"), alert("b", input=2), alert("c", device="NL-OTHER")])
    wait_until(lambda: database.value("select count(*) from patrol.incidents") == 2, "both are there")
    number = database.value("select incident_id from patrol.incidents where alert_count = 2")
    database.execute("select patrol.close(%s, 'confirmed', 'twee aangehouden')", number)
    return number


def export(database, *arguments):
    return mobeyectl("incident", "export", "--db", database.conninfo, *map(str, arguments))


def test_it_has_all_of_it_and_nothing_else(database, incident):
    done = export(database, "--reason", "zaak 17", incident)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["incident"]["incident_id"] == incident and document["incident"]["outcome"] == "confirmed"
    assert [row["event_id"] for row in document["alerts"]] == ["a", "b"]
    assert document["alerts"][0]["payload"]["data"]["text"] == "Beweging 'serre' – ✓"
    assert [row["note"] for row in document["history"]] == ["twee aangehouden"]
    assert [row["op"] for row in document["changes"]][0] == "new" and document["changes"][-1]["status"] == "closed"
    assert "name: default" in document["rules"]["text"] and "NL-OTHER" not in done.stdout
    assert document["reason"] == "zaak 17" and document["exported_by"] and document["images"] == []


def test_its_hash_is_printed_and_recorded(database, incident):
    done = export(database, "--reason", "zaak 17", incident)
    sha256 = hashlib.sha256(done.stdout.encode()).hexdigest()
    assert done.stderr == f"sha256 {sha256}\n"
    look = database.rows("select action, note from patrol.incident_history order by entry desc limit 1")[0]
    assert look == ("look", f"export, sha256 {sha256}: zaak 17")
    # The next one has this look in its history.
    again = json.loads(export(database, incident).stdout)
    assert again["history"][-1]["note"].startswith("export, sha256")


def test_the_reference_will_do(database, incident):
    reference = database.value("select reference from patrol.incidents where incident_id = %s", incident)
    assert json.loads(export(database, reference).stdout)["incident"]["reference"] == reference


@pytest.mark.parametrize("word", ["0", "999999", "2026-999999", "'; drop table x", ""])
def test_what_is_none_is_said(database, incident, word):
    done = export(database, word)
    assert done.returncode == 1 and not done.stdout and "does not exist" in done.stderr


def test_what_could_not_be_written_is_not_recorded(database, incident):
    with open("/dev/full", "w") as full:
        done = subprocess.run([MOBEYECTL, "incident", "export", "--db", database.conninfo, str(incident)], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "nothing was exported" in done.stderr
    assert database.value("select count(*) from patrol.incident_history where action = 'look'") == 0


def test_it_is_for_the_owner_alone(database, incident):
    database.execute("create role eve login in role mobeye_patrol, mobeye_auditor, mobeye_registry")
    try:
        done = mobeyectl("incident", "export", "--db", make_conninfo(database.conninfo, user="eve"), str(incident))
        assert done.returncode == 1 and not done.stdout and "permission denied" in done.stderr
        with psycopg.connect(make_conninfo(database.conninfo, user="eve")) as eve, pytest.raises(psycopg.errors.InsufficientPrivilege):
            eve.execute("select mobeye.incident_export(1, 'x')")
    finally:
        database.execute("drop owned by eve; drop role eve")


def test_it_is_found_by_its_reference_as_people_write_it(database, incident):
    reference = database.value("select reference from mobeye.incident where incident_id = %s", incident)
    year, number = reference.split("-")
    for arguments in ([reference], [f"{year}-{int(number)}"], ["--reference", reference], ["--reference", f"{year}-{int(number)}"]):
        done = export(database, *arguments)
        assert done.returncode == 0 and json.loads(done.stdout)["incident"]["incident_id"] == incident, done.stderr
    assert "incident 2020-000001 does not exist" in export(database, "--reference", "2020-1").stderr
    assert "is not a reference" in export(database, "--reference", str(incident)).stderr
    assert export(database).returncode == export(database, "--reference", reference, incident).returncode == 2
