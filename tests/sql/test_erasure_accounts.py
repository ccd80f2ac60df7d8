"""A person's request, and secrecy, where a DC-09 account went from one device to another."""

from test_erasure import ErasureTest


class AccountTest(ErasureTest):
    """d is the set of Kerkstraat 1, from 10 days ago. Of what came by its account before that was registered, the first is 5 days old."""

    def setUp(self):
        super().setUp()
        self.superuser.execute("insert into mobeye.team (team) values ('noord'), ('zuid') on conflict do nothing")
        self.superuser.execute("insert into mobeye.device (device_id) values ('e')")
        self.home = self.place("d", 10, 0, team="zuid")
        self.early = self.by_account("early", "5 days")

    def by_account(self, event, ago, name="dc09:D371/1"):
        incident = self.incident(ended=ago, device_id=name)
        self.alert("panic", ago, event, device_id=name, incident_id=incident)
        return incident

    def has(self, device, since, until=None, account="D371", number=None):
        """Times are days ago; until: None: it has it."""
        if until is None:
            self.superuser.execute("insert into mobeye.device_address (account, input, device_id, since) values (%s, %s, %s, %s)",
                                   [account, number, device, self.ago(f"{since} days")])
        else:
            self.superuser.execute(
                "insert into mobeye.earlier_address (account, input, device_id, since, until) values (%s, %s, %s, %s, %s)",
                [account, number, device, self.ago(f"{since} days"), self.ago(f"{until} days")])

    def export(self, address):
        found = self.value(self.superuser, "select mobeye.subject_export(%s, null, null, null)", address)
        return sorted(a["event_id"] for device in found for a in device["alerts"])

    def hide(self, device):
        self.superuser.execute("update mobeye.placement set secret = true where device_id = %s", [device])
        return sorted(row[0] for row in self.superuser.execute("select event_id from mobeye.alert where secret"))


class ReplacedSet(AccountTest):
    """The set of a home breaks: another one gets its account."""

    def setUp(self):
        super().setUp()
        self.has("d", 3)
        self.superuser.execute("delete from mobeye.device_address")
        self.superuser.execute("insert into mobeye.device_address (account, device_id) values ('D371', 'e')")

    def test_what_came_early_stays_that_of_the_set_that_stood_there(self):
        self.place("e", 0, -10)
        self.assertEqual(self.export("Kerkstraat 1"), ["early"])
        self.superuser.execute("update mobeye.placement set during = tstzrange(lower(during), now()) where device_id = 'e'")
        self.erase("Kerkstraat 1")
        self.assertEqual((self.events(), self.incidents()), ([], []))

    def test_it_becomes_secret_with_the_home(self):
        self.place("e", 0, -10)
        self.assertEqual(self.hide("d"), ["early"])
        self.assertEqual(self.incident_row(self.early, "secret, secret_team"), (True, "zuid"))

    def test_what_is_stored_late_becomes_secret_with_the_second_one_if_it_is_its_own(self):
        self.place("e", 10, -10, "Dorpsweg 2", secret=True, team="noord")
        self.superuser.execute("delete from mobeye.registry_log")
        self.by_account("late", "6 days")
        self.superuser.execute("select mobeye.hide_late()")
        self.assertEqual(self.superuser.execute("select event_id, team from mobeye.alert where secret order by 1").fetchall(),
                         [("early", "noord"), ("late", "noord")])

    def test_what_came_between_the_two_is_of_the_second(self):
        self.superuser.execute("update mobeye.earlier_address set until = %s", [self.ago("2 days")])
        self.by_account("between", "1 day")
        self.place("e", 2, -10, "Dorpsweg 2")
        self.assertEqual((self.export("Kerkstraat 1"), self.export("Dorpsweg 2")), (["early"], ["between"]))

    def test_what_came_while_it_had_the_account_is_its_own_however_short_that_was(self):
        self.by_account("late", "1 day")
        self.place("e", 10, -10, "Dorpsweg 2")
        self.assertEqual((self.export("Kerkstraat 1"), self.export("Dorpsweg 2")), (["late"], ["early"]))

    def test_also_if_the_other_stood_elsewhere_by_then_and_it_had_the_account_for_a_week(self):
        self.superuser.execute("update mobeye.alert set occurred_at = occurred_at - interval '5 days'")
        self.superuser.execute("update mobeye.placement set during = tstzrange(now() - interval '20 days', now())")
        self.superuser.execute("update mobeye.earlier_address set since = %s", [self.ago("8 days")])
        self.place("e", 20, -10, "Dorpsweg 2")
        self.assertEqual((self.export("Kerkstraat 1"), self.export("Dorpsweg 2")), (["early"], []))

    def test_the_account_that_a_set_gets_again_is_recorded_twice(self):
        self.superuser.execute("update mobeye.device_address set device_id = 'd'")
        self.superuser.execute("delete from mobeye.device_address")
        self.assertEqual(self.superuser.execute("select device_id, count(*) from mobeye.earlier_address group by 1 order by 1").fetchall(),
                         [("d", 2), ("e", 1)])

    def test_since_when_it_has_it_stays_when_it_is_renamed(self):
        self.superuser.execute("update mobeye.device_address set since = %s", [self.ago("4 days")])
        since = "select now() - since > interval '1 day' from mobeye.device_address"
        self.superuser.execute("update mobeye.device set device_id = 'e2' where device_id = 'e'")
        self.assertTrue(self.value(self.superuser, since))
        self.superuser.execute("update mobeye.device_address set account = 'D372'")
        self.assertFalse(self.value(self.superuser, since))


class RenamedTogether(AccountTest):
    """In one statement d becomes c and e becomes d: each keeps its account, and what came by that."""

    def test_each_keeps_its_account(self):
        self.has("d", 3)
        self.has("e", 3, account="D372")
        self.place("e", 10, -10, "Dorpsweg 2")
        self.superuser.execute("update mobeye.device d set device_id = n.name from (values ('d', 'c'), ('e', 'd')) n (was, name) where d.device_id = n.was")
        self.assertEqual(self.superuser.execute("select account, device_id, now() - since > interval '1 day' from mobeye.address_holder order by 1").fetchall(),
                         [("D371", "c", True), ("D372", "d", True)])
        self.assertEqual((self.export("Kerkstraat 1"), self.export("Dorpsweg 2")), (["early"], []))


class InputOfAnAccountLater(AccountTest):
    """d has the account for 100 days, and has stood for 200; e got one input of it when it was placed, 10 days ago."""

    def setUp(self):
        super().setUp()
        self.superuser.execute("update mobeye.placement set during = tstzrange(%s, now())", [self.ago("200 days")])
        self.place("e", 10, 0, "Dorpsweg 2", team="noord")
        self.has("d", 100)
        self.has("e", 10, number=5)
        for event, days in (("first", 150), ("d's", 50), ("e's", 4)):
            self.by_account(event, f"{days} days", "dc09:D371/5")

    def test_both_have_its_name(self):
        names = "select mobeye.address_names(%s)"
        self.assertEqual([self.superuser.execute(names, [device]).fetchall() for device in "de"],
                         [[("dc09:D371/1",), ("dc09:D371/5",)], [("dc09:D371/5",)]])

    def test_what_came_before_is_of_the_one_that_had_the_account_and_stood_somewhere(self):
        self.assertEqual((self.export("Kerkstraat 1"), self.export("Dorpsweg 2")), (["d's", "early", "first"], ["e's"]))
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["e's"])

    def test_it_becomes_secret_with_that_home(self):
        self.assertEqual(self.hide("d"), ["d's", "early", "first"])

    def test_an_input_that_the_other_had_before_is_its_own_if_it_stood_nowhere_before_that(self):
        self.superuser.execute("update mobeye.device_address set since = %s where device_id = 'e'", [self.ago("101 days")])
        self.assertEqual(self.export("Kerkstraat 1"), ["early", "first"])
        self.superuser.execute("update mobeye.placement set during = tstzrange(%s, now()) where device_id = 'd'", [self.ago("100 days")])
        self.assertEqual(self.superuser.execute("select mobeye.address_names('d')").fetchall(), [("dc09:D371/1",)])


class InputOfAnAccount(AccountTest):
    """d has the account, e one input of it, and loses that."""

    def setUp(self):
        super().setUp()
        self.by_account("e's", "5 days", "dc09:D371/2")
        self.place("e", 10, 0, "Dorpsweg 2")
        self.has("d", 1)
        self.has("e", 1, number=2)
        self.superuser.execute("update mobeye.device_address set account = '9999', input = null where device_id = 'e'")

    def test_what_came_by_it_stays_of_the_one_that_had_the_input(self):
        self.assertEqual((self.export("Kerkstraat 1"), self.export("Dorpsweg 2")), (["early"], ["e's"]))
        self.erase("Kerkstraat 1")
        self.assertEqual(self.events(), ["e's"])
        self.erase("Dorpsweg 2")
        self.assertEqual(self.events(), [])
