"""The log contains nothing of the contents of alerts: no text, no place, no payload, no password."""
import re

import zmq
from psycopg.conninfo import make_conninfo

from harness.alerts import alert, encode
from harness.peers import Dealer

TEXT = "Beweging achterdeur Zonnehof zevenentwintig"
LON, LAT = 5.3842177, 52.1963455


def test_nothing_of_an_alert_is_in_the_log(context, database, daemons):
    daemon = daemons(make_conninfo(database.ingest, password="geheim-wachtwoord"))
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), daemon.conf.endpoint("push", socket="pull")])
    daemon.start()
    Dealer(context, daemon.address()).ask(alert("first"))
    database.wait_stored(1)
    database.execute("alter table mobeye.alert add constraint no_poison check (device_id <> 'POISON') not valid")
    place = {"type": "Point", "coordinates": [LON, LAT]}
    dealer = Dealer(context, daemon.address())
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("push"))
    good = alert("good", text=TEXT, location=place)
    words = [dealer.ask(message).word for message in (
        good,
        alert("poisoned", device="POISON", text=TEXT, location=place),
        alert("odd", text=TEXT, location={"type": "Point", "coordinates": [LAT, LON]}, battery_pct="vol"),
        {**alert("bad", text=TEXT, location=place), "type": TEXT},
        alert("bad", device=TEXT, location=place),
        encode(alert("cut", text=TEXT, location=place))[:-1])]
    assert words == [b"ACK"] * 3 + [b"REJECT"] * 3
    push.send(encode(alert("cut", text=TEXT, location=place))[:-1])
    daemon.wait_metric("rejected_total", 1, endpoint="push")
    daemon.wait_metric("quarantined_total", 1)
    database.disconnect_all()
    dealer.ask(good)
    daemon.wait_metric("duplicate_total", 1)
    daemon.reload()
    daemon.restart()
    log = re.sub(r"^\S+Z ", "", daemon.log(), flags=re.M)  # a time such as 15:24:15.384 would pass for a place
    assert "5.384" not in log and "52.19" not in log
    assert TEXT not in log and not re.search("achterdeur|Zonnehof", log, re.I)
    assert "geheim" not in log


def test_no_reject_repeats_what_was_sent(dealer):
    for message in (alert("a", device=TEXT), alert("a", kind="x" * 40 + TEXT), {**alert("a"), "type": TEXT},
                    encode(alert("a", text=TEXT))[:-1]):
        reply = dealer.ask(message)
        assert reply.word == b"REJECT" and b"Zonnehof" not in reply.detail
