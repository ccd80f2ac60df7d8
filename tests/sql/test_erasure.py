"""A person's request: everything kept about a home is exported, or erased, and what remains is reported."""

import json

import psycopg

from support import insert_alert
from test_retention import RetentionTest

HOME = "st_setsrid(st_point(5.41, 52.11), 4326)"
ERASE = "select n, remaining from mobeye.subject_erase(%s, %s, %s, %s)"
# Tables that hold what people, devices and addresses are called.
EVERYTHING = """
select string_agg(query_to_xml(format('select * from %%s', c.oid::regclass), true, true, '')::text, '')
  from pg_class c where c.relnamespace = 'mobeye'::regnamespace and c.relkind = 'r'
"""


class ErasureTest(RetentionTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.daemon")
        self.superuser.execute("insert into mobeye.device (device_id) values ('d'), ('neighbour')")

    def place(self, device, since, until, address="Kerkstraat 1", geom=HOME, **columns):
        row = {"device_id": device, "address": address, **columns}
        return self.value(
            self.superuser,
            f"insert into mobeye.placement ({', '.join(row)}, geom, during) values ({', '.join(['%s'] * len(row))}, {geom},"
            " tstzrange(now() - make_interval(days => %s), now() - make_interval(days => %s))) returning placement_id",
            *row.values(), since, until)

    def erase(self, address=None, device=None, since=None, until=None):
        """Times are days ago."""
        ago = [None if days is None else self.ago(f"{days} days") for days in (since, until)]
        n, remaining = self.superuser.execute(ERASE, [address, device, *ago]).fetchone()
        return n, remaining

    def point(self, geom=HOME):
        return self.value(self.superuser, f"select {geom}")

    def status(self, device, fix_days, geom=HOME):
        self.superuser.execute(
            "insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at,"
            f" last_occurred_at, endpoint, source, kind, fix, fix_at) values (%s, true, now(), now(), now(), 'e', 's', 'k', {geom}, %s)",
            [device, self.ago(f"{fix_days} days")])

    def note(self, incident, note, days, action="note"):
        self.superuser.execute(
            "insert into mobeye.incident_history (incident_id, at, actor, action, note) values (%s, %s, 'jan', %s, %s)",
            [incident, self.ago(f"{days} days"), action, note])

    def notes(self, incident):
        return [row[0] for row in self.superuser.execute(
            "select note from mobeye.incident_history where incident_id = %s order by entry", [incident])]

    def thread(self, incident, device, days, active=True):
        self.superuser.execute(
            "insert into mobeye.incident_condition (condition, incident_id, active, device_id, since)"
            " values (gen_random_uuid(), %s, %s, %s, %s)", [incident, active, device, self.ago(f"{days} days")])

    def incident_row(self, incident, columns):
        return self.superuser.execute(f"select {columns} from mobeye.incident where incident_id = %s", [incident]).fetchone()


class TwoHomes(ErasureTest):
    """Kerkstraat 1 until 40 days ago, then Dorpsweg 2; a stray alert between the two, and one before both."""

    def setUp(self):
        super().setUp()
        self.first = self.place("d", 60, 40)
        self.place("d", 39, 20, "Dorpsweg 2")
        for event, days in (("first home", 50), ("second home", 30)):
            at = f"{days} days"
            incident = self.incident(ended=at, device_id="d")
            self.alert("motion", at, event, device_id="d", incident_id=incident)

    def test_the_export_is_about_one_home_alone(self):
        (found,) = self.value(self.superuser, "select mobeye.subject_export(' kerkstraat 1', null, null, null)")
        self.assertEqual([a["event_id"] for a in found["alerts"]], ["first home"])
        self.assertEqual(len(found["incidents"]), 1)
        self.assertEqual([p["address"] for p in found["placements"]], ["Kerkstraat 1"])
        self.assertNotIn("Dorpsweg", json.dumps(found))

    def test_the_last_fix_is_exported_without_what_was_reported_since_from_another_home(self):
        self.status("d", 50)
        self.superuser.execute("update mobeye.device_status set kind = 'panic', battery_pct = 55, last_occurred_at = %s", [self.ago("30 days")])
        export = "select mobeye.subject_export('Kerkstraat 1', null, null, null)"
        (found,) = self.value(self.superuser, export)
        self.assertEqual(set(found["last_fix"]), {"fix", "fix_accuracy_m", "fix_at"})
        self.superuser.execute("update mobeye.device_status set last_occurred_at = %s", [self.ago("49 days")])
        (found,) = self.value(self.superuser, export)
        self.assertEqual((found["last_fix"]["kind"], found["last_fix"]["battery_pct"]), ("panic", 55))

    def test_the_erasure_takes_one_home_and_its_log_does_not_name_it(self):
        self.assertEqual(self.erase("Kerkstraat 1"), (3, []))
        self.assertEqual(self.events(), ["second home"])
        self.assertEqual(self.value(self.superuser, "select address from mobeye.placement"), "Dorpsweg 2")
        log = self.value(self.superuser, "select jsonb_agg(e) from mobeye.erasure e")
        self.assertEqual([(e["what"], e["device_id"]) for e in log], [("subject", "d")])
        self.assertNotIn("Kerkstraat", json.dumps(log))

    def test_after_a_restore_the_log_erases_it_again(self):
        at = self.value(self.superuser, "select occurred_at from mobeye.alert where event_id = 'first home'")
        self.erase("Kerkstraat 1")
        log = json.dumps(self.value(self.superuser, "select jsonb_agg(e) from mobeye.erasure e"))
        insert_alert(self.superuser, "motion", at, event_id="from the backup", device_id="d")
        again = "select n, remaining from mobeye.erase_again(%s)"
        self.assertEqual(self.superuser.execute(again, [log]).fetchone(), (1, []))
        self.assertEqual(self.events(), ["second home"])

    def test_by_device_and_time_what_lies_between_placements_goes_too(self):
        self.alert("motion", "39 days 12 hours", "in the van", device_id="d")
        self.alert("motion", "70 days", "before", device_id="d")
        self.assertEqual(self.erase(None, "d", 65, 35), (4, [self.too_long()]))
        self.assertEqual(self.events(), ["before", "second home"])

    def too_long(self):
        left = self.value(self.superuser, "select max(placement_id) from mobeye.placement")
        return f"placement {left} of device d: it extends beyond the requested period"

    def test_a_placement_that_lasts_beyond_the_time_is_left_and_told(self):
        self.assertEqual(self.erase(None, "d", 35, 25), (2, [self.too_long()]))
        self.assertEqual(self.events(), ["first home"])

    def test_where_a_device_still_stands_is_left_and_told(self):
        here = self.place("neighbour", 10, -10, "Plein 3")
        self.alert("motion", "5 days", "rings", device_id="neighbour", placement_id=here)
        self.assertEqual(self.erase("Plein 3"), (1, [f"placement {here} of device neighbour: the device is still there"]))
        self.assertNotIn("rings", self.events())

    def test_nothing_is_nothing_and_leaves_no_log(self):
        self.assertEqual(self.erase("Nergens 1"), (0, []))
        self.assertEqual(self.erase(None, "d", 90, 80), (0, []))
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.erasure"), 0)
        self.assertEqual(self.value(self.superuser, "select mobeye.subject_export('Nergens 1', null, null, null)"), [])

    def test_what_a_daemon_has_not_stored_yet_is_told(self):
        self.superuser.execute(
            "insert into mobeye.daemon values (gen_random_uuid(), 'one', now(), now() - interval '45 days', now(), now())")
        n, (left,) = self.erase("Kerkstraat 1")
        self.assertEqual(n, 3)
        self.assertRegex(left, "alerts that one received after .* are not stored yet")

    def test_a_daemon_that_may_come_back_with_alerts_is_told_of(self):
        self.superuser.execute("insert into mobeye.daemon values (gen_random_uuid(), 'one', now() - interval '3 days',"
                               " now() - interval '45 days', now(), now())")
        n, (left,) = self.erase("Kerkstraat 1")
        self.assertEqual(n, 3)
        self.assertRegex(left, "one last reported at .*; if its journal has alerts received after .*, erase again once they are stored")


class Late(ErasureTest):
    """A secret home that was left so recently that alerts of it may still come."""

    KEPT = "select address, bag_id, instructions, secret, team, geom = cell from mobeye.placement"

    def setUp(self):
        super().setUp()
        self.superuser.execute("insert into mobeye.team (team) values ('zuid') on conflict do nothing")
        self.placement = self.place("d", 10, 5, secret=True, team="zuid", bag_id="123", instructions="sleutel bij de buren")
        self.alert("motion", "6 days", "then", device_id="d", placement_id=self.placement, secret=True)

    def late(self):
        """As the daemon stores it by what it has read of the registry."""
        placements = self.ingest.execute(
            "select id, input = 1, name, since, until from mobeye.registry_since(0) where what = 'placement'").fetchall()
        self.assertEqual([row[:3] for row in placements], [(self.placement, True, "zuid")])
        self.assertTrue(placements[0][3] < self.ago("7 days") < placements[0][4])
        self.alert("motion", "7 days", "late", device_id="d", placement_id=self.placement, secret=True)

    def test_a_late_alert_is_secret_and_the_same_address_finds_it_again(self):
        self.assertEqual(self.erase("Kerkstraat 1"), (2, []))
        self.assertEqual(self.superuser.execute(self.KEPT).fetchall(), [(None, None, None, True, "zuid", True)])
        self.assertEqual(self.erase("Kerkstraat 1"), (0, []))
        self.assertEqual(self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)"), [])
        self.late()
        (found,) = self.value(self.superuser, "select mobeye.subject_export('kerkstraat 1 ', null, null, null)")
        self.assertEqual([a["event_id"] for a in found["alerts"]], ["late"])
        self.assertEqual(self.erase("kerkstraat 1"), (1, []))
        self.assertEqual(self.events(), [])
        self.assertEqual(self.erase("Dorpsweg 2"), (0, []))

    def test_by_device_and_time_too(self):
        self.erase(None, "d", 11, 4)
        self.late()
        self.assertEqual(self.erase(None, "d", 11, 4), (1, []))

    def test_it_goes_when_none_can_come(self):
        self.erase("Kerkstraat 1")
        self.assertEqual(self.apply(), 0)
        self.superuser.execute("update mobeye.placement set during = tstzrange(now() - interval '40 days', now() - interval '31 days 2 hours')")
        self.superuser.execute(
            "insert into mobeye.daemon values (gen_random_uuid(), 'one', now(), now() - interval '10 days', now(), now())")
        self.assertEqual(self.apply(), 0)
        self.superuser.execute("update mobeye.daemon set applied_until = now()")
        self.assertEqual(self.due(), [("placements", None, 1)])
        self.assertEqual(self.overdue(), [])
        self.apply()
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.placement"), 0)

    def test_device_managers_cannot_delete_it(self):
        self.erase("Kerkstraat 1")
        registry = self.connect()
        registry.execute("set role mobeye_registry")
        for statement in ("delete from mobeye.placement", "select mobeye.device_undo('d')", "delete from mobeye.device where device_id = 'd'"):
            with self.assertRaisesRegex(psycopg.errors.ObjectInUse, "alerts of its period may still come"):
                registry.execute(statement)

    def test_nor_do_the_functions_of_placing_though_the_owner_calls_them(self):
        self.erase("Kerkstraat 1")
        for statement in ("device_undo('d')", "device_retrieve('d', (select lower(during) from mobeye.placement))"):
            with self.assertRaisesRegex(psycopg.errors.ObjectInUse, "alerts of its period may still come"):
                self.superuser.execute(f"select mobeye.{statement}")

    def test_what_is_imported_again_is_not_erased(self):
        self.erase("Kerkstraat 1")
        self.superuser.execute("update mobeye.placement set address = 'Kerkstraat 1'")
        self.assertEqual(self.erase("Kerkstraat 1"), (1, []))
        self.assertIsNone(self.value(self.superuser, "select address from mobeye.placement"))

    def test_nor_is_what_gets_its_place_back_without_its_address(self):
        self.erase("Kerkstraat 1")
        for again in f"geom = {HOME}", "during = tstzrange(lower(during), now() + interval '1 day')":
            with self.superuser.transaction(force_rollback=True):
                self.superuser.execute(f"update mobeye.placement set {again}")
                (found,) = self.value(self.superuser, "select mobeye.subject_export(null, 'd', %s, now())", self.ago("11 days"))
                self.assertIsNone(found["placements"][0]["erased"], again)
        self.superuser.execute(f"update mobeye.placement set geom = {HOME}")
        self.assertEqual(self.erase(None, "d", 11, 4), (1, []))
        self.assertEqual(self.superuser.execute(self.KEPT).fetchall(), [(None, None, None, True, "zuid", True)])

    def test_taking_the_next_placement_back_does_not_reopen_it(self):
        self.superuser.execute("update mobeye.placement set during = tstzrange(lower(during), null)")
        self.superuser.execute("select mobeye.device_place('d', 5.42, 52.16, now() - interval '1 day', address => 'Dorpsweg 2')")
        self.erase("Kerkstraat 1")
        self.assertEqual(self.value(self.superuser, "select open_again from mobeye.device_undo('d')"), None)
        self.assertEqual(self.superuser.execute("select upper_inf(during), erased is null from mobeye.placement").fetchall(),
                         [(False, False)])


class Everything(ErasureTest):
    """One home, with everything that can be kept about it."""

    def setUp(self):
        super().setUp()
        self.placement = self.place("d", 60, 40, instructions="sleutel bij de buren")

    def erased(self, left=()):
        n, remaining = self.erase("Kerkstraat 1")
        self.assertEqual(remaining, list(left))
        return n

    def test_alerts_and_incidents_under_earlier_names(self):
        incident = self.incident(ended="50 days", device_id="d")
        self.alert("motion", "50 days", "as d", device_id="d", incident_id=incident)
        self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
        self.assertEqual(self.erased(), 3)
        self.assertEqual((self.events(), self.incidents()), ([], []))

    def test_by_an_earlier_name(self):
        self.alert("motion", "50 days", "as d", device_id="d")
        self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
        self.assertEqual(self.erase(None, "d", 70, 30), (2, []))
        self.assertEqual(self.events(), [])

    def test_what_another_device_of_that_name_sent_stays(self):
        self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
        self.superuser.execute("insert into mobeye.device (device_id) values ('d')")
        other = self.place("d", 60, 50, "Elders 5")
        self.alert("motion", "55 days", "another's", device_id="d", placement_id=other)
        self.erased()
        self.assertEqual(self.events(), ["another's"])

    def test_incidents_of_the_placement_though_it_was_corrected_since(self):
        incident = self.incident(ended="65 days", device_id="d", placement_id=self.placement)
        self.alert("motion", "65 days", "by the old times", device_id="d", placement_id=self.placement, incident_id=incident)
        self.erased()
        self.assertEqual((self.events(), self.incidents()), ([], []))

    def shared(self, **columns):
        """Begun by the neighbour, joined by the home, which gave it its place."""
        row = {"device_id": "neighbour", "geom": self.point(), "location_source": "placement", "accuracy_m": 10,
               "placement_id": self.placement, "areas": ["buurt:BUhome", "wijk:WKhome"], "active": 2,
               "extent": "(5.45,52.16),(5.38,52.15)",
               "first_seen": self.ago("51 days"), "last_seen": self.ago("49 days"), **columns}
        incident = self.incident(ended="50 days", **row)
        self.alert("motion", "50 days 2 hours", "neighbour's", device_id="neighbour", incident_id=incident,
                   geom=self.point("st_setsrid(st_point(5.45, 52.15), 4326)"), location_source="message", accuracy_m=3)
        self.superuser.execute("update mobeye.alert set wijk_code = 'WKother' where event_id = 'neighbour''s'")
        self.alert("motion", "50 days", "home's", device_id="d", incident_id=incident, geom=self.point(),
                   location_source="placement", placement_id=self.placement)
        for device in ("neighbour", "d"):
            self.thread(incident, device, 50)
        self.note(incident, "bij de buren", 50.05)
        self.note(incident, "bewoner slaapt", 49)
        return incident

    def test_an_incident_that_others_began_stays_without_the_home(self):
        incident = self.shared()
        self.erased()
        self.assertEqual(self.events(), ["neighbour's"])
        self.assertEqual(
            self.incident_row(incident, "device_id, placement_id, areas, st_x(geom), location_source, accuracy_m, active"),
            ("neighbour", None, ["wijk:WKother"], 5.45, "message", 3, 1))
        self.assertEqual(self.incident_row(incident, "extent"), ("(5.45,52.15),(5.45,52.15)",))
        changed = "select op, moved, areas_before from mobeye.change where incident_id = %s"
        self.assertEqual(self.superuser.execute(changed, [incident]).fetchall(), [("alert", True, None)])
        self.assertEqual(self.notes(incident), ["bij de buren", None])
        self.assertEqual(self.superuser.execute("select device_id from mobeye.incident_condition").fetchall(), [("neighbour",)])

    def test_an_incident_that_it_began_goes_to_who_joined_it(self):
        incident = self.shared(device_id="d", kind="tamper")
        self.alert("tamper", "51 days", "began", device_id="d", incident_id=incident, placement_id=self.placement)
        self.erased()
        self.assertEqual(self.events(), ["neighbour's"])
        self.assertEqual(self.incident_row(incident, "device_id, kind, placement_id, areas, active"), ("neighbour", "motion", None, ["wijk:WKother"], 1))
        self.assertEqual(self.incident_row(incident, "first_seen"), self.superuser.execute("select occurred_at from mobeye.alert").fetchone())
        self.assertEqual(self.notes(incident), [None, None])

    def test_and_to_who_has_but_a_condition_in_it(self):
        incident = self.incident(ended="50 days", device_id="d", placement_id=self.placement, kind="panic", active=2)
        for device in ("neighbour", "d"):
            self.thread(incident, device, 50)
        self.erased()
        self.assertEqual(self.incident_row(incident, "device_id, kind, placement_id, active"), ("neighbour", "panic", None, 1))

    def test_one_of_two_devices_of_the_home_alone_is_exported_with_its_history(self):
        incident = self.shared()
        self.place("neighbour", 60, 40)
        found = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)")
        own = [i for device in found for i in device["incidents"]]
        self.assertEqual([i["incident_id"] for i in own], [incident])
        self.assertEqual([h["note"] for h in own[0]["history"]], ["bij de buren", "bewoner slaapt"])
        self.assertEqual([device["joined_incidents"] for device in found if device["device"] == "d"], [[incident]])
        found = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', 'neighbour', null, null)")
        self.assertEqual([(device["incidents"], device["joined_incidents"]) for device in found], [([], [incident])])
        self.erased()
        self.assertEqual(self.incidents(), [])

    def test_its_own_place_stays_with_it(self):
        own = self.point("st_setsrid(st_point(5.45, 52.15), 4326)")
        incident = self.shared(geom=own, placement_id=None, areas=["wijk:WKother"])
        self.erased()
        self.assertEqual(self.incident_row(incident, "st_x(geom), areas, extent"), (5.45, ["wijk:WKother"], "(5.45,52.15),(5.45,52.15)"))

    def test_where_an_incident_lay_before_it_got_the_place_of_another(self):
        incident = self.shared()
        self.superuser.execute("update mobeye.incident set geom = 'srid=4326;point(5.45 52.15)', placement_id = null,"
                               " areas = '{wijk:WKother}' where incident_id = %s", [incident])
        self.erased()
        self.assertNotIn("WKhome", self.value(self.superuser, EVERYTHING))
        self.assertEqual(self.incident_row(incident, "areas"), (["wijk:WKother"],))

    def test_an_incident_that_only_a_condition_leads_to(self):
        incident = self.incident(ended="50 days", device_id="neighbour", active=1)
        self.thread(incident, "d", 50)
        self.note(incident, "bewoner slaapt", 49)
        self.erased()
        self.assertEqual(self.notes(incident), [None])
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.incident_condition"), 0)

    def test_a_held_incident_stays_with_all_its_alerts_regardless_of_the_device(self):
        incident = self.shared()
        self.alert("motion", "45 days", "not of it", device_id="d")
        self.superuser.execute("select mobeye.hold(%s, true, 'OM')", [incident])
        left = [f"incident {incident}: under a legal hold; the incident, its alerts, images and placement stay",
                f"placement {self.placement} of device d: an incident under a legal hold refers to it"]
        self.assertEqual(self.erased(left), 1)
        self.assertEqual(self.events(), ["home's", "neighbour's"])
        self.assertEqual(self.notes(incident)[:2], ["bij de buren", "bewoner slaapt"])
        self.superuser.execute("select mobeye.hold(%s, false, 'OM')", [incident])
        self.erased()
        self.assertEqual(self.events(), ["neighbour's"])

    def test_mutes_labels_and_notes(self):
        self.superuser.execute("insert into mobeye.device_input values ('d', 1, 'achterdeur')")
        self.superuser.execute("update mobeye.device set note = 'hond in de tuin' where device_id = 'd'")
        for reason, until in (("verbouwing", 41), ("vakantie", -5)):
            self.superuser.execute(
                "insert into mobeye.mute (device_id, placement_id, at, until, reason, muted_by) values ('d', %s, %s, %s, %s, 'jan')",
                [self.placement, self.ago("50 days"), self.ago(f"{until} days"), reason])
        self.erased()
        dump = self.value(self.superuser, EVERYTHING)
        for word in ("verbouwing", "vakantie", "achterdeur", "hond in de tuin", "Kerkstraat", "sleutel"):
            self.assertNotIn(word, dump)
        self.assertEqual(self.value(self.superuser, "select reason from mobeye.mute"), "erased")

    def test_quarantine_of_the_device_and_what_has_none(self):
        rows = (("device", "d", 50, ""), ("nobody's, of the time", None, 50, ""), ("nobody's, late, with its name", None, 30, "..d.."),
                ("late", "d", 38, ""), ("nobody's, late", None, 30, ""), ("another's", "neighbour", 50, ""), ("long after", "d", 2, ""))
        for reason, device, days, record in rows:
            self.superuser.execute(
                "insert into mobeye.quarantine (quarantined_at, device_id, reason, record, identity)"
                " values (%s, %s, %s, %s, md5(%s)::uuid)",
                [self.ago(f"{days} days"), device, reason, record.encode(), reason])
        self.assertEqual(self.erased(), 5)
        self.assertEqual(
            [row[0] for row in self.superuser.execute("select reason from mobeye.quarantine order by 1")],
            ["another's", "long after", "nobody's, late"])
        # The journal does not bring them back.
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.alert_identity where id = md5('device')::uuid"), 1)

    def test_what_was_placed_by_a_fix_from_there(self):
        incident = self.incident(ended="39 days 12 hours", device_id="d", geom=self.point(), location_source="last_known",
                                 areas=["wijk:WKhome"], extent="(5.41,52.17),(5.40,52.16)")
        joined = self.incident(ended="39 days 11 hours", device_id="neighbour", geom=self.point(), extent="(5.45,52.17),(5.40,52.16)")
        self.superuser.execute("update mobeye.incident set geom = 'srid=4326;point(5.45 52.17)' where incident_id = %s", [joined])
        self.superuser.execute("insert into mobeye.change (incident_id, op, status, priority, category, moved, areas_before)"
                               " values (%s, 'alert', 'new', 2, 'alarm', true, '{wijk:WKbefore}')", [incident])
        self.alert("motion", "39 days 11 hours", "joined another", device_id="d", geom=self.point(HOME), location_source="last_known",
                   incident_id=joined)
        for event, ago, source, geom in (
                ("in the van", "39 days 12 hours", "last_known", HOME),
                ("far later", "38 days", "last_known", HOME),
                ("elsewhere", "39 days 11 hours", "message", "st_setsrid(st_point(5.6, 52.6), 4326)"),
                ("elsewhere still", "39 days 10 hours", "last_known", "st_setsrid(st_point(5.6, 52.6), 4326)")):
            self.alert("motion", ago, event, device_id="d", geom=self.point(geom), location_source=source,
                       incident_id=incident if event == "in the van" else None)
        self.erased()
        self.assertEqual(
            self.superuser.execute("select event_id from mobeye.alert where geom is null order by 1").fetchall(), [("in the van",), ("joined another",)])
        self.assertEqual(self.incident_row(incident, "geom, areas, location_source, extent"), (None, [], "none", None))
        self.assertEqual(self.superuser.execute("select areas_before from mobeye.change").fetchall(), [(None,)])
        self.assertEqual(self.incident_row(joined, "st_x(geom), extent"), (5.45, "(5.45,52.17),(5.45,52.17)"))

    def test_where_an_incident_lay_before_it_was_assigned(self):
        self.superuser.execute("insert into mobeye.team (team) values ('noord') on conflict do nothing;"
                               " insert into mobeye.person (login, name, team) values ('t_wagen', 'Wagen', 'noord') on conflict do nothing")
        incident = self.incident(ended="39 days 12 hours", device_id="d", geom=self.point(), location_source="last_known",
                                 areas=["wijk:WKhome"], status="new", closed_at=None, outcome=None)
        self.superuser.execute("select patrol.assign(%s, 't_wagen')", [incident])
        areas = "select areas_before from mobeye.change where moved"
        self.assertEqual(self.superuser.execute(areas).fetchall(), [(["wijk:WKhome"],)])
        self.erased()
        self.assertEqual(self.superuser.execute(areas).fetchall(), [(None,)])
        self.assertNotIn("WKhome", self.value(self.superuser, EVERYTHING))

    def test_where_its_own_incident_lay(self):
        incident = self.incident(ended="39 days", device_id="d", areas=["wijk:WKhome"])
        self.superuser.execute("update mobeye.incident set first_seen = %s, last_seen = now()", [self.ago("50 days")])
        self.superuser.execute("insert into mobeye.change (incident_id, op, status, priority, category, moved, areas_before, assigned_before)"
                               " values (%s, 'status', 'new', 2, 'alarm', true, '{wijk:WKhome}', 't_jan')", [incident])
        self.alert("motion", "39 days", "joined it after the period", device_id="d", incident_id=incident)
        self.erased()
        self.assertEqual(self.superuser.execute("select areas_before, assigned_before, areas from mobeye.change, mobeye.alert").fetchall(),
                         [(None, None, None)])

    def test_a_change_that_moves_nothing_does_not_tell_where(self):
        incident = self.incident(ended="39 days 12 hours", areas=["wijk:WKhome"], status="new", closed_at=None, outcome=None)
        self.superuser.execute("select patrol.acknowledge(%s)", [incident])
        self.assertEqual(self.superuser.execute("select moved, areas_before from mobeye.change where op = 'status'").fetchall(),
                         [(False, None)])

    def test_last_fixes_here_and_in_daemons(self):
        self.status("d", 45)
        before = self.value(self.superuser, "select value from mobeye.counter where name = 'registry'")
        self.erased()
        self.assertIsNone(self.value(self.superuser, "select fix from mobeye.device_status"))
        for known in (0, before):
            rows = self.ingest.execute(
                "select device_id, since, until from mobeye.registry_since(%s) where what = 'forget'", [known]).fetchall()
            self.assertEqual([row[0] for row in rows], ["d"])
        (_, since, until), = rows
        self.assertTrue(since < self.ago("45 days") < until < self.ago("39 days"))

    def test_what_the_last_alert_was(self):
        self.status("d", 45)
        self.superuser.execute("update mobeye.device_status set source = '/door', kind = 'intrusion', last_occurred_at = %s",
                               [self.ago("45 days")])
        self.erased()
        self.assertEqual(self.superuser.execute("select source, kind, isfinite(last_occurred_at) from mobeye.device_status").fetchall(),
                         [("", "unknown", False)])
        self.superuser.execute("update mobeye.device_status set source = '/door', last_occurred_at = %s", [self.ago("1 day")])
        self.erased()
        self.assertEqual(self.value(self.superuser, "select source from mobeye.device_status"), "/door")

    def test_no_daemon_brings_a_last_fix_back(self):
        self.erased()
        for days, stays in ((45, False), (35, True)):
            self.ingest.execute(
                "select mobeye.store_device_status(array['d'], array[true], array[now()], array[now()], array['e'], array['s'],"
                " array['motion'], array[null::int], array[null::int], array[st_asewkb(%s::geometry)], array[5::real], array[%s],"
                " array[1::bigint])", [self.point(), self.ago(f"{days} days")])
            self.assertEqual(self.value(self.superuser, "select fix is not null from mobeye.device_status"), stays)
