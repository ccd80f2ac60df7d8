"""A person's request, and secrecy, where alerts are stored under another name than the device has now."""

import json

from test_erasure import ErasureTest

DC09 = ("dc09:371", "dc09:0371", "dc09:371/1", "dc09:0371/2")


class Addresses(ErasureTest):
    """Frames of an account that was not registered yet are stored under its own name."""

    def setUp(self):
        super().setUp()
        for name in (*DC09, "dc09:3710", "dc09:1371/1", "dc09:37"):
            self.alert("motion", "2 days", name, device_id=name)

    def address(self, account="0371", device="d", number=None):
        self.superuser.execute("insert into mobeye.device_address (account, input, device_id) values (%s, %s, %s)",
                               [account, number, device])

    def names(self, device="d"):
        return sorted(row[0] for row in self.superuser.execute("select mobeye.names_of(%s)", [device]))

    def secret(self):
        return sorted(row[0] for row in self.superuser.execute(
            "select event_id from mobeye.alert where secret and team = 'zuid' and placement_id is not null"))

    def place_secret(self):
        self.superuser.execute("insert into mobeye.team (team) values ('zuid') on conflict do nothing")
        return self.place("d", 3, 1, secret=True, team="zuid")

    def test_names_are_those_of_the_account_and_of_the_inputs_that_no_other_device_had_by_then(self):
        self.address(device="neighbour", number=2)
        self.assertEqual(self.names(), ["d"])
        self.address()
        self.assertEqual(self.names(), sorted(["d", *DC09[:3]]))
        self.assertEqual(self.names("neighbour"), ["dc09:0371/2", "neighbour"])
        self.superuser.execute("insert into mobeye.device (device_id) values ('dc09:371')")
        self.assertEqual(self.names(), ["d", "dc09:0371", "dc09:371/1"])

    def test_a_device_that_is_registered_under_the_name_of_an_account_is_found_by_its_placement(self):
        self.superuser.execute("delete from mobeye.alert; insert into mobeye.device (device_id) values ('dc09:371')")
        for name in ("dc09:371", "renamed"):
            self.superuser.execute("delete from mobeye.placement")
            self.superuser.execute("update mobeye.device set device_id = %s where device_id = 'dc09:371'", [name])
            home = self.place(name, 3, 1)
            self.alert("motion", "5 days", "before the period was corrected", device_id="dc09:371", placement_id=home)
            self.assertEqual(self.erase("Kerkstraat 1")[1], [])
            self.assertEqual(self.events(), [])

    def test_no_account_is_nobodys(self):
        self.alert("motion", "2 days", "none", device_id="dc09:0")
        self.alert("motion", "2 days", "zeros", device_id="dc09:0000")
        self.address("000")
        self.assertEqual(self.names(), ["d", "dc09:0000"])

    def test_they_become_secret_with_the_placement(self):
        incident = self.incident(ended="2 days", device_id="dc09:371/1")
        self.superuser.execute("update mobeye.alert set incident_id = %s where device_id = 'dc09:371/1'", [incident])
        self.address()
        self.place_secret()
        self.assertEqual(self.secret(), sorted(DC09))
        self.assertEqual(self.incident_row(incident, "secret, secret_team"), (True, "zuid"))

    def test_they_become_secret_with_the_address(self):
        self.place_secret()
        self.assertEqual(self.secret(), [])
        self.address()
        self.assertEqual(self.secret(), sorted(DC09))

    def test_they_become_secret_with_a_corrected_address(self):
        self.place_secret()
        self.address("999")
        self.superuser.execute("update mobeye.device_address set account = '371'")
        self.assertEqual(self.secret(), sorted(DC09))

    def test_what_was_being_stored_follows(self):
        self.address()
        self.place_secret()
        self.alert("motion", "2 days", "late", device_id="dc09:371/9")
        self.superuser.execute("select mobeye.hide_late()")
        self.assertEqual(self.secret(), sorted([*DC09, "late"]))

    def forget_addresses(self):
        self.superuser.execute("delete from mobeye.device_address; delete from mobeye.earlier_address")

    def test_they_stay_its_own_when_the_address_is_changed_moved_or_removed(self):
        for change in ("set account = '999'", "set device_id = 'neighbour'"):
            self.forget_addresses()
            self.address()
            self.superuser.execute(f"update mobeye.device_address {change}")
            self.assertEqual(self.names(), sorted(["d", *DC09]))
        self.superuser.execute("delete from mobeye.device_address")
        self.assertEqual(self.names("neighbour"), sorted(["neighbour", *DC09]))
        self.superuser.execute("update mobeye.device set device_id = 'n2' where device_id = 'neighbour'")
        self.superuser.execute("delete from mobeye.device where device_id = 'n2'")

    def test_without_the_address_too_they_become_secret_and_are_erased_with_the_home(self):
        self.address()
        self.superuser.execute("delete from mobeye.device_address")
        self.place_secret()
        self.assertEqual(self.secret(), sorted(DC09))
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["dc09:1371/1", "dc09:37", "dc09:3710"])

    def test_a_name_that_only_the_quarantine_has(self):
        self.place("d", 3, 1)
        for name in ("dc09:00371/7", "dc09:3710/7"):
            self.superuser.execute("insert into mobeye.quarantine (quarantined_at, device_id, reason, record) values (%s, %s, '', '')",
                                   [self.ago("2 days"), name])
        self.address()
        self.assertEqual(self.names(), sorted(["d", "dc09:00371/7", *DC09]))
        self.erase("Kerkstraat 1")
        self.assertEqual(self.superuser.execute("select device_id from mobeye.quarantine").fetchall(), [("dc09:3710/7",)])

    def test_they_are_exported_and_erased_with_the_home(self):
        self.address()
        self.place("d", 3, 1)
        (found,) = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)")
        self.assertEqual(sorted(a["event_id"] for a in found["alerts"]), sorted(DC09))
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["dc09:1371/1", "dc09:37", "dc09:3710"])


class MistypedAccount(ErasureTest):
    """The set of Dorpsweg 2, which was not registered yet, reported by account D371. That was first typed for d, of Kerkstraat 1,
    whose account is D317, and then corrected; the set of Dorpsweg 2 is e."""
    SECRET = False

    def setUp(self):
        super().setUp()
        self.superuser.execute("insert into mobeye.team (team) values ('noord'), ('zuid') on conflict do nothing")
        self.superuser.execute("insert into mobeye.device (device_id) values ('e')")
        self.home = self.place("d", 10, 1, team="noord", secret=self.SECRET)
        self.incident_id = self.incident(ended="2 days", device_id="dc09:D371/1")
        self.alert("panic", "2 days", "e's", device_id="dc09:D371/1", incident_id=self.incident_id)
        self.superuser.execute("insert into mobeye.mute (device_id, at, until, reason, muted_by) values"
                               " ('dc09:D371/1', now() - interval '2 days', now() - interval '1 day', 'feest', 'jan')")
        self.superuser.execute("insert into mobeye.device_address (account, device_id) values ('D371', 'd')")
        self.superuser.execute("update mobeye.device_address set account = 'D317'")

    def register(self):
        self.superuser.execute("insert into mobeye.device_address (account, device_id) values ('D371', 'e')")
        self.place("e", 10, 1, "Dorpsweg 2", team="zuid")

    def export(self, address):
        found = self.value(self.superuser, "select mobeye.subject_export(%s, null, null, null)", address)
        return [a["event_id"] for device in found for a in device["alerts"]]

    def test_a_request_about_the_home_of_the_mistake_leaves_it(self):
        self.register()
        self.assertEqual(self.export("Kerkstraat 1"), [])
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["e's"])

    def test_the_home_that_it_is_about_gets_it_and_erases_it(self):
        self.register()
        self.assertEqual(self.export("Dorpsweg 2"), ["e's"])
        self.erase("Dorpsweg 2")
        self.assertEqual((self.events(), self.incidents()), ([], []))

    def test_though_the_home_of_the_mistake_was_secret_by_then(self):
        self.superuser.execute("update mobeye.placement set secret = true")
        self.register()
        self.erase("Dorpsweg 2")
        self.assertEqual((self.events(), self.incidents()), ([], []))

    def test_it_does_not_become_secret_with_the_home_of_the_mistake(self):
        self.register()
        self.superuser.execute("update mobeye.placement set secret = true where placement_id = %s", [self.home])
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.alert where secret"), 0)
        self.assertEqual(self.incident_row(self.incident_id, "secret"), (False,))

    def test_a_request_about_the_sender_is_not_about_the_device_of_the_mistake(self):
        self.alert("intrusion", "2 days", "d's", device_id="d", placement_id=self.home)
        self.assertEqual(self.erase(None, "dc09:D371/1", 5, 1)[1], [])
        self.assertEqual(self.events(), ["d's"])

    def test_what_came_later_is_of_nobody(self):
        self.superuser.execute("update mobeye.earlier_address set until = %s", [self.ago("3 days")])
        self.assertEqual(self.export("Kerkstraat 1"), [])
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["e's"])

    def test_of_several_that_lost_it_the_first_one_had_it(self):
        self.superuser.execute("insert into mobeye.earlier_address (account, device_id, since, until) values ('0D371', 'neighbour', %s, %s)",
                               [self.ago("4 days"), self.ago("1 day")])
        self.assertEqual(self.export("Kerkstraat 1"), [])
        self.superuser.execute("update mobeye.earlier_address set until = %s where device_id = 'neighbour'", [self.ago("3 days")])
        self.assertEqual(self.export("Kerkstraat 1"), ["e's"])


class MistypedAccountOfSecretHome(MistypedAccount):
    """What was stored by then is secret with that home, and stays so; but it is not that home's."""
    SECRET = True

    def test_it_does_not_become_secret_with_the_home_of_the_mistake(self):
        self.assertEqual(self.incident_row(self.incident_id, "secret"), (True,))

    def test_the_home_that_it_is_about_learns_nothing_of_the_secret_one(self):
        self.register()
        (found,) = self.value(self.superuser, "select mobeye.subject_export('Dorpsweg 2', null, null, null)")
        self.assertEqual([incident["incident_id"] for incident in found["incidents"]], [self.incident_id])
        self.assertFalse({"extent", "cell", "secret_team", "areas", "areas_throughout"} & set(found["incidents"][0]))
        self.assertEqual(found["alerts"][0]["event_id"], "e's")
        self.assertFalse({"team", "placement_id", "areas", "wijk_code", "buurt_code"} & set(found["alerts"][0]))
        self.assertNotIn("noord", json.dumps([found[key] for key in ("alerts", "incidents", "mutes")]))


class LateFrame(ErasureTest):
    """A frame from before the account was changed may arrive when no device has that account any longer."""

    def setUp(self):
        super().setUp()
        self.superuser.execute("insert into mobeye.team (team) values ('zuid') on conflict do nothing")
        self.place("d", 10, 1, secret=True, team="zuid")
        self.superuser.execute("insert into mobeye.device_address (account, input, device_id) values ('C371', 1, 'd')")
        self.superuser.execute("update mobeye.device_address set account = 'C999'")
        for event, name in (("late", "dc09:C371/1"), ("other input", "dc09:C371/2")):
            self.alert("motion", "2 days", event, device_id=name, geom=self.point(), location_source="message")

    def test_becomes_secret(self):
        self.superuser.execute("select mobeye.hide_late()")
        self.assertEqual(self.superuser.execute("select event_id, team from mobeye.alert where secret").fetchall(), [("late", "zuid")])

    def test_becomes_secret_however_long_after_the_change_it_is_stored(self):
        self.superuser.execute("delete from mobeye.registry_log")
        self.superuser.execute("update mobeye.alert set stored_at = now() - interval '1 hour'")
        self.assertEqual(self.value(self.superuser, "select mobeye.hide_late()"), 0)
        self.superuser.execute("update mobeye.alert set stored_at = now()")
        self.assertEqual(self.value(self.superuser, "select mobeye.hide_late()"), 1)
        self.assertEqual(self.superuser.execute("select event_id, team from mobeye.alert where secret").fetchall(), [("late", "zuid")])

    def test_becomes_secret_however_long_maintenance_did_not_run(self):
        """In a batch that was being stored while the placement became secret, and by an earlier address."""
        for late in (lambda: self.superuser.execute("update mobeye.registry_log set at = now() - interval '2 hours'"),
                     lambda: self.superuser.execute("delete from mobeye.registry_log")):
            late()
            self.superuser.execute("update mobeye.alert set secret = false, stored_at = now() - interval '2 hours'")
            self.superuser.execute("delete from mobeye.maintenance")
            self.assertEqual(self.value(self.superuser, "select mobeye.hide_late()"), 0)
            self.superuser.execute("insert into mobeye.maintenance (job, every, succeeded_at)"
                                   " values ('secrecy', '1 minute', now() - interval '2 hours')")
            self.assertEqual(self.value(self.superuser, "select mobeye.hide_late()"), 1)
            self.assertEqual(self.value(self.superuser, "select mobeye.hide_late()"), 0)
        self.superuser.execute("delete from mobeye.maintenance")

    def test_becomes_secret_though_it_was_stored_before_this_was_last_reported_done(self):
        """That is at the end of the cycle; what was being stored when the job began may be minutes older."""
        self.superuser.execute("delete from mobeye.registry_log; update mobeye.alert set stored_at = now() - interval '10 minutes 10 seconds'")
        self.superuser.execute("insert into mobeye.maintenance (job, every, succeeded_at) values ('secrecy', '1 minute', now() - interval '1 minute')")
        self.assertEqual(self.value(self.superuser, "select mobeye.hide_late()"), 1)
        self.superuser.execute("delete from mobeye.maintenance")

    def test_so_does_what_comes_under_an_earlier_name(self):
        self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
        self.superuser.execute("delete from mobeye.registry_log; delete from mobeye.alert")
        for event, ago in (("as d", "2 days"), ("of before", "20 days")):
            self.alert("motion", ago, event, device_id="d", geom=self.point(), location_source="message")
        self.superuser.execute("select mobeye.hide_late()")
        self.assertEqual(self.superuser.execute("select event_id, team from mobeye.alert where secret").fetchall(), [("as d", "zuid")])

    def test_is_exported_and_erased_with_the_home(self):
        (found,) = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)")
        self.assertEqual([a["event_id"] for a in found["alerts"]], ["late"])
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["other input"])

    def test_so_is_that_of_a_device_that_was_renamed_since(self):
        self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
        self.assertEqual(self.superuser.execute("select account, device_id from mobeye.earlier_address").fetchall(), [("C371", "d2")])
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["other input"])


class NameOfAnother(ErasureTest):
    """d, at Kerkstraat 1 until 20 days ago, was renamed 50 days ago; 5 days later another device got its name, at Elders 5."""

    def setUp(self):
        super().setUp()
        self.superuser.execute("insert into mobeye.team (team) values ('noord'), ('zuid') on conflict do nothing")
        self.home = self.place("d", 60, 20, team="noord")
        self.alert("motion", "55 days", "as d", device_id="d", placement_id=self.home)
        self.alert("motion", "54 days", "as d, of no placement", device_id="d")
        self.rename("d", "d2", 50)
        self.superuser.execute("insert into mobeye.device (device_id) values ('d')")
        self.other = self.place("d", 45, -10, "Elders 5", team="zuid")

    def rename(self, earlier, later, days):
        self.superuser.execute("update mobeye.device set device_id = %s where device_id = %s", [later, earlier])
        self.superuser.execute("update mobeye.device_renamed set at = %s where earlier_id = %s and device_id = %s",
                               [self.ago(f"{days} days"), earlier, later])

    def test_a_name_that_a_device_had_twice(self):
        self.rename("d", "other", 40)
        self.rename("d2", "d", 30)
        self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.device_renamed where earlier_id = 'd' and device_id = 'd2'"), 2)
        self.erase("Elders 5")
        self.assertEqual(self.events(), ["as d", "as d, of no placement"])
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), [])

    def others(self, device="d"):
        """Everything that is stored of the other device, within the time of the first; gives its incident."""
        incident = self.incident(ended="30 days", device_id=device, placement_id=self.other)
        self.note(incident, "sleutel bij nummer 7", 30)
        self.thread(incident, device, 30)
        self.alert("motion", "30 days", "other's", device_id=device, placement_id=self.other, incident_id=incident)
        unplaced = self.incident(ended="29 days", device_id=device)
        self.alert("motion", "29 days", "other's, of no placement", device_id=device, incident_id=unplaced)
        van = self.incident(ended="19 days 12 hours", device_id=device, placement_id=self.other, geom=self.point(), location_source="last_known")
        self.alert("motion", "19 days 12 hours", "other's, in the van", device_id=device, placement_id=self.other, geom=self.point(),
                   location_source="last_known", incident_id=van)
        self.superuser.execute(
            "insert into mobeye.mute (device_id, placement_id, at, until, reason, muted_by) values"
            " (%s, %s, now() - interval '30 days', now() - interval '29 days', 'verbouwing', 'jan'),"
            " (%s, null, now() - interval '30 days', now() - interval '29 days', 'feest', 'jan')", [device, self.other, device])
        self.superuser.execute("insert into mobeye.quarantine (quarantined_at, device_id, reason, record) values (%s, %s, 'q', '')",
                               [self.ago("30 days"), device])
        return incident

    def reported(self, device):
        self.status(device, 30)
        self.superuser.execute("update mobeye.device_status set source = '/door', last_occurred_at = %s where device_id = %s",
                               [self.ago("30 days"), device])

    OTHERS = ["other's", "other's, in the van", "other's, of no placement"]

    def assert_others_left(self, incident):
        self.assertEqual(self.events(), self.OTHERS)
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.incident where geom is not null or location_source = 'none'"), 3)
        self.assertEqual(self.value(self.superuser, "select count(geom) from mobeye.alert where event_id like '%%van'"), 1)
        self.assertEqual(self.notes(incident), ["sleutel bij nummer 7"])
        for table, rows in (("mute", 2), ("quarantine", 1), ("incident_condition", 1)):
            self.assertEqual(self.value(self.superuser, f"select count(*) from mobeye.{table}"), rows, table)

    def test_a_request_leaves_what_is_of_the_other(self):
        incident = self.others()
        self.reported("d")
        (found,) = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)")
        self.assertEqual(sorted(a["event_id"] for a in found["alerts"]), ["as d", "as d, of no placement"])
        self.assertEqual([found[key] for key in ("incidents", "joined_incidents", "mutes", "quarantine")], [[], [], [], []])
        self.assertEqual(self.erase("Kerkstraat 1"), (3, []))
        self.assert_others_left(incident)
        self.assertEqual(self.superuser.execute("select source, fix is not null from mobeye.device_status").fetchall(), [("/door", True)])
        self.assertEqual(self.superuser.execute("select array_agg(device_id) from mobeye.registry_log where forget is not null").fetchone(), (["d2"],))

    def test_and_of_the_other_all_that_is_its_own(self):
        self.others()
        self.superuser.execute("update mobeye.placement set during = tstzrange(lower(during), now() - interval '10 days') where placement_id = %s", [self.other])
        self.assertEqual(self.erase("Elders 5")[1], [])
        self.assertEqual(self.events(), ["as d", "as d, of no placement"])
        for table in ("incident", "mute", "quarantine", "incident_condition"):
            self.assertEqual(self.value(self.superuser, f"select count(*) from mobeye.{table}"), 0, table)

    def test_names_that_were_swapped(self):
        """The other's are stored under the name that d2 has now."""
        self.superuser.execute("delete from mobeye.device where device_id = 'd'")
        self.superuser.execute("insert into mobeye.device (device_id) values ('e')")
        self.other = self.place("e", 45, -10, "Elders 5", team="zuid")
        incident = self.others("e")
        self.rename("d2", "tmp", 5)
        self.rename("e", "d2", 5)
        self.rename("tmp", "e", 5)
        self.assertEqual(self.erase("Kerkstraat 1"), (3, []))
        self.assert_others_left(incident)

    def test_a_home_that_becomes_secret_takes_nothing_from_another(self):
        incident = self.others()
        self.superuser.execute("update mobeye.placement set secret = true where placement_id = %s", [self.home])
        secret = "select event_id, team from mobeye.alert where secret order by 1"
        self.assertEqual(self.superuser.execute(secret).fetchall(), [("as d", "noord"), ("as d, of no placement", "noord")])
        self.assertEqual(self.incident_row(incident, "secret, secret_team"), (False, None))
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.mute where secret"), 0)
        # It is found when its own home becomes secret.
        self.superuser.execute("update mobeye.placement set secret = true where placement_id = %s", [self.other])
        self.assertEqual(self.superuser.execute(secret).fetchall()[2:], [(event, "zuid") for event in self.OTHERS])
        self.assertEqual(self.incident_row(incident, "secret, secret_team"), (True, "zuid"))
        self.assertEqual(self.value(self.superuser, "select array_agg(distinct team) from mobeye.mute where secret"), ["zuid"])

    def test_a_home_that_becomes_secret_hides_the_last_fix_under_an_earlier_name(self):
        fixes = "select device_id from mobeye.device_status where fix is not null order by 1"
        for name, days in (("d", 55), ("d2", 30), ("stranger", 30)):
            self.status(name, days)
        self.superuser.execute("update mobeye.placement set secret = true where placement_id = %s", [self.home])
        self.assertEqual(self.superuser.execute(fixes).fetchall(), [("stranger",)])
        self.superuser.execute("delete from mobeye.device_status where device_id = 'd'")
        self.status("d", 30)  # of the other device
        self.superuser.execute("select mobeye.hide_placements(array[%s::bigint], true)", [self.home])
        self.assertEqual(self.superuser.execute(fixes).fetchall(), [("d",), ("stranger",)])

    def send_in_between(self):
        """The first one went on naming itself d, after it had been renamed and before that was the name of another."""
        incident = self.incident(ended="48 days", device_id="d", geom=self.point(), location_source="message")
        self.alert("motion", "48 days", "in between", device_id="d", geom=self.point(), location_source="message", incident_id=incident)
        return incident

    def test_what_was_sent_before_another_got_the_name_is_of_the_first(self):
        for again in (lambda: None, lambda: self.rename("d", "e", 40)):
            again()
            self.send_in_between()
            (found,) = self.value(self.superuser, "select mobeye.subject_export('Elders 5', null, null, null)")
            self.assertEqual((found["alerts"], found["incidents"]), ([], []))
            (found,) = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)")
            self.assertIn("in between", [a["event_id"] for a in found["alerts"]])
            self.assertEqual(len(found["incidents"]), 1)
            self.superuser.execute("delete from mobeye.incident; delete from mobeye.alert where event_id = 'in between'")
        self.send_in_between()
        self.assertEqual(self.erase("Kerkstraat 1")[1], [])
        self.assertEqual((self.events(), self.incidents()), ([], []))

    def test_and_becomes_secret_with_the_home_of_the_first(self):
        incident = self.send_in_between()
        self.superuser.execute("update mobeye.placement set secret = true where placement_id = %s", [self.home])
        self.assertEqual(self.incident_row(incident, "secret, secret_team"), (True, "noord"))
        self.assertEqual(self.value(self.superuser, "select team from mobeye.alert where secret and event_id = 'in between'"), "noord")

    def test_of_devices_that_gave_the_name_up_before_it_is_of_the_last(self):
        self.rename("d", "e", 40)
        self.alert("motion", "30 days", "of e", device_id="d")
        self.assertEqual(self.erase("Kerkstraat 1")[1], [])
        self.assertEqual(self.events(), ["of e"])


class SharedIncident(ErasureTest):
    """The names of two neighbours' sets were swapped; later both raised something in one incident."""

    def setUp(self):
        super().setUp()
        self.home = self.place("d", 60, 1)
        self.other = self.place("neighbour", 60, -10, "Kerkstraat 3", geom="st_setsrid(st_point(5.42, 52.12), 4326)")
        for earlier, later in (("d", "tmp"), ("neighbour", "d"), ("tmp", "neighbour")):
            self.superuser.execute("update mobeye.device set device_id = %s where device_id = %s", [later, earlier])
        self.superuser.execute("update mobeye.device_renamed set at = %s", [self.ago("50 days")])
        geom = self.value(self.superuser, "select geom from mobeye.placement where placement_id = %s", self.other)
        self.shared = self.incident(ended="8 days", device_id="neighbour", placement_id=self.home, device_placement_id=self.home,
                                    geom=self.point(), location_source="placement", active=2)
        self.superuser.execute("update mobeye.incident set first_seen = %s", [self.ago("10 days")])
        self.alert("motion", "10 days", "home's", device_id="neighbour", placement_id=self.home, incident_id=self.shared,
                   geom=self.point(), location_source="placement")
        self.alert("panic", "9 days", "other's", device_id="d", placement_id=self.other, incident_id=self.shared,
                   geom=geom, location_source="placement")
        self.thread(self.shared, "neighbour", 10)
        self.thread(self.shared, "d", 9)

    def test_what_is_of_the_neighbour_stays(self):
        self.assertEqual(self.erase("Kerkstraat 1")[1], [])
        self.assertEqual(self.events(), ["other's"])
        self.assertEqual(self.incident_row(self.shared, "device_id, kind, placement_id, active, location_source"),
                         ("d", "panic", self.other, 1, "placement"))
        self.assertEqual(self.superuser.execute("select device_id from mobeye.incident_condition").fetchall(), [("d",)])

    def test_an_incident_of_the_neighbour_alone_at_the_place_of_the_home_is_not_the_homes(self):
        self.superuser.execute("delete from mobeye.alert; delete from mobeye.incident_condition")
        self.superuser.execute("update mobeye.incident set device_id = 'd', device_placement_id = %s", [self.other])
        self.erase("Kerkstraat 1")
        self.assertEqual(self.incidents(), [self.shared])
