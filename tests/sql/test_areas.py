"""Areas: what QGIS writes is repaired, or refused with a reason; vintages hold from 1 January until the next."""

import threading

import psycopg

from support import PATIENCE_S, SchemaTest

SQUARE = "srid=4326;polygon((5 52,5.1 52,5.1 52.1,5 52.1,5 52))"
BOW_TIE = "srid=4326;polygon((5 52,5.1 52.1,5.1 52,5 52.1,5 52))"


class Areas(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("delete from mobeye.area")
        self.registry = self.connect()
        self.registry.execute("set role mobeye_registry")

    def insert(self, geom=SQUARE, layer="wijk", code="WK1", vintage=None, conn=None):
        (conn or self.registry).execute(
            "insert into mobeye.area (layer, code, name, vintage, geom) values (%s, %s, 'x', %s, %s)",
            [layer, code, vintage, geom],
        )

    def version(self):
        return self.value(self.superuser, "select value from mobeye.counter where name = 'areas'")

    def valid(self, layer="wijk"):
        rows = self.superuser.execute(
            """select vintage, (lower(valid) at time zone 'Europe/Amsterdam')::text,
                      (upper(valid) at time zone 'Europe/Amsterdam')::text
                 from mobeye.area where layer = %s order by vintage""",
            [layer],
        )
        return {row[0]: tuple(time and time[:10] for time in row[1:]) for row in rows.fetchall()}

    def test_a_polygon_becomes_a_multipolygon(self):
        self.insert()
        self.insert("srid=4326;multipolygon(((5 52,6 52,6 53,5 52)))", code="WK2")
        kinds = self.superuser.execute("select distinct geometrytype(geom) from mobeye.area").fetchall()
        self.assertEqual(kinds, [("MULTIPOLYGON",)])

    def test_qgis_is_told_that_it_holds_multipolygons(self):
        kind = self.superuser.execute(
            "select type, srid from geometry_columns where f_table_schema = 'mobeye' and f_table_name = 'area'"
        ).fetchall()
        self.assertEqual(kind, [("MULTIPOLYGON", 4326)])

    def test_an_invalid_one_is_repaired_with_a_warning(self):
        warnings = []
        self.registry.add_notice_handler(lambda notice: warnings.append((notice.severity, notice.message_primary)))
        self.insert(BOW_TIE)
        self.assertTrue(self.value(self.superuser, "select st_isvalid(geom) and st_numgeometries(geom) = 2 from mobeye.area"))
        self.assertIn(("WARNING", "area WK1 of layer wijk"), [(s, m.split(":")[0]) for s, m in warnings])

    def test_what_no_area_can_be_made_of_is_refused_by_name(self):
        for geom, words in {
            "srid=4326;polygon((5 52,6 53,5 52,5 52))": "has no polygon",
            "srid=4326;point(5 52)": "has no polygon",
            "srid=4326;polygon empty": "has no polygon",
            "polygon((155000 463000,156000 463000,156000 464000,155000 463000))": "are not degrees",
        }.items():
            with self.subTest(geom), self.assertRaises(psycopg.errors.InvalidParameterValue) as caught:
                self.insert(geom)
            self.assertIn("area WK1 of layer wijk", caught.exception.diag.message_primary)
            self.assertIn(words, caught.exception.diag.message_primary)
            self.assertTrue(caught.exception.diag.message_hint)

    def checked(self, *rows):
        """What is said of features (code, name, homes, geom) of a file: feature, whether it is a warning, message."""
        with self.registry.transaction(force_rollback=True):
            self.registry.execute("select mobeye.stage_areas()")
            for n, (code, name, homes, geom) in enumerate(rows, 1):
                self.registry.execute("insert into pg_temp.area_import values (%s, %s, %s, %s, %s, st_multi(%s::geometry))", [n, 10 * n, code, name, homes, geom])
            said = self.registry.execute("select feature, line, warning, message from mobeye.check_areas() order by feature").fetchall()
            self.assertEqual([row[1] for row in said], [10 * row[0] for row in said])
            if all(row[2] for row in said):
                self.registry.execute("select mobeye.merge_areas('wijk', null)")
        return [(row[0], row[2], row[3]) for row in said]

    def test_texts_that_cannot_be_stored_are_named_by_feature(self):
        said = self.checked(("A", "n" * 200, None, SQUARE), ("B", "n" * 201, None, SQUARE), ("C", "two\nlines", None, SQUARE),
                            ("D\t", "d", None, SQUARE))
        name = "properties.name: is too long or has control characters (expected at most 200 characters)"
        self.assertEqual(said, [(2, False, name), (3, False, name),
                                (4, False, "properties.code: has control characters (expected a string of 1 to 64 characters)")])

    def test_an_area_on_both_sides_of_the_antimeridian_is_not_one_around_the_world(self):
        around = "srid=4326;polygon((179.5 52,-179.5 52,-179.5 53,179.5 53,179.5 52))"
        split = "srid=4326;multipolygon(((179.5 52,180 52,180 53,179.5 53,179.5 52)),((-180 52,-179.5 52,-179.5 53,-180 53,-180 52)))"
        self.assertEqual(self.checked(("A", "a", None, around), ("B", "b", None, split)), [
            (1, False, "geometry: is more than 180 degrees wide (expected an area at the antimeridian in two polygons, as in RFC 7946)")])

    def test_an_area_that_comes_twice_is_the_same_in_everything(self):
        self.assertEqual(self.checked(("A", "a", 10, SQUARE), ("A", "a", 10, SQUARE), ("B", "b", None, SQUARE), ("B", "b", None, SQUARE)),
                         [(2, True, "code: same as in feature 1; imported once"), (4, True, "code: same as in feature 3; imported once")])
        for homes in (20, None):
            (feature, warning, message), = self.checked(("A", "a", 10, SQUARE), ("A", "a", homes, SQUARE))
            self.assertEqual((feature, warning), (2, False))
            self.assertIn("duplicate of feature 1, with another name, number of homes or geometry", message)
            self.assertIn("select code, name, max(homes) as homes, st_union(geometry) from LAYER group by code", message)

    def test_a_code_is_read_without_the_spaces_around_it(self):
        self.assertEqual(self.checked((" A\u00a0", "a", None, SQUARE), ("A", "a", None, SQUARE), ("B B", "b", None, SQUARE)), [
            (1, True, 'properties.code: " A\u00a0" read as "A"'), (2, True, "code: same as in feature 1; imported once")])
        self.assertEqual(self.checked((" ", "a", None, SQUARE)), [
            (1, False, "properties.code: is missing (expected a string of 1 to 64 characters)")])

    def test_edits_in_place_are_held_to_the_same(self):
        self.insert()
        self.registry.execute("update mobeye.area set geom = %s", [BOW_TIE])
        self.assertTrue(self.value(self.superuser, "select st_isvalid(geom) from mobeye.area"))
        with self.assertRaises(psycopg.errors.InvalidParameterValue):
            self.registry.execute("update mobeye.area set geom = 'srid=4326;point(5 52)'")

    def test_each_change_makes_a_version_and_what_changes_nothing_none(self):
        for statement in (
            None,
            "update mobeye.area set name = 'y'",
            "update mobeye.area set geom = st_translate(geom, 0.1, 0)",
            "update mobeye.area set vintage = 2020",
            "delete from mobeye.area",
        ):
            before = self.version()
            if statement:
                self.registry.execute(statement)
            else:
                self.insert()
            self.assertEqual(self.version(), before + 1, statement)
        self.insert()
        before = self.version()
        self.registry.execute("update mobeye.area set name = name, geom = geom")
        self.registry.execute("delete from mobeye.area where code = 'none'")
        self.assertEqual(self.version(), before)

    def test_a_vintage_holds_from_1_january_until_the_next_of_its_layer(self):
        self.insert(vintage=2014)
        self.assertEqual(self.valid(), {2014: ("2014-01-01", None)})
        self.insert(vintage=2022, code="WK9")
        self.insert(vintage=2018, layer="buurt")
        self.assertEqual(self.valid(), {2014: ("2014-01-01", "2022-01-01"), 2022: ("2022-01-01", None)})
        self.insert(vintage=2018)
        self.assertEqual(self.valid()[2014], ("2014-01-01", "2018-01-01"))
        self.assertEqual(self.valid()[2018], ("2018-01-01", "2022-01-01"))
        self.registry.execute("delete from mobeye.area where layer = 'wijk' and vintage = 2022")
        self.assertEqual(self.valid()[2018], ("2018-01-01", None))
        self.registry.execute("update mobeye.area set vintage = 2016 where layer = 'wijk' and vintage = 2018")
        self.assertEqual(self.valid(), {2014: ("2014-01-01", "2016-01-01"), 2016: ("2016-01-01", None)})
        self.registry.execute("update mobeye.area set layer = 'buurt' where vintage = 2016")
        self.assertEqual(self.valid(), {2014: ("2014-01-01", None)})
        self.assertEqual(self.valid("buurt"), {2016: ("2016-01-01", "2018-01-01"), 2018: ("2018-01-01", None)})

    def test_without_a_vintage_it_always_holds(self):
        self.insert()
        self.insert(vintage=2014)
        self.assertEqual(self.valid()[None], (None, None))

    def test_valid_is_not_for_people_to_write(self):
        self.insert(vintage=2014)
        self.registry.execute("update mobeye.area set valid = '[2030-01-01,2031-01-01)'")
        self.assertEqual(self.valid(), {2014: ("2014-01-01", None)})

    def test_two_vintages_at_once_see_each_other(self):
        one, two = self.connect(), self.connect()
        one.execute("begin")
        self.insert(vintage=2014, conn=one)
        second = threading.Thread(target=self.insert, kwargs={"vintage": 2022, "conn": two})
        second.start()
        self.waits(two)
        one.execute("commit")
        second.join(PATIENCE_S)
        self.assertEqual(self.valid(), {2014: ("2014-01-01", "2022-01-01"), 2022: ("2022-01-01", None)})

    def test_a_code_is_once_in_a_layer_and_vintage(self):
        self.insert()
        self.insert(vintage=2014)
        with self.assertRaises(psycopg.errors.UniqueViolation):
            self.insert()
