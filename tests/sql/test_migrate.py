"""mobeyectl migrate."""

import pathlib
import subprocess
import unittest

from support import MOBEYECTL, PATIENCE_S, conninfo, connect, create_database, mobeyectl

SQL = pathlib.Path(__file__).parents[2] / "sql"
NAMES = sorted(path.stem for path in SQL.glob("[0-9]*.sql"))
LATEST = len(NAMES)
APPLIED = "".join(f"{name}: applied\n" for name in NAMES)
UP_TO_DATE = f"the schema is up to date (version {LATEST})"


def versions(database):
    with connect(database) as conn:
        return [row[0] for row in conn.execute("select version from mobeye.schema_version order by version")]


class Migrate(unittest.TestCase):
    def assert_refused(self, done, *words):
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        for word in ("mobeyectl migrate: ", *words):
            self.assertIn(word, done.stderr.splitlines()[0])

    def test_says_what_it_applied_and_the_second_time_that_there_is_nothing_to_do(self):
        create_database("twice")
        first = mobeyectl("migrate", database="twice")
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        self.assertEqual(first.stdout, f"{APPLIED}{UP_TO_DATE}\n")
        second = mobeyectl("migrate", database="twice")
        self.assertEqual((second.returncode, second.stdout, second.stderr), (0, UP_TO_DATE + "\n", ""))
        self.assertEqual(versions("twice"), list(range(1, LATEST + 1)))

    def test_a_migration_run_again_does_no_harm(self):
        create_database("again")
        mobeyectl("migrate", database="again")
        with connect("again") as conn:
            conn.execute("select mobeye.premake_partitions()")
            conn.execute("insert into mobeye.alert_identity (id, device) values (gen_random_uuid(), 1)")
            conn.execute("delete from mobeye.schema_version")
        done = mobeyectl("migrate", database="again")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with connect("again") as conn:
            self.assertEqual(conn.execute("select count(*) from mobeye.alert_identity").fetchone(), (1,))

    def test_several_at_once_in_two_databases_of_a_cluster_take_turns(self):
        names = ("turns_one", "turns_two")
        with connect("mobeye") as conn:  # the roles are not there yet, or are made away with
            for (database,) in conn.execute("select datname from pg_database where not datistemplate").fetchall():
                if database not in ("mobeye", "postgres"):
                    conn.execute(f'drop database "{database}" with (force)')
            for role in ("owner", "ingest", "patrol", "registry", "auditor"):
                conn.execute(f"drop role if exists mobeye_{role}")
        for name in names:
            create_database(name)
        running = [
            subprocess.Popen(
                [MOBEYECTL, "migrate", "--db", conninfo(name)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in names * 3
        ]
        outputs = [process.communicate(timeout=PATIENCE_S) for process in running]
        self.assertEqual([process.returncode for process in running], [0] * 6, outputs)
        self.assertEqual(sum(out.count(": applied") for out, _ in outputs), 2 * LATEST)
        for name in names:
            self.assertEqual(versions(name), list(range(1, LATEST + 1)))

    def test_refuses_a_database_newer_than_itself_and_leaves_it_alone(self):
        create_database("newer")
        mobeyectl("migrate", database="newer")
        with connect("newer") as conn:
            conn.execute("insert into mobeye.schema_version (version, name) values (99, 'later')")
        self.assert_refused(mobeyectl("migrate", database="newer"), "99", str(LATEST), "newer mobeyectl")
        self.assertEqual(versions("newer"), [*range(1, LATEST + 1), 99])

    def test_a_failed_migration_leaves_nothing_behind(self):
        create_database("failing")
        with connect("failing") as conn:  # in the way of one of the last statements
            conn.execute("create schema patrol; create table patrol.alerts (a integer)")
        self.assert_refused(mobeyectl("migrate", database="failing"), "0001_alerts", "alerts")
        with connect("failing") as conn:
            self.assertEqual(conn.execute("select to_regnamespace('mobeye')").fetchone(), (None,))

    def test_without_superuser_and_postgis_it_says_what_is_missing(self):
        create_database("humble")
        with connect("humble") as conn:
            conn.execute("drop role if exists humble; create role humble login createrole")
            conn.execute("grant create on database humble to humble")
        done = mobeyectl("migrate", database="humble", user="humble")
        self.assert_refused(done, "postgis", "superuser")
        self.assertIn("--help", done.stderr)

    def test_a_member_of_the_owner_migrates_where_postgis_is(self):
        create_database("member", postgis=True)
        with connect("member") as conn:
            mobeyectl("migrate", database="member")
            conn.execute("drop schema mobeye, patrol cascade; drop role if exists member")
            conn.execute("create role member login; grant mobeye_owner to member")
            conn.execute("grant create on database member to member")
        done = mobeyectl("migrate", database="member", user="member")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        with connect("member") as conn:
            applied_by = conn.execute("select applied_by from mobeye.schema_version").fetchone()
        self.assertEqual(applied_by, ("member",))

    def test_refuses_postgis_in_another_schema(self):
        create_database("elsewhere")
        with connect("elsewhere") as conn:
            conn.execute("create schema gis; create extension postgis schema gis")
        self.assert_refused(mobeyectl("migrate", database="elsewhere"), '"gis"', "database of its own")

    def test_refuses_a_database_that_cannot_hold_every_text(self):
        create_database("latin", options="encoding 'LATIN1' locale 'C' template template0")
        self.assert_refused(mobeyectl("migrate", database="latin"), "LATIN1", "UTF8")

    def test_no_database_there_is_one_clear_failure_without_the_password(self):
        done = mobeyectl("migrate", "--db", "host=/nonexistent user=u password=geheim")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent", done.stderr)
        self.assertNotIn("geheim", done.stderr)

    def test_a_wrong_command_line_is_status_2(self):
        for arguments in (["--nonsense"], ["argument"], ["--db"]):
            self.assertEqual(mobeyectl("migrate", *arguments).returncode, 2, arguments)

    def test_help_goes_to_stdout(self):
        done = mobeyectl("migrate", "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--db CONNINFO", done.stdout)

    def test_everything_belongs_to_mobeye_owner(self):
        create_database("owned")
        mobeyectl("migrate", database="owned")
        with connect("owned") as conn:
            conn.execute("select mobeye.premake_partitions()")
            strangers = conn.execute(
                """select nspname as name from pg_namespace where nspname in ('mobeye', 'patrol')
                      and nspowner <> 'mobeye_owner'::regrole
                   union all select oid::regclass::text from pg_class
                    where relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)
                      and relowner <> 'mobeye_owner'::regrole
                   union all select oid::regprocedure::text from pg_proc
                    where pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)
                      and proowner <> 'mobeye_owner'::regrole"""
            ).fetchall()
        self.assertEqual(strangers, [])


if __name__ == "__main__":
    unittest.main()
