"""The district safety report: its figures, who gets which, and what two reports reveal together."""

import datetime
import random
import zoneinfo

import numpy
import psycopg
from knowns import Knowns, assert_free
from support import SchemaTest, connect, insert_incident

TZ = zoneinfo.ZoneInfo("Europe/Amsterdam")


def day(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=TZ)


class Report(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with connect(cls.database) as conn:
            conn.execute("drop role if exists t_analist; create role t_analist login in role mobeye_analyst")
            for vintage, split in ((2024, 5.35), (2026, 5.38)):  # divided again on 1 January 2026
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
            inside = figures["burglaries"] - (report["elsewhere"]["burglaries"] if name == "*" else 0)
            homes = 2000 if name == "*" else 1000
            self.assertAlmostEqual(float(figures["burglaries_per_1000_homes"]), 1000 * inside / homes, delta=0.051)
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
                " where exists (select from mobeye.burglary_erased e where e.reference = mobeye.erased_reference(r));"
                " select mobeye.merge_burglaries('{reference,occurred_from}')")
            self.assertGreater(self.superuser.execute("select count(*) from mobeye.burglary where counted").fetchone()[0], 100)
            after = self.superuser.execute("select patrol.wijk_report('2025-01-01', '2025-07-01', 'wijk', 0)").fetchone()[0]
        for part in ("total", "elsewhere"):
            for name in ("burglaries", "attempts", "alarms", "verified", "outcomes", "alarms_by_kind", "hour_of_week"):
                self.assertEqual(after[part][name], before[part][name], name)
        for old, new in zip(before["areas"], after["areas"]):
            self.assertEqual((old["alarms"], old["burglaries"]), (new["alarms"], new["burglaries"]))

    def test_what_was_erased_before_a_layer_was_imported_lies_elsewhere(self):
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("update mobeye.area set layer = 'later'")
            before = self.superuser.execute("select patrol.wijk_report('2025-01-01', '2025-07-01', 'later', 0)").fetchone()[0]["total"]
            self.superuser.execute("create temp table kept on commit drop as select * from mobeye.area; delete from mobeye.area")
            for job, incidents in (("incident", "365 days"), ("burglary", "90 days"), ("placements", "90 days")):
                self.superuser.execute("select mobeye.apply_retention(%s, '28 days', %s, '90 days', now() - '2025-05-01'::timestamptz,"
                                       " now() - '2025-05-01'::timestamptz)", [job, incidents])
            self.superuser.execute("insert into mobeye.area overriding system value select * from kept")
            after = self.superuser.execute("select patrol.wijk_report('2025-01-01', '2025-07-01', 'later', 0)").fetchone()[0]
        for name in ("burglaries", "attempts", "alarms", "verified", "set_nights", "outcomes", "alarms_by_kind", "hour_of_week"):
            self.assertEqual(after["total"][name], before[name], name)
        self.assertGreater(after["elsewhere"]["burglaries"], after["areas"][0]["burglaries"])
        self.assertGreater(after["elsewhere"]["set_nights"], 0)

    def test_alarms_count_where_they_lay_whenever_their_areas_were_imported(self):
        # What an alarm stores is of the areas that there were when it came; one without a place has no more than that.
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute(
                "insert into mobeye.area (layer, code, name, vintage, geom) values"
                " ('later', 'OUD', 'Oud', 2024, st_multi(st_makeenvelope(5.3, 52.1, 5.45, 52.2, 4326))),"
                " ('later', 'WEST', 'West', 2026, st_multi(st_makeenvelope(5.3, 52.1, 5.38, 52.2, 4326))),"
                " ('later', 'OOST', 'Oost', 2026, st_multi(st_makeenvelope(5.38, 52.1, 5.45, 52.2, 4326)))")
            for at, lon, stored, n in (("2025-12-01", 5.36, [], 3), ("2026-02-01", 5.36, ["later:OUD"], 4), ("2026-02-01", 5.40, ["wijk:WK1"], 5),
                                       ("2026-02-01", 5.90, ["later:WEST"], 6), ("2026-02-01", None, ["later:OOST"], 7)):
                for _ in range(n):
                    insert_incident(self.superuser, at, status="acknowledged", acknowledged_at="2026-02-02", areas=stored,
                                    kind="tamper", geom=None if lon is None else f"SRID=4326;POINT({lon} 52.15)")

            def counted():
                given = []
                for period in (("2025-12-01", "2026-01-01"), ("2026-02-01", "2026-03-01")):
                    report = self.value(self.superuser, "select patrol.wijk_report(%s, %s, 'later', 0)", *period)
                    given.append({a["code"]: a["alarms_by_kind"]["tamper"] for a in report["areas"] + [{"code": "", **report["elsewhere"]}]})
                minutes = self.superuser.execute("select code, acknowledged from mobeye.report_minutes('later', mobeye.day_start('2026-02-01'),"
                                                 " mobeye.day_start('2026-03-01')) where code <> '*' and code <> ''").fetchall()
                return given, dict(minutes)

            expected = [{"OUD": 3, "": 0}, {"OUD": 0, "WEST": 4, "OOST": 12, "": 6}]
            given, minutes = counted()
            self.assertEqual(given, expected)
            self.assertEqual(minutes, {"WEST": 4, "OOST": 12})
            self.superuser.execute("select mobeye.erase_incidents(array(select incident_id from mobeye.incident where kind = 'tamper'))")
            self.assertEqual(counted()[0], expected)

    def test_minutes_in_an_area_that_was_removed_are_elsewhere(self):
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("delete from mobeye.incident")
            for _ in range(6):
                insert_incident(self.superuser, "2026-02-01", status="acknowledged", created_at="2026-02-01", acknowledged_at="2026-02-01 00:10",
                                areas=["wijk:GONE"])
            elsewhere = self.value(self.superuser, "select patrol.wijk_report('2026-02-01', '2026-03-01', 'wijk', 0) -> 'elsewhere'")
        self.assertEqual((elsewhere["alarms"], elsewhere["ack_minutes_median"]), (6, 10))

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
                kept = self.value(self.superuser, "select sum(n) from mobeye.area_stats where layer = 'wijk' and figure = 'placements'"
                                                   " and code = %s", code)
                self.assertGreater(kept, 5, code)
            gone = len(self.placements) - self.value(self.superuser, "select count(*) from mobeye.placement")
            self.assertEqual(kept, gone)

    def test_a_placement_that_is_imported_again_counts_once(self):
        def imported():
            self.superuser.execute(
                "select mobeye.stage_devices(); insert into pg_temp.device_import (line, device_id, placed_from, placed_until, lon, lat, address) values"
                " (2, 'OUD', '2020-03-01', '2020-04-01', 5.31, 52.15, 'Oudstraat 1'), (3, 'PAS', now() - interval '20 days', now() - interval '10 days',"
                " 5.31, 52.15, 'Oudstraat 2')")
            columns = "{device_id,placed_from,placed_until,lon,lat,address}"
            warnings = self.superuser.execute("select line, warning, message from mobeye.check_devices(null, %s) order by line", [columns]).fetchall()
            self.superuser.execute("select mobeye.merge_devices(%s)", [columns])
            self.superuser.execute("drop table pg_temp.device_import")
            return warnings

        def nights():
            return [self.value(self.superuser, "select sum(n) from mobeye.report_counts('wijk', '2020-01-01', (now() + interval '2 months')::date)"
                                                " where code = '*' and figure = %s", figure) for figure in ("set_nights", "placements")]

        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("delete from mobeye.placement; delete from mobeye.area_stats; set local time zone 'Europe/Amsterdam'")
            self.assertEqual(imported(), [])
            for _ in range(3):
                self.assertEqual(nights(), [41, 2])
                # The older one is deleted, the other one emptied.
                self.superuser.execute("select mobeye.subject_erase('Oudstraat ' || n, null, null, null) from generate_series(1, 2) as n")
                self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.placement where address is null"), 1)
                self.assertEqual([(line, warning, "was erased on" in message) for line, warning, message in imported()],
                                 [(2, True, True), (3, True, True)])
                self.superuser.execute("select mobeye.apply_retention('placements', '28 days', '90 days', '90 days', '90 days', '90 days')")
                self.assertEqual(imported()[0][0], 2)

    def test_an_emptied_placement_of_a_device_that_was_renamed_counts_once(self):
        with self.superuser.transaction(force_rollback=True):
            self.superuser.execute("delete from mobeye.placement; delete from mobeye.area_stats; insert into mobeye.device (device_id) values ('LEEG');"
                                   " insert into mobeye.placement (device_id, during, geom, address) values ('LEEG',"
                                   " tstzrange(now() - interval '20 days', now() - interval '10 days'), st_setsrid(st_makepoint(5.31, 52.15), 4326), 'Leegstraat 1')")
            self.superuser.execute("select mobeye.subject_erase('Leegstraat 1', null, null, null)")
            kept = "select sum(n) from mobeye.area_stats where layer = 'wijk' and code = 'WK1' and figure = %s"
            before = [self.value(self.superuser, kept, figure) for figure in ("set_nights", "placements")]
            self.superuser.execute("update mobeye.device set device_id = 'VOL' where device_id = 'LEEG'")
            self.assertEqual(self.value(self.superuser, "select mobeye.erase_placements(array_agg(placement_id)) from mobeye.placement"), 1)
            self.assertEqual([self.value(self.superuser, kept, figure) for figure in ("set_nights", "placements")], before)

    def test_of_incidents_that_are_erased_their_own_places_are_looked_up(self):
        """And not those of all alarms between the first and the last of them."""
        with self.superuser.transaction(force_rollback=True):
            ids = [insert_incident(self.superuser, f"2025-02-0{n} 12:00Z", geom=self.value(self.superuser, "select st_setsrid(st_makepoint(%s, 52.15), 4326)", 5.3 + n / 100))
                   for n in (1, 2, 3)]
            places = self.superuser.execute("select st_x(geom) from mobeye.alarm_places(null, '-infinity', 'infinity', %s) order by 1", [ids[::2]])
            self.assertEqual(places.fetchall(), [(5.31,), (5.33,)])

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

    def test_what_counts_for_an_area_that_begins_after_the_period_is_in_its_row(self):
        with self.superuser.transaction(force_rollback=True):
            for code, vintage, west in (("H1", 2024, 5.31), ("N1", 2026, 5.40), ("N2", 2026, 5.42)):
                self.superuser.execute("insert into mobeye.area (layer, code, name, vintage, geom) values ('hotspot', %s, 'Plek', %s,"
                                       " st_multi(st_makeenvelope(%s, 52.11, %s, 52.12, 4326)))", [code, vintage, west, west + 0.01])
            self.superuser.execute("insert into mobeye.measure (kind, layer, code, from_at, number) values ('letter', 'hotspot', 'N1', '2025-03-05', 40)")
            report = self.value(self.superuser, "select patrol.wijk_report('2025-03-01', '2025-04-01', 'hotspot', 0)")
        self.assertEqual([(a["code"], a["measures"]["letter"]) for a in report["areas"]], [("H1", 0), ("N1", 40)])
        self.assertEqual(report["total"]["measures"]["letter"], 40)

    def test_a_measure_counts_where_its_area_lay_then(self):
        for then, letters, elsewhere in ((5.40, [0, 250], 0), (6.40, [0, 0], 250)): # in no wijk, though another vintage is
            with self.subTest(then), self.superuser.transaction(force_rollback=True):
                for vintage, west in ((2024, then), (2026, 5.31)):
                    self.superuser.execute("insert into mobeye.area (layer, code, name, vintage, geom) values ('hotspot', 'H1', 'H1', %s,"
                                           " st_multi(st_makeenvelope(%s, 52.11, %s, 52.12, 4326)))", [vintage, west, west + 0.01])
                self.superuser.execute("select patrol.add_measure('letter', 'hotspot', 'H1', '2025-02-01', null, 250, null)")
                report = self.value(self.superuser, "select patrol.wijk_report('2025-01-01', '2025-07-01', 'wijk', 0)")
                self.assertEqual([a["measures"]["letter"] for a in report["areas"]], letters)
                self.assertEqual(report["elsewhere"]["measures"]["letter"] if report["elsewhere"] else 0, elsewhere)

    def test_all_areas_together_are_those_at_the_end_of_the_period(self):
        for first in (None, 2024):
            with self.subTest(first), self.superuser.transaction(force_rollback=True):
                for vintage, code, west, east, homes in ((first, "W1", 5.3, 5.35, 1000), (first, "W2", 5.35, 5.45, 1000),
                                                         (2026, "W1", 5.3, 5.35, 1000), (2026, "W3", 5.35, 5.4, 500), (2026, "W4", 5.4, 5.45, 500)):
                    self.superuser.execute("insert into mobeye.area (layer, code, name, vintage, homes, geom) values ('deling', %s, %s, %s, %s,"
                                           " st_multi(st_makeenvelope(%s, 52.1, %s, 52.2, 4326)))", [code, "In " + code, vintage, homes, west, east])
                for begin, end, drawn in (("2025-07-01", "2026-07-01", ["W1", "W3", "W4"]), ("2025-07-01", "2026-01-01", ["W1", "W2"])):
                    report, drawing = self.superuser.execute(
                        "select r, mobeye.html_map(r)::text from patrol.wijk_report(%s, %s, 'deling', 0) as r", [begin, end]).fetchone()
                    self.assertEqual(report["total"]["homes"], 2000)
                    self.assertAlmostEqual(float(report["total"]["burglaries_per_1000_homes"]),
                                           (report["total"]["burglaries"] - report["elsewhere"]["burglaries"]) / 2, delta=0.051)
                    self.assertEqual([code for code in ("W1", "W2", "W3", "W4") if f"<title>In {code}: " in drawing], drawn)

    def test_the_year_before_ends_with_the_same_day(self):
        for begin, end, before in (("2024-02-01", "2024-02-29", ["2023-02-01", "2023-03-01"]), ("2024-02-01", "2024-03-01", ["2023-02-01", "2023-03-01"]),
                                   ("2025-02-01", "2025-03-01", ["2024-02-01", "2024-03-01"]), ("2024-02-29", "2024-03-01", ["2023-02-28", "2023-03-01"])):
            self.assertEqual(list(self.report(begin, end)["year_before"].values()), before, (begin, end))

    def test_what_an_analyst_gets_is_what_the_owner_gets_or_nothing(self):
        def compare(seen, real, path):
            if isinstance(real, dict):
                for name in real:
                    compare(seen[name] if name in seen else 0, real[name], path + [name])
            elif isinstance(real, list):
                for n, value in enumerate(real):
                    compare(seen[n], value, path + [n])
            elif seen is not None:
                self.assertEqual(seen, real, path)
                equal.append(path)

        for begin, end, least in (("2025-01-01", "2026-01-01", 300), ("2025-07-01", "2026-01-01", 300), ("2025-02-01", "2025-05-01", 20)):
            equal = []
            seen, real = self.report(begin, end, 5, "t_analist"), self.report(begin, end, 0)
            compare(seen | {"min_cell": 0}, real, [begin, end])
            self.assertGreater(len(equal), least)

    def test_a_half_year_without_sets_takes_nothing_from_the_next(self):
        self.assertEqual(self.report("2023-07-01", "2024-01-01", 5)["total"]["alarms"], 0)
        for begin in ("2023-07-01", "2022-01-01"):
            seen, real = self.report(begin, "2025-01-01", 5, "t_analist"), self.report(begin, "2025-01-01")
            for figure in ("alarms", "set_nights"):
                self.assertEqual(seen["total"][figure], real["total"][figure], begin)

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
            self.superuser.execute("insert into mobeye.burglary (reference, occurred_from, geom) select 'NU' || n, %s::timestamptz + interval '1 minute',"
                                   " st_setsrid(st_makepoint(5.05, 52.05), 4326) from generate_series(1, 2) as n", [this])
            now_few = self.report(month, this, 5, "t_analist", "proef")
        finally:
            self.superuser.execute("delete from mobeye.burglary where reference like 'NU%'; delete from mobeye.area where layer = 'proef'")
        self.assertEqual(over["areas"][0]["burglaries"], 20)
        self.assertIsNone(running["areas"][0]["burglaries"], "the month that runs could be subtracted day by day")
        # What is over, subtracted from the half-year as far as it has come, would tell of the two.
        self.assertEqual(now_few["areas"][0]["burglaries"], 20 if this.month in (1, 7) else None)

    def test_a_month_of_an_analyst_has_burglaries_only_if_it_has_attempts(self):
        # Near repeats tell how many there are together.
        self.superuser.execute("insert into mobeye.area (layer, code, name, geom) values ('proef', 'P1', 'Proef',"
                               " st_makeenvelope(5.0, 52.0, 5.1, 52.1, 4326))")
        self.superuser.execute(
            "insert into mobeye.burglary (reference, occurred_from, attempt, geom) select 'NU' || m::date || n, m + interval '5 days', n > 20,"
            " st_setsrid(st_makepoint(5.05, 52.05), 4326) from generate_series('2025-01-01'::timestamptz, '2025-06-01', '1 month') as m,"
            " generate_series(1, 26) as n")
        try:
            figures = []
            for gone in ("", "NU2025-03-01%"):
                self.superuser.execute("delete from mobeye.burglary where attempt and reference like %s and reference not like '%%1'", [gone])
                figures.append([self.report(*period, 5, "t_analist", "proef")["areas"][0]["burglaries"]
                                for period in (("2025-01-01", "2025-02-01"), ("2025-01-01", "2025-07-01"))])
        finally:
            self.superuser.execute("delete from mobeye.burglary where reference like 'NU%'; delete from mobeye.area where layer = 'proef'")
        self.assertEqual(figures, [[20, 120], [None, 120]])

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
