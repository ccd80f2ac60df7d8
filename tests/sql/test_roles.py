"""Each role can do what it should, and is refused what it should not."""

import psycopg

from support import ALERT_COLUMNS, SchemaTest, connect, insert_alert

# insufficient_privilege; object_not_in_prerequisite_state: a view that nobody can write, which is said first.
REFUSED = ("42501", "55000")
TABLES = ("schema_version", "journal_position", "alert_identity", "identity_period", "alert", "quarantine")
VIEWS = ("patrol.alerts",)
NEEDS = {  # what a role may do with each table or view; everything else is refused
    "mobeye_ingest": {
        "mobeye.schema_version": {"select"},
        "mobeye.journal_position": {"select", "insert", "update"},
        "mobeye.alert_identity": {"select", "insert"},
        "mobeye.identity_period": {"select"},
        "mobeye.alert": {"insert"},
        "mobeye.alert_origin": {"insert"},
        "mobeye.quarantine": {"select", "insert"},
    },
    "mobeye_patrol": {"patrol.alerts": {"select"}},
    "mobeye_auditor": {"patrol.alerts": {"select"}},
    "mobeye_registry": {},
    "mobeye_analyst": {},
    "nobody": {},
}
KEEP = "'28 days', '365 days', '90 days', '1825 days'"
EXECUTES = {
    "mobeye.make_partitions('camera', now(), now() + interval '1 day')": {"mobeye_ingest"},
    "mobeye.premake_partitions()": {"mobeye_ingest"},
    f"mobeye.apply_retention('camera', {KEEP})": {"mobeye_ingest"},
    f"mobeye.retention_due('camera', {KEEP})": {"mobeye_ingest"},
    f"mobeye.retention_overdue({KEEP})": {"mobeye_ingest"},
    "mobeye.retention_jobs()": {"mobeye_ingest"},
    "mobeye.erase_alerts('mobeye.alert_camera', true, now())": set(),
    "mobeye.erase_due('devices', now())": set(),
    "mobeye.end_readers('mobeye.alert_camera', '1 minute')": set(),
    "mobeye.end_blockers()": {"mobeye_ingest"},
    "mobeye.report_maintenance('{}', '{}', '{}')": {"mobeye_ingest"},
    "mobeye.journal_rewind('00000000-0000-0000-0000-000000000001', 0, 0)": {"mobeye_ingest"},
    "mobeye.is_led()": {"mobeye_ingest"},
    "mobeye.claim_conflicts('{}', '{}', '{}', '{}', 1)": {"mobeye_ingest"},
    "mobeye.make_identity_filters()": {"mobeye_ingest"},
    "mobeye.stored_before('{}', '{}')": {"mobeye_ingest"},
    "mobeye.turn_identity_period(0)": {"mobeye_ingest"},
    "mobeye.release_quarantined(1, '00000000-0000-0000-0000-000000000001')": {"mobeye_ingest"},
    "patrol.api_version()": {"mobeye_patrol", "mobeye_auditor", "mobeye_registry", "mobeye_analyst"},
    "patrol.last_change()": {"mobeye_patrol", "mobeye_auditor", "mobeye_registry"},
}
STATEMENTS = {
    "select": "select {column} from {relation} limit 0",
    "insert": "insert into {relation} ({column}) select null where false",
    "update": "update {relation} set {column} = null",
    "delete": "delete from {relation}",
    "truncate": "truncate {relation}",
}


class Roles(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with connect(cls.database) as conn:
            conn.execute("drop role if exists nobody; create role nobody")
            conn.execute("select mobeye.premake_partitions()")
            conn.execute(
                "insert into mobeye.journal_position values ('00000000-0000-0000-0000-000000000001', 'a', 1, 1)"
            )

    def may(self, role, statement):
        """Whether the role has the right, be the statement's outcome what it is."""
        try:
            with self.superuser.transaction(force_rollback=True):
                self.superuser.execute(f"set local session authorization {role}")
                self.superuser.execute(statement)
        except psycopg.Error as error:
            return error.sqlstate not in REFUSED
        return True

    def statement(self, verb, relation):
        column = self.value(
            self.superuser,
            # Of a view's computed column there is no privilege to be refused for.
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 1"
            " order by attname = 'instance' desc, attnum limit 1",
            relation,
        )
        return STATEMENTS[verb].format(relation=relation, column=column)

    def test_tables_and_views(self):
        for role, needs in NEEDS.items():
            for relation in (*(f"mobeye.{table}" for table in TABLES), *VIEWS):
                for verb in STATEMENTS.keys() - ({"truncate"} if relation in VIEWS else set()):
                    with self.subTest(role=role, relation=relation, verb=verb):
                        allowed = verb in needs.get(relation, ())
                        self.assertEqual(self.may(role, self.statement(verb, relation)), allowed)

    def test_partitions_are_reached_through_their_table_only(self):
        partition = self.value(
            self.superuser,
            "select inhrelid::regclass::text from pg_inherits where inhparent = "
            "'mobeye.alert_alarm'::regclass limit 1",
        )
        for verb in STATEMENTS:
            self.assertFalse(self.may("mobeye_ingest", self.statement(verb, partition)), verb)

    def test_functions(self):
        for call, roles in EXECUTES.items():
            for role in NEEDS:
                with self.subTest(role=role, call=call):
                    self.assertEqual(self.may(role, f"select {call}"), role in roles)

    def test_the_board_leaves_nobody_set(self):
        """Its connections are shared: the person of a request must not be left for the next."""
        self.superuser.execute("insert into mobeye.person values ('jansen', 'Jansen', null, true) on conflict do nothing")
        with self.connect("mobeye_board") as board:
            for call in ("board('jansen', 'me', null, null)", "board_image('jansen', 'x', 'y')", "board_changes(array['jansen'], 0)"):
                board.execute(f"select patrol.{call}").fetchall()
                left = board.execute("select nullif(current_setting('mobeye.acting_as', true), '')").fetchone()[0]
                self.assertIsNone(left, call)

    def test_no_function_is_everybodys(self):
        rows = self.superuser.execute(
            """select oid::regprocedure::text from pg_proc
                where pronamespace in ('patrol'::regnamespace, 'mobeye'::regnamespace)
                  and has_function_privilege('public', oid, 'execute')"""
        ).fetchall()
        self.assertEqual(rows, [])

    def test_no_role_makes_or_drops_anything(self):
        for role in NEEDS:
            for statement in (
                "create table mobeye.a ()",
                "create table patrol.a ()",
                "create table public.a ()",
                "drop table mobeye.alert_camera",
                "alter table mobeye.alert add a integer",
                "create schema a",
                "set role mobeye_owner",
            ):
                with self.subTest(role=role, statement=statement):
                    self.assertFalse(self.may(role, statement))

    def test_the_owner_may_do_everything(self):
        for statement in (
            "delete from mobeye.alert",
            "truncate mobeye.quarantine",
            "drop table mobeye.alert_camera",
            "select * from patrol.alerts",
            "select mobeye.premake_partitions()",
            "create table mobeye.a ()",
        ):
            self.assertTrue(self.may("mobeye_owner", statement), statement)

    def test_only_the_daemon_and_the_board_log_in(self):
        rows = self.superuser.execute(
            "select rolname from pg_roles where rolname like 'mobeye\\_%' and rolcanlogin order by 1"
        ).fetchall()
        self.assertEqual(rows, [("mobeye_board",), ("mobeye_ingest",)])
        powers = self.value(
            self.superuser,
            "select count(*) from pg_roles where rolname like 'mobeye\\_%%'"
            " and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)",
        )
        self.assertEqual(powers, 0)

    def test_the_daemon_logs_in_and_stores_a_batch(self):
        conn = self.connect("mobeye_ingest")
        conn.execute("listen mobeye_journal")
        self.assertGreaterEqual(self.value(conn, "select max(version) from mobeye.schema_version"), 1)
        row = self.row(conn)
        with conn.transaction():
            conn.execute(
                "update mobeye.journal_position set position = 2, checksum = 5, updated_at = now()"
                " where journal = '00000000-0000-0000-0000-000000000001' and position = 1"
            )
            conn.execute("savepoint identity")
            with conn.cursor().copy("copy mobeye.alert_identity (id, device, period) from stdin") as copy:
                copy.write_row(("11111111-0000-0000-0000-000000000001", 1, 1))
            with conn.cursor().copy(f"copy mobeye.alert ({ALERT_COLUMNS}) from stdin") as copy:
                copy.write_row(row)
        came_back = conn.execute(
            "insert into mobeye.alert_identity (id, device, period) values ('11111111-0000-0000-0000-000000000001', 1, 1),"
            " ('11111111-0000-0000-0000-000000000002', 1, 1) on conflict do nothing returning id::text"
        ).fetchall()
        self.assertEqual(came_back, [("11111111-0000-0000-0000-000000000002",)])
        stored = self.superuser.execute(
            "select st_x(geom), st_srid(geom), clock_skew, flags, payload, stored_at is not null"
            " from mobeye.alert_decoded where event_id = 'batch'"
        ).fetchone()
        self.assertEqual(
            (stored[0], stored[1], str(stored[2]), *stored[3:]),
            (5.38421, 4326, "0:00:01.500000", ["clock"], {"a": 1}, True),
        )

    def row(self, conn):
        at = self.value(conn, "select now()")
        return (0, 2, 0, 1, at, at, 1, 1, "1.5 s", 1, None, 12.0, False, False, None, None,
                "SRID=4326;POINT(5.38421 52.19634)", None, None, "d", "/s", "batch", '{"a": 1}', None, None, None)  # fmt: skip

    def test_the_daemon_sets_a_refused_alert_aside_once(self):
        conn = self.connect("mobeye_ingest")
        for _ in range(2):
            conn.execute(
                "insert into mobeye.quarantine (journal, journal_seq, identity, reason, record) values"
                " ('00000000-0000-0000-0000-000000000001', 7, '22222222-0000-0000-0000-000000000001', 'refused', 'x'),"
                " ('00000000-0000-0000-0000-000000000001', 8, null, 'unreadable', 'y') on conflict do nothing"
            )
        self.assertEqual(self.value(conn, "select count(*) from mobeye.quarantine"), 2)
        self.assertEqual(len(conn.execute("select id from mobeye.quarantine for update").fetchall()), 2)
        with self.assertRaises(psycopg.errors.GeneratedAlways):
            conn.execute("update mobeye.quarantine set id = 1")

    def test_patrol_reads_what_the_daemon_stored(self):
        insert_alert(
            self.connect("mobeye_ingest"), event_id="seen", occurred_at=str(self.value(self.superuser, "select now()"))
        )
        seen = "select count(*) from patrol.alerts where event_id = 'seen'"
        self.superuser.execute("set role mobeye_patrol")
        self.assertEqual(self.value(self.superuser, seen), 0)  # the login is nobody in particular
        self.superuser.execute("reset role")
        self.superuser.execute("insert into mobeye.person (login, name, all_teams) values (session_user, 'Room', true)")
        self.addCleanup(self.superuser.execute, "reset role; delete from mobeye.person")
        self.superuser.execute("set role mobeye_patrol")
        self.assertEqual(self.value(self.superuser, seen), 1)
