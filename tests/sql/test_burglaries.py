"""Burglaries and measures: their imports, who sees them, how they are erased, and the report as mobeyectl prints it."""

import csv
import io
import json
import pathlib
import tempfile
import xml.etree.ElementTree as ElementTree

import psycopg

from support import SchemaTest, connect, insert_incident, mobeyectl

HEADER = "reference;occurred_from;occurred_until;attempt;method;address;rd_x;rd_y\r\n"
FILE = ("\ufeff" + HEADER + 'PL1;23-11-2025 21:00;24-11-2025 07:30;nee;raam;"Kerkstraat 1, Hoogland";155990,61;464256,19\r\n'
        "PL2;1-2-2020;;ja;;;155990,61;464256,19\r\n" "PL3;24-11-2025 3:15;;;deur;Dorpsweg 2;150000;470000\r\n")
KEEP = "'28 days', '365 days', '90 days', '1825 days', '1825 days'"


class Burglaries(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with connect(cls.database) as conn:
            for login, role in (("b_rik", "registry"), ("b_jan", "patrol"), ("b_piet", "patrol"), ("b_gast", "patrol"), ("b_anna", "auditor"),
                                ("b_analist", "analyst")):
                conn.execute(f"drop role if exists {login}; create role {login} login in role mobeye_{role}")
            conn.execute(
                "insert into mobeye.area (layer, code, name, homes, geom) values"
                " ('wijk', 'WK1', 'Kruis<kamp> & \"De Koppel\"', 2000, st_multi(st_makeenvelope(5.35, 52.14, 5.45, 52.20, 4326))),"
                " ('wijk', 'WK2', 'Hoogland', 1000, st_multi(st_makeenvelope(5.25, 52.20, 5.35, 52.30, 4326)));"
                "insert into mobeye.team values ('noord'), ('zuid');"
                "insert into mobeye.team_area values ('noord', 'wijk', 'WK1'), ('zuid', 'wijk', 'WK2');"
                "insert into mobeye.person (login, name, team) values ('b_jan', 'Jan', 'noord'), ('b_piet', 'Piet', 'zuid')")

    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.burglary, mobeye.burglary_erased, mobeye.area_stats, mobeye.measure, mobeye.erasure")

    def put(self, text, *options, verb="burglaries", user="b_rik"):
        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
            file.write(text)
            file.flush()
            return mobeyectl(verb, "import", "--json", *options, file.name, database=self.database, user=user)

    def assert_put(self, text, row, **options):
        done = self.put(text, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), [row])
        return done.stderr

    def test_a_sheet_comes_in_once_and_corrections_replace(self):
        printed = self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        self.assertIn(":3: warning: occurred_from: is older than the retention of burglaries (1825 days): it will be erased, and then"
                      " counted in the district report only", printed)
        rows = self.superuser.execute("select * from mobeye.burglary order by reference").fetchall()
        self.assert_put(FILE, {"burglaries": 3, "added": 0, "changed": 0})
        self.assertEqual(rows, self.superuser.execute("select * from mobeye.burglary order by reference").fetchall())
        others = "select occurred_from, occurred_until, attempt, method, address from mobeye.burglary order by reference"
        kept = self.superuser.execute(others).fetchall()
        self.assertTrue(all(any(row[column] for row in kept) for column in range(5)))
        printed = self.assert_put("reference;lon;lat\nPL1;5.3;52.2\nPL2;;\nPL3;;\n", {"burglaries": 3, "added": 0, "changed": 3})
        self.assertEqual(self.superuser.execute(others).fetchall(), kept)
        self.assertIn(":3: warning: lon: is empty: the stored place is removed (2 rows in total)", printed)
        self.assert_put(FILE, {"burglaries": 3, "added": 0, "changed": 3})
        printed = self.assert_put("reference;lon;lat\nPL1;;\n", {"burglaries": 1, "added": 0, "changed": 1})
        self.assertIn(":2: warning: lon: is empty: the stored place is removed\n", printed)
        self.assert_put(FILE, {"burglaries": 3, "added": 0, "changed": 1})
        # Columns that the file lacks stay; an empty cell is a value.
        self.assert_put("reference,attempt,method\nPL1,yes,\nPL4,,x\n".replace("PL4,,x\n", ""), {"burglaries": 1, "added": 0, "changed": 1})
        self.assertEqual(self.superuser.execute(
            "select attempt, method, address, round(st_x(st_transform(geom, 28992))::numeric, 2)::text from mobeye.burglary where reference = 'PL1'").fetchone(),
            (True, None, "Kerkstraat 1, Hoogland", "155990.61"))

    def test_every_bad_row_is_named_and_nothing_comes_in(self):
        done = self.put("reference;occurred_from;occurred_until;attempt;lon;lat\n"
                        "A;x;;;5.3;52.2\nB;1-11-2025;31-10-2025;;;\nC;1-11-2025;;maybe;5.3;\n;1-11-2025;;;;\n")
        self.assertEqual(done.returncode, 1)
        for line, what in ((2, 'occurred_from: "x" is not a time'), (3, "occurred_until: must not be before occurred_from"), (4, 'attempt: "maybe"'),
                           (4, "lon: without lat"), (5, "reference")):
            self.assertRegex(done.stderr, f":{line}: .*{what}")
        done = self.put("reference;occurred_from;lon;lat\nA;1-11-2025;;\nA;1-11-2025;;\nB;;;\nC;1-11-2099;;\nD;1-11-2025;52.2;5.4\n")
        self.assertEqual(done.returncode, 1)
        for line, what in ((3, 'reference: duplicate reference "A", first on line 2'), (4, "occurred_from: is missing"), (5, "occurred_from: is in the future"), (6, "lon: .*swap")):
            self.assertRegex(done.stderr, f":{line}: .*{what}")
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.burglary"), 0)
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        done = self.put("reference;occurred_until\nPL3;23-11-2025\n")
        self.assertRegex(done.stderr, ":2: occurred_until: must not be before occurred_from")
        self.superuser.execute("truncate mobeye.burglary")
        self.assertNotEqual(self.put(FILE, user="b_jan").returncode, 0)
        self.assertEqual(self.put(FILE, "--dry-run").returncode, 0)
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.burglary"), 0)

    def test_a_reference_that_differs_in_case_or_spaces_only_is_warned_of(self):
        self.assert_put("reference;occurred_from\nPL 5;1-11-2025\n", {"burglaries": 1, "added": 1, "changed": 0})
        text = 'reference;occurred_from\npl5;1-11-2025\nB6;1-11-2025\n"B6 ";1-11-2025\nB\u00a06;1-11-2025\nB66;1-11-2025\nPL 5;1-11-2025\n'
        said = self.assert_put(text, {"burglaries": 6, "added": 5, "changed": 0})
        for line, reference, meant in ((2, "pl5", "PL 5"), (4, "B6 ", "B6"), (5, "B\u00a06", "B6")):
            self.assertIn(f':{line}: warning: reference: "{reference}" is a new burglary (did you mean "{meant}"?)\n', said)
        self.assertEqual(said.count("did you mean"), 3)
        self.assertNotIn("did you mean", self.assert_put(text, {"burglaries": 6, "added": 0, "changed": 0}))

    def test_homes_are_exact_for_their_team_only(self):
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        for login, exact in (("b_jan", {"PL1", "PL2"}), ("b_piet", set()), ("b_anna", set()), ("b_rik", {"PL1", "PL2", "PL3"})):
            with connect(self.database, login) as conn:
                rows = conn.execute("select reference, coarse, address, st_astext(geom) from patrol.burglaries").fetchall()
            self.assertEqual(len(rows), 3, login)
            # What lies in no team's area is everybody's of a team.
            seen = {r[0] for r in rows if not r[1]}
            self.assertEqual(seen - {"PL3"}, exact - {"PL3"}, login)
            self.assertEqual([r for r in rows if r[1] and (r[0] or r[2])], [], login)
        with connect(self.database, "b_gast") as conn:
            self.assertEqual(conn.execute("select * from patrol.burglaries").fetchall(), [])
        with connect(self.database, "b_analist") as conn, self.assertRaises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from patrol.burglaries")

    def test_retention_erases_and_counts_once(self):
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        erase = f"select what, n, error from mobeye.apply_retention('burglary', {KEEP})"
        for _ in range(2): # the same file again, and it is erased again
            self.assertEqual(self.superuser.execute(erase).fetchall(), [("burglaries", 1, None)])
            self.assertEqual(self.superuser.execute("select layer, code, figure, n from mobeye.area_stats order by 1").fetchall(),
                             [("", "", "attempts", 1), ("wijk", "WK1", "attempts", 1)])
            self.assert_put(FILE, {"burglaries": 3, "added": 1, "changed": 0})
            report = self.value(self.superuser, "select patrol.wijk_report('2020-01-01', '2020-03-01', 'wijk', 0)")
            self.assertEqual(report["total"]["attempts"], 1)

    def test_what_is_kept_of_a_reference_cannot_be_tried(self):
        """Without the key, which only the owner reads; another installation has another."""
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("insert into mobeye.burglary (reference, occurred_from) values ('2026-101', '2025-11-23');"
                                   "select mobeye.erase_burglaries(array(select burglary_id from mobeye.burglary))")
            kept = self.value(self.superuser, "select reference from mobeye.burglary_erased")
            self.assertEqual(kept, self.value(self.superuser, "select mobeye.erased_reference('2026-101')"))
            for plain in ("md5('2026-101')::uuid", "encode(substr(sha256('2026-101'), 1, 16), 'hex')::uuid"):
                self.assertNotEqual(kept, self.value(self.superuser, f"select {plain}"))
            self.superuser.execute("update mobeye.erased_key set key = sha256(key)")
            self.assertNotEqual(kept, self.value(self.superuser, "select mobeye.erased_reference('2026-101')"))
        for role in ("mobeye_registry", "mobeye_analyst", "mobeye_auditor", "mobeye_patrol", "mobeye_ingest", "mobeye_board"):
            self.assertFalse(self.value(self.superuser, f"select has_table_privilege('{role}', 'mobeye.erased_key', 'select')"), role)

    def test_what_was_erased_without_areas_counts_once_when_it_comes_in_again(self):
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("delete from mobeye.team_area; delete from mobeye.area;"
                                   "insert into mobeye.burglary (reference, occurred_from) values ('PL1', '2025-11-23');"
                                   "select mobeye.erase_burglaries(array(select burglary_id from mobeye.burglary));"
                                   "select mobeye.stage_burglaries();"
                                   "insert into pg_temp.burglary_import (line, reference, occurred_from) values (2, 'PL1', '2025-11-23');"
                                   "select mobeye.merge_burglaries('{reference,occurred_from}')")
            self.assertEqual(self.superuser.execute("select reference, counted from mobeye.burglary").fetchall(), [("PL1", True)])
            self.assertEqual(self.superuser.execute("select layer, figure, n from mobeye.area_stats").fetchall(), [("", "burglaries", 1)])
            self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.burglary_erased"), 1)

    def test_a_legal_hold_keeps_it_from_retention_requests_and_imports(self):
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        for reference in ("PL1", "PL2"):
            self.superuser.execute("select mobeye.hold_burglary(%s, true, 'zaak 12')", [reference])
        self.assertEqual(self.superuser.execute(f"select * from mobeye.apply_retention('burglary', {KEEP})").fetchall(), [])
        n, remaining = self.superuser.execute("select * from mobeye.subject_erase(' kerkstraat 1, hoogland', null, null, null)").fetchone()
        self.assertEqual((n, remaining), (0, ["burglary PL1: under a legal hold"]))
        done = self.put(FILE.replace("nee;raam", "ja;raam"))
        self.assertRegex(done.stderr, ':2: reference: burglary "PL1" is under a legal hold')
        for change in (("155990,61;464256,19\r\nPL2", "155990,61;464999,19\r\nPL2"), ("nee;raam", "nee;"), ("24-11-2025 07:30", ""),
                       ('"Kerkstraat 1, Hoogland"', "")):
            done = self.put(FILE.replace(*change))
            self.assertRegex(done.stderr, ':2: reference: burglary "PL1" is under a legal hold', change)
        with connect(self.database, "b_rik") as conn, self.assertRaises(psycopg.errors.InsufficientPrivilege):
            conn.execute("update mobeye.burglary set held_for = null")
        self.assert_put(FILE, {"burglaries": 3, "added": 0, "changed": 0})
        self.superuser.execute("select mobeye.hold_burglary('PL1', false, 'voorbij')")
        self.assertEqual(len(self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1, Hoogland', null, null, null)")[0]["burglaries"]), 1)
        n, remaining = self.superuser.execute("select * from mobeye.subject_erase('Kerkstraat 1, Hoogland', null, null, null)").fetchone()
        self.assertEqual((n, remaining), (1, []))
        self.assertEqual(self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1, Hoogland', null, null, null)"), [])

    def subject(self, verb, *arguments, **options):
        return mobeyectl("subject", verb, *arguments, database=self.database, user="postgres", **options)

    def test_what_a_request_erased_is_erased_again_after_a_restore(self):
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        log = self.subject("erase", "--address", "Kerkstraat 1, Hoogland", "--yes")
        self.assertEqual(log.returncode, 0, log.stderr)
        first = [json.loads(line) for line in log.stdout.splitlines()]
        self.assertEqual([set(line) for line in first], [{"burglary", "at"}])
        self.assertNotIn("PL1", log.stdout)
        printed = self.assert_put(FILE, {"burglaries": 3, "added": 1, "changed": 0})
        self.assertRegex(printed, r':2: warning: reference: "PL1" was erased on [0-9-]+ and is imported again')
        again = self.subject("erase", "--address", "Kerkstraat 1, Hoogland", "--yes")
        self.assertEqual([json.loads(line)["burglary"] for line in again.stdout.splitlines()], [first[0]["burglary"]])
        # As from a backup.
        self.superuser.execute("truncate mobeye.burglary, mobeye.burglary_erased, mobeye.area_stats")
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        self.superuser.execute("select mobeye.hold_burglary('PL1', true, 'zaak 12')")
        done = self.subject("again", "-", input=log.stdout)
        self.assertIn("burglary PL1: under a legal hold", done.stderr)
        self.superuser.execute("select mobeye.hold_burglary('PL1', false, 'voorbij')")
        done = self.subject("again", "-", input=log.stdout)
        self.assertEqual((done.returncode, done.stdout), (0, "1 row erased again\n"), done.stderr)
        self.assertEqual(self.superuser.execute("select reference from mobeye.burglary order by 1").fetchall(), [("PL2",), ("PL3",)])

    def test_a_request_for_a_device_at_an_address_leaves_its_burglaries(self):
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        self.superuser.execute("insert into mobeye.device (device_id) values ('SET') on conflict do nothing;"
                               "insert into mobeye.placement (device_id, during, geom, address) values"
                               " ('SET', '[2024-01-01,2024-02-01)', 'srid=4326;point(5.4 52.16)', 'Kerkstraat 1, Hoogland')")
        request = ("--address", "Kerkstraat 1, Hoogland", "--device", "SET")
        self.assertNotIn("burglaries", self.subject("export", *request).stdout)
        log = self.subject("erase", *request, "--yes")
        self.assertEqual((log.returncode, log.stderr.splitlines()[0]), (0, "1 row erased"))
        self.assertEqual([set(json.loads(line)) for line in log.stdout.splitlines()], [{"device_id", "device_uuid", "during", "names", "at"}])
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.burglary"), 3)

    def test_measures_come_in_once(self):
        text = "kind;layer;code;from;until;number;note\nletter;wijk;WK1;1-11-2025;;250;\ntent;wijk;WK1;3-11-2025 10:00;3-11-2025 16:00;;Markt\n"
        self.assert_put(text, {"measures": 2, "added": 2, "changed": 0}, verb="measures")
        self.assert_put(text, {"measures": 2, "added": 0, "changed": 0}, verb="measures")
        self.assert_put(text.replace("250", "300"), {"measures": 2, "added": 0, "changed": 1}, verb="measures")
        done = self.put("kind;layer;code;from;until;number;note\nlettr;wijk;WK1;1-11-2025;;;\ntent;wijk;WK9;1-11-2025;;;\ntent;buurt;BU1;1-11-2025;;x;\n",
                        verb="measures")
        self.assertRegex(done.stderr, r':2: kind: "lettr" is not a kind of measure \(did you mean letter\?\)')
        self.assertRegex(done.stderr, ':4: number: "x" is not an integer')
        done = self.put("kind;layer;code;from\ntent;wijk;WK9;1-11-2025\ntent;buurt;BU1;1-11-2025\n", verb="measures")
        self.assertRegex(done.stderr, ':2: code: area "WK9" does not exist in layer wijk')
        self.assertRegex(done.stderr, ':3: layer: layer "buurt" does not exist')
        with connect(self.database, "b_jan") as conn:
            conn.execute("select patrol.add_measure('patrol', 'wijk', 'WK2', now(), null, 4, null)")
            for call, error in (("('tents', 'wijk', 'WK2', now(), null, 4, null)", psycopg.errors.InvalidParameterValue),
                                ("('tent', 'wijk', 'WK9', now(), null, 4, null)", psycopg.errors.NoDataFound),
                                ("('tent', 'wijk', 'WK2', now(), '2020-01-01', 4, null)", psycopg.errors.InvalidParameterValue)):
                with self.assertRaises(error):
                    conn.execute("select patrol.add_measure" + call)
        self.assertEqual(self.superuser.execute("select actor from mobeye.measure where kind = 'patrol'").fetchall(), [("b_jan",)])

    def test_a_note_that_is_too_long_is_not_in_the_message(self):
        """The server logs it."""
        add = "select patrol.add_measure('tent', 'wijk', 'WK1', now(), null, null, %s)"
        with connect(self.database, "b_jan") as conn, self.assertRaises(psycopg.Error) as refused:
            conn.execute(add, ["Kerkstraat 1 " * 400])
        diag = refused.exception.diag
        self.assertEqual((diag.message_primary, diag.message_hint, diag.message_detail),
                         ("measure: the note is too long", "Expected at most 4000 characters.", None))
        with connect(self.database, "b_jan") as conn:
            conn.execute(add, [" " + "x" * 4000 + " "])

    def test_a_measure_that_was_wrong_is_deleted_by_who_imports_them(self):
        text = "kind;layer;code;from;number\nletter;wijk;WK1;1-11-2025;250\n"
        self.assert_put(text, {"measures": 1, "added": 1, "changed": 0}, verb="measures")
        self.assert_put(text.replace("WK1", "WK2"), {"measures": 1, "added": 1, "changed": 0}, verb="measures")
        for login in ("b_jan", "b_anna", "b_analist"):
            with connect(self.database, login) as conn, self.assertRaises(psycopg.errors.InsufficientPrivilege):
                conn.execute("delete from mobeye.measure")
        with connect(self.database, "b_rik") as conn:
            conn.execute("delete from mobeye.measure where code = 'WK1'")
        self.assertEqual(self.superuser.execute("select code from mobeye.measure").fetchall(), [("WK2",)])

    def report(self, *options):
        return mobeyectl("report", "wijk", "--from", "2025-07-01", "--until", "2026-01-01", *options, database=self.database, user="b_analist")

    def test_the_report_in_each_format(self):
        self.assert_put(FILE, {"burglaries": 3, "added": 3, "changed": 0})
        self.superuser.execute("insert into mobeye.burglary (reference, occurred_from, geom) select 'X' || n, '2025-09-01', st_setsrid(st_makepoint(5.4, 52.16), 4326)"
                               " from generate_series(1, 11) n")
        done = self.report()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("<!DOCTYPE html>\n<html lang=\"nl\">"))
        page = ElementTree.fromstring(done.stdout.split("\n", 1)[1])
        text = "".join(page.itertext())
        self.assertIn('Kruis<kamp> & "De Koppel"', text)
        self.assertIn("laten zien waar sets stonden, niet waar inbrekers zijn", text)
        self.assertIn("<5", text)
        self.assertNotIn("Kerkstraat", done.stdout)
        for element in page.iter():
            self.assertNotIn(element.tag, ("script", "link", "img", "iframe", "object"))
            for name, value in element.attrib.items():
                self.assertFalse(name in ("src", "href") or name.startswith("on") or "http" in value, (element.tag, name, value))
        self.assertNotRegex(done.stdout, r"<(td|th|p|li|b|h2|span|small|div)(\s[^>]*)?/>")
        self.assertNotRegex(done.stdout, r"@import|url\((?!#)")
        ids = [e.get("id") for e in page.iter() if e.get("id")]
        self.assertEqual(len(ids), len(set(ids)))
        for table in page.iter("table"):
            self.assertTrue(table.find("caption") is not None and all(h.get("scope") for h in table.iter("th")))

        report = json.loads(self.report("--format", "json").stdout)
        self.assertEqual([a["code"] for a in report["areas"]], ["WK1", "WK2"])
        self.assertEqual(json.loads(self.report("--format", "json", "--code", "WK2").stdout)["total"], report["total"])
        self.assertEqual([a["code"] for a in json.loads(self.report("--format", "json", "--code", "WK2").stdout)["areas"]], ["WK2"])
        plain, excel = self.report("--format", "csv").stdout, self.report("--format", "csv", "--excel").stdout
        self.assertEqual(excel, "\ufeff" + plain)
        rows = {(r["code"], r["figure"]): r["value"] for r in csv.DictReader(io.StringIO(plain), delimiter=";")}
        self.assertEqual(rows["*", "burglaries"], str(report["total"]["burglaries"] or ""))
        self.assertEqual(rows["WK1", "alarms"], "0")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "r.html"
            self.assertEqual(self.report("-o", str(path)).stdout, "")
            self.assertEqual(path.read_text(), done.stdout)

    def test_what_did_not_occur_in_a_period_is_0_and_what_has_no_period_is_no_number(self):
        at = [("2025-02-01", "motion")] * 6 + [("2025-09-01", "panic")] * 6 + [("2024-09-01", "camera")] * 6
        with self.connect() as conn:
            conn.execute("delete from mobeye.incident")
            for day, kind in at:
                insert_incident(conn, day, kind=kind)
        options = ("--from", "2025-07-01", "--min-cell", "0")
        rows = {(r["code"], r["figure"]): (r["value"], r["previous"], r["year_before"]) for r in csv.DictReader(io.StringIO(
            mobeyectl("report", "wijk", *options, "--until", "2026-01-01", "--format", "csv", database=self.database).stdout), delimiter=";")}
        self.assertEqual([rows["*", f"alarms_by_kind.{kind}"] for kind in ("panic", "motion", "camera")],
                         [("6", "0", "0"), ("0", "6", "0"), ("0", "0", "6")])
        page = mobeyectl("report", "wijk", *options, "--until", "2026-08-01", database=self.database).stdout
        self.assertIn("<small>jaar eerder –</small>", page)
        self.assertNotIn("&lt;0", page)
        page = mobeyectl("report", "wijk", *options, "--until", "2026-01-01", database=self.database).stdout
        table = next(t for t in ElementTree.fromstring(page.split("\n", 1)[1]).iter("table") if "Alarmen en" in t.find("caption").text)
        self.assertEqual([h.text for h in table.iter("th")][2:8], ["Nachten dat sets stonden", "vorige periode", "jaar eerder"] + ["Alarmen", "vorige periode", "jaar eerder"])
        self.assertEqual(["".join(d.itertext()) for d in list(table.iter("tr"))[-1]][2:8], ["0", "0", "0", "6", "6", "6"])
        self.superuser.execute("delete from mobeye.incident")
        self.assertEqual(self.value(self.superuser, "select array[mobeye.nl_change('12345', '1'), mobeye.nl_change('1', '1234567')]"),
                         ["+12.344", "−1.234.566"])

    def test_words_that_are_all_left_out_are_one_row(self):
        def words(*periods):
            report = {"min_cell": 5, "total": {"outcomes": periods[0], "previous": {"outcomes": periods[1]}, "year_before": None}}
            table = ElementTree.fromstring(self.value(self.superuser, "select mobeye.html_words(%s, 'outcomes', 'c', 'h')::text", json.dumps(report)))
            return [["".join(cell.itertext()) for cell in row] for row in list(table.iter("tr"))[1:]]

        self.assertEqual(words({"confirmed": None, "open": None}, {"open": None}), [["alle weggelaten (<5)"]])
        self.assertEqual(words({}, {}), [["geen"]])
        self.assertEqual(words({"confirmed": 7, "open": None}, {}), [["bevestigd", "7", "0", "–"], ["nog open", "<5", "0", "–"]])

    def test_what_a_report_cannot_be(self):
        for options, what in ((("--format", "xml"), "html, csv or json"), (("--code", "WK9"), 'code "WK9": is not an area of layer wijk'),
                              (("--min-cell", "3"), "min_cell 3 is not allowed"), (("--layer", "beat"), 'layer "beat" does not exist'),
                              (("--from", "2025-07-02"), "whole months"), (("--excel",), "--excel requires --format csv"),
                              (("--layer", "beat", "--code", "WK9"), 'layer "beat" does not exist'),
                              (("--from", "1-7-2025"), '--from: "1-7-2025" is not a day, did you mean 2025-07-01? (expected YYYY-MM-DD)'),
                              (("--from", "1-13-2025"), '--from: "1-13-2025" is not a day (expected YYYY-MM-DD)'),
                              (("--until", "2026-01-01 "), '--until: "2026-01-01 " is not a day')):
            done = self.report(*options)
            self.assertNotEqual(done.returncode, 0, options)
            self.assertIn(what, done.stderr)

    def test_an_argument_that_is_no_number_is_named_by_its_option(self):
        period = ("--from", "2026-01-01", "--until", "2026-02-01")
        for action, option, value in (("wijk", "--min-cell", "abc"), ("hotspots", "--cell", "x"), ("hotspots", "--min", "2.5"),
                                      ("near-repeat", "--seed", "x"), ("near-repeat", "--simulations", "99999999999"),
                                      ("near-repeat", "--days", "0,1.5"), ("near-repeat", "--distances", "0,,100"),
                                      ("wijk", "--from", "2026-03-32"), ("wijk", "--until", "2026-02-29"), ("wijk", "--from", "0000-01-01")):
            done = mobeyectl("report", action, *period, option, value, database=self.database, user="b_analist")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f'{option}: "{value}" is not a ', done.stderr)
        done = mobeyectl("report", "near-repeat", *period, "--days", "0, 7", "--distances", "0,.5", "--simulations", "9", database=self.database)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_areas_come_in_with_their_homes(self):
        def put(homes):
            square = [[5.0, 52.0], [5.1, 52.0], [5.1, 52.1], [5.0, 52.0]]
            feature = {"type": "Feature", "properties": {"code": "B1", "name": "B1", "homes": homes}, "geometry": {"type": "Polygon", "coordinates": [square]}}
            text = json.dumps({"type": "FeatureCollection", "features": [feature]})
            return mobeyectl("areas", "import", "--layer", "beat", "-", database=self.database, user="b_rik", input=text)

        for homes, stored in ((1200, 1200), (1300, 1300), (None, None), (12.0, 12), (0, None), (-99997, None)):
            self.assertEqual(put(homes).returncode, 0)
            self.assertEqual(self.value(self.superuser, "select homes from mobeye.area where layer = 'beat'"), stored)
        for homes in (1.5, "veel"):
            self.assertIn("properties.homes: is not a number of homes", put(homes).stderr)
        self.superuser.execute("delete from mobeye.area where layer = 'beat'")
