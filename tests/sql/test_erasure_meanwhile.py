"""A person's request, while others store or change the data concerned."""

import json
import threading

from support import PATIENCE_S
from test_erasure import ERASE, ErasureTest


class Meanwhile(ErasureTest):
    def test_an_incident_that_begins_during_the_erasure_keeps_its_alerts(self):
        """Or it would stand there without them, with the place of the home, and no later erasure by time might find it."""
        self.superuser.execute("insert into mobeye.quarantine (device_id, received_at, reason, record) values ('d', now(), '', '')")
        began = self.incident(ended="2 hours", device_id="d")
        self.alert("motion", "2 hours", "before", device_id="d", incident_id=began)
        self.alert("keepalive", "2 hours", "of no incident", device_id="d")
        eraser, other = self.connect(), self.connect()
        request = [ERASE, [None, "d", self.ago("1 day"), self.ago("0 days")]]
        thread = threading.Thread(target=eraser.execute, args=request)
        with other.transaction():
            other.execute("select from mobeye.quarantine for update")
            thread.start()
            self.waits(eraser)
            incident = self.incident(ended="1 hour", device_id="d")
            self.alert("motion", "1 hour", "meanwhile", device_id="d", incident_id=incident)
        thread.join(PATIENCE_S)
        self.assertEqual(self.events(), ["meanwhile"])
        self.assertEqual(self.value(self.superuser, "select array_agg(incident_id) from mobeye.incident"), [incident])
        eraser.execute(*request)
        self.assertEqual(self.events(), [])
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.incident"), 0)

    def test_a_device_that_is_renamed_during_the_erasure_is_erased_under_all_its_names(self):
        now = self.value(self.superuser, "select now()")
        self.ago = lambda interval: self.value(self.superuser, "select %s - %s::interval", now, interval)
        for request in ([ERASE, ["Kerkstraat 1", None, None, None]], [ERASE, [None, "d", self.ago("60 days"), self.ago("1 day")]], None):
            self.superuser.execute("update mobeye.device set device_id = 'd' where device_id = 'd2'")
            self.superuser.execute("delete from mobeye.device_renamed")
            self.place("d", 60, 40)
            self.alert("motion", "50 days", "as d", device_id="d")
            if not request:
                request = ["select n from mobeye.erase_again(%s)", [self.log]]
            eraser, other = self.connect(), self.connect()
            thread = threading.Thread(target=eraser.execute, args=request)
            with other.transaction():
                other.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
                self.alert("motion", "50 days", "as d2", device_id="d2")
                thread.start()
                self.waits(eraser)
            thread.join(PATIENCE_S)
            self.assertEqual(self.events(), [])
            self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.placement"), 0)
            self.log = json.dumps(self.value(self.superuser, "select jsonb_agg(e) from mobeye.erasure e"))

    def test_it_waits_for_an_import_and_then_for_who_renames_the_device(self):
        """An import locks devices before placements; the name that the request was read with may be another by then."""
        self.place("d", 60, 40)
        eraser, importing, renaming = self.connect(), self.connect(), self.connect()
        thread = threading.Thread(target=eraser.execute, args=[ERASE, ["Kerkstraat 1", None, None, None]])
        with renaming.transaction():
            with importing.transaction():
                importing.execute("select mobeye.lock_imports()")
                thread.start()
                self.waits(eraser)
                self.superuser.execute("update mobeye.device set device_id = 'd2' where device_id = 'd'")
                renaming.execute("update mobeye.device set device_id = 'd3' where device_id = 'd2'")
            self.waits(eraser, renaming)
            self.alert("motion", "50 days", "as d3", device_id="d3")
        thread.join(PATIENCE_S)
        self.assertEqual(self.events(), [])
