"""The registry: versions in commit order, what changed in which, placements, states, rights."""

import select
import threading
import unittest

import psycopg

from support import PATIENCE_S, SchemaTest

AMERSFOORT = "srid=4326;point(5.38421 52.15634)"


class RegistryTest(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("delete from mobeye.device; delete from mobeye.area; delete from mobeye.team")

    def version(self, name="registry"):
        return self.value(self.superuser, "select value from mobeye.counter where name = %s", name)

    def changed(self, since):
        rows = self.superuser.execute(
            "select version, device_id from mobeye.registry_log where version > %s group by 1, 2 order by 1, 2", [since]
        )
        return [(version - since, device) for version, device in rows.fetchall()]

    def device(self, *ids):
        for device in ids:
            self.superuser.execute("insert into mobeye.device (device_id) values (%s)", [device])

    def place(self, device, since="2026-01-01Z", until=None, conn=None):
        (conn or self.superuser).execute(
            "insert into mobeye.placement (device_id, during, geom) values (%s, tstzrange(%s, %s), %s)",
            [device, since, until, AMERSFOORT],
        )

    def placements(self, device):
        rows = self.superuser.execute(
            "select lower(during)::text, upper(during)::text from mobeye.placement where device_id = %s order by during",
            [device],
        )
        return rows.fetchall()

    def state(self, device):
        return self.value(self.superuser, "select state from mobeye.device where device_id = %s", device)

    def notifications(self, conn):
        """What came up to now to a connection that also listens to fence, whose notification is the last."""
        self.superuser.execute("notify fence")
        heard = []
        while True:
            while (notify := conn.pgconn.notifies()) is None:
                self.assertTrue(select.select([conn], [], [], PATIENCE_S)[0], "no NOTIFY came")
                conn.pgconn.consume_input()
            if notify.relname == b"fence":
                return heard
            heard.append((notify.relname.decode(), notify.extra.decode()))


class Commit(threading.Thread):
    """Commits beside the test."""

    def __init__(self, conn):
        super().__init__(daemon=True)
        self.conn, self.error = conn, None
        self.start()

    def run(self):
        try:
            self.conn.execute("commit")
        except psycopg.Error as error:
            self.error = error


class Versions(RegistryTest):
    def test_a_transaction_takes_one_version_and_tells_it_once(self):
        listener = self.connect("mobeye_ingest")
        listener.execute("listen mobeye_registry; listen mobeye_areas; listen fence")
        before = self.version()
        with self.superuser.transaction():
            self.device("a", "b")
            self.place("a")
            self.superuser.execute("insert into mobeye.device_address values ('AB12', 1, 'b')")
            self.superuser.execute("insert into mobeye.device_input values ('b', 1, 'door')")
            self.assertEqual(self.version(), before)
        self.assertEqual(self.version(), before + 1)
        self.assertEqual(self.changed(before), [(1, "a"), (1, "b")])
        self.assertEqual(self.notifications(listener), [("mobeye_registry", str(before + 1))])

    def test_every_table_and_every_kind_of_change_is_noted(self):
        self.device("a", "b")
        self.place("b")
        statements = {
            "update mobeye.device set model = 'CM4000' where device_id = 'a'": ["a"],
            "insert into mobeye.device_address values ('AB12', null, 'a')": ["a"],
            "update mobeye.device_address set device_id = 'b'": ["a", "b"],
            "delete from mobeye.device_address": ["b"],
            "insert into mobeye.device_input values ('a', 1, 'door')": ["a"],
            "update mobeye.device_input set label = 'back door'": ["a"],
            "delete from mobeye.device_input": ["a"],
            "update mobeye.placement set address = 'here'": ["b"],
            "update mobeye.placement set geom = 'srid=4326;point(5 52)'": ["b"],
            "update mobeye.device set device_id = 'c' where device_id = 'b'": ["b", "c"],
            "truncate mobeye.placement": ["c"],
            "delete from mobeye.device": ["a", "c"],
        }
        for statement, devices in statements.items():
            with self.subTest(statement):
                before = self.version()
                self.superuser.execute(statement)
                self.assertEqual(self.changed(before), [(1, device) for device in devices])
                self.assertEqual(self.version(), before + 1)

    def test_what_changes_nothing_makes_no_version(self):
        self.device("a")
        before = self.version()
        for statement in (
            "update mobeye.device set model = model",
            "delete from mobeye.device where device_id = 'none'",
            "insert into mobeye.device (device_id) values ('a') on conflict do nothing",
        ):
            self.superuser.execute(statement)
        with self.superuser.transaction(force_rollback=True):
            self.device("b")
        self.assertEqual(self.version(), before)
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.pending_version"), 0)

    def test_versions_are_in_the_order_of_commits_and_nobody_waits_for_an_open_transaction(self):
        before = self.version()
        first, second = self.connect(), self.connect()
        first.execute("begin; insert into mobeye.device (device_id) values ('early')")
        second.execute("set lock_timeout = '20s'")
        second.execute("insert into mobeye.device (device_id) values ('late')")
        self.assertEqual(self.changed(before), [(1, "late")])
        first.execute("commit")
        self.assertEqual(self.changed(before), [(1, "late"), (2, "early")])

    def test_both_counters_in_either_order_do_not_deadlock(self):
        self.device("a", "b")
        device = "update mobeye.device set model = 'x' where device_id = 'a'"
        area = (
            "insert into mobeye.area (layer, code, name, geom) values "
            "('beat', 'A', 'x', 'srid=4326;polygon((5 52,6 52,6 53,5 52))')"
        )
        area_name = "update mobeye.area set name = 'y'"
        self.superuser.execute(area)
        holder, areas_first, registry_first = (self.connect() for _ in range(3))
        holder.execute("begin; select from mobeye.counter where name = 'areas' for update")
        areas_first.execute(f"begin; {area_name}; {device}")
        registry_first.execute("begin")
        registry_first.execute(device.replace("'a'", "'b'"))
        registry_first.execute(area.replace("'A'", "'B'"))
        commits = []
        for conn in (areas_first, registry_first):  # each waits for the holder, in this order
            commits.append(Commit(conn))
            self.waits(conn)
        holder.execute("commit")
        for commit in commits:
            commit.join(PATIENCE_S)
            self.assertIsNone(commit.error)

    def test_a_version_taken_early_is_followed_by_another(self):
        before = self.version()
        with self.superuser.transaction():
            self.device("a")
            self.superuser.execute("set constraints all immediate")
            self.device("b")
        self.assertEqual(self.changed(before), [(1, "a"), (2, "b")])

    def test_100000_rows_update_the_counter_once(self):
        before = self.version()
        self.superuser.execute(
            "insert into mobeye.device (device_id) select 'd' || i from generate_series(1, 100000) as i"
        )
        self.assertEqual(self.version(), before + 1)
        self.assertEqual(
            self.value(self.superuser, "select count(*) from mobeye.registry_log where version = %s", before + 1), 100000
        )


class Placements(RegistryTest):
    def setUp(self):
        super().setUp()
        self.device("a")
        self.registry = self.connect()
        self.registry.execute("set role mobeye_registry")

    def call(self, sql, *parameters):
        return self.value(self.registry, f"select mobeye.{sql}", *parameters)

    def assert_refused(self, error, words, sql, *parameters):
        with self.assertRaises(error) as caught:
            self.registry.execute(sql, parameters)
        self.assertIn(words, caught.exception.diag.message_primary)
        self.assertTrue(caught.exception.diag.message_hint)

    def test_one_place_at_a_time_with_the_end_excluded(self):
        self.place("a", "2026-01-01Z", "2026-02-01Z")
        self.place("a", "2026-02-01Z", None)
        with self.assertRaises(psycopg.errors.ExclusionViolation) as caught:
            self.place("a", "2026-01-31Z", "2026-02-01Z", self.registry)
        self.assertEqual(caught.exception.diag.constraint_name, "placement_overlap")
        self.assertIn("device a: already placed from 2026-01-01", caught.exception.diag.message_primary)

    def test_of_two_at_once_one_is_refused(self):
        other = self.connect()
        other.execute("begin")
        self.place("a", conn=other)
        waiting = self.connect()
        waiting.execute("set lock_timeout = '50ms'")
        with self.assertRaises(psycopg.errors.LockNotAvailable):  # it waits, so it has seen the other
            self.place("a", "2026-03-01Z", conn=waiting)
        other.execute("commit")
        with self.assertRaises(psycopg.errors.ExclusionViolation):
            self.place("a", "2026-03-01Z", conn=waiting)

    def test_what_is_no_placement_is_refused_in_words(self):
        insert = "insert into mobeye.placement (device_id, geom) values ('a', %s)"
        for geom in ("srid=4326;point(155000 463000)", "srid=4326;point empty", "srid=4326;point(nan 52)"):
            with self.subTest(geom):
                self.assert_refused(psycopg.errors.InvalidParameterValue, "are not degrees", insert, geom)
        for during in ("empty", "(,2026-01-01)", "[2026-01-01,2026-01-02]"):
            with self.subTest(during):
                self.assert_refused(psycopg.errors.CheckViolation, "placement of a: during must have",
                                    "insert into mobeye.placement (device_id, during, geom) values ('a', %s, %s)", during, AMERSFOORT)

    def test_what_is_refused_is_not_in_the_message(self):
        """The server logs it."""
        insert = ("insert into mobeye.placement (device_id, during, geom, address, bag_id, instructions, secret)"
                  " values ('a', %s, %s, %s, %s, %s, %s)")
        right = {"during": "[2026-01-01,)", "geom": AMERSFOORT, "address": "Kerkstraat 1", "bag_id": "0307", "instructions": "sleutel", "secret": False}
        for column, wrong in (("during", "empty"), ("during", None), ("geom", None), ("secret", None), ("address", "Kerkstraat " * 40),
                              ("bag_id", "7" * 65), ("instructions", "sleutel " * 600)):
            with self.subTest(column), self.assertRaises(psycopg.IntegrityError) as refused:
                self.registry.execute(insert, list({**right, column: wrong}.values()))
            diag = refused.exception.diag
            self.assertRegex(diag.message_primary, f"^placement of a: {column} ")
            self.assertIsNone(diag.message_detail)

    def test_without_a_time_it_holds_from_now_on(self):
        self.registry.execute("insert into mobeye.placement (device_id, geom) values ('a', %s)", [AMERSFOORT])
        self.assertEqual(self.state("a"), "placed")

    def test_placing_again_moves_it(self):
        self.call("device_place('a', 5.3, 52.1, '2026-01-01Z')")
        self.call("device_place('a', 5.4, 52.2, '2026-02-01Z', '2026-03-01Z')")
        self.assertEqual(
            [row[0][:10] for row in self.placements("a")] + [row[1][:10] for row in self.placements("a")],
            ["2026-01-01", "2026-02-01", "2026-02-01", "2026-03-01"],
        )
        overlapping = "select mobeye.device_place('a', 5.4, 52.2, '2026-02-15Z')"
        self.assert_refused(psycopg.errors.ExclusionViolation, "already placed from 2026-02-01", overlapping)
        self.assertEqual(len(self.placements("a")), 2)

    def test_placing_again_from_the_same_time_corrects_it(self):
        first = self.call("device_place('a', 5.3, 52.1, '2026-01-01Z')")
        again = self.call("device_place('a', 5.4, 52.2, '2026-01-01Z', secret => true)")
        self.assertEqual(first, again)
        row = self.superuser.execute("select st_x(geom), secret from mobeye.placement").fetchall()
        self.assertEqual(row, [(5.4, True)])

    def test_a_correction_keeps_what_it_does_not_give(self):
        self.superuser.execute("insert into mobeye.team values ('noord')")
        self.call("device_place('a', 5.3, 52.1, '2026-01-01Z', null, 'Kerkstraat 1', 'noord', true, 'achterom')")
        shown = "select st_x(geom), address, team, secret, instructions from mobeye.placement"
        self.call("device_place('a', 5.31, 52.1, '2026-01-01Z')")
        self.assertEqual(self.superuser.execute(shown).fetchall(), [(5.31, "Kerkstraat 1", "noord", True, "achterom")])
        self.call("device_place('a', 5.31, 52.1, '2026-01-01Z', address => 'Kerkstraat 3', secret => false)")
        self.assertEqual(self.superuser.execute(shown).fetchall(), [(5.31, "Kerkstraat 3", "noord", False, "achterom")])
        # The next home is not the one before.
        self.call("device_place('a', 5.4, 52.2, '2026-02-01Z')")
        self.assertEqual(self.superuser.execute(f"{shown} where upper_inf(during)").fetchall(), [(5.4, None, None, False, None)])

    def test_placing_says_what_is_wrong(self):
        place = "select mobeye.device_place"
        self.assert_refused(psycopg.errors.NoDataFound, '"x" is not registered', f"{place}('x', 5, 52)")
        self.assert_refused(psycopg.errors.InvalidParameterValue, "not degrees", f"{place}('a', 155000, 463000)")
        self.assert_refused(psycopg.errors.InvalidParameterValue, "not degrees", f"{place}('a', null, 52)")
        self.assert_refused(psycopg.errors.InvalidParameterValue, "is not valid for a placement", f"{place}('a', 5, 52, now(), now())")

    def test_an_unknown_team_is_refused(self):
        self.assert_refused(psycopg.errors.InvalidParameterValue, 'team "noord" does not exist',
                            "select mobeye.device_place('a', 5, 52, team => 'noord')")
        self.assertEqual(self.placements("a"), [])

    def test_retrieving_ends_what_holds(self):
        self.call("device_place('a', 5, 52, '2026-01-01Z')")
        self.call("device_retrieve('a', '2026-02-01Z')")
        self.assertEqual(self.placements("a")[0][1][:10], "2026-02-01")
        self.assert_refused(psycopg.errors.NoDataFound, "has no placement at", "select mobeye.device_retrieve('a')")
        self.assert_refused(psycopg.errors.NoDataFound, "is not registered", "select mobeye.device_retrieve('x')")

    def test_retrieved_at_the_moment_of_placing_it_was_never_there(self):
        self.call("device_place('a', 5, 52, '2026-01-01Z')")
        self.call("device_retrieve('a', '2026-01-01Z')")
        self.assertEqual(self.placements("a"), [])

    def test_the_state_follows_the_placements(self):
        self.assertEqual(self.state("a"), "stock")
        self.call("device_place('a', 5, 52)")
        self.assertEqual(self.state("a"), "placed")
        self.superuser.execute("update mobeye.device set state = 'stock'")
        self.assertEqual(self.state("a"), "placed")
        self.call("device_retrieve('a')")
        self.assertEqual(self.state("a"), "stock")

    def test_the_state_follows_the_clock_when_it_is_refreshed(self):
        self.place("a", "2020-01-01Z", "2021-01-01Z")
        self.device("b")
        with self.superuser.transaction():  # as they are left when time passes
            self.superuser.execute("set local session_replication_role = replica")
            self.superuser.execute("update mobeye.device set state = 'placed' where device_id = 'a'")
        self.assertEqual(self.value(self.connect("mobeye_ingest"), "select mobeye.refresh_states()"), 1)
        self.assertEqual(self.state("a"), "stock")

    def test_repair_and_retired_take_no_placement_and_need_none(self):
        for state in ("repair", "retired"):
            self.registry.execute("update mobeye.device set state = %s", [state])
            self.assert_refused(
                psycopg.errors.ObjectNotInPrerequisiteState, f'state "{state}"', "select mobeye.device_place('a', 5, 52)"
            )
            self.place("a", "2020-01-01Z", "2020-02-01Z")  # the past may be written down
            self.superuser.execute("delete from mobeye.placement")
        self.registry.execute("update mobeye.device set state = 'stock'")
        self.call("device_place('a', 5, 52)")
        self.assert_refused(
            psycopg.errors.ObjectNotInPrerequisiteState, "has a placement", "update mobeye.device set state = 'retired'"
        )


class Unknown(RegistryTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.device_status, mobeye.device cascade")

    def test_who_reported_and_is_not_registered(self):
        for device, registered in (("x", False), ("known", True), ("dc09:AB12/1", False), ("dc09:AB12/2", False)):
            self.superuser.execute(
                "insert into mobeye.device_status values (%s, %s, now(), now(), now(), 'portal', 's', 'motion')",
                [device, registered],
            )
        listed = "select array_agg(device_id order by device_id) from mobeye.device_unknown"
        self.assertEqual(self.value(self.superuser, listed), ["dc09:AB12/1", "dc09:AB12/2", "x"])
        self.device("x")
        self.superuser.execute("insert into mobeye.device_address values ('AB12', 2, 'x')")
        self.assertEqual(self.value(self.superuser, listed), ["dc09:AB12/1"])
        self.superuser.execute("insert into mobeye.device_address values ('AB12', null, 'x')")
        self.assertIsNone(self.value(self.superuser, listed))

    def test_an_account_is_known_without_its_leading_zeros(self):
        for device in ("dc09:0371/1", "dc09:371/2", "dc09:0", "dc09:0000/1"):
            self.superuser.execute(
                "insert into mobeye.device_status values (%s, false, now(), now(), now(), 'portal', 's', 'motion')",
                [device],
            )
        self.device("x")
        self.superuser.execute(
            "insert into mobeye.device_address values ('371', 1, 'x'), ('00371', 2, 'x'), ('0', null, 'x')"
        )
        self.assertEqual(
            self.value(self.superuser, "select array_agg(device_id) from mobeye.device_unknown"), ["dc09:0"]
        )
        with self.assertRaises(psycopg.errors.UniqueViolation):
            self.superuser.execute("insert into mobeye.device_address values ('0371', 1, 'x')")


class Rights(RegistryTest):
    WRITES = {"select", "insert", "update", "delete"}
    EDITED = ("device", "device_address", "device_input", "placement", "area")
    READ = ("team", "team_area", "counter", "registry_log", "device_status", "device_unknown")
    OWN = ("person", "pending_version")
    FUNCTIONS = {
        "device_place(text,float8,float8,timestamptz,timestamptz,text,text,boolean,text)": {"mobeye_registry"},
        "device_retrieve(text,timestamptz)": {"mobeye_registry"},
        "check_areas(float8[])": {"mobeye_registry"},
        "implausible(geometry,float8[])": {"mobeye_registry"},
        "whereabouts(geometry,timestamptz)": {"mobeye_registry"},
        "merge_areas(text,integer)": {"mobeye_registry"},
        "check_devices(float8[],text[])": {"mobeye_registry"},
        "merge_devices(text[])": {"mobeye_registry"},
        "unknown_teams(text[])": {"mobeye_registry"},
        "refresh_states(text[])": {"mobeye_registry", "mobeye_ingest"},
        "assign_versions()": set(),
        "update_validity(text[])": set(),
    }

    def may(self, role, table):
        return {
            right
            for right in (*self.WRITES, "truncate")
            if self.value(self.superuser, "select has_table_privilege(%s, %s, %s)", role, f"mobeye.{table}", right)
        }

    def test_tables(self):
        wanted = {table: {"mobeye_registry": self.WRITES, "mobeye_ingest": {"select"}} for table in self.EDITED}
        # Of placements the daemon reads all but these, of what is written about inputs nothing.
        wanted["placement"]["mobeye_ingest"] = wanted["device_input"]["mobeye_ingest"] = set()
        self.assertEqual(
            [row[0] for row in self.superuser.execute(
                "select attname from pg_attribute where attrelid = 'mobeye.placement'::regclass and attnum > 0"
                " and not has_column_privilege('mobeye_ingest', attrelid, attnum, 'select') order by attname")],
            ["address", "bag_id", "erased", "instructions", "moved_from"])
        # Of the last report of a device device managers read not what alarm it was.
        self.assertEqual(
            [row[0] for row in self.superuser.execute(
                "select attname from pg_attribute where attrelid = 'mobeye.device_status'::regclass and attnum > 0"
                " and not has_column_privilege('mobeye_registry', attrelid, attnum, 'select') order by attname")],
            ["kind", "last_occurred_at"])
        wanted |= {table: {"mobeye_registry": {"select"}, "mobeye_ingest": {"select"}} for table in self.READ}
        wanted["device_status"] = {"mobeye_registry": set(), "mobeye_ingest": {"select"}}
        wanted |= {table: {} for table in self.OWN}
        wanted |= {table: {"mobeye_registry": set()} for table in ("incident", "alert", "quarantine")}
        for table, roles in wanted.items():
            for role in ("mobeye_registry", "mobeye_ingest", "mobeye_patrol", "mobeye_auditor"):
                if table in ("incident", "alert", "quarantine") and role != "mobeye_registry":
                    continue
                with self.subTest(table=table, role=role):
                    self.assertEqual(self.may(role, table), roles.get(role, set()))

    def test_nobody_but_the_owner_gives_a_device_another_number(self):
        self.device("d1", "d2")
        conn = self.superuser
        conn.execute("set role mobeye_registry")
        self.addCleanup(conn.execute, "reset role")
        number = self.value(conn, "select device_uuid from mobeye.device where device_id = 'd1'")
        with self.assertRaisesRegex(psycopg.errors.InsufficientPrivilege, "device d2: device_uuid cannot be changed"):
            conn.execute("update mobeye.device set device_uuid = gen_random_uuid() where device_id = 'd2'")
        with self.assertRaises(psycopg.errors.UniqueViolation):
            conn.execute("insert into mobeye.device (device_id, device_uuid) values ('d3', %s)", [number])
        conn.execute("update mobeye.device set device_uuid = device_uuid, note = 'as a form sends it' where device_id = 'd1'")
        self.assertEqual(self.value(conn, "select device_uuid from mobeye.device where device_id = 'd1'"), number)

    def test_functions(self):
        for function, roles in self.FUNCTIONS.items():
            for role in ("mobeye_registry", "mobeye_ingest", "mobeye_patrol", "mobeye_auditor"):
                with self.subTest(function=function, role=role):
                    allowed = self.value(
                        self.superuser, "select has_function_privilege(%s, %s, 'execute')", role, f"mobeye.{function}"
                    )
                    self.assertEqual(allowed, role in roles)

    def test_every_table_and_column_and_function_of_the_registry_has_a_comment(self):
        tables = [*self.EDITED, *self.READ, *self.OWN]
        missing = self.superuser.execute(
            """select attrelid::regclass || '.' || attname from pg_attribute
                where attrelid = any (%s::regclass[]) and attnum > 0 and not attisdropped
                  and col_description(attrelid, attnum) is null
               union all
               select oid::regclass::text from pg_class where oid = any (%s::regclass[]) and obj_description(oid) is null
               union all
               select oid::regprocedure::text from pg_proc where pronamespace = 'mobeye'::regnamespace
                  and obj_description(oid) is null""",
            [[f"mobeye.{table}" for table in tables]] * 2,
        ).fetchall()
        self.assertEqual(missing, [])

    def test_every_function_pins_its_search_path(self):
        rows = self.superuser.execute(
            """select oid::regprocedure::text from pg_proc where pronamespace = 'mobeye'::regnamespace
                and prosqlbody is null and not coalesce(proconfig::text like '%search_path=pg_catalog%', false)"""
        ).fetchall()
        self.assertEqual(rows, [])


if __name__ == "__main__":
    unittest.main()
