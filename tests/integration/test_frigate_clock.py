"""What mobeye-frigate does minutes and hours later, in the build without sanitizers, which do not support libfaketime."""
import re
import shutil
import threading
import time

import pytest

from harness.frigate import event
from harness.frigate_fixtures import *  # noqa: F401,F403
from harness.frigate_fixtures import of_yard
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="there is no mosquitto")
HOUR = 3600


def test_what_is_rejected_is_sent_again_every_hour(bridges, frigate, receiver, clock):
    receiver.forbids = of_yard
    one = event(1, start=time.time() - 60, end=time.time() - 50, camera="yard")
    frigate.know(one)
    bridge = bridges(broker=None).start(env=clock.env)
    bridge.wait_metric("rejected", 1)
    clock.set(HOUR)
    wait_until(lambda: len([i for i, _, _ in receiver.got if i == f"{one['id']}:new"]) == 2, "rejected again")
    receiver.forbids = lambda alert: False
    clock.set(2 * HOUR)
    receiver.wait(f"{one['id']}:end")
    bridge.wait_metric("rejected", 0)
    assert "1 rejected event is sent again" in bridge.log()


def test_a_rejected_event_that_frigate_has_forgotten_is_sent_all_the_same(bridges, frigate, receiver, clock):
    receiver.forbids = of_yard
    one = event(1, start=time.time() - 4 * HOUR, camera="yard")
    frigate.know(one)
    bridge = bridges(broker=None).start(env=clock.env)
    bridge.wait_metric("rejected", 1)
    bridge.stop()
    frigate.events.clear()
    receiver.forbids = lambda alert: False
    del receiver.got[:]
    bridge.start(env=clock.env)
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    clock.set(360)
    receiver.wait(f"{one['id']}:new", f"{one['id']}:end")
    assert receiver.alert(f"{one['id']}:new")["data"]["camera"] == {"label": "person", "score": 0.8, "track": one["id"]}
    bridge.wait_metric("rejected", 0)


def test_a_broker_of_another_frigate_is_named(bridges, broker, clock):
    """Availability is retained: who is subscribed to the right topics has it at once."""
    bridge = bridges(mqtt={"topic_prefix": "fregat"}).start(env=clock.env)
    bridge.wait_following()
    clock.set(125)
    assert "has sent nothing under fregat/" in bridge.wait_log("has sent nothing")
    assert bridge.metric("mqtt_silent") == 1
    broker.publish("fregat/available", "online", retain=True)
    bridge.wait_metric("mqtt_silent", 0)


def test_why_frigate_counts_as_offline_is_logged(bridges, frigate, clock):
    frigate.stop()
    bridge = bridges(broker=None).start(env=clock.env)
    bridge.wait_metric("http_failures_total", lambda value: value > 0)
    clock.set(125)
    line = bridge.wait_log("frigate: is offline")
    assert f"is offline: no usable response for 2 minutes: {frigate.url}/api/events: Failed to connect" in line
    assert bridge.metric("frigate_online") == 0


def test_doctor_and_status_say_when_frigate_has_not_answered_for_long(bridges, receiver, clock, tmp_path):
    """The bridge's clock stood still: its last answer is two minutes old."""
    clock.set(-120)
    bridge = bridges(broker=None).start(env=clock.env)
    bridge.wait_metric("http_answers", 1)
    assert re.search(r"Frigate noord has not answered at http://[0-9.:]+ for 1[0-9]{2} s", bridge.doctor(tmp_path))
    assert "Frigate DOES NOT ANSWER" in bridge.status(tmp_path)


def test_a_long_refusal_of_a_token_leaves_nothing_to_the_second_attempt(bridges, frigate, clock, tmp_path):
    """A proxy before Frigate refuses with a page of its own, longer than what was asked for may be."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    frigate.password = "secret"
    refused = threading.Event()

    def answer(handler):
        if handler.path != "/api/version" or refused.is_set():
            return False
        refused.set()
        frigate.tokens.clear()
        clock.set(10)  # it logs in again only after five seconds
        handler.send(401, b"401 Authorization Required\n" * 100, "text/plain")
        return True
    frigate.fault = answer
    login = {"url": frigate.url, "user": "mobeye", "password_file": str(password)}
    bridge = bridges(broker=None, api=login).start(env=clock.env)
    assert "version 0.16.1-e664cb2" in bridge.wait_log("frigate: connected to")
    assert refused.is_set()


def test_an_event_that_frigate_has_not_stored_ends_when_mqtt_is_silent_about_it(bridges, frigate, broker, receiver, clock):
    """HTTP does not know it before it is in a required zone: what counts is whether MQTT could have brought it."""
    bridge = bridges().start(env=clock.env)
    bridge.wait_following()
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    broker.stop()
    bridge.wait_metric("mqtt_connected", 0)
    clock.set(400)
    wait_until(lambda: f"/api/events/{one['id']}" in frigate.asked, "it is asked for by its ID")
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > time.time() + 300)
    broker.start()
    bridge.wait_metric("mqtt_connected", 1)
    broker.tell("update", {**one, "entered_zones": ["gate"], "frame_time": 1795467600.5})
    receiver.wait(f"{one['id']}:update:1795467600.5")
    of_one = [i for i in receiver.ids() if i.startswith(one["id"])]
    assert of_one == [f"{one['id']}:new", f"{one['id']}:update:1795467600.5"]
    clock.set(800)
    receiver.wait(f"{one['id']}:end")
    bridge.wait_log(f"frigate: {one['id']} .camera front_door.: Frigate no longer knows the event")


def test_a_kill_after_the_acceptance_sends_no_second_update_of_what_http_told(bridges, frigate, receiver, clock):
    """Its ID has the time at which Frigate was asked."""
    one = event(1)
    frigate.know(one)
    bridge = bridges(broker=None).start(env=clock.env)
    receiver.wait(f"{one['id']}:new")
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    frigate.know({**one, "entered_zones": ["gate"]})
    clock.set(61)
    bridge.wait_metric("accepted_total", 2)
    bridge.kill()
    bridge.start(env=clock.env)
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert bridge.metric("alerts_total") == 0


def test_a_clock_of_frigate_that_is_far_off_is_logged(bridges, frigate, clock):
    bridge = bridges(broker=None).start(env=clock.env)
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert "its clock is" not in bridge.log()
    frigate.ahead_s = 3 * HOUR
    bridge.stop()
    bridge.start(env=clock.env)
    bridge.wait_log("warning frigate: its clock is 180 minutes ahead of this machine's, by the Date of its responses")
