"""patrol.near_repeat() against a brute-force implementation, on random and on pathological events; what analysts get."""

import datetime
import json
import random

import knox
import psycopg
from support import SchemaTest, insert_incident, mobeyectl

FIRST = datetime.date(2026, 1, 1)
DISTANCES, DAYS = [0, 1, 100, 200, 300], [0, 7, 14, 21]


class NearRepeat(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.burglary; set time zone 'America/New_York'")

    def store(self, events, hour=12):
        """events: (day from FIRST, x, y) in centimetres from a corner of RD New."""
        with self.superuser.cursor() as cursor:
            cursor.executemany(
                "insert into mobeye.burglary (reference, occurred_from, geom) values (%s,"
                " (%s::timestamp + %s * interval '1 hour') at time zone 'Europe/Amsterdam',"
                " st_transform(st_setsrid(st_makepoint(%s::float8 / 100, %s::float8 / 100), 28992), 4326))",
                [
                    (str(n), FIRST + datetime.timedelta(days=day), hour, 15500000 + x, 46300000 + y)
                    for n, (day, x, y) in enumerate(events)
                ],
            )

    def near_repeat(self, until="2027-01-01", conn=None, **arguments):
        casts = {"distances": "::numeric[]", "days": "::integer[]"}
        named = "".join(f", {name} => %({name})s{casts.get(name, '')}" for name in arguments)
        return self.value(conn or self.superuser, f"select patrol.near_repeat('2026-01-01', %(until)s{named})",
                          {"until": until, **arguments})

    def value(self, conn, sql, parameters=None):
        return conn.execute(sql, parameters).fetchone()[0]

    def compare(self, events, distances=DISTANCES, days=DAYS, metric="euclidean", simulations=19, seed=1, until="2027-01-01"):
        self.store(events)
        given = self.near_repeat(until=until, distances=distances, days=days, metric=metric, simulations=simulations, seed=seed)
        expected = knox.near_repeat(events, distances, days, metric, simulations, seed)
        self.assertEqual(given["observed"], expected["observed"])
        for name in ("ratio", "p"):
            for row, other in zip(given[name], expected[name], strict=True):
                for cell, value in zip(row, other, strict=True):
                    self.assertEqual(cell is None, value is None)
                    self.assertAlmostEqual(cell or 0, value or 0, places=9)
        self.assertEqual((given["n"], given["simulations"], given["seed"], given["metric"]), (len(events), simulations, seed, metric))
        self.assertEqual((given["distances"], given["days"]), (distances, days))
        return given

    def test_random_events(self):
        chance = random.Random(20261129)
        for metric in ("euclidean", "manhattan"):
            for n, size in ((40, 30000), (90, 80000), (60, 500)):
                events = [(chance.randrange(90), chance.randrange(size), chance.randrange(size)) for _ in range(n)]
                events += [(day + 1, x, y) for day, x, y in events[:10]]
                with self.subTest(metric=metric, n=n, size=size):
                    self.superuser.execute("truncate mobeye.burglary")
                    self.compare(events, metric=metric, seed=chance.randrange(1, 2147483562))

    def test_other_bands(self):
        chance = random.Random(4)
        events = [(chance.randrange(40), chance.randrange(40000), chance.randrange(40000)) for _ in range(50)]
        for distances, days in (([0], [0]), ([50, 120], [3, 9]), ([0, 5000], [0, 1]), ([0.0, 0.5, 33.25], [1])):
            with self.subTest(distances=distances, days=days):
                self.superuser.execute("truncate mobeye.burglary")
                self.compare(events, distances, days)

    def test_years_and_bounds_beyond_them(self):
        chance = random.Random(9)
        for until, last, days in (("2045-01-01", 6900, [0, 1, 365, 5000]), ("2027-01-01", 364, [0, 7, 36500]), ("2027-01-01", 364, [400]),
                                  ("2027-01-01", 0, [0, 1, 2]), ("2029-01-01", 1023, [1022, 1023, 1024])):
            with self.subTest(until=until, days=days):
                self.superuser.execute("truncate mobeye.burglary")
                events = [(chance.choice((0, last, chance.randint(0, last))), chance.randrange(40000), 0) for _ in range(50)]
                self.compare(events, days=days, simulations=8, until=until)

    def test_edges_of_bands_belong_to_the_next_one(self):
        # 3-4-5 triangles: exactly 100, 200 and 300 m apart; exactly 1 m; 7, 14 and 21 days.
        events = [(0, 0, 0), (7, 6000, 8000), (14, 12000, 16000), (21, 18000, 24000), (21, 18100, 24000), (7, 0, 0)]
        given = self.compare(events)
        self.assertEqual(given["observed"], [[0, 1, 0, 0], [1, 0, 0, 0], [1, 4, 0, 0], [0, 1, 3, 0], [0, 0, 2, 2]])

    def test_edges_by_manhattan_distance(self):
        self.compare([(0, 0, 0), (7, 6000, 4000), (14, 12000, 18000), (3, 0, 100), (3, 50, 50)], metric="manhattan")

    def test_one_point_one_day_and_hardly_any_events(self):
        for events in (
            [],
            [(3, 0, 0)],
            [(3, 0, 0), (3, 0, 0)],
            [(day, 0, 0) for day in range(0, 60, 3)],
            [(9, x * 4000, 0) for x in range(20)],
            [(9, 0, 0)] * 50,  # more pairs than a lane holds
        ):
            with self.subTest(events=events[:2], n=len(events)):
                self.superuser.execute("truncate mobeye.burglary")
                self.compare(events)

    def test_days_are_local_and_the_end_is_excluded(self):
        # 00:30 on 1 March here is February in UTC; 23:30 on 31 March is the last hour of the period.
        for reference, at in (("a", "2026-03-01 00:30"), ("b", "2026-03-31 23:30"), ("c", "2026-04-01 00:00"), ("d", "2026-02-28 23:59:59")):
            self.superuser.execute(
                "insert into mobeye.burglary (reference, occurred_from, geom, attempt) values (%s, %s::timestamp at time zone"
                " 'Europe/Amsterdam', 'SRID=4326;POINT(5.38 52.15)', %s)", [reference, at, reference == "b"])
        self.superuser.execute("insert into mobeye.burglary (reference, occurred_from) values ('e', '2026-03-05')")
        given = self.value(self.superuser, "select patrol.near_repeat('2026-03-01', '2026-04-01', days => '{0,29,30,31}')")
        self.assertEqual((given["n"], given["attempts"], given["without_place"]), (2, 1, 1))
        self.assertEqual(given["observed"][0], [0, 0, 1, 0])  # 30 days apart, over the change to summer time

    def test_seed_and_order_of_rows(self):
        chance = random.Random(7)
        events = [(chance.randrange(60), chance.randrange(40000), chance.randrange(40000)) for _ in range(80)]
        self.store(events)
        first = self.near_repeat(simulations=99, seed=11)
        self.assertEqual(self.near_repeat(simulations=99, seed=11), first)
        self.assertNotEqual(self.near_repeat(simulations=99, seed=12)["ratio"], first["ratio"])
        self.superuser.execute("truncate mobeye.burglary")
        self.store(events[::-1])
        self.assertEqual(self.near_repeat(simulations=99, seed=11), first)

    def test_clustered_events_stand_out(self):
        chance = random.Random(3)
        events = [(chance.randrange(300), chance.randrange(800000), chance.randrange(800000)) for _ in range(200)]
        events += [(day + 2, x + 3000, y) for day, x, y in events[:40]]
        self.store(events)
        given = self.near_repeat(simulations=199)
        self.assertGreater(given["ratio"][1][0], 5)
        self.assertEqual(given["p"][1][0], 1 / 200)

    def test_wrong_arguments(self):
        for arguments in (
            {"distances": []}, {"distances": [100, 0]}, {"distances": [0, 0]}, {"distances": [-1, 5]}, {"distances": [0, None]},
            {"distances": [0.0, 0.001]}, {"days": []}, {"days": [7, 0]}, {"days": [-1]}, {"metric": "chebyshev"}, {"metric": None},
            {"simulations": 0}, {"seed": 0}, {"seed": None}, {"of_what": "bicycles"}, {"until": "2026-01-01"},
            {"until": None}, {"until": "infinity"},
        ):
            with self.subTest(arguments=arguments), self.assertRaises(psycopg.errors.InvalidParameterValue):
                self.near_repeat(**arguments)

    def test_too_many_pairs_are_refused(self):
        self.store([(n % 300, 0, 0) for n in range(200)])
        with self.assertRaises(psycopg.errors.ProgramLimitExceeded) as refused:
            self.near_repeat(simulations=99999)
        self.assertIn("200 events", str(refused.exception))

    def test_alarms_without_drills_and_merged_ones(self):
        for n, columns in enumerate(({}, {}, {"drill": True}, {"outcome": "merged"}, {"outcome": "drill"}, {"category": "service"})):
            self.superuser.execute(
                "insert into mobeye.incident (incident_key, accepting, category, priority, kind, first_seen, last_seen, last_received_at,"
                " drill, outcome, status, closed_at, geom) select gen_random_uuid(), false, %s, 2, 'motion', t, t, t, %s, %s, %s,"
                " case when %s then t end, 'SRID=4326;POINT(5.38 52.15)' from (select '2026-05-05 12:00'::timestamptz + %s * interval '1 day') as v(t)",
                [columns.get("category", "alarm"), columns.get("drill", False), columns.get("outcome"),
                 "closed" if "outcome" in columns else "new", "outcome" in columns, n])
        self.addCleanup(self.superuser.execute, "delete from mobeye.incident")
        given = self.near_repeat(of_what="alarms")
        self.assertEqual((given["n"], given["observed"][0]), (2, [1, 0, 0, 0]))

    def test_analysts_get_whole_months_and_wide_bands(self):
        chance = random.Random(5)
        self.store([(chance.randrange(300), chance.randrange(300000), chance.randrange(300000)) for _ in range(150)])
        seen = self.near_repeat()
        with self.connect() as conn:
            conn.execute("set role mobeye_analyst")
            self.assertEqual(self.near_repeat(conn=conn), seen)
            self.near_repeat(conn=conn, distances=[0, 1, 50, 1000], days=[0, 14, 30, 90])
            for arguments in (
                {"until": "2026-01-15"}, {"until": "2026-12-31"}, {"distances": [0, 2]}, {"distances": [0, 99]},
                {"distances": [0.0, 0.5]}, {"days": [0, 1]}, {"days": [0, 7, 15]},
            ):
                with self.subTest(arguments=arguments), self.assertRaises(psycopg.errors.InsufficientPrivilege):
                    self.near_repeat(conn=conn, **arguments)
            for relation in ("mobeye.burglary", "mobeye.incident", "patrol.incidents", "patrol.devices"):
                with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f"select from {relation}")

    def test_analysts_get_no_small_numbers_of_events(self):
        with self.connect() as conn:
            conn.execute("set role mobeye_analyst")
            for events, attempts, without, shown in ((0, 0, 3, (0, 0, None)), (5, 0, 0, (5, 0, 0)), (9, 4, 5, (9, None, 5)), (9, 5, 0, (9, None, 0)),
                                                     (10, 5, 4, (10, 5, None)), (6, 6, 0, (6, 6, 0))):
                with self.subTest(events=events, attempts=attempts, without=without):
                    self.superuser.execute("truncate mobeye.burglary")
                    self.store([(day, day * 100000, 0) for day in range(events)])
                    self.superuser.execute("update mobeye.burglary set attempt = true where reference::integer < %s", [attempts])
                    self.superuser.execute("insert into mobeye.burglary (reference, occurred_from) select 'Z' || n, '2026-02-01'"
                                           " from generate_series(1, %s) n", [without])
                    given = self.near_repeat(conn=conn, simulations=9)
                    self.assertEqual((given["n"], given["attempts"], given["without_place"]), shown)
                    given = self.near_repeat(simulations=9)
                    self.assertEqual((given["n"], given["attempts"], given["without_place"]), (events, attempts, without))
            self.superuser.execute("truncate mobeye.burglary")
            self.store([(day, day * 100000, 0) for day in range(4)])
            with self.assertRaisesRegex(psycopg.errors.InsufficientPrivilege, "too few burglaries"):
                self.near_repeat(conn=conn, simulations=9)

    def analyst(self, begin, end, of_what="burglaries"):
        """Near repeats as an analyst gets them: how many events, or None."""
        with self.connect() as conn:
            conn.execute("set role mobeye_analyst")
            try:
                return conn.execute("select patrol.near_repeat(%s, %s, %s, simulations => 1) ->> 'n'", [begin, end, of_what]).fetchone()[0]
            except psycopg.errors.InsufficientPrivilege as refused:
                self.assertIn("too few " + of_what, str(refused))

    def test_two_periods_of_an_analyst_tell_no_small_difference(self):
        self.store([(day, day * 100000, 0) for day in (0, 1, 2, 3, 4, 32, 33, 34)])
        self.assertEqual([self.analyst("2026-01-01", end) for end in ("2026-02-01", "2026-03-01", "2026-07-01", "2027-01-01")], [None, None, "8", "8"])
        self.superuser.execute("delete from mobeye.burglary where occurred_from > '2026-02-01'")
        self.assertEqual([self.analyst("2026-01-01", end) for end in ("2026-02-01", "2026-03-01", "2026-07-01")], ["5", "5", "5"])

    def test_burglaries_of_one_each_in_areas_are_not_told_by_their_number(self):
        self.superuser.execute(
            "insert into mobeye.area (layer, code, name, geom) select 'buurt', n::text, n::text, st_transform(st_makeenvelope(155000 + n * 1000, 462000,"
            " 156000 + n * 1000, 464000, 28992), 4326) from generate_series(0, 6) as n")
        self.addCleanup(self.superuser.execute, "delete from mobeye.area")
        self.store([(day, day * 100000, 0) for day in range(6)])
        self.assertIsNone(self.analyst("2026-01-01", "2026-07-01"), "each of six areas has one")
        self.superuser.execute("update mobeye.burglary set counted = true")
        self.assertIsNone(self.analyst("2026-01-01", "2026-07-01"), "erased and imported again, they are events like others")
        self.superuser.execute("update mobeye.burglary set geom = (select b.geom from mobeye.burglary b where b.reference = '0') where reference = '1'")
        self.assertEqual(self.analyst("2026-01-01", "2026-07-01"), "6")

    def test_alarms_of_few_placements_are_no_figure_for_analysts(self):
        self.addCleanup(self.superuser.execute, "delete from mobeye.incident")
        for placement in (1, 2, 3, 4, 4, 4):
            insert_incident(self.superuser, "2026-02-03 12:00+00", placement_id=placement, geom="SRID=4326;POINT(5.38 52.15)")
        self.assertIsNone(self.analyst("2026-01-01", "2026-07-01", "alarms"))
        self.superuser.execute("update mobeye.incident set geom = null")
        with self.connect() as conn:
            conn.execute("set role mobeye_analyst")
            self.assertIsNone(self.near_repeat(conn=conn, of_what="alarms")["without_place"])
        self.superuser.execute("update mobeye.incident set geom = 'SRID=4326;POINT(5.38 52.15)'")
        insert_incident(self.superuser, "2026-02-04 12:00+00", placement_id=5, geom="SRID=4326;POINT(5.38 52.15)")
        self.assertEqual(self.analyst("2026-01-01", "2026-07-01", "alarms"), "7")

    def test_text_explains_itself(self):
        self.store([(day, 0, 0) for day in (0, 1, 2, 3)] + [(day, 900000 + day * 40000, 0) for day in range(0, 300, 5)])
        done = mobeyectl("report", "near-repeat", "--from", "2026-01-01", "--until", "2027-01-01", "--seed", "3", database=self.database)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("64 burglaries from 2026-01-01 until 2027-01-01; 999 permutations of their days (seed 3)", done.stdout)
        self.assertRegex(done.stdout, r"at the same place and within 7 days of a burglary: 6 pairs, \d+\.\d times the number expected by chance, p = 0\.0\d+\n")
        self.superuser.execute("update mobeye.burglary set attempt = true where reference in ('1', '2')")
        with self.connect() as conn:
            conn.execute("drop role if exists nr_ans; create role nr_ans login in role mobeye_analyst")
            self.addCleanup(self.superuser.execute, "drop role nr_ans")
        done = mobeyectl("report", "near-repeat", "--from", "2026-01-01", "--until", "2027-01-01", "--simulations", "9", database=self.database, user="nr_ans")
        self.assertTrue(done.stdout.startswith("64 burglaries from 2026-01-01 until 2027-01-01, attempts included; 9 "), done.stdout)
        self.superuser.execute("truncate mobeye.burglary; insert into mobeye.burglary (reference, occurred_from, attempt, geom) values"
                               " ('A', '2026-02-01', true, 'srid=4326;point(5.4 52.1)'), ('B', '2026-02-01', true, null)")
        done = mobeyectl("report", "near-repeat", "--from", "2026-01-01", "--until", "2027-01-01", "--simulations", "1", database=self.database)
        self.assertEqual(done.stdout.splitlines()[0], "1 burglary from 2026-01-01 until 2027-01-01, 1 of them an attempt, and 1 without a place left out;"
                         " 1 permutation of their days (seed 1), distances euclidean")
        self.superuser.execute("truncate mobeye.burglary")
        done = mobeyectl("report", "near-repeat", "--from", "2026-01-01", "--until", "2027-01-01", database=self.database)
        self.assertIn("No near band has more pairs than expected by chance", done.stdout)
        done = mobeyectl("report", "near-repeat", "--from", "2026-01-01", "--until", "2027-01-01", "--format", "json", "--days", "0,5",
                         "--distances", "0,250", "--metric", "manhattan", "--simulations", "9", database=self.database)
        given = json.loads(done.stdout)
        self.assertEqual((given["days"], given["distances"], given["metric"], given["simulations"]), ([0, 5], [0, 250], "manhattan", 9))

    def test_the_command_line_names_what_is_wrong(self):
        for arguments, words in (
            (["--from", "2026-01-01"], "missing period"),
            (["--from", "2026-13-01", "--until", "2027-01-01"], "2026-13-01"),
            (["--from", "2026-01-01", "--until", "2027-01-01", "--distances", "0,x"], "x"),
            (["--from", "2026-01-01", "--until", "2027-01-01", "--format", "csv"], '"csv" is not a format (expected text or json)'),
            (["--from", "2026-01-01", "--until", "2027-01-01", "--format", "JSON"], '"JSON" is not a format (did you mean json?)'),
            (["--from", "2026-01-01", "--until", "2027-01-01", "--cell", "5"], "cell"),
        ):
            with self.subTest(arguments=arguments):
                done = mobeyectl("report", "near-repeat", *arguments, database=self.database)
                self.assertEqual(done.stdout, "")
                self.assertIn(words, done.stderr)
                self.assertIn(done.returncode, (1, 2))
