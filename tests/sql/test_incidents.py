"""What the daemon may do to incidents, and how changes and device notes are kept."""

import re

import psycopg

from support import SchemaTest

KEY = "00000000-0000-0000-0000-00000000000"
TABLES = ("incident", "incident_condition", "change", "incident_history", "device_status", "ruleset")
CALLS = (
    "mobeye.read_conditions('{}', '{}', '{}')",
    "mobeye.read_incidents('{}', '{}', '{}', '{}', '{}', '{}')",
    "mobeye.add_changes('{}', '{}', '{}')",
    "mobeye.verify_incidents('{}', '{}', '{}', '{}', 0)",
    "mobeye.verify_recent(now())",
    "mobeye.notify_incidents('{}', '{}')",
    "mobeye.store_device_status('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
    f"mobeye.store_ruleset('{KEY}1', 'rules: []', 'amersfoort-1')",
    f"mobeye.store_incidents('{KEY}1'" + ", '{}'" * 73 + ")",
)
INSIDE = ("mobeye.close_incident(1, 'restored')", "mobeye.teams_of(null, null)")
INCIDENT = (
    "insert into mobeye.incident (incident_key, category, priority, kind, first_seen, last_seen, last_received_at,"
    " accepting, gap) values (%s, 'alarm', 2, 'motion', %s, %s, %s, %s, '10 minutes') returning incident_id"
)


class Incidents(SchemaTest):
    def setUp(self):
        super().setUp()
        self.daemon = self.connect("mobeye_ingest")

    def add(self, key, at, accepting=True):
        return self.value(self.superuser, INCIDENT, KEY + key, at, at, at, accepting)

    def read(self, keys, from_at, until_at):
        rows = self.daemon.execute(
            "select incident_id from mobeye.read_incidents('{}', '{}', '{}', %s::uuid[], %s::timestamptz[],"
            " %s::timestamptz[])",
            ([KEY + key for key in keys], [from_at] * len(keys), [until_at] * len(keys)),
        )
        return [row[0] for row in rows]

    def test_the_daemon_writes_by_functions_alone(self):
        for table in TABLES:
            for statement in (
                f"insert into mobeye.{table} default values",
                f"delete from mobeye.{table}",
                f"truncate mobeye.{table}",
            ):
                with self.subTest(statement=statement), self.assertRaises(psycopg.errors.InsufficientPrivilege):
                    self.daemon.execute(statement)

    def test_the_daemon_alone_executes_them(self):
        for call in CALLS:
            with self.subTest(call=call):
                self.daemon.execute(f"select {call}")
        for role in ("mobeye_patrol", "mobeye_auditor", "mobeye_registry"):
            for call in CALLS + INSIDE:
                with self.subTest(role=role, call=call), self.assertRaises(psycopg.errors.InsufficientPrivilege):
                    with self.superuser.transaction(force_rollback=True):
                        self.superuser.execute(f"set local session authorization {role}")
                        self.superuser.execute(f"select {call}")

    def test_what_is_only_called_from_inside_is_nobodys(self):
        for call in INSIDE:
            with self.subTest(call=call), self.assertRaises(psycopg.errors.InsufficientPrivilege):
                self.daemon.execute(f"select {call}")

    def test_read_gives_the_accepting_and_what_an_early_alert_may_join(self):
        past = self.add("1", "2026-11-23 12:00:00+00", accepting=False)
        long_past = self.add("1", "2026-11-23 06:00:00+00", accepting=False)
        now = self.add("1", "2026-11-23 18:00:00+00")
        self.add("2", "2026-11-23 18:00:00+00")
        self.assertEqual(self.read("1", "2026-11-23 18:05:00+00", "2026-11-23 18:06:00+00"), [now])
        self.assertEqual(self.read("1", "2026-11-23 12:05:00+00", "2026-11-23 18:06:00+00"), [past, now])
        self.assertEqual(self.read("1", "2026-11-23 05:55:00+00", "2026-11-23 06:06:00+00"), [long_past, now])
        self.assertEqual(self.read("3", "2026-11-23 18:05:00+00", "2026-11-23 18:06:00+00"), [])

    def test_what_was_read_is_locked_until_the_commit(self):
        incident = self.add("4", "2026-11-23 18:00:00+00")
        person = self.connect()
        with self.daemon.transaction():
            self.read("4", "2026-11-23 18:05:00+00", "2026-11-23 18:06:00+00")
            with self.assertRaises(psycopg.errors.LockNotAvailable):
                person.execute("select from mobeye.incident where incident_id = %s for update nowait", (incident,))
        person.execute("select from mobeye.incident where incident_id = %s for update nowait", (incident,))

    def test_one_of_a_key_accepts(self):
        self.add("5", "2026-11-23 18:00:00+00")
        with self.assertRaises(psycopg.errors.UniqueViolation):
            self.add("5", "2026-11-23 19:00:00+00")

    def test_peoples_changes_are_numbered_after_their_commit_and_the_daemons_at_once(self):
        incident = self.add("6", "2026-11-23 18:00:00+00")
        person = self.connect()
        insert = "insert into mobeye.change (incident_id, op, status, priority, category) values (%s, %s, 'new', 2, 'alarm')"
        with person.transaction():
            person.execute(insert, (incident, "note"))
            person.execute(insert, (incident, "link"))
            numbers = "select change_id from mobeye.change where incident_id = %s"
            self.assertEqual(person.execute(numbers, (incident,)).fetchall(), [(None,), (None,)])
            self.daemon.execute("select mobeye.add_changes(array[%s]::bigint[], '{alert}', '{f}')", (incident,))
        self.assertEqual(self.value(self.daemon, "select mobeye.number_changes()"), 2)
        ops = self.superuser.execute(
            "select op, status, priority, category from mobeye.change where incident_id = %s order by change_id",
            (incident,),
        ).fetchall()
        self.assertEqual([op[0] for op in ops], ["alert", "note", "link"])
        self.assertEqual(ops[0][1:], ("new", 2, "alarm"))

    def note(self, devices, registered, received="2026-11-23 18:00:00+00"):
        n = len(devices)
        self.daemon.execute(
            "select mobeye.store_device_status(%s, %s, %s::timestamptz[], %s::timestamptz[], %s, %s, %s, %s::int[],"
            " %s::int[], %s::bytea[], %s::real[], %s::timestamptz[], %s::bigint[])",
            (devices, [registered] * n, [received] * n, [received] * n, ["e"] * n, ["s"] * n, ["motion"] * n,
             [None] * n, [None] * n, [None] * n, [None] * n, [None] * n, [1] * n),
        )  # fmt: skip

    def test_of_strangers_ten_thousand_are_noted(self):
        count = "select count(*) from mobeye.device_status where registered = %s"
        self.note([f"stranger-{number:05}" for number in range(9999)], False)
        self.note(["stranger-a", "stranger-b", "stranger-00001"], False)
        self.assertEqual(self.value(self.superuser, count, False), 10000)
        self.assertEqual(
            self.value(self.superuser, "select alerts from mobeye.device_status where device_id = 'stranger-00001'"), 2
        )
        self.note(["stranger-c"], False)
        self.note(["ours"], True)
        self.assertEqual(self.value(self.superuser, count, False), 10000)
        ours = "select count(*) from mobeye.device_status where device_id = 'ours'"
        self.assertEqual(self.value(self.superuser, ours), 1)

    def test_a_device_that_is_heard_is_silent_no_longer(self):
        self.note(["quiet"], True)
        self.superuser.execute("update mobeye.device_status set silent_since = '2026-11-23 19:00:00+00'"
                               " where device_id = 'quiet'")  # fmt: skip
        opened = self.value(self.superuser, "select mobeye.open_silence('device', 'quiet', '2026-11-23 19:00:00+00')")
        self.note(["quiet"], True, "2026-11-23 18:30:00+00")
        status = "select silent_since is null from mobeye.device_status where device_id = 'quiet'"
        self.assertFalse(self.value(self.superuser, status))
        self.note(["quiet"], True, "2026-11-23 19:30:00+00")
        self.assertTrue(self.value(self.superuser, status))
        outcome = self.superuser.execute(
            "select status, outcome, closed_by_person from mobeye.incident where incident_id = %s", (opened,)
        ).fetchone()
        self.assertEqual(outcome, ("closed", "restored", False))

    def test_a_hint_says_nothing_personal(self):
        incident = self.add("7", "2026-11-23 18:00:00+00")
        hints = []
        self.superuser.add_notify_handler(lambda notify: hints.append(notify.payload))
        self.superuser.execute("listen mobeye_incident")
        sent = self.value(self.daemon, "select mobeye.notify_incidents(array[%s, 0]::bigint[], '{new,new}')", incident)
        self.assertEqual(sent, 1)
        self.superuser.execute("select 1")
        self.assertEqual(
            hints,
            [f'{{"incident_id" : {incident}, "op" : "new", "priority" : 2, "category" : "alarm"}}'],
        )

    def test_verification_opens_the_partitions_of_its_time_alone(self):
        """There are 42 of them, and opening each for each reference took ten times as long as everything else."""
        at = "2026-11-23 21:00+01"
        self.superuser.execute("select mobeye.premake_partitions()")
        ids = [self.add(key, at) for key in "89"]
        self.superuser.execute("update mobeye.incident set device_id = 'd' || incident_id, extent = '(5.4,52.2),(5.4,52.2)',"
                               " verify_within = '5 minutes', verify_radius_m = 150 where incident_id = any (%s)", [ids])  # fmt: skip
        self.superuser.execute("load 'auto_explain'; set auto_explain.log_min_duration = 0; set client_min_messages = log;"
                               " set auto_explain.log_nested_statements = on; set enable_partition_pruning = on")  # fmt: skip
        plans = []
        self.superuser.add_notice_handler(lambda notice: plans.append(notice.message_primary))
        self.superuser.execute("select mobeye.verify_incidents(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], 150)",
                               (ids, [f"d{id}" for id in ids], [at] * 2, [at] * 2))  # fmt: skip
        scans = re.findall(r"^ *->.* on (alert_\w+) ", "\n".join(plans), re.MULTILINE)
        self.assertTrue(scans, plans)
        self.assertLessEqual(len(set(scans)), 6, scans)
