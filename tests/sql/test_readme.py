"""sql/README.md: the examples run, every table is in the inventory."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from support import PATIENCE_S, SchemaTest, conninfo, connect

SQL = pathlib.Path(__file__).parents[2] / "sql"
README = (SQL / "README.md").read_text()
EXAMPLES = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


class Readme(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with connect(cls.database) as conn:
            conn.execute(
                """do $$ begin
                    create role jansen login in role mobeye_patrol;
                    create role portaal login in role mobeye_patrol;
                exception when duplicate_object then null; end $$;
                insert into mobeye.team values ('noord', 'Noord');
                insert into mobeye.person values ('jansen', 'J. Jansen', 'noord');
                insert into mobeye.proxy_login values ('portaal', 'web');
                insert into mobeye.incident (incident_key, category, priority, kind, team, first_seen, last_seen, last_received_at, geom, location_source)
                select gen_random_uuid(), 'alarm', 2, 'motion', 'noord', now(), now(), now(), 'SRID=4326;POINT(5.38421 52.19634)', 'message'
                  from generate_series(1, 3)"""
            )

    def db(self, user):
        return f"{conninfo(self.database)} user={user}".replace("user=postgres ", "")

    def examples(self, language):
        return [text for kind, text in EXAMPLES if kind == language]

    def run_sql(self, text, user):
        done = subprocess.run(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.db(user)],
            input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_an_officers_evening(self):
        out = self.run_sql(self.examples("sql")[0], "jansen")
        self.assertIn("twee aangehouden", out)

    def test_a_front_end_for_a_person(self):
        self.assertRegex(self.run_sql(self.examples("sql")[1], "portaal"), r"^\d+\n$")

    def test_being_told_in_python(self):
        (text,) = self.examples("python")
        incident = self.value(self.superuser, "select max(incident_id) from mobeye.incident")
        process = subprocess.Popen(
            ["/usr/bin/python3", "-c", text],
            env={**os.environ, "DB": self.db("jansen")},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.superuser.execute("select patrol.note(%s, 'een')", [incident])
            while f" {incident} note new" not in process.stdout.readline():
                pass
            self.superuser.execute("select patrol.acknowledge(%s)", [incident])
            self.assertIn(f" {incident} status acknowledged 2", process.stdout.readline())
        finally:
            process.kill()
            process.communicate()

    @unittest.skipUnless(shutil.which("ogr2ogr"), "no ogr2ogr (gdal-bin)")
    def test_a_file_for_a_gis(self):
        (text,) = self.examples("sh")
        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run(
                ["bash", "-euc", text], cwd=directory, env={**os.environ, "DB": self.db("jansen")},
                capture_output=True, text=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr)
            map_ = json.loads(pathlib.Path(directory, "open.geojson").read_text())
            info = subprocess.run(
                ["ogrinfo", "-so", "queue.gpkg", "queue"], cwd=directory, capture_output=True, text=True, check=True
            ).stdout
        self.assertEqual(map_["type"], "FeatureCollection")
        self.assertEqual(map_["features"][0]["geometry"], {"type": "Point", "coordinates": [5.38421, 52.19634]})
        self.assertIn("Geometry: Point", info)

    def test_every_table_is_in_the_inventory(self):
        tables = self.superuser.execute(
            "select relname from pg_class where relnamespace = 'mobeye'::regnamespace and relkind in ('r', 'p')"
            " and not relispartition"
        ).fetchall()
        inventory = README[README.index("## For the privacy officer") : README.index("## Tables: schema")]
        self.assertEqual([name for (name,) in tables if f"`{name}`" not in inventory], [])

    def test_the_columns_of_the_inventory_exist(self):
        inventory = README[README.index("## For the privacy officer") : README.index("## Tables: schema")]
        for line in re.findall(r"^\| (`.*)$", inventory, re.MULTILINE):
            tables, columns = [re.findall(r"`(\w+)`", cell) for cell in line.split("|")[:2]]
            known = self.superuser.execute(
                "select distinct attname from pg_attribute where attnum > 0 and attrelid = any("
                "array(select oid from pg_class where relnamespace = 'mobeye'::regnamespace and relname = any(%s)))", [tables]
            ).fetchall()  # fmt: skip
            self.assertEqual(set(columns) - {name for (name,) in known} - set(tables), set(), line)
