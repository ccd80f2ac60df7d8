"""patrol.device_report() and patrol.device_cards: nights, alarms, outcomes, cards, and who sees them."""

import datetime
import json

import psycopg
from support import SchemaTest, insert_incident, mobeyectl


class DeviceReport(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute(
            "set time zone 'America/New_York'; delete from mobeye.incident; delete from mobeye.device; delete from mobeye.person;"
            "delete from mobeye.team; insert into mobeye.team values ('noord'), ('zuid')")
        for role, group in (("dr_jan", "mobeye_patrol"), ("dr_rik", "mobeye_registry"), ("dr_ans", "mobeye_analyst")):
            self.superuser.execute(f"drop role if exists {role}; create role {role} login in role {group}")
            self.addCleanup(self.superuser.execute, f"drop role if exists {role}")
        self.superuser.execute("insert into mobeye.person values ('dr_jan', 'Jan', 'noord', false)")

    def device(self, name, *placements):
        """placements: (from, until, team, secret) in local time."""
        self.superuser.execute("insert into mobeye.device (device_id, model) values (%s, 'CM4000')", [name])
        for place, (begin, end, *rest) in enumerate(placements):
            team, secret = (*rest, None, False)[:2]
            self.superuser.execute(
                "insert into mobeye.placement (device_id, during, geom, team, secret) values (%s, tstzrange(%s::timestamp at time zone"
                " 'Europe/Amsterdam', %s::timestamp at time zone 'Europe/Amsterdam'), st_setsrid(st_makepoint(5.3 + %s * 0.001, 52.1), 4326), %s, %s)",
                [name, begin, end, place, team, secret])

    def alarm(self, device, at, outcome="false_alarm", **columns):
        closed = outcome is not None
        return insert_incident(self.superuser, f"{at} Europe/Amsterdam", device_id=device, outcome=outcome,
                               status="closed" if closed else "new", closed_at=f"{at} Europe/Amsterdam" if closed else None, **columns)

    def report(self, begin="2026-01-01", end="2026-07-01", conn=None):
        cursor = (conn or self.superuser).execute("select * from patrol.device_report(%s, %s)", [begin, end])
        names = [column.name for column in cursor.description]
        return {row[0]: dict(zip(names, row)) for row in cursor.fetchall()}

    def test_nights(self):
        self.device("at-noon", ("2026-02-01 12:00", "2026-02-04 12:00"))
        self.device("by-day", ("2026-02-01 09:00", "2026-02-01 18:00"))
        self.device("past-midnight", ("2026-02-01 00:30", "2026-02-03 00:30"))
        self.device("past-three", ("2026-02-01 03:30", "2026-02-01 12:00"))  # in UTC it is not 3 yet
        self.device("midnight", ("2026-02-01 00:00", "2026-02-02 00:00"))
        self.device("moved", ("2026-02-01 12:00", "2026-02-03 15:00"), ("2026-02-03 15:00", "2026-02-05 12:00"))
        self.device("summer", ("2026-03-28 12:00", "2026-03-30 12:00"))  # one of them lasts 23 hours
        self.device("edges", ("2025-12-31 12:00", "2026-07-02 12:00"))
        self.device("before", ("2025-11-01 12:00", "2026-01-01 00:00"))
        self.device("stock")
        self.assertEqual({name: (row["placements"], row["nights"]) for name, row in self.report().items()}, {
            "at-noon": (1, 3), "by-day": (1, 0), "past-midnight": (1, 2), "past-three": (1, 0), "midnight": (1, 1), "moved": (2, 4), "summer": (1, 2), "edges": (1, 181)})

    def test_nights_to_come_do_not_count(self):
        now = self.superuser.execute("select now() at time zone 'Europe/Amsterdam'").fetchone()[0]
        days = datetime.timedelta(days=1)
        self.device("open", (now - 3 * days, None))
        self.device("future", (now + 2 * days, None))
        report = self.report(now.date() - 30 * days, now.date() + 30 * days)
        self.assertEqual({name: row["nights"] for name, row in report.items()}, {"open": 3})

    def test_alarms_and_outcomes(self):
        self.device("d", ("2026-01-01 12:00", "2026-06-01 12:00"))
        self.alarm("d", "2026-02-01", "confirmed")
        self.alarm("d", "2026-02-02", None)
        self.alarm("d", "2026-02-03")
        self.alarm("d", "2026-02-03", drill=True)
        self.alarm("d", "2026-02-04", "merged")
        self.alarm("d", "2026-02-05", "drill")
        self.alarm("d", "2026-02-06", category="service", outcome="restored")
        self.alarm("d", "2026-07-01 00:00")
        row = self.report()["d"]
        self.assertEqual((row["alarms"], row["false_alarms"], row["card"]), (3, 1, None))
        self.assertEqual({k: n for k, n in row["outcomes"].items() if n}, {"confirmed": 1, "false_alarm": 1, "open": 1})

    def test_cards_that_hold_are_found_without_reading_what_is_long_past(self):
        self.device("d", ("2020-01-01 12:00", None, "noord", False))
        now = self.superuser.execute("select now() at time zone 'Europe/Amsterdam'").fetchone()[0]
        for days in (*range(300, 400), 200, 130, 60):
            self.alarm("d", (now - datetime.timedelta(days)).isoformat(" "), team="noord")
        conn = self.superuser
        with conn.transaction():
            conn.execute("set local track_functions = 'all'; set local role dr_jan")
            self.assertEqual(conn.execute("select device_id, card from patrol.device_cards").fetchall(), [("d", "red")])
            conn.execute("reset role")
            calls = conn.execute("select sum(calls) from pg_stat_xact_user_functions where funcname = 'can_see'").fetchone()[0]
        self.assertLessEqual(calls, 3)

    def test_cards(self):
        for name, days, card in (
            ("one", ["2026-02-01"], None),
            ("two", ["2026-02-01", "2026-04-30"], "yellow"),
            ("apart", ["2026-02-01", "2026-05-01 00:00"], None),  # 3 months later
            ("three", ["2026-02-01", "2026-02-02", "2026-05-01"], "red"),
            ("late", ["2026-01-02", "2026-01-03", "2026-05-01"], "yellow"),
            ("again", ["2026-01-02", "2026-01-03", "2026-04-04", "2026-04-05"], "yellow"),
            ("earlier", ["2025-12-20", "2026-01-02"], "yellow"),
            ("before", ["2025-12-20", "2025-12-24"], "none in the period"),
        ):
            self.device(name)
            for day in days:
                self.alarm(name, day)
            with self.subTest(name=name):
                self.assertEqual(self.report().get(name, {"card": "none in the period"})["card"], card)

    def test_cards_that_hold(self):
        now = datetime.datetime.now()
        for name, ages in (("yellow", (40, 10)), ("red", (80, 40, 10)), ("over", (150, 120)), ("none", (10,))):
            self.device(name)
            for days in ages:
                self.alarm(name, (now - datetime.timedelta(days=days)).isoformat(timespec="seconds"))
        self.alarm("none", now.isoformat(timespec="seconds"), drill=True)
        cards = dict(self.superuser.execute("select device_id, card from patrol.device_cards").fetchall())
        self.assertEqual(cards, {"yellow": "yellow", "red": "red"})

    def test_a_renamed_device_keeps_its_alarms(self):
        self.device("old")
        self.alarm("old", "2026-02-01")
        self.superuser.execute("update mobeye.device set device_id = 'new' where device_id = 'old'")
        self.alarm("new", "2026-02-03")
        self.assertEqual({n: (row["alarms"], row["card"]) for n, row in self.report().items()}, {"new": (2, "yellow")})

    def test_and_leaves_none_to_the_device_that_gets_its_name(self):
        self.device("old")
        self.alarm("old", "2026-02-01")
        self.superuser.execute("update mobeye.device set device_id = 'new' where device_id = 'old'")
        self.superuser.execute("update mobeye.device_renamed set at = '2026-02-02'")
        self.alarm("old", "2026-02-03")  # it goes on naming itself so
        self.device("old")
        self.superuser.execute("update mobeye.device set registered_at = '2026-02-04' where device_id = 'old'")
        self.alarm("old", "2026-02-05", "confirmed")
        self.assertEqual({n: (row["alarms"], row["false_alarms"]) for n, row in self.report().items()}, {"new": (2, 2), "old": (1, 0)})

    def test_nor_those_that_come_late_to_the_one_that_had_it(self):
        for device in ("first", "second"):
            self.device(device, ("2026-01-01 12:00", None))
        for earlier, later, at in (("first", "third", "2026-02-05"), ("second", "first", "2026-02-06")):
            self.superuser.execute("update mobeye.device set device_id = %s where device_id = %s", [later, earlier])
            self.superuser.execute("update mobeye.device_renamed set at = %s where at = (select max(at) from mobeye.device_renamed)", [at])
        stood = self.value(self.superuser, "select placement_id from mobeye.placement where device_id = 'first'")
        self.alarm("first", "2026-02-04", placement_id=stood, device_placement_id=stood)
        self.assertEqual({n: row["alarms"] for n, row in self.report().items()}, {"first": 1, "third": 0})

    def test_they_stay_with_it_when_its_placement_is_corrected_to_another(self):
        self.device("right")
        self.device("wrong", ("2026-01-01 12:00", None))
        stood = self.value(self.superuser, "select placement_id from mobeye.placement where device_id = 'wrong'")
        self.alarm("wrong", "2026-02-04", placement_id=stood, device_placement_id=stood)
        self.superuser.execute("update mobeye.placement set device_id = 'right'")
        self.assertEqual({n: row["alarms"] for n, row in self.report().items()}, {"right": 0, "wrong": 1})

    def test_an_account_that_was_mistyped_brings_no_alarms(self):
        for day in ("2026-02-01", "2026-02-03"):
            self.alarm("dc09:B371/1", day)
        for device, account in (("mistake", "B371"), ("right", "B371")):
            self.device(device)
            self.superuser.execute("insert into mobeye.device_address (account, device_id) values (%s, %s)", [account, device])
            self.superuser.execute("update mobeye.device_address set account = 'B317' where device_id = 'mistake'")
        self.assertEqual({n: (row["alarms"], row["card"]) for n, row in self.report().items()}, {"right": (2, "yellow")})

    def test_who_sees_what(self):
        self.device("noord", ("2026-02-01 12:00", "2026-02-04 12:00", "noord", True))
        self.device("zuid", ("2026-02-01 12:00", "2026-02-04 12:00", "zuid", True))
        self.device("open", ("2026-02-01 12:00", "2026-02-04 12:00", "zuid", False))
        self.device("five", *((f"2026-0{m}-01 12:00", f"2026-0{m}-03 12:00", "zuid", True) for m in range(1, 6)))
        for device, team, secret in (("noord", "noord", True), ("zuid", "zuid", True), ("open", "zuid", False), ("five", "zuid", True)):
            self.alarm(device, "2026-02-02", team=team, secret=secret, secret_team=team if secret else None)
            self.alarm(device, "2026-02-03", team=team, secret=secret, secret_team=team if secret else None)
        everything = self.report()
        self.assertEqual(set(everything), {"noord", "zuid", "open", "five"})
        with self.connect("dr_rik") as rik:
            self.assertEqual(self.report(conn=rik), everything)
            self.assertEqual(self.report("2026-02-02", "2026-02-03", rik)["noord"]["alarms"], 1)
        with self.connect("dr_jan") as jan:
            self.assertEqual(self.report(conn=jan), {"noord": everything["noord"]})
        with self.connect("dr_ans") as ans:
            seen = self.report(conn=ans)
            self.assertEqual(seen["five"], everything["five"])
            self.assertEqual({v for name in ("noord", "zuid", "open") for k, v in seen[name].items() if k not in ("device_id", "model")}, {None})
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                self.report("2026-02-02", "2026-02-03", ans)
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                ans.execute("select from patrol.device_cards")

    def test_sums_of_all_devices_tell_an_analyst_of_none(self):
        # The district safety report has them; of one device that is left out they would be what is missing.
        for name, placements in (("one", 1), ("five", 5), ("six", 6)):
            self.device(name, *((f"2026-0{m}-01 12:00", f"2026-0{m}-09 12:00") for m in range(1, placements + 1)))
            self.alarm(name, "2026-01-02")
        with self.connect("dr_ans") as ans:
            def nights(*period):
                return {name: row["nights"] for name, row in self.report(*period, conn=ans).items()}
            self.assertEqual(nights(), {"one": None, "five": None, "six": 48})
            self.device("two", ("2026-02-01 12:00", "2026-02-09 12:00"))
            self.assertEqual(nights(), {"one": None, "two": None, "five": 40, "six": 48})
            # A longer period has what can be published of each half-year, a month nothing that its half-year must not lose.
            self.superuser.execute("insert into mobeye.placement (device_id, during, geom) values ('six', '[2026-08-01,2026-09-01)',"
                                   " st_setsrid(st_makepoint(5.3, 52.1), 4326))")
            self.assertEqual(nights("2026-01-01", "2027-01-01"), {"one": None, "two": None, "five": 40, "six": None})
            self.assertEqual(nights("2026-01-01", "2026-06-01"), {"one": None, "two": None, "five": None, "six": None})

    def test_cards_that_officers_see(self):
        now = datetime.datetime.now()
        for device, team in (("ours", "noord"), ("theirs", "zuid")):
            self.device(device)
            for days in (20, 10):
                self.alarm(device, (now - datetime.timedelta(days=days)).isoformat(timespec="seconds"), team=team)
        for login, seen in (("dr_jan", ["ours"]), ("dr_rik", ["ours", "theirs"])):
            with self.connect(login) as conn:
                rows = conn.execute("select device_id from patrol.device_cards order by 1").fetchall()
                self.assertEqual([row[0] for row in rows], seen)

    def test_a_period_that_ends_before_it_begins_is_refused_in_words(self):
        done = mobeyectl("report", "devices", "--from", "2026-07-01", "--until", "2026-01-01", database=self.database)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("period", done.stderr)
        self.assertNotIn("range", done.stderr)

    def test_formats(self):
        self.device("a-b", ("2026-02-01 12:00", "2026-02-04 12:00"))
        self.superuser.execute("update mobeye.device set model = 'CM, \"oud\"'")
        self.alarm("a-b", "2026-02-02")
        outputs = {}
        for form in ("text", "csv", "json"):
            done = mobeyectl("report", "devices", "--from", "2026-01-01", "--until", "2026-07-01", "--format", form, database=self.database)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            outputs[form] = done.stdout
        self.assertEqual(outputs["csv"].splitlines(), [
            "device_id,model,placements,nights,alarms,confirmed,false_alarms,technical,no_trace,unattended,restored,open,card",
            'a-b,"CM, ""oud""",1,3,1,0,1,0,0,0,0,0,'])
        row = json.loads(outputs["json"])[0]
        self.assertEqual((row["device_id"], row["nights"], row["alarms"], row["false_alarms"], row["card"]), ("a-b", 3, 1, 1, None))
        self.assertIn("nights", outputs["text"].splitlines()[0])
