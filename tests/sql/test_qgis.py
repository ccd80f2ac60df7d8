"""sql/qgis: the projects are what generate writes, fit the views, and draw a map; placements can be edited there."""
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from xml.etree import ElementTree as ET

import psycopg
from support import PATIENCE_S, SchemaTest, conninfo

QGIS = pathlib.Path(__file__).parents[2] / "sql" / "qgis"
PYTHON = "/usr/bin/python3"  # Debian's, which has its modules
STATUSES = {"new", "acknowledged", "assigned", "on_scene", "reopened"}


def has_qgis():
    return subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False).returncode == 0


class Projects(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with psycopg.connect(conninfo(cls.database), autocommit=True) as conn:
            conn.execute(
                """do $$ begin
                    create role q_officer login in role mobeye_patrol;
                    create role q_manager login in role mobeye_registry;
                exception when duplicate_object then null; end $$;
                insert into mobeye.team values ('noord', 'Noord');
                insert into mobeye.person values ('q_officer', 'J. Jansen', 'noord');
                insert into mobeye.area (layer, code, name, geom) values
                    ('wijk', 'WK1', 'Nieuwland', 'srid=4326;polygon((5.36 52.19, 5.40 52.19, 5.40 52.21, 5.36 52.21, 5.36 52.19))'),
                    ('hotspot', 'H1', 'Hotspot', 'srid=4326;polygon((5.37 52.195, 5.39 52.195, 5.39 52.205, 5.37 52.205, 5.37 52.195))'),
                    ('beat', 'B1', 'Beat', 'srid=4326;polygon((5.361 52.191, 5.399 52.191, 5.399 52.194, 5.361 52.194, 5.361 52.191))');
                insert into mobeye.device (device_id) values ('NL-1'), ('NL-2');
                insert into mobeye.placement (device_id, during, geom, team) values
                    ('NL-1', tstzrange(now() - interval '1 day', null), 'srid=4326;point(5.385 52.2)', 'noord');
                insert into mobeye.incident (incident_key, category, priority, kind, team, first_seen, last_seen, last_received_at, geom, location_source)
                select gen_random_uuid(), category, priority, 'motion', 'noord', now(), now(), now(), st_setsrid(st_makepoint(x, 52.199), 4326), 'message'
                  from (values ('alarm', 1, 5.372), ('alarm', 3, 5.376), ('service', 4, 5.38)) as i(category, priority, x)"""
            )

    @classmethod
    def tearDownClass(cls):
        with psycopg.connect(conninfo(cls.database), autocommit=True) as conn:
            conn.execute("drop owned by q_officer, q_manager; drop role q_officer, q_manager")
        super().tearDownClass()

    def project(self, name):
        with zipfile.ZipFile(QGIS / f"{name}.qgz") as archive:
            return ET.fromstring(archive.read(f"{name}.qgs"))

    def test_they_are_what_generate_writes(self):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([PYTHON, QGIS / "generate", directory], check=True)
            for name in "patrol", "registry":
                with zipfile.ZipFile(QGIS / f"{name}.qgz") as kept, zipfile.ZipFile(pathlib.Path(directory) / f"{name}.qgz") as made:
                    self.assertEqual(kept.read(f"{name}.qgs"), made.read(f"{name}.qgs"), f"{name}.qgz: run sql/qgis/generate")

    def test_they_fit_the_views(self):
        for name, login in ("patrol", "q_officer"), ("registry", "q_manager"):
            project, reader = self.project(name), self.connect(login)
            layers = [layer for layer in project.findall("projectlayers/maplayer") if layer.get("type") == "vector"]
            tree = [layer.get("id") for layer in project.findall("layer-tree-group/layer-tree-layer")]
            self.assertEqual([layer.findtext("id") for layer in layers] + ["base_map_pdok"], tree)
            for layer in layers:
                source = layer.findtext("datasource")
                table = ".".join(re.search(r'table="(\w+)"\."(\w+)" \(geom\)', source).groups())
                key, where = re.search(r"key='(\w+)'", source).group(1), source.partition(" sql=")[2] or "true"
                attributes = [layer.find("renderer-v2").get("attr") or key, *(alias.get("field") for alias in layer.findall("aliases/alias"))]
                reader.execute(f"select {key}, geom, {', '.join(attributes)} from {table} where {where} limit 1")
                if layer.findtext("id") == "service_by_status":  # whoever reads it, and however much they see
                    self.assertEqual(self.superuser.execute(f"select distinct category from {table} where {where}").fetchall(), [("service",)], name)
                values = {category.get("value") for category in layer.findall("renderer-v2/categories/category")}
                self.assertIn(values, (set(), STATUSES, {"1", "2", "3", "4", "5"}))
                if shutil.which("ogrinfo"):  # as the library that QGIS reads with sees it
                    info = subprocess.run(["ogrinfo", "-ro", "-so", f"PG:{conninfo(self.database)} user={login}".replace("user=postgres ", ""), table],
                                          capture_output=True, text=True, timeout=PATIENCE_S, check=False)
                    self.assertRegex(info.stdout, r"Geometry: (Point|Multi Polygon|Unknown)", info.stderr)

    def test_the_base_map_pdok_is_off(self):
        for name in "patrol", "registry":
            (base,) = [layer for layer in self.project(name).iter("layer-tree-layer") if layer.get("id") == "base_map_pdok"]
            self.assertEqual(base.get("checked"), "Qt::Unchecked")

    def draw(self, name, login, projects=QGIS):
        where = psycopg.conninfo.conninfo_to_dict(conninfo(self.database))
        with tempfile.TemporaryDirectory() as directory:
            service = pathlib.Path(directory) / "pg_service.conf"
            service.write_text("[mobeye]\n" + "".join(f"{key}={value}\n" for key, value in {**where, "user": login}.items()))
            image = os.environ.get("MOBEYE_MAPS") or directory
            done = subprocess.run([PYTHON, pathlib.Path(__file__).with_name("draw_qgis.py"), projects / f"{name}.qgz", f"{image}/{name}.png"],
                                  env={**os.environ, "PGSERVICEFILE": str(service), "HOME": directory, "XDG_RUNTIME_DIR": directory},
                                  capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return json.loads(done.stdout)

    def check_drawn(self, drawn, colours):
        self.assertEqual(drawn["errors"], [])
        self.assertEqual([name for name, layer in drawn["layers"].items() if not layer["valid"] and name != "base_map_pdok"], [])
        self.assertTrue(all(layer["notified"] and layer["aliases"] for name, layer in drawn["layers"].items() if name != "base_map_pdok"), drawn["layers"])
        self.assertFalse(drawn["layers"]["base_map_pdok"]["shown"])
        self.assertEqual(drawn["crs"], "EPSG:28992")
        seen = dict(drawn["colours"])
        for what, colour in colours.items():
            self.assertGreater(seen.get(colour, 0), 10, f"{what}: pixels of {colour} in {drawn['colours'][:12]}")

    @unittest.skipUnless(has_qgis(), "skipped: qgis: python3-qgis is not installed")
    def test_an_officers_map_has_the_queue_in_its_colours(self):
        drawn = self.draw("patrol", "q_officer")
        self.check_drawn(drawn, {"priority 1": "215,25,28", "priority 3": "253,174,97", "devices": "150,150,150"})
        self.assertEqual(drawn["layers"]["queue_by_priority"]["features"], 2)

    def generate(self, login, directory):
        where = psycopg.conninfo.conninfo_to_dict(conninfo(self.database))
        service = pathlib.Path(directory) / "pg_service.conf"
        service.write_text("[mobeye]\n" + "".join(f"{key}={value}\n" for key, value in {**where, "user": login}.items()))
        return subprocess.run([PYTHON, QGIS / "generate", "--service", "mobeye", directory], capture_output=True, text=True, check=False,
                              env={**os.environ, "PGSERVICEFILE": str(service)})

    def test_a_project_opens_at_the_extent_of_the_data(self):
        """The district, with 500 m around; an officer, who may not read areas, has that of the devices."""
        for login, least, most in ("q_manager", 2500, 5000), ("q_officer", 900, 1100):
            with tempfile.TemporaryDirectory() as directory:
                done = self.generate(login, directory)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                with zipfile.ZipFile(pathlib.Path(directory) / "registry.qgz") as archive:
                    box = ET.fromstring(archive.read("registry.qgs")).find("ProjectViewSettings/DefaultViewExtent")
                west, south, east, north = (float(box.get(name)) for name in ("xmin", "ymin", "xmax", "ymax"))
                self.assertTrue(least <= east - west <= most and least <= north - south <= most, box.attrib)
                self.assertTrue(west < 154849 < east and south < 467988 < north, box.attrib)
                if has_qgis():
                    self.assertEqual(self.draw("registry", "q_manager", pathlib.Path(directory))["opens_at"], ["EPSG:28992", west, south, east, north])

    @unittest.skipUnless(has_qgis(), "skipped: qgis: python3-qgis is not installed")
    def test_a_managers_map_has_placements_service_incidents_and_areas(self):
        drawn = self.draw("registry", "q_manager")
        self.check_drawn(drawn, {"a placement": "31,120,180", "a service incident": "215,25,28"})
        layers = drawn["layers"]
        self.assertEqual({name: layers[name]["features"] for name in ("placements_now", "areas_hotspots", "areas_beats", "areas_districts", "service_by_status")},
                         {"placements_now": 1, "areas_hotspots": 1, "areas_beats": 1, "areas_districts": 1, "service_by_status": 1})
        # The extent is that of the data: the district, with 500 m around.
        west, south, east, north = drawn["extent"]
        self.assertTrue(2500 < east - west < 5000 and 2500 < north - south < 5000, drawn["extent"])

    def test_a_placement_is_edited_without_a_range(self):
        manager = self.connect("q_manager")
        manager.execute("begin")
        number = manager.execute("insert into mobeye.placement_edit (device_id, geom, address) values ('NL-2', 'srid=4326;point(5.38 52.2)', 'Plein 1')"
                                 " returning placement_id").fetchone()[0]
        row = "select lower(during) = now(), upper(during), address, secret from mobeye.placement where placement_id = %s"
        self.assertEqual(manager.execute(row, [number]).fetchone(), (True, None, "Plein 1", False))
        manager.execute("update mobeye.placement_edit set placed_until = now() + interval '2 days', secret = true where placement_id = %s", [number])
        self.assertEqual(manager.execute("select upper(during) - now(), secret from mobeye.placement where placement_id = %s", [number]).fetchone()[0].days, 2)
        manager.execute("update mobeye.placement set during = '[2026-01-01Z,2099-01-01Z)' where placement_id = %s", [number])
        manager.execute("update mobeye.placement_edit set placed_from = null where placement_id = %s", [number])
        self.assertEqual(manager.execute("select lower(during) = '2026-01-01Z' from mobeye.placement where placement_id = %s", [number]).fetchone(), (True,))
        with self.assertRaisesRegex(psycopg.errors.InvalidParameterValue, "placed_until: is not after placed_from"), manager.transaction():
            manager.execute("update mobeye.placement_edit set placed_until = placed_from where placement_id = %s", [number])
        with self.assertRaisesRegex(psycopg.Error, "NL-2"), manager.transaction():  # one place at a time
            manager.execute("insert into mobeye.placement_edit (device_id, geom) values ('NL-2', 'srid=4326;point(5.38 52.2)')")
        manager.execute("delete from mobeye.placement_edit where placement_id = %s", [number])
        self.assertEqual(manager.execute("select count(*) from mobeye.placement where placement_id = %s", [number]).fetchone(), (0,))
        manager.execute("rollback")

    def test_it_is_for_device_managers(self):
        officer = self.connect("q_officer")
        with self.assertRaises(psycopg.errors.InsufficientPrivilege):
            officer.execute("select from mobeye.placement_edit")

    def test_what_changes_is_announced_to_qgis(self):
        listener, superuser, heard = self.connect(), self.connect(), []
        listener.execute("listen qgis")
        manager = self.connect("q_manager")
        manager.execute("update mobeye.placement_edit set address = 'Plein 2'")
        superuser.execute("select mobeye.notify_incidents(array[1::bigint, 2], array['alert', 'alert'])")
        superuser.execute("select mobeye.notify_incidents(array[1::bigint, 2], array['alert', 'new'])")
        superuser.execute("notify qgis, 'the last'")
        while "the last" not in heard:
            if (notify := listener.pgconn.notifies()) is None:
                self.assertTrue(select.select([listener], [], [], PATIENCE_S)[0], "no NOTIFY came")
                listener.pgconn.consume_input()
            else:
                heard.append(notify.extra.decode())
        self.assertEqual(heard, ["mobeye_registry", "mobeye_incident", "the last"])
