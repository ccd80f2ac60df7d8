"""mobeyectl quarantine: as the daemon's role, except discard, which is the owner's."""

import json
import os
import pty
import struct
import subprocess
import tempfile
import time

import psycopg

from support import MOBEYECTL, PATIENCE_S, SchemaTest, conninfo, mobeyectl

PAYLOAD = b'{"text": "caf\xc3\xa9\x1b[2J"}'
PAYLOAD_STORED = b'{"a": 1}'

CONFIGURATION = """
instance: a
bounds: [3.2, 50.7, 7.3, 53.6]
database: {{conninfo: "{conninfo} user=mobeye_ingest"}}
journal: {{directory: /nonexistent}}
endpoints: [{{name: cameras, bind: "tcp://127.0.0.1:5555", socket: router, format: cloudevents}}]
rules: {rules}
"""


def pack(event_id):
    """A journal record, as daemon/model/record.c packs it, of an intrusion with a location."""
    none = -(2**31)
    now_us = time.time_ns() // 1000
    strings = [b"/gateway", event_id.encode(), b"NL-1", b"intrusion", b"", b"", b"", b"cameras"]
    offsets, extra = [], b""
    for string in strings:
        offsets.append(len(PAYLOAD_STORED) + len(extra) if string else 0)
        extra += string
    fixed = struct.pack(
        "<5B3xI3i4q2d2f2I8I8H", 1, 1, 1, 0, 2, 0, none, none, none, now_us, -(2**63), -(2**63), now_us,
        5.38421, 52.19634, float("nan"), float("nan"), len(PAYLOAD_STORED), len(extra), *offsets, *map(len, strings)
    )  # fmt: skip
    return fixed + PAYLOAD_STORED + extra


class Retry(SchemaTest):
    rules = "[{name: burglars, match: {kind: intrusion}, action: store}, {name: rest, action: store}]"

    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.quarantine, mobeye.alert, mobeye.alert_identity, mobeye.incident, mobeye.incident_condition, mobeye.change")
        file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self.addCleanup(file.close)
        file.write(CONFIGURATION.format(conninfo=conninfo(self.database), rules=self.rules))
        file.flush()
        self.file = file.name

    def set_aside(self, record):
        return str(
            self.value(
                self.connect("mobeye_ingest"),
                "insert into mobeye.quarantine (instance, journal_seq, reason, record) values ('a', 7, 'r', %s)"
                " returning id",
                record,
            )
        )

    def retry(self, *arguments):
        return mobeyectl("quarantine", "retry", *arguments, "-c", self.file)

    def stored(self):
        return self.superuser.execute(
            "select event_id, instance, journal_seq, location_source, st_x(geom), rule, payload from patrol.alerts"
        ).fetchall()

    def kept(self):
        return self.value(self.superuser, "select count(*) from mobeye.quarantine")

    def test_stores_with_place_and_rule_and_makes_the_partition(self):
        id = self.set_aside(pack("one"))
        done = self.retry(id)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{id}: stored\n", ""))
        self.assertEqual(self.stored(), [("one", "a", 7, "message", 5.38421, "burglars", {"a": 1})])
        self.assertEqual(self.kept(), 0)

    def test_what_is_stored_already_is_taken_out(self):
        self.retry(self.set_aside(pack("one")))
        id = self.set_aside(pack("one"))
        done = self.retry(id)
        self.assertEqual((done.returncode, done.stdout), (0, f"{id}: already stored\n"))
        self.assertEqual((len(self.stored()), self.kept()), (1, 0))

    def test_what_is_refused_still_stays_and_the_others_go_on(self):
        self.superuser.execute("alter table mobeye.alert add constraint no_bad check (event_id <> 'bad')")
        self.addCleanup(self.superuser.execute, "alter table mobeye.alert drop constraint if exists no_bad")
        bad, good, unreadable = (self.set_aside(record) for record in (pack("bad"), pack("good"), b"\x09garbage"))
        done = self.retry()
        self.assertEqual((done.returncode, done.stdout), (1, f"{good}: stored\n"))
        self.assertIn(f"{bad}: ", done.stderr)
        self.assertIn("no_bad", done.stderr)
        self.assertIn(f"{unreadable}: ", done.stderr)
        self.assertEqual(self.kept(), 2)
        self.superuser.execute("alter table mobeye.alert drop constraint no_bad")
        self.assertEqual(self.retry(bad).returncode, 0)
        self.assertEqual({row[0] for row in self.stored()}, {"good", "bad"})

    def test_what_is_not_there_fails_by_name(self):
        done = self.retry("999999")
        self.assertEqual(done.returncode, 1)
        self.assertIn("999999", done.stderr)

    def test_a_configuration_with_errors_is_no_time_to_retry(self):
        self.set_aside(pack("one"))
        done = mobeyectl("quarantine", "retry", "-c", "/nonexistent", database=self.database)
        self.assertEqual((done.returncode, self.kept()), (1, 1))


class RetryOfIncidents(Retry):
    rules = (
        "[{name: burglars, match: {kind: intrusion, area: {layer: wijk}},"
        " incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}}]"
    )

    def setUp(self):
        super().setUp()
        self.superuser.execute(
            "insert into mobeye.area (layer, code, name, geom) values"
            " ('wijk', 'WK1', 'Wijk', 'SRID=4326;POLYGON((5 52, 6 52, 6 53, 5 52))') on conflict do nothing"
        )

    def test_stores_with_place_and_rule_and_makes_the_partition(self):
        """And with areas and incident, as the daemon does."""
        first, second = self.set_aside(pack("one")), self.set_aside(pack("two"))
        self.assertEqual(self.retry().stdout, f"{first}: stored\n{second}: stored\n")
        self.assertEqual(self.retry(self.set_aside(pack("two"))).returncode, 0)
        self.assertEqual(
            self.superuser.execute(
                "select device_id, rule, category, priority, alert_count, active, accepting, areas, st_x(geom),"
                " (select count(*) from mobeye.alert a where a.incident_id = i.incident_id and a.wijk_code = 'WK1')"
                " from mobeye.incident i"
            ).fetchall(),
            [("NL-1", "burglars", "alarm", 2, 2, 1, True, ["wijk:WK1"], 5.38421, 2)],
        )
        self.superuser.execute("truncate mobeye.incident")
        done = self.retry(self.set_aside(pack("three")))
        self.assertEqual((done.returncode, self.kept()), (1, 1))
        self.assertIn("refers to an incident that does not exist", done.stderr)
        self.assertEqual(
            [row[0] for row in self.superuser.execute("select op from mobeye.change order by change_id")], ["new", "alert"]
        )


class Quarantine(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.quarantine")
        rows = self.superuser.execute(
            """insert into mobeye.quarantine (quarantined_at, instance, journal_seq, identity, endpoint, device_id,
                      source, event_id, sqlstate, reason, record, payload)
               values ('2026-11-23 21:04:11.25+00', 'a', 12, gen_random_uuid(), 'cameras', 'NL-1', '/gateway',
                       E'id\\u001b', '22P05', 'no such thing', '\\x01', %s),
                      ('2026-11-23 21:04:12+00', 'a', 13, null, null, null, null, null, null, 'version 9', '\\x00ff41',
                       null)
               returning id""",
            [PAYLOAD],
        )
        self.readable, self.unreadable = (str(id) for (id,) in rows)

    def run_verb(self, *arguments, **options):
        return mobeyectl("quarantine", *arguments, database=self.database, user="mobeye_ingest", **options)

    def kept(self):
        return self.value(self.superuser, "select count(*) from mobeye.quarantine")

    def test_list_is_a_table_safe_for_a_terminal(self):
        done = self.run_verb("list")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        header, _, first, second = done.stdout.splitlines()
        self.assertEqual(header.split()[:4], ["id", "quarantined_at", "instance", "journal_seq"])
        self.assertEqual(first.split()[:9],
            [self.readable, "2026-11-23", "21:04:11+00", "a", "12", "cameras", "NL-1", "/gateway",
             "id\\x1b"])  # fmt: skip
        self.assertTrue(second.endswith("version 9"))

    def test_list_as_json(self):
        first, second = json.loads(self.run_verb("list", "--json").stdout)
        self.assertEqual((first["id"], first["journal_seq"], first["event_id"]), (int(self.readable), 12, "id\x1b"))
        self.assertIsNone(second["source"])

    def test_an_empty_list_is_no_failure(self):
        self.superuser.execute("truncate mobeye.quarantine")
        self.assertEqual(self.run_verb("list").returncode, 0)
        self.assertEqual(json.loads(self.run_verb("list", "--json").stdout), [])

    def test_show_prints_the_payload_with_control_bytes_escaped(self):
        done = self.run_verb("show", self.readable)
        self.assertEqual(done.returncode, 0)
        self.assertIn("reason: no such thing\n", done.stdout)
        self.assertTrue(done.stdout.endswith('payload:\n{"text": "café\\x1b[2J"}\n'), done.stdout)
        self.assertEqual(
            json.loads(self.run_verb("show", self.readable, "--json").stdout)[0]["payload"], PAYLOAD.decode()
        )

    def test_show_prints_the_record_of_what_cannot_be_read(self):
        self.assertTrue(self.run_verb("show", self.unreadable).stdout.endswith("record, in hex:\n00ff41\n"))

    def test_show_of_what_is_not_there_fails_by_name(self):
        done = self.run_verb("show", "999999")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("999999", done.stderr)

    def discard(self, *arguments, user="curator", **options):
        """As a member of the owner."""
        self.superuser.execute("create role curator login in role mobeye_owner")
        self.addCleanup(self.superuser.execute, "drop role curator")
        return mobeyectl("quarantine", "discard", *arguments, database=self.database, user=user, **options)

    def test_the_daemons_login_discards_nothing(self):
        done = self.discard(self.readable, "--yes", user="mobeye_ingest")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("permission denied", done.stderr)
        self.assertEqual(self.kept(), 2)

    def test_discard_deletes_those_named(self):
        done = self.discard(self.readable, "--yes")
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.readable}: deleted\n"))
        self.assertEqual(self.kept(), 1)

    def test_discard_is_all_or_nothing(self):
        done = self.discard(self.readable, "999999", "--yes")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("999999", done.stderr)
        self.assertEqual(self.kept(), 2)

    def test_discard_without_a_terminal_needs_yes(self):
        done = self.discard(self.readable, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("not a terminal; use --yes to skip the confirmation", done.stderr)
        self.assertEqual(self.kept(), 2)

    def discard_answering(self, answer):
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "wb", buffering=0) as terminal:
            process = subprocess.Popen(
                [MOBEYECTL, "quarantine", "discard", self.readable, "--db", conninfo(self.database)],
                stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            os.close(theirs)
            terminal.write(answer)
            process.communicate(timeout=PATIENCE_S)
            return process.returncode

    def test_discard_asks_on_a_terminal(self):
        self.assertEqual(self.discard_answering(b"\n"), 1)
        self.assertEqual(self.discard_answering(b"no\n"), 1)
        self.assertEqual(self.kept(), 2)
        self.assertEqual(self.discard_answering(b"y\n"), 0)
        self.assertEqual(self.kept(), 1)

    def identity(self, id, device):
        self.superuser.execute("insert into mobeye.alert_identity (id, device, period) values (%s, %s, 1)", [id, device])
        self.addCleanup(self.superuser.execute, "delete from mobeye.alert_identity where id = %s", [id])

    def release(self, quarantine_id, identity):
        self.connect("mobeye_ingest").execute("select mobeye.release_quarantined(%s, %s)", [quarantine_id, identity])

    def test_the_daemon_releases_only_what_is_stored(self):
        own, base, other = ("%08d-0000-0000-0000-000000000001" % n for n in (12345678, 2, 3))
        self.superuser.execute("update mobeye.quarantine set identity = %s where id = %s", [own, self.readable])
        self.identity(other, 7)
        for identity in (base, other):  # not stored; that of another alert
            with self.assertRaises(psycopg.errors.NoDataFound):
                self.release(self.readable, identity)
        with self.assertRaises(psycopg.errors.NoDataFound):
            self.release("999999", other)
        self.assertEqual(self.kept(), 2)
        self.identity(base, 0x1234567800000000)
        self.release(self.readable, base)
        self.assertEqual(self.kept(), 1)

    def test_an_alert_stored_under_the_identity_in_quarantine_is_released(self):
        own = "87654321-0000-0000-0000-000000000001"
        self.superuser.execute("update mobeye.quarantine set identity = %s where id = %s", [own, self.readable])
        self.identity(own, 0)
        self.release(self.readable, "00000000-0000-0000-0000-000000000009")
        self.assertEqual(self.kept(), 1)

    def test_of_a_record_without_identity_the_identity_that_is_named_must_be_stored(self):
        identity = "00000000-0000-0000-0000-000000000004"
        with self.assertRaises(psycopg.errors.NoDataFound):
            self.release(self.unreadable, identity)
        self.identity(identity, 5)
        self.release(self.unreadable, identity)
        self.assertEqual(self.kept(), 1)

    def test_a_wrong_command_line_is_status_2(self):
        for arguments in ([], ["empty"], ["list", "1"], ["show"], ["show", "1", "2"], ["show", "one"], ["show", "-1"],
                          ["show", "99999999999999999999"], ["discard"], ["retry", "one"],
                          ["retry", "--yes", "1"], ["list", "--yes"]):  # fmt: skip
            done = self.run_verb(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
