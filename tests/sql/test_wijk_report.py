"""The district safety report: its figures, what it leaves out, and that nobody can compute that from the rest."""

import datetime
import json
import random
import zoneinfo

import numpy
import psycopg
from psycopg.types.json import Jsonb
from scipy.optimize import linprog

from support import SchemaTest, connect

TZ = zoneinfo.ZoneInfo("Europe/Amsterdam")
ROUND = 1e-6


def day(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=TZ)


class Knowns:
    """What a reader knows: numbers, none below 0, and sums of them."""

    def __init__(self):
        self.number = {}
        self.sums = []
        self.some = set()  # what is at least 1

    def index(self, name):
        return self.number.setdefault(name, len(self.number))

    def at_least_one(self, name):
        self.index(name)
        self.some.add(name)

    def known(self, name, value):
        self.sums.append(([(self.index(name), 1)], value))

    def is_sum(self, name, parts):
        self.sums.append(([(self.index(name), -1)] + [(self.index(part), 1) for part in parts], 0))

    def bounds(self, name):
        n = len(self.number)
        matrix = numpy.zeros((len(self.sums), n))
        for row, (terms, _) in enumerate(self.sums):
            for column, factor in terms:
                matrix[row, column] += factor
        right = [value for _, value in self.sums]
        ends = []
        for direction in (1, -1):
            goal = numpy.zeros(n)
            goal[self.index(name)] = direction
            limits = [(1 if name in self.some else 0, None) for name in self.number]
            found = linprog(goal, A_eq=matrix, b_eq=right, bounds=limits, method="highs")
            assert found.status in (0, 3), found.message  # 3: without bound
            ends.append(direction * found.fun if found.status == 0 else float("inf"))
        return ends


def assert_free(test, knowns, names, context):
    for name in names:
        low, high = knowns.bounds(name)
        test.assertGreaterEqual(high - low, 1 - ROUND, f"{name} is at least {low} and at most {high}\n{context}")


class Suppression(SchemaTest):
    """On random tables: everything that is left out may be at least one more or less."""

    def published(self, counts, min_cell):
        rows = self.superuser.execute(
            "with h as (select coalesce(jsonb_object_agg(code || '|' || figure, true), '{}') as hidden"
            "             from mobeye.hidden_in(%(c)s, %(m)s::integer))"
            " select code, mobeye.area_figures(%(c)s, mobeye.with_none(%(c)s, h.hidden), code, null, '{}', %(m)s::integer) from h, jsonb_object_keys(%(c)s) as code",
            {"c": Jsonb(counts), "m": min_cell},
        ).fetchall()
        return dict(rows)

    def random_counts(self, chance):
        areas = [f"WK{n}" for n in range(chance.randint(1, 6))] + [""]
        kinds = ["motion", "intrusion", "panic", "camera"][: chance.randint(1, 4)]
        outcomes = ["confirmed", "false_alarm", "open"][: chance.randint(1, 3)]
        small = chance.random()
        counts = {}
        for area in areas:
            row = {}

            def draw():
                return chance.choice([0, chance.randint(0, 4), chance.randint(0, 30)]) if chance.random() < small else chance.randint(5, 90)

            row["burglaries"], row["measure:tent"] = draw(), draw()
            if chance.random() < 0.8:
                for kind in kinds:
                    row["kind:" + kind] = draw()
            row["alarms"] = sum(n for name, n in row.items() if name.startswith("kind:"))
            left = row["alarms"]
            for outcome in outcomes:
                row["outcome:" + outcome] = left if outcome == outcomes[-1] else chance.randint(0, left)
                left -= row["outcome:" + outcome]
            for _ in range(row["alarms"]):
                hour = f"hour:{chance.choice([1, 20, 21, 22, 23, 167])}"
                row[hour] = row.get(hour, 0) + 1
            row["verified"] = chance.randint(0, row["alarms"])
            row["placements"] = chance.choice([0, chance.randint(1, 8), 30])
            row["set_nights"] = row["placements"] * chance.randint(1, 30)
            counts[area] = {name: n for name, n in row.items() if n}
        names = {name for row in counts.values() for name in row}
        counts["*"] = {name: sum(row.get(name, 0) for row in counts.values()) for name in names}
        return {code: row for code, row in counts.items() if row or code == "*"}

    def knowns(self, counts, shown):
        knowns, hidden = Knowns(), []
        areas = [code for code in counts if code != "*"]

        def tell(code, figure, value, real):
            if value is None:
                hidden.append((code, figure))
                if figure in ("burglaries", "tent"):  # none is published, whatever else is left out
                    knowns.at_least_one((code, figure))
            else:
                self.assertEqual(value, real, (code, figure))
                knowns.known((code, figure), value)

        for figure in ("burglaries", "alarms", "verified", "set_nights"):
            for code in counts:
                tell(code, figure, shown[code][figure], counts[code].get(figure, 0))
            knowns.is_sum(("*", figure), [(a, figure) for a in areas])
        for code in counts:
            tell(code, "tent", shown[code]["measures"]["tent"], counts[code].get("measure:tent", 0))
        knowns.is_sum(("*", "tent"), [(a, "tent") for a in areas])
        hours = sorted({name for row in counts.values() for name in row if name.startswith("hour:")})
        for group, prefix in (("alarms_by_kind", "kind:"), ("outcomes", "outcome:"), ("hours", "hour:")):
            words = hours if group == "hours" else sorted({n for r in counts.values() for n in r if n.startswith(prefix)})
            for code in counts:
                for word in words:
                    value = (shown[code]["hour_of_week"][int(word[5:])] if group == "hours"
                             else shown[code][group][word[len(prefix):]])
                    tell(code, word, value, counts[code].get(word, 0))
                published = ({f"hour:{h}": n for h, n in enumerate(shown[code]["hour_of_week"])} if group == "hours"
                             else {prefix + word: n for word, n in shown[code][group].items()})
                others = [word for word, n in published.items() if word not in words and n is None]
                if others:
                    self.assertEqual(sum(counts[code].get(word, 0) for word in others), 0)
                elif code == "*":  # each that is left out is known to occur
                    for word in words:
                        if published[word] is None:
                            knowns.at_least_one((code, word))
                if words:
                    knowns.is_sum((code, "alarms"), [(code, word) for word in words] + [(code, group, "others")] * bool(others))
            for word in words:
                knowns.is_sum(("*", word), [(a, word) for a in areas])
        return knowns, hidden

    def test_nothing_that_is_left_out_can_be_computed(self):
        chance = random.Random(307)
        left_out = shown_small = 0
        for _ in range(60):
            counts = self.random_counts(chance)
            min_cell = chance.choice([5, 5, 5, 3, 10])
            shown = self.published(counts, min_cell)
            knowns, hidden = self.knowns(counts, shown)
            for code, row in counts.items():
                for figure in ("burglaries", "alarms", "verified"):
                    shown_small += 0 < (shown[code][figure] or 0) < min_cell
            # Of what is left out, what can be small: a number of min_cell or more that is known exactly tells nothing.
            small = [name for name in hidden if counts[name[0]].get(name[1] if name[1] != "tent" else "measure:tent", 0) < min_cell]
            left_out += len(small)
            assert_free(self, knowns, small, json.dumps([min_cell, counts]))
        self.assertEqual(shown_small, 0)
        self.assertGreater(left_out, 500)

    def test_alarms_without_enough_placements_are_left_out(self):
        counts = {code: {"alarms": 40, "kind:motion": 40, "hour:1": 40, "outcome:open": 40} for code in ("WK1", "WK2", "WK3")}
        for code, placements in (("WK2", 5), ("WK3", 30)):
            counts[code] |= {"placements": placements, "set_nights": 90}
        counts["WK4"] = {"burglaries": 9}
        counts["*"] = {name: sum(row.get(name, 0) for row in counts.values()) for row in counts.values() for name in row}
        shown = self.published(counts, 5)
        self.assertEqual([shown[code]["alarms"] for code in ("WK1", "WK2", "WK3", "WK4", "*")], [None, None, 40, 0, 120])
        self.assertEqual(shown["WK1"]["set_nights"], None)

    def test_five_of_one_each_are_not_told_by_what_occurs(self):
        row = {"alarms": 5, "placements": 30, "set_nights": 90}
        row |= {f"kind:{kind}": 1 for kind in ("motion", "intrusion", "panic", "camera", "fire")}
        row |= {f"hour:{hour}": 1 for hour in (1, 20, 21, 22, 167)} | {"outcome:open": 5}
        counts = {"WK1": row, "": {"burglaries": 9}}
        counts["*"] = row | {"burglaries": 9}
        knowns, hidden = self.knowns(counts, self.published(counts, 5))
        self.assertIn(("*", "hour:1"), hidden)
        self.assertIn(("*", "kind:fire"), hidden)
        assert_free(self, knowns, hidden, "")

    def test_a_higher_minimum_shows_nothing_that_a_lower_one_leaves_out(self):
        chance = random.Random(11)
        for _ in range(20):
            counts = self.random_counts(chance)
            hidden = [set(self.superuser.execute("select code, figure from mobeye.hidden_in(%s, %s::integer)",
                                                 [Jsonb(counts), m]).fetchall()) for m in (5, 8, 12)]
            self.assertLessEqual(hidden[0], hidden[1])
            self.assertLessEqual(hidden[1], hidden[2])

    def test_as_little_as_possible_of_a_line_is_left_out(self):
        for line, hidden in [((30, 10, 20), []), ((33, 3, 10, 20), [3, 10]), ((7, 3, 4), [3, 4]), ((3, 3), [3, 3]),
                             ((32, 1, 1, 10, 20), [1, 1, 10]), ((5, 1, 1, 1, 1, 1), [5, 1, 1, 1, 1, 1]), ((10, 0, 10), [])]:
            got = self.value(self.superuser, "select mobeye.hide_line(%s::bigint[], array_fill(false, array[%s::integer]), 5)",
                             list(line), len(line))
            self.assertEqual([n for n, left in zip(line, got) if left], hidden, line)


class Report(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with connect(cls.database) as conn:
            conn.execute("drop role if exists t_analist; create role t_analist login in role mobeye_analyst")
            for vintage, split in ((2024, 5.35), (2026, 5.38)):  # divided anew on 1 January 2026
                for code, west, east in (("WK1", 5.3, split), ("WK2", split, 5.45)):
                    conn.execute(
                        "insert into mobeye.area (layer, code, name, vintage, homes, geom) values ('wijk', %s, %s, %s, 1000,"
                        " st_multi(st_makeenvelope(%s, 52.1, %s, 52.2, 4326)))", [code, "Wijk " + code, vintage, west, east])
            cls.fill(conn, random.Random(5))

    @classmethod
    def fill(cls, conn, chance):
        cls.burglaries, cls.alarms, cls.placements = [], [], []
        begin = day("2024-06-01")
        for n in range(700):
            at = begin + datetime.timedelta(minutes=chance.randint(0, 760 * 1440))
            lon = chance.choice([5.31, 5.36, 5.40, 5.50])
            attempt = chance.random() < 0.4
            cls.burglaries.append((at, lon, attempt))
            conn.execute("insert into mobeye.burglary (reference, occurred_from, attempt, geom) values (%s, %s, %s,"
                         " st_setsrid(st_makepoint(%s, 52.15), 4326))", [f"PL{n}", at, attempt, lon])
        for device in range(40):  # each moves on at any moment
            conn.execute("insert into mobeye.device (device_id) values (%s)", [f"SET-{device}"])
            at = begin + datetime.timedelta(minutes=chance.randint(0, 99999))
            while at < day("2026-06-01"):
                until = at + datetime.timedelta(minutes=chance.randint(10, 60000))
                lon = chance.choice([5.31, 5.36, 5.40])
                cls.placements.append((at, until, lon))
                conn.execute("insert into mobeye.placement (device_id, during, geom) values (%s, tstzrange(%s, %s),"
                             " st_setsrid(st_makepoint(%s, 52.15), 4326))", [f"SET-{device}", at, until, lon])
                at = until
        for _ in range(1500):
            at = begin + datetime.timedelta(seconds=chance.randint(0, 760 * 86400))
            code = chance.choice(["WK1", "WK2", None])
            alarm = {"at": at, "code": code, "kind": chance.choice(["motion", "intrusion"]),
                     "outcome": chance.choice(["confirmed", "false_alarm", "no_trace", None, "drill", "merged"]),
                     "drill": chance.random() < 0.1, "verified": chance.random() < 0.4, "ack": chance.randint(10, 900),
                     "reopened": chance.random() < 0.1}
            cls.alarms.append(alarm)
            created = at - datetime.timedelta(hours=2) if alarm["reopened"] else at
            conn.execute(
                "insert into mobeye.incident (incident_key, accepting, category, priority, kind, drill, first_seen, last_seen,"
                " last_received_at, created_at, areas, status, acknowledged_at, closed_at, outcome, verified_by, reopened_at)"
                " values (gen_random_uuid(), false, 'alarm', 2, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [alarm["kind"], alarm["drill"], at, at, at, created, [f"wijk:{code}"] if code else [],
                 "closed" if alarm["outcome"] else "acknowledged", at + datetime.timedelta(seconds=alarm["ack"]),
                 at + datetime.timedelta(hours=1) if alarm["outcome"] else None, alarm["outcome"],
                 "second_input" if alarm["verified"] else None, at if alarm["reopened"] else None])
        conn.execute("analyze")

    def report(self, begin, end, min_cell=0, user="postgres", layer="wijk"):
        with connect(self.database, user) as conn:
            return self.value(conn, "select patrol.wijk_report(%s, %s, %s, %s::integer)", begin, end, layer, min_cell)

    @staticmethod
    def code_at(lon, at):
        if lon >= 5.45:
            return None
        return "WK1" if lon < (5.38 if at >= day("2026-01-01") else 5.35) else "WK2"

    def expected(self, begin, end, code):
        """code: an area, None for elsewhere, '*' for all."""
        begin, end = day(begin), day(end)
        alarms = [a for a in self.alarms if begin <= a["at"] < end and not a["drill"] and a["outcome"] not in ("drill", "merged")
                  and code in ("*", a["code"])]
        nights = 0
        for at, until, lon in self.placements:
            night = begin.replace(hour=3)
            while night < end:
                if at <= night < until and code in ("*", self.code_at(lon, night)):
                    nights += 1
                night = (night.replace(tzinfo=None) + datetime.timedelta(days=1)).replace(tzinfo=TZ)
        burglaries = [b for b in self.burglaries if begin <= b[0] < end and code in ("*", self.code_at(b[1], b[0]))]
        hours = [0] * 168
        for alarm in alarms:
            hours[alarm["at"].weekday() * 24 + alarm["at"].hour] += 1

        def count(key, value):
            return sum(a[key] == value for a in alarms)

        return {
            "burglaries": sum(not b[2] for b in burglaries), "attempts": sum(b[2] for b in burglaries),
            "alarms": len(alarms), "verified": count("verified", True), "set_nights": nights,
            "alarms_by_kind": {k: count("kind", k) for k in ("motion", "intrusion")},
            "outcomes": {k: count("outcome", None if k == "open" else k) for k in ("confirmed", "false_alarm", "no_trace", "open")},
            "hour_of_week": hours, "ack": sorted(a["ack"] / 60 for a in alarms),
        }

    def assert_figures(self, figures, expected, timed=True):
        for name in ("burglaries", "attempts", "alarms", "verified", "set_nights", "alarms_by_kind", "outcomes", "hour_of_week"):
            self.assertEqual(figures[name], expected[name], name)
        judged = sum(expected["outcomes"][k] for k in ("confirmed", "false_alarm", "no_trace"))
        self.assertAlmostEqual(float(figures["false_alarm_share"]), expected["outcomes"]["false_alarm"] / judged, delta=0.001)
        self.assertAlmostEqual(float(figures["alarms_per_100_nights"]), 100 * expected["alarms"] / expected["set_nights"], delta=0.051)
        if timed:
            self.assertAlmostEqual(float(figures["ack_minutes_median"]), float(numpy.percentile(expected["ack"], 50)), delta=0.051)
            self.assertAlmostEqual(float(figures["ack_minutes_p90"]), float(numpy.percentile(expected["ack"], 90)), delta=0.051)

    def test_figures_of_three_periods_over_a_new_division(self):
        report = self.report("2026-01-01", "2026-06-01")
        self.assertEqual([a["code"] for a in report["areas"]], ["WK1", "WK2"])
        for name, figures in [(a["code"], a) for a in report["areas"]] + [("*", report["total"])]:
            self.assert_figures(figures, self.expected("2026-01-01", "2026-06-01", name))
            self.assert_figures(figures["previous"], self.expected("2025-08-01", "2026-01-01", name))
            self.assert_figures(figures["year_before"], self.expected("2025-01-01", "2025-06-01", name))
            homes = 2000 if name == "*" else 1000
            self.assertAlmostEqual(float(figures["burglaries_per_1000_homes"]), 1000 * figures["burglaries"] / homes, delta=0.051)
        # No set ever stood there, so there are no alarms for 100 nights.
        elsewhere = self.expected("2026-01-01", "2026-06-01", None)
        self.assertEqual(report["elsewhere"]["burglaries"], elsewhere["burglaries"])
        self.assertEqual(report["elsewhere"]["alarms"], elsewhere["alarms"])
        self.assertIsNone(report["elsewhere"]["alarms_per_100_nights"])

    def test_days_over_a_change_of_the_clock(self):
        report = self.report("2026-03-20", "2026-04-03")
        self.assertEqual(report["previous"], {"from": "2026-03-06", "until": "2026-03-20"})
        self.assert_figures(report["total"], self.expected("2026-03-20", "2026-04-03", "*"))

    def test_what_was_erased_still_counts(self):
        before = self.report("2025-01-01", "2025-07-01")
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("update mobeye.burglary set held_for = 'zaak' where reference = 'PL1'")
            self.superuser.execute(
                "select mobeye.apply_retention('incident', '28 days', '365 days', '90 days', now() - '2025-05-01'::timestamptz)")
            self.superuser.execute("select mobeye.apply_retention('burglary', '28 days', '365 days', '90 days', '1825 days',"
                                   " now() - '2025-05-01'::timestamptz)")
            left = self.superuser.execute("select count(*) from mobeye.incident where first_seen < '2025-05-01' and status = 'closed'").fetchone()
            self.assertEqual(left, (0,))
            self.assertLess(self.superuser.execute("select count(*) from mobeye.burglary").fetchone()[0], 600)
            # What comes in again is not counted twice.
            self.superuser.execute(
                "select mobeye.stage_burglaries(); insert into pg_temp.burglary_import (line, reference, occurred_from)"
                " select 1, r, '2025-02-01' from generate_series(0, 699) n, lateral (select 'PL' || n) as t(r)"
                " where exists (select from mobeye.burglary_erased e where e.reference = md5(r)::uuid);"
                " select mobeye.merge_burglaries('{reference,occurred_from}')")
            self.assertGreater(self.superuser.execute("select count(*) from mobeye.burglary where counted").fetchone()[0], 100)
            after = self.superuser.execute("select patrol.wijk_report('2025-01-01', '2025-07-01', 'wijk', 0)").fetchone()[0]
        for part in ("total", "elsewhere"):
            for name in ("burglaries", "attempts", "alarms", "verified", "outcomes", "alarms_by_kind", "hour_of_week"):
                self.assertEqual(after[part][name], before[part][name], name)
        for old, new in zip(before["areas"], after["areas"]):
            self.assertEqual((old["alarms"], old["burglaries"]), (new["alarms"], new["burglaries"]))

    def test_nights_to_come_do_not_count(self):
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("insert into mobeye.device (device_id) values ('NU');"
                                   "insert into mobeye.placement (device_id, during, geom) values"
                                   " ('NU', tstzrange(now() - interval '2 days', null), st_setsrid(st_makepoint(5.40, 52.15), 4326))")
            nights, report = self.superuser.execute(
                "select mobeye.nights(tstzrange(now() - interval '2 days', now())), patrol.wijk_report((now() - interval '10 days')::date,"
                " (now() + interval '20 days')::date, 'wijk', 0)").fetchone()
        self.assertEqual(report["total"]["set_nights"], nights)

    def test_nights_of_erased_placements_still_count(self):
        periods = [("2025-01-01", "2026-01-01"), ("2026-01-01", "2026-06-01"), ("2025-05-01", "2025-06-01")]
        before = [self.report(*period) for period in periods]
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("select mobeye.apply_retention('placements', '28 days', '90 days', '90 days',"
                                   " now() - '2026-04-10'::timestamptz, '365 days')")
            self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.placement where upper(during) < '2026-02-01'"), 0)
            for device in range(8):
                self.superuser.execute("select mobeye.subject_erase(null, %s, '2024-01-01', '2027-01-01')", [f"SET-{device}"])
            for period, old in zip(periods, before):
                new = self.value(self.superuser, "select patrol.wijk_report(%s, %s, 'wijk', 0)", *period)
                self.assertEqual([a["set_nights"] for a in new["areas"]], [a["set_nights"] for a in old["areas"]], period)
                self.assertEqual(new["total"]["set_nights"], old["total"]["set_nights"])
            # Each in one month, once.
            for code in ("WK1", "WK2", "*"):
                kept = self.value(self.superuser, "select sum(n) from mobeye.area_stats where figure = 'placements' and code = %s", code)
                self.assertGreater(kept, 5, code)
            gone = len(self.placements) - self.value(self.superuser, "select count(*) from mobeye.placement")
            self.assertEqual(kept, gone)

    def test_measures_of_another_layer_count_where_their_area_lies(self):
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("insert into mobeye.area (layer, code, name, geom) values ('hotspot', 'H1', 'H1',"
                                   " st_multi(st_makeenvelope(5.31, 52.11, 5.32, 52.12, 4326)))")
            self.superuser.execute("select patrol.add_measure('letter', 'hotspot', 'H1', '2026-02-01', null, 250, null)")
            self.superuser.execute("select patrol.add_measure('tent', 'wijk', 'WK2', '2026-02-01', null, null, null)")
            report = self.superuser.execute("select patrol.wijk_report('2026-01-01', '2026-07-01', 'wijk', 0)").fetchone()[0]
        self.assertEqual([a["measures"]["letter"] for a in report["areas"]], [250, 0])
        self.assertEqual([a["measures"]["tent"] for a in report["areas"]], [0, 1])
        self.assertEqual(report["total"]["measures"], {"letter": 250, "tent": 1, "patrol": 0, "other": 0})

    def test_a_measure_counts_where_its_area_lay_then(self):
        with self.superuser.transaction(force_rollback=True):
            for vintage, west in ((2024, 5.40), (2026, 5.31)):
                self.superuser.execute("insert into mobeye.area (layer, code, name, vintage, geom) values ('hotspot', 'H1', 'H1', %s,"
                                       " st_multi(st_makeenvelope(%s, 52.11, %s, 52.12, 4326)))", [vintage, west, west + 0.01])
            self.superuser.execute("select patrol.add_measure('letter', 'hotspot', 'H1', '2025-02-01', null, 250, null)")
            report = self.superuser.execute("select patrol.wijk_report('2025-01-01', '2025-07-01', 'wijk', 0)").fetchone()[0]
        self.assertEqual([a["measures"]["letter"] for a in report["areas"]], [0, 250])

    def test_the_year_before_ends_with_the_same_day(self):
        for begin, end, before in (("2024-02-01", "2024-02-29", ["2023-02-01", "2023-03-01"]), ("2024-02-01", "2024-03-01", ["2023-02-01", "2023-03-01"]),
                                   ("2025-02-01", "2025-03-01", ["2024-02-01", "2024-03-01"]), ("2024-02-29", "2024-03-01", ["2023-02-28", "2023-03-01"])):
            self.assertEqual(list(self.report(begin, end)["year_before"].values()), before, (begin, end))

    def test_an_analyst_has_whole_months_and_a_minimum(self):
        for begin, end, min_cell in (("2026-01-02", "2026-07-01", 5), ("2026-01-01", "2026-06-30", 5), ("2026-01-01", "2026-07-01", 4)):
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                self.report(begin, end, min_cell, "t_analist")
        self.assertEqual(self.report("2026-01-01", "2026-07-01", 5, "t_analist")["min_cell"], 5)
        for begin, end, min_cell, layer, error in (
                ("2026-07-01", "2026-01-01", 5, "wijk", psycopg.errors.InvalidParameterValue),
                ("2026-01-01", "2026-07-01", 101, "wijk", psycopg.errors.InvalidParameterValue),
                (None, "2026-07-01", 5, "wijk", psycopg.errors.InvalidParameterValue),
                ("-infinity", "2026-07-01", 5, "wijk", psycopg.errors.InvalidParameterValue),
                ("2026-01-01", "2026-07-01", 5, "wijken", psycopg.errors.NoDataFound)):
            with self.assertRaises(error):
                self.report(begin, end, min_cell, "t_analist", layer)

    def test_an_analyst_sees_a_month_that_is_over_though_its_half_year_is_not(self):
        month, this, following = self.superuser.execute(
            "select (m - interval '1 month')::date, m::date, (m + interval '1 month')::date"
            "  from date_trunc('month', mobeye.local_time(now())) as m").fetchone()
        self.superuser.execute("insert into mobeye.area (layer, code, name, geom) values ('proef', 'P1', 'Proef',"
                               " st_makeenvelope(5.0, 52.0, 5.1, 52.1, 4326))")
        self.superuser.execute(
            "insert into mobeye.burglary (reference, occurred_from, geom) select 'NU' || m::date || n, m + interval '5 days',"
            " st_setsrid(st_makepoint(5.05, 52.05), 4326)"
            "  from generate_series(%s::date - interval '5 months', %s, '1 month') as m, generate_series(1, 20) as n", [month, month])
        try:
            over, running = (self.report(*period, 5, "t_analist", "proef") for period in ((month, this), (this, following)))
        finally:
            self.superuser.execute("delete from mobeye.burglary where reference like 'NU%'; delete from mobeye.area where layer = 'proef'")
        self.assertEqual(over["areas"][0]["burglaries"], 20)
        self.assertIsNone(running["areas"][0]["burglaries"], "the month that runs could be subtracted day by day")

    def test_an_analyst_sees_figures_and_nothing_else(self):
        with connect(self.database, "t_analist") as conn:
            relations = self.superuser.execute(
                "select oid::regclass::text from pg_class where relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)"
                " and relkind in ('r', 'v', 'p', 'm')").fetchall()
            self.assertGreater(len(relations), 40)
            for (relation,) in relations:
                with self.assertRaises(psycopg.errors.InsufficientPrivilege, msg=relation):
                    conn.execute(f"select * from {relation} limit 1")
            may = self.superuser.execute(
                "select proname from pg_proc where pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)"
                " and has_function_privilege('t_analist', oid, 'execute') order by 1").fetchall()
            self.assertLessEqual({name for (name,) in may},
                                 {"api_version", "wijk_report", "wijk_report_html", "wijk_report_rows", "unknown_areas", "near_repeat", "hotspots",
                                  "device_report"})

    def test_two_reports_of_an_analyst_tell_nothing_that_either_leaves_out(self):
        months = [f"{year}-{month:02}-01" for year in (2024, 2025, 2026) for month in range(1, 13)][6:24]
        periods = [(6, 12), (6, 11), (7, 12), (0, 6), (6, 9), (9, 12), (0, 12), (11, 12), (6, 18), (3, 9)]
        reports = {p: self.report(months[p[0]], (months + ["2026-01-01"])[p[1]], 5, "t_analist") for p in periods}
        knowns, left_out = Knowns(), []
        parts = ("areas", "elsewhere", "total")
        for (begin, end), report in reports.items():
            rows = {a["code"]: a for a in report["areas"]} | {"": report["elsewhere"], "*": report["total"]}
            for code, row in rows.items():
                for figure in ("burglaries", "attempts"):
                    name = (code, figure, begin, end)
                    knowns.is_sum(name, [(code, figure, m, m + 1) for m in range(begin, end) if end - begin > 1])
                    if row[figure] is None:
                        left_out.append(name)
                    else:
                        knowns.known(name, row[figure])
        for month in range(18):
            for figure in ("burglaries", "attempts"):
                knowns.is_sum(("*", figure, month, month + 1), [(code, figure, month, month + 1) for code in ("WK1", "WK2", "")])
        self.assertTrue(left_out, parts)
        knowns.sums = [s for s in knowns.sums if len(s[0]) > 1 or s[0][0][1] == 1]
        assert_free(self, knowns, left_out, "")
