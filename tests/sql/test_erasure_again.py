"""After a restore, and at any later time, the log of erasures refers to the same devices, whatever they are called."""

import json

import psycopg

from test_erasure import HOME, ErasureTest


class RestoreTest(ErasureTest):

    def setUp(self):
        super().setUp()
        self.now = self.value(self.superuser, "select now()")
        self.place("d", 60, 40)
        self.during = self.value(self.superuser, "select during::text from mobeye.placement")
        self.alert("motion", "50 days", "as d", device_id="d")

    def ago(self, interval):
        """What a backup or journal brings back has the times that it had."""
        return self.value(self.superuser, "select %s - %s::interval", self.now, interval)

    def rename(self, earlier, later):
        self.superuser.execute("update mobeye.device set device_id = %s where device_id = %s", [later, earlier])

    def log(self):
        return json.dumps(self.value(self.superuser, "select jsonb_agg(e) from mobeye.erasure e"))

    def again(self, log):
        return self.superuser.execute("select n, remaining from mobeye.erase_again(%s)", [log]).fetchone()


class AfterARestore(RestoreTest):
    """The log names the device as it was called when it was erased; a backup may know it by another name."""

    def restore(self):
        """A backup from before the device was renamed."""
        self.rename("d2", "d")
        self.superuser.execute("delete from mobeye.device_renamed")
        self.place("d", 60, 40)
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        self.alert("motion", "50 days", "from the backup", device_id="d")

    def test_a_device_that_was_renamed_before_the_erasure(self):
        self.rename("d", "d1")
        self.rename("d1", "d2")
        self.erase("Kerkstraat 1")
        log = self.log()
        self.restore()
        self.assertEqual(self.again(log), (2, []))
        self.assertEqual(self.events(), [])
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.placement"), 0)

    def test_a_device_that_was_renamed_after_the_erasure(self):
        self.erase("Kerkstraat 1")
        log = self.log()
        self.rename("d", "d2")
        self.alert("motion", "50 days", "as d", device_id="d")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.events(), [])

    def test_a_device_that_got_the_earlier_name_since_is_left_alone(self):
        self.rename("d", "d2")
        self.erase("Kerkstraat 1")
        log = self.log()
        self.superuser.execute("insert into mobeye.device (device_id) values ('d')")
        other = self.place("d", 60, 40, "Elders 5")
        self.alert("motion", "50 days", "another's", device_id="d", placement_id=other)
        self.alert("motion", "50 days", "as d", device_id="d")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.events(), ["another's"])

    def test_a_set_that_the_backup_does_not_know_yet(self):
        self.superuser.execute("insert into mobeye.device_address (account, device_id) values ('371', 'd')")
        self.alert("motion", "50 days", "by its account", device_id="dc09:0371/1")
        self.erase("Kerkstraat 1")
        log = self.log()
        self.superuser.execute("delete from mobeye.device where device_id = 'd'")
        self.alert("motion", "50 days", "by its account", device_id="dc09:0371/1")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.events(), [])

    def test_a_backup_that_knows_the_account_at_another_device_is_told_of(self):
        self.superuser.execute("insert into mobeye.device_address (account, device_id) values ('371', 'd')")
        self.alert("motion", "50 days", "by its account", device_id="dc09:0371/1")
        self.erase("Kerkstraat 1")
        log = self.log()
        self.superuser.execute("delete from mobeye.device_address; delete from mobeye.earlier_address")
        self.superuser.execute("insert into mobeye.device_address (account, device_id) values ('371', 'neighbour')")
        self.alert("motion", "50 days", "by its account", device_id="dc09:0371/1")
        self.assertEqual(self.again(log), (0, ["dc09:0371/1, which was erased with device d, is another device's by the "
                                               "registry; if that is older than the erasure, correct it and erase again"]))
        self.superuser.execute("update mobeye.device_address set device_id = 'd'")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.events(), [])

    def test_a_log_without_names(self):
        self.erase("Kerkstraat 1")
        log = json.dumps([{key: row[key] for key in ("device_id", "during", "at")} for row in json.loads(self.log())])
        self.alert("motion", "50 days", "from the backup", device_id="d")
        self.assertEqual(self.again(log), (1, []))

    def test_a_log_with_names_that_have_no_times(self):
        line = {"device_id": "d", "during": "[2026-01-01,2026-02-01)", "names": ["d", "d2"], "at": "2026-10-01"}
        with self.assertRaisesRegex(psycopg.errors.InvalidParameterValue, "^names of device d in the log: not an object"):
            self.again(json.dumps([line]))

    def test_a_log_with_something_else_than_erasures_erases_nothing(self):
        self.erase("Kerkstraat 1")
        (line,) = json.loads(self.log())
        self.alert("motion", "50 days", "from the backup", device_id="d")
        for bad in ("text", 17, None, {}, [line], {"device": "d"}, {"device_id": "d", "names": {}}, {**line, "during": None},
                    {**line, "device_id": None}, {"burglary": None}):
            with self.assertRaisesRegex(psycopg.errors.InvalidParameterValue, "^not an erasure"):
                self.again(json.dumps([line, bad]))
        for bad in ({**line, "during": "ever"}, {"burglary": "2026-101"}):
            with self.assertRaises(psycopg.errors.InvalidTextRepresentation):
                self.again(json.dumps([line, bad]))
        self.assertEqual(self.events(), ["from the backup"])

    def test_a_name_that_another_device_has_since_is_not_that_device(self):
        self.place("neighbour", 60, 40, "Dorpsweg 2")
        self.alert("motion", "50 days", "of Dorpsweg 2", device_id="neighbour")
        self.erase("Kerkstraat 1")
        log = self.log()
        self.rename("d", "d-old")
        self.rename("neighbour", "d")
        self.assertEqual(self.again(log), (0, []))
        self.alert("motion", "50 days", "from the backup", device_id="d")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.events(), ["of Dorpsweg 2"])
        self.assertEqual(self.value(self.superuser, "select address from mobeye.placement"), "Dorpsweg 2")

    def exchange_names(self):
        for earlier, later in (("d", "tmp"), ("neighbour", "d"), ("tmp", "neighbour")):
            self.rename(earlier, later)

    def test_a_backup_from_before_names_were_exchanged(self):
        self.exchange_names()
        self.erase("Kerkstraat 1")
        log = self.log()
        self.exchange_names()
        self.superuser.execute("delete from mobeye.device_renamed")
        for device, address in (("d", "Kerkstraat 1"), ("neighbour", "Dorpsweg 2")):
            home = self.place(device, 60, 40, address)
            self.superuser.execute("update mobeye.placement set during = %s", [self.during])
            self.alert("motion", "50 days", "of " + address, device_id=device, placement_id=home)
        self.assertEqual(self.again(log), (2, []))
        self.assertEqual(self.events(), ["of Dorpsweg 2"])
        self.assertEqual(self.value(self.superuser, "select address from mobeye.placement"), "Dorpsweg 2")

    def test_a_backup_that_knows_but_another_device_of_that_name_is_told_of(self):
        self.erase("Kerkstraat 1")
        log = self.log()
        self.superuser.execute("delete from mobeye.device where device_id = 'd'")
        self.rename("neighbour", "d")
        self.alert("motion", "50 days", "another's", device_id="d", placement_id=self.place("d", 60, 40, "Dorpsweg 2"))
        self.assertEqual(self.again(log), (0, ["device d: its name is that of another device, or of this one registered anew; "
                                               "erase by the address what is stored of the home"]))
        self.assertEqual(self.events(), ["another's"])

    def test_a_sender_that_was_registered_and_renamed_since(self):
        self.alert("motion", "50 days", "as stranger", device_id="stranger")
        self.assertEqual(self.erase(None, "stranger", 60, 40), (1, []))
        log = self.log()
        self.superuser.execute("insert into mobeye.device (device_id) values ('stranger')")
        self.rename("stranger", "known")
        self.rename("neighbour", "stranger")
        self.alert("motion", "50 days", "from the backup", device_id="stranger")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.events(), ["as d"])


class NameOfAnother(RestoreTest):
    """d was renamed to d-old; then the set of another home got its name, which the backup does not know yet."""

    def setUp(self):
        super().setUp()
        self.rename("d", "d-old")
        self.superuser.execute("update mobeye.device_renamed set at = %s", [self.ago("48 days")])
        self.alert("motion", "46 days", "as d-old", device_id="d-old")
        self.superuser.execute("insert into mobeye.device (device_id, registered_at) values ('d', %s)", [self.ago("45 days")])
        self.alert("motion", "44 days", "another's", device_id="d", placement_id=self.place("d", 45, -10, "Elders 5"))

    def erase_and_restore(self):
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["another's"])
        self.superuser.execute("delete from mobeye.device where device_id = 'd'; delete from mobeye.alert")
        self.alert("motion", "44 days", "another's", device_id="d")
        self.alert("motion", "46 days", "as d-old", device_id="d-old")

    def test_what_the_other_sent_is_left(self):
        self.superuser.execute("delete from mobeye.alert where event_id = 'as d'")
        self.erase_and_restore()
        self.assertEqual(self.again(self.log()), (1, []))
        self.assertEqual(self.events(), ["another's"])

    def test_though_something_of_its_own_was_erased_under_that_name(self):
        self.erase_and_restore()
        self.alert("motion", "50 days", "as d", device_id="d")
        self.assertEqual(self.again(self.log()), (2, []))
        self.assertEqual(self.events(), ["another's"])

    def test_in_a_backup_from_before_the_renaming(self):
        self.erase("Kerkstraat 1")
        log = self.log()
        self.superuser.execute("delete from mobeye.alert; delete from mobeye.device where device_id = 'd'")
        self.rename("d-old", "d")
        self.superuser.execute("delete from mobeye.device_renamed")
        home = self.place("d", 60, 40)
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        self.alert("motion", "50 days", "as d", device_id="d", placement_id=home)
        self.alert("motion", "46 days", "as d-old", device_id="d-old")
        self.alert("motion", "44 days", "another's", device_id="d")
        self.alert("motion", "44 days", "another's, at the placement of the backup", device_id="d", placement_id=home)
        self.assertEqual(self.again(log), (3, []))
        self.assertEqual(self.events(), ["another's", "another's, at the placement of the backup"])

    def test_its_last_fix_is_left(self):
        self.erase("Kerkstraat 1")
        log = self.log()
        self.superuser.execute("delete from mobeye.device where device_id = 'd'")
        self.status("d", 44)
        self.superuser.execute("update mobeye.device_status set fix_at = %s", [self.ago("44 days")])
        self.alert("motion", "46 days", "as d-old", device_id="d-old")
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.value(self.superuser, "select count(fix) from mobeye.device_status"), 1)


class LastKnown(RestoreTest):
    """An incident of an earlier name, on the day after the placement, whose alerts are past their retention."""

    def test_the_place_of_the_home_is_erased_again(self):
        incident = self.incident(ended="39 days 22 hours", device_id="d")
        home = "update mobeye.incident set location_source = 'last_known', geom = " + HOME
        self.superuser.execute(home)
        self.rename("d", "d2")
        self.superuser.execute("update mobeye.device_renamed set at = %s", [self.ago("39 days")])
        self.superuser.execute("insert into mobeye.device (device_id) values ('d')")
        self.erase("Kerkstraat 1")
        self.assertEqual(self.incident_row(incident, "geom, location_source"), (None, "none"))
        log = self.log()
        self.superuser.execute(home)
        self.assertEqual(self.again(log), (1, []))
        self.assertEqual(self.incident_row(incident, "geom, location_source"), (None, "none"))


class Panel(RestoreTest):
    """d reports by an account, an input of which is neighbour's, that the backup does not know yet."""
    BY_ACCOUNT = {"source": "dc09:012AB", "input": 1}

    def setUp(self):
        super().setUp()
        self.alert("panic", "50 days", "by the account", device_id="d", **self.BY_ACCOUNT)
        self.erase("Kerkstraat 1")
        self.line = self.log()

    def test_that_is_not_registered_yet(self):
        self.superuser.execute("delete from mobeye.device where device_id = 'd'")
        incident = self.incident(ended="50 days", device_id="dc09:012AB/1")
        self.alert("panic", "50 days", "by the account", device_id="dc09:012AB/1", incident_id=incident, **self.BY_ACCOUNT)
        self.alert("panic", "50 days", "by another input", device_id="dc09:012AB/2", source="dc09:012AB", input=2)
        self.alert("panic", "49 days", "of another time", device_id="dc09:012AB/1", **self.BY_ACCOUNT)
        self.assertEqual(self.again(self.line), (2, []))
        self.assertEqual((self.events(), self.incidents()), (["by another input", "of another time"], []))

    def test_that_is_registered_without_it(self):
        self.alert("panic", "50 days", "by the account", device_id="dc09:012AB/1", **self.BY_ACCOUNT)
        self.assertEqual(self.again(self.line), (1, []))
        self.assertEqual(self.events(), [])

    def test_whose_account_another_device_has_is_told_of(self):
        self.superuser.execute("insert into mobeye.device_address (account, device_id, since) values ('12AB', 'neighbour', %s)",
                               [self.ago("90 days")])
        home = self.place("neighbour", 60, -10, "Dorpsweg 2")
        self.alert("panic", "50 days", "by the account", device_id="neighbour", placement_id=home, **self.BY_ACCOUNT)
        (n, (told,)) = self.again(self.line)
        self.assertEqual(n, 0)
        self.assertRegex(told, "^dc09:012AB/1, which was erased with device d, is stored as device neighbour; if it is not about that "
                               "one, erase it with --device neighbour --from .*Z --until .*Z$")
        start, end = told.split()[-3], told.split()[-1]
        self.superuser.execute("select mobeye.subject_erase(null, 'neighbour', %s, %s)", [start, end])
        self.assertEqual(self.events(), [])
        self.assertEqual(self.again(self.line), (0, []))

    def test_what_is_told_leaves_what_that_device_sent_in_between(self):
        self.place("d", 60, 40)
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        for days in (50, 42):
            self.alert("panic", f"{days} days", "by the account", device_id="d", **self.BY_ACCOUNT)
        self.erase("Kerkstraat 1")
        log = json.dumps(json.loads(self.log())[1:])
        self.superuser.execute("insert into mobeye.device_address (account, device_id, since) values ('12AB', 'neighbour', %s)",
                               [self.ago("90 days")])
        home = self.place("neighbour", 60, -10, "Dorpsweg 2")
        for days, number in ((50, 1), (46, 2), (44, 1), (43, 1), (42, 1)):
            self.alert("panic", f"{days} days", f"input {number}", device_id="neighbour", placement_id=home, source="dc09:012AB", input=number)
        _, told = self.again(log)
        self.assertEqual(len(told), 2)
        for line in told:
            self.superuser.execute("select mobeye.subject_erase(null, 'neighbour', %s, %s)", [line.split()[-3], line.split()[-1]])
        self.assertEqual(self.events(), ["input 2"])

    def test_leaves_what_came_by_an_account_that_it_had_given_up(self):
        self.place("d", 60, 40)
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        for days in (50, 42):
            self.alert("panic", f"{days} days", f"{days}", device_id="d", source="dc09:0302", input=1)
        self.erase("Kerkstraat 1")
        log = json.dumps(json.loads(self.log())[1:])
        home = self.place("d", 60, 40)
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        for days, account in ((50, "dc09:0302"), (46, "dc09:0300"), (42, "dc09:0302")):
            incident = self.incident(ended=f"{days} days", device_id="d", first_seen=self.ago(f"{days} days"), device_placement_id=home)
            self.alert("panic", f"{days} days", account, device_id="d", source=account, input=1, placement_id=home, incident_id=incident)
        self.again(log)
        self.assertEqual(self.events(), ["dc09:0300"])
        self.assertEqual(len(self.incidents()), 1)


class NameExchanged(RestoreTest):
    """d became d-old and neighbour d, which the backup does not know yet."""

    def setUp(self):
        super().setUp()
        home = self.place("neighbour", 60, 40, "Dorpsweg 2")
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        for earlier, later, days in (("d", "d-old", 48), ("neighbour", "d", 47)):
            self.rename(earlier, later)
            self.superuser.execute("update mobeye.device_renamed set at = %s where at > %s", [self.ago(f"{days} days"), self.ago("1 day")])
        self.alert("motion", "46 days", "as d-old", device_id="d-old")
        self.alert("motion", "45 days", "the neighbour's", device_id="d", placement_id=home)
        self.alert("motion", "44 days", "as d-old again", device_id="d-old")

    def restore(self):
        log = self.log()
        for earlier, later in (("d", "neighbour"), ("d-old", "d")):
            self.rename(earlier, later)
        self.superuser.execute("delete from mobeye.device_renamed; delete from mobeye.alert; delete from mobeye.placement")
        homes = {}
        for device, address in (("d", "Kerkstraat 1"), ("neighbour", "Dorpsweg 2")):
            homes[device] = self.place(device, 60, 40, address)
        self.superuser.execute("update mobeye.placement set during = %s", [self.during])
        for days, name, event in ((46, "d-old", "as d-old"), (45, "d", "the neighbour's"), (44, "d-old", "as d-old again")):
            self.alert("motion", f"{days} days", event, device_id=name, placement_id=homes.get(name))
        return log

    def test_what_the_other_sent_under_the_present_name_is_left(self):
        self.erase("Kerkstraat 1")
        self.again(self.restore())
        self.assertEqual(self.events(), ["the neighbour's"])

    def test_what_is_stored_at_another_home_is_told_of(self):
        self.erase("Dorpsweg 2")
        n, told = self.again(self.restore())
        self.assertRegex(" ".join(told), "d, which was erased with device neighbour, is stored as device d; if it is not about that one, "
                                         "erase it with --device d --from .*Z --until .*Z")
        self.superuser.execute("select mobeye.subject_erase(null, 'd', %s, %s)", [told[-1].split()[-3], told[-1].split()[-1]])
        self.assertNotIn("the neighbour's", self.events())
