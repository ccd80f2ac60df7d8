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

    def test_names_are_those_of_the_account_and_of_the_inputs_that_no_other_device_has(self):
        self.assertEqual(self.names(), ["d"])
        self.address()
        self.assertEqual(self.names(), sorted(["d", *DC09]))
        self.address(device="neighbour", number=2)
        self.assertEqual(self.names(), sorted(["d", *DC09[:3]]))
        self.assertEqual(self.names("neighbour"), ["dc09:0371/2", "neighbour"])
        self.superuser.execute("insert into mobeye.device (device_id) values ('dc09:371')")
        self.assertEqual(self.names(), ["d", "dc09:0371", "dc09:371/1"])

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

    def test_they_are_exported_and_erased_with_the_home(self):
        self.address()
        self.place("d", 3, 1)
        (found,) = self.value(self.superuser, "select mobeye.subject_export('Kerkstraat 1', null, null, null)")
        self.assertEqual(sorted(a["event_id"] for a in found["alerts"]), sorted(DC09))
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["dc09:1371/1", "dc09:37", "dc09:3710"])
