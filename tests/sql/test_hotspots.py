"""patrol.hotspots(): the grid, what is counted, what is left out, and that areas import takes it as it is."""

import datetime
import json
import os
import tempfile

import psycopg
from support import SchemaTest, insert_incident, mobeyectl

CONFIG = """instance: a
database: {{conninfo: "dbname=unused"}}
journal: {{directory: {folder}}}
endpoints: [{{name: e, bind: "tcp://127.0.0.1:1", socket: router, format: cloudevents}}]
rules:
  - name: hotspot-night
    match: {{area: {{layer: hotspot}}}}
    incident: {{category: alarm, priority: 1, group_by: [device], gap: 4h}}
  - name: default
    incident: {{category: alarm, priority: 2, group_by: [device], gap: 4h}}
"""
X, Y = 155000, 463000  # a corner of a cell of 125 m


class Hotspots(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute(
            "truncate mobeye.burglary; delete from mobeye.incident; delete from mobeye.area; delete from mobeye.device;"
            "insert into mobeye.area (layer, code, name, geom) select layer, code, name,"
            " st_transform(st_makeenvelope(x, y, x + 1000, y + 1000, 28992), 4326) from (values"
            " ('buurt', 'BU1', 'Nieuwland-Noord', 155000, 463000), ('wijk', 'WK1', 'Nieuwland', 155000, 463000),"
            " ('wijk', 'WK2', 'Schothorst', 157000, 463000)) as a(layer, code, name, x, y)")
        self.n = 0

    def burglaries(self, *places, day="2026-05-05", attempt=False):
        for x, y in places:
            self.n += 1
            self.superuser.execute(
                "insert into mobeye.burglary (reference, occurred_from, attempt, geom) values (%s, %s, %s,"
                " st_transform(st_setsrid(st_makepoint(%s, %s), 28992), 4326))", [str(self.n), day, attempt, x, y])

    def alarm(self, x, y, placement=None, **columns):
        incident = insert_incident(self.superuser, "2026-05-05 12:00+00", placement_id=placement, **columns)
        self.superuser.execute(
            "update mobeye.incident set geom = st_transform(st_setsrid(st_makepoint(%s, %s), 28992), 4326) where incident_id = %s",
            [x, y, incident])

    def hotspots(self, conn=None, begin="2026-05-01", end="2026-06-01", **arguments):
        named = "".join(f", {name} => %({name})s" for name in arguments)
        sql = f"select patrol.hotspots('{begin}', '{end}'{named})"
        return (conn or self.superuser).execute(sql, arguments).fetchone()[0]

    def properties(self, **arguments):
        return [feature["properties"] for feature in self.hotspots(**arguments)["features"]]

    def test_cells_are_half_open_on_the_origin_of_rd(self):
        # The corner belongs to its cell; the corner opposite to the next cell, diagonally.
        self.burglaries((X, Y), (X + 124.99, Y + 124.99), (X + 60, Y), (X + 125, Y + 125))
        self.burglaries((X + 1, Y), day="2026-06-01")
        self.burglaries((X + 1, Y), day="2026-04-30")
        self.assertEqual(self.properties(), [{"code": "125-1240-3704", "name": "Nieuwland-Noord", "cells": 1, "burglaries": 3, "attempts": 0}])

    def test_neighbours_are_joined_over_corners_too(self):
        self.burglaries(*[(X + 10, Y + 10)] * 4, *[(X + 130, Y + 130)] * 3)
        self.burglaries((X + 10, Y + 10), attempt=True)
        self.burglaries(*[(X + 600, Y + 10)] * 3)
        self.assertEqual(self.properties(), [
            {"code": "125-1240-3704", "name": "Nieuwland-Noord 1", "cells": 2, "burglaries": 8, "attempts": 1},
            {"code": "125-1244-3704", "name": "Nieuwland-Noord 2", "cells": 1, "burglaries": 3, "attempts": 0},
        ])

    def test_names_are_of_the_buurt_else_the_wijk_else_coordinates(self):
        self.burglaries(*[(X + 10, Y + 10)] * 3, *[(X + 2010, Y + 10)] * 4, *[(X + 9010, Y + 10)] * 5)
        self.assertEqual([p["name"] for p in self.properties()], ["RD 164062 463062", "Schothorst", "Nieuwland-Noord"])

    def test_other_cells_and_least_number(self):
        self.burglaries((X, Y), (X + 499, Y + 499), (X + 500, Y))
        self.assertEqual([(p["code"], p["burglaries"]) for p in self.properties(cell=500, min_count=2)], [("500-310-926", 2)])
        self.assertEqual(self.hotspots(min_count=4), {"type": "FeatureCollection", "features": []})
        for arguments in ({"cell": 24}, {"cell": 5001}, {"min_count": 0}, {"cell": None}, {"of_what": "bicycles"}):
            with self.subTest(arguments=arguments), self.assertRaises(psycopg.errors.InvalidParameterValue):
                self.hotspots(**arguments)

    def test_alarms_at_secret_placements_and_drills_are_left_out(self):
        for _ in range(3):
            self.alarm(X + 10, Y + 10)
            self.alarm(X + 510, Y + 10, secret=True)
            self.alarm(X + 910, Y + 10, drill=True)
        self.assertEqual(self.properties(of_what="alarms"), [{"code": "125-1240-3704", "name": "Nieuwland-Noord", "cells": 1, "alarms": 3}])

    def test_what_analysts_get(self):
        self.burglaries(*[(X + 10, Y + 10)] * 5, *[(X + 610, Y + 10)] * 4)
        for placement in (1, 2, 3, 4, 5):
            self.alarm(X + 10, Y + 10, placement)
        for _ in range(6):
            self.alarm(X + 610, Y + 10, 7)
        with self.connect() as conn:
            conn.execute("set role mobeye_analyst")
            features = self.hotspots(conn, "2026-01-01", "2026-07-01")["features"]
            self.assertEqual([(f["properties"]["burglaries"], "attempts" in f["properties"], f["properties"]["attempts_included"])
                              for f in features], [(5, False, True), (None, False, True)])
            for period in (("2026-05-01", "2026-06-01"), ("2026-01-01", "2027-01-01")):
                self.assertEqual([f["properties"]["burglaries"] for f in self.hotspots(conn, *period)["features"]], [None, None], period)
            self.assertNotIn("attempts_included", self.hotspots(conn, of_what="alarms")["features"][0]["properties"])
            self.assertEqual([f["properties"]["alarms"] for f in self.hotspots(conn, "2026-01-01", "2026-07-01", of_what="alarms")["features"]], [None])
            for arguments in ({"cell": 100}, {"cell": 250}, {"min_count": 2}, {"min_count": 5}):
                with self.subTest(arguments=arguments), self.assertRaises(psycopg.errors.InsufficientPrivilege):
                    self.hotspots(conn, **arguments)
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                conn.execute("select patrol.hotspots('2026-05-01', '2026-05-30')")
            for since in ("-infinity", "infinity"):
                with self.assertRaises(psycopg.errors.InvalidParameterValue):
                    conn.execute("select patrol.hotspots(%s, '2026-06-01')", [since])

    def test_the_order_tells_an_analyst_no_number(self):
        places = [(X + x, Y + 10) for x in (10, 310, 610, 735)]  # the last two are neighbours
        with self.connect() as conn:
            conn.execute("set role mobeye_analyst")
            seen = []
            for numbers in ((3, 4, 3, 4), (4, 3, 4, 3)):
                self.superuser.execute("truncate mobeye.burglary")
                for place, n in zip(places, numbers):
                    self.burglaries(*[place] * n)
                seen.append([(f["properties"]["code"], f["properties"]["name"]) for f in self.hotspots(conn)["features"]])
        self.assertEqual(seen[0], seen[1])

    def rule_for(self, folder, x, y):
        """The rule of the next alert there, as mobeyectl explain says."""
        lon, lat = self.superuser.execute(
            "select st_x(g), st_y(g) from st_transform(st_setsrid(st_makepoint(%s, %s), 28992), 4326) as g", [x, y]
        ).fetchone()
        config, alert = os.path.join(folder, "mobeyed.yaml"), os.path.join(folder, "alert.json")
        with open(config, "w", encoding="utf-8") as out:
            out.write(CONFIG.format(folder=folder))
        with open(alert, "w", encoding="utf-8") as out:
            json.dump({"specversion": "1.0", "id": "1", "source": "/s", "type": "mobeye.alert.v1",
                       "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
                       "data": {"device": "D-1", "kind": "motion", "location": {"type": "Point", "coordinates": [lon, lat]}}}, out)
        done = mobeyectl("explain", "--json", "-c", config, alert, database=self.database)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["rule"]

    def test_areas_import_takes_it_as_it_is(self):
        self.burglaries(*[(X + 10, Y + 10)] * 4, *[(X + 130, Y + 130)] * 3, *[(X + 600, Y + 10)] * 3)
        done = mobeyectl("report", "hotspots", "--from", "2026-05-01", "--until", "2026-06-01", database=self.database)
        self.assertEqual((done.returncode, done.stderr), (0, "2 hotspots\n"))
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "hotspots.geojson")
            with open(file, "w", encoding="utf-8") as out:
                out.write(done.stdout)
            imported = mobeyectl("areas", "import", "--layer", "hotspot", file, database=self.database)
            self.assertEqual([self.rule_for(folder, X + x, Y + y) for x, y in ((10, 10), (130, 130), (610, 10), (300, 10))],
                             ["hotspot-night", "hotspot-night", "hotspot-night", "default"])
        self.assertEqual((imported.returncode, imported.stderr.replace("\n", "")), (0, ""), imported.stdout)
        inside = self.superuser.execute(
            "select a.name, st_covers(a.geom, b.geom), count(*) from mobeye.burglary b join mobeye.area a on a.layer = 'hotspot'"
            " and st_covers(a.geom, b.geom) group by 1, 2 order by 1").fetchall()
        self.assertEqual(inside, [("Nieuwland-Noord 1", True, 7), ("Nieuwland-Noord 2", True, 3)])
        for feature in json.loads(done.stdout)["features"]:
            self.assertIn(feature["geometry"]["type"], ("Polygon", "MultiPolygon"))
