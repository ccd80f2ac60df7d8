"""mobeyectl migrate."""

import hashlib
import pathlib
import subprocess
import unittest

from support import MOBEYECTL, PATIENCE_S, conninfo, connect, create_database, mobeyectl

SQL = pathlib.Path(__file__).parents[2] / "sql"
NAMES = sorted(path.stem for path in SQL.glob("migrations/*.sql"))
CODE = {path.stem for path in SQL.glob("code/*.sql")}
LATEST = len(NAMES)
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
        lines = first.stdout.splitlines()
        self.assertEqual(lines[:LATEST], [f"{name}: applied" for name in NAMES])
        self.assertEqual(set(lines[LATEST:-1]), {f"code/{name}: applied" for name in CODE})
        self.assertEqual(lines[-1], UP_TO_DATE)
        second = mobeyectl("migrate", database="twice")
        self.assertEqual((second.returncode, second.stdout, second.stderr), (0, UP_TO_DATE + "\n", ""))
        self.assertEqual(versions("twice"), list(range(1, LATEST + 1)))

    def test_a_migration_run_again_does_no_harm(self):
        create_database("again")
        mobeyectl("migrate", database="again")
        with connect("again") as conn:
            conn.execute("select mobeye.premake_partitions()")
            conn.execute("insert into mobeye.alert_identity (id, device, period) values (gen_random_uuid(), 1, 1)")
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
        self.assertEqual(sum(out.count(": applied") for out, _ in outputs), 2 * (LATEST + len(CODE)))
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
        with connect("failing") as conn:  # in the way, after the migrations
            conn.execute("create schema patrol")
        self.assert_refused(mobeyectl("migrate", database="failing"), "owner of schema patrol")
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



OBJECTS = """
select p.oid::regprocedure::text, md5(p.prosrc || coalesce(p.proconfig::text, '')), coalesce(p.proacl::text, '') from pg_proc p
 where p.pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)
union all
select c.oid::regclass::text, coalesce(md5(pg_get_viewdef(c.oid)), ''), coalesce(c.relacl, acldefault('r', c.relowner))::text from pg_class c
 where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and c.relkind in ('r', 'p', 'v')
union all
select format('%s %s', t.tgrelid::regclass, t.tgname), pg_get_triggerdef(t.oid), '' from pg_trigger t where not t.tgisinternal
"""


class Code(unittest.TestCase):
    """The files of sql/code: applied again when their text has changed, as if another version had been there."""

    def setUp(self):
        self.database = "code"
        create_database(self.database)
        self.assertEqual(self.migrate().returncode, 0)
        self.conn = connect(self.database)
        self.addCleanup(self.conn.close)
        self.as_new = self.objects()
        self.assertGreater(len(self.as_new), 150)

    def migrate(self, *arguments):
        return mobeyectl("migrate", *arguments, database=self.database)

    def objects(self):
        return sorted(self.conn.execute(OBJECTS).fetchall())

    def one(self, sql):
        return self.conn.execute(sql).fetchone()[0]

    def other_version(self, *files, program="0.0.1"):
        """What another version would have recorded of these files."""
        self.conn.execute(
            "update mobeye.schema_code set sha256 = 'other', program = %s where file = any (%s)", [program, list(files)]
        )

    def assert_applied(self, done, *files):
        # Autovacuum may be at a table just then: the migration waits, and says so.
        errors = done.stderr.replace("mobeyectl migrate: waiting for a lock that another session holds\n", "")
        self.assertEqual((done.returncode, errors), (0, ""))
        self.assertEqual(done.stdout, "".join(f"code/{name}: applied\n" for name in files) + UP_TO_DATE + "\n")

    def test_a_function_with_another_text_is_replaced_where_it_is(self):
        oid = "select 'mobeye.is_placed(text, timestamptz)'::regprocedure::oid"
        before = self.conn.execute(oid).fetchone()
        self.conn.execute(
            "create or replace function mobeye.is_placed(device text, at timestamptz default now()) returns boolean"
            " language sql stable security definer as 'select true'"
        )
        self.other_version("registry_checks")
        self.assert_applied(self.migrate(), "registry_checks")
        self.assertEqual(self.objects(), self.as_new)
        self.assertEqual(self.conn.execute(oid).fetchone(), before, "sessions that call it go on")
        self.assert_applied(self.migrate())

    def test_what_is_no_longer_in_the_files_is_dropped(self):
        self.conn.execute(
            """set role mobeye_owner;
               create function mobeye.gone(integer) returns integer language sql as 'select 1';
               create function mobeye.gone() returns trigger language plpgsql as 'begin return null; end';
               create trigger gone after insert on mobeye.device for each row execute function mobeye.gone();
               create view patrol.gone as select mobeye.gone(1) as one;
               create view patrol.gone_too as select one from patrol.gone;
               reset role;
               insert into mobeye.schema_code (file, sha256, program) values ('gone', 'x', '0.0.1')"""
        )
        done = self.migrate()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"code/gone: removed\n{UP_TO_DATE}\n")
        self.assertEqual(self.objects(), self.as_new)

    def test_views_with_other_columns_and_functions_with_other_results_are_created_again(self):
        self.conn.execute(
            """set role mobeye_owner;
               drop view patrol.queue;
               create view patrol.queue as select 1 as place, 2 as another;
               drop function mobeye.names_of(text);
               create function mobeye.names_of(text) returns integer language sql as 'select 1'"""
        )
        self.other_version("patrol_incidents", "registry_checks")
        self.assert_applied(self.migrate(), "registry_checks", "patrol_incidents")
        self.assertEqual(self.objects(), self.as_new)

    def test_rights_of_other_roles_survive_and_those_of_our_roles_are_the_files(self):
        self.conn.execute(
            """drop role if exists code_reader, code_officer;
               create role code_reader;
               create role code_officer login;
               grant mobeye_patrol to code_officer;
               grant select on patrol.queue to code_reader with grant option;
               grant execute on function mobeye.rd(public.geometry), patrol.api_version() to code_reader;
               grant select on mobeye.incident to mobeye_patrol;
               grant select (address) on mobeye.placement to mobeye_ingest;
               grant execute on function mobeye.hold(bigint, boolean, text) to mobeye_ingest"""
        )
        for statement in ("select", "drop view patrol.queue; create view patrol.queue as select 1 as other;"
                          " alter view patrol.queue owner to mobeye_owner; grant select on patrol.queue to code_reader"):
            with self.subTest(statement):
                self.conn.execute(statement)
                self.other_version("patrol_incidents")
                self.assert_applied(self.migrate(), "patrol_incidents")
                rights = self.conn.execute(
                    """select has_table_privilege('code_reader', 'patrol.queue', 'select'),
                              has_function_privilege('code_reader', 'patrol.api_version()', 'execute'),
                              has_table_privilege('code_officer', 'patrol.queue', 'select'),
                              has_table_privilege('mobeye_patrol', 'mobeye.incident', 'select'),
                              has_column_privilege('mobeye_ingest', 'mobeye.placement', 'address', 'select'),
                              has_function_privilege('mobeye_ingest', 'mobeye.hold(bigint, boolean, text)', 'execute')"""
                ).fetchone()
                self.assertEqual(rights, (True, True, True, False, False, False))
        self.conn.execute("drop owned by code_reader; drop role code_reader, code_officer")

    def test_what_others_own_is_left_alone_and_named_where_it_is_in_the_way(self):
        self.conn.execute(
            """create schema reports;
               create view reports.first as select place from patrol.queue;
               create function patrol.of_the_administrator() returns integer language sql as 'select 1';
               create procedure patrol.also_of_the_administrator() language sql as 'select 1';
               create view patrol.weekly as select 1 as n;
               grant select on patrol.weekly to mobeye_patrol;
               grant execute on procedure patrol.also_of_the_administrator() to mobeye_patrol"""
        )
        self.other_version("patrol_incidents")
        self.assert_applied(self.migrate(), "patrol_incidents")
        self.assertEqual(self.conn.execute("select patrol.of_the_administrator()").fetchone(), (1,))
        self.assertEqual(self.one("select has_table_privilege('mobeye_patrol', 'patrol.weekly', 'select')"), True)
        self.conn.execute(
            "drop view reports.first; drop view patrol.queue;"
            "create view patrol.queue as select 1 as other; alter view patrol.queue owner to mobeye_owner;"
            "create view reports.first as select other from patrol.queue"
        )
        before = self.objects()
        self.other_version("patrol_incidents")
        done = self.migrate()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("reports.first", done.stderr)
        self.assertEqual(self.objects(), before)

    def test_a_function_that_had_other_parameters_is_dropped(self):
        self.conn.execute("create function mobeye.store_device_status(text) returns void language sql as 'select';"
                          "alter function mobeye.store_device_status(text) owner to mobeye_owner")
        self.other_version("device_status")
        self.assert_applied(self.migrate(), "device_status")
        self.assertEqual(self.one("select count(*) from pg_proc where proname = 'store_device_status'"), 1)

    def test_an_older_program_refuses(self):
        self.other_version("mutes", program="99.1.0")
        before = self.objects()
        done = self.migrate()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"^mobeyectl migrate: .*99\.1\.0.*newer mobeyectl")
        self.assertEqual(self.objects(), before)

    def test_a_newer_program_with_the_same_code_is_no_obstacle(self):
        self.conn.execute("update mobeye.schema_code set program = '99.1.0'")
        self.assert_applied(self.migrate())

    def test_records_the_program_and_the_hash(self):
        version = subprocess.run([MOBEYECTL, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        self.other_version("mutes")
        self.migrate()
        rows = self.conn.execute("select file, sha256, program from mobeye.schema_code").fetchall()
        hashes = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in SQL.glob("code/*.sql")}
        self.assertEqual({file: sha256 for file, sha256, _ in rows}, hashes)
        self.assertEqual({program for _, _, program in rows}, {version})

    def test_waits_for_a_reader_and_blocks_nobody_meanwhile(self):
        self.other_version("patrol_incidents")
        with connect(self.database) as reader:
            reader.execute("begin")
            reader.execute("select from patrol.queue")
            with subprocess.Popen(
                [MOBEYECTL, "migrate", "--db", conninfo(self.database)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as running:
                self.assertIn("waiting for a lock", running.stderr.readline())
                self.conn.execute("select from patrol.queue")
                reader.execute("commit")
                out, _ = running.communicate(timeout=PATIENCE_S)
        self.assertEqual((running.returncode, out), (0, f"code/patrol_incidents: applied\n{UP_TO_DATE}\n"))

    def test_check_says_what_there_is_to_do_and_does_nothing(self):
        done = self.migrate("--check")
        self.assertEqual((done.returncode, done.stdout), (0, UP_TO_DATE + "\n"))
        self.other_version("mutes")
        done = self.migrate("--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("differ", done.stdout)
        self.conn.execute("update mobeye.schema_version set version = 9999 where version = 1")
        done = self.migrate("--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("newer", done.stdout)
        self.conn.execute("delete from mobeye.schema_version")
        done = self.migrate("--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("older", done.stdout)
        self.assertEqual(versions(self.database), [])


if __name__ == "__main__":
    unittest.main()
