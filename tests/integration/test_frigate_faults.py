"""mobeye-frigate when something is wrong: what mobeyed rejects, several mobeyeds, CURVE, clocks, servers that hang."""
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness.curve import Key
from harness.frigate import JPEG, Receiver, event
from harness.frigate_fixtures import *  # noqa: F401,F403
from harness.frigate_fixtures import of_yard
from harness.wait import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("mosquitto"), reason="there is no mosquitto")
HOUR = 3600


# What mobeyed rejects.

def test_a_rejected_event_holds_nothing_up_and_is_sent_again_at_a_restart(bridges, frigate, receiver):
    """The cursor passes it; it began long before the window of the lists, and is known by the state alone."""
    receiver.forbids = of_yard
    start = time.time()
    yard = event(1, start=start - 4 * HOUR, camera="yard")
    door = event(2, start=start - 1700, end=start - 1690)
    frigate.know(yard, door)
    frigate.images.update({yard["id"]: JPEG + b"yard", door["id"]: JPEG})
    bridge = bridges(broker=None, images={"retry_for": "1m"}).start()
    receiver.wait(f"{door['id']}:image")
    bridge.wait_metric("cursor_timestamp_seconds", lambda value: value > start - 2)
    bridge.wait_metric("waiting", 0)
    assert bridge.metric("rejected") == 1 and bridge.metric("accepted_total") == 3
    assert "of yard, which is sent again at a restart and every hour: forbidden: device: not permitted" in bridge.log()
    bridge.stop()
    frigate.know({**yard, "end_time": start - 100})
    receiver.forbids = lambda alert: False
    del receiver.got[:]
    bridge.start()
    receiver.wait(f"{yard['id']}:new", f"{yard['id']}:end", f"{yard['id']}:image")
    bridge.wait_metric("rejected", 0)
    assert receiver.image(f"{yard['id']}:image") == JPEG + b"yard"
    assert {one.split(":")[0] for one in receiver.ids()} == {yard["id"]}
    bridge.wait_metric("waiting", 0)
    bridge.restart()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert bridge.metric("alerts_total") == 0


def test_a_rejected_end_is_sent_again_alone(bridges, frigate, broker, receiver):
    bridge = bridges().start()
    bridge.wait_following()
    one = event(1)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")
    receiver.forbids = lambda alert: True
    ended = {**one, "end_time": time.time()}
    frigate.know(ended)
    broker.tell("end", ended)
    bridge.wait_metric("rejected", 1)
    broker.tell("update", {**ended, "stationary": True})
    bridge.wait_metric("mqtt_events_total", 3)
    assert bridge.metric("alerts_total") == 2  # of what is rejected nothing more is sent
    receiver.forbids = lambda alert: False
    del receiver.got[:]
    bridge.restart()
    receiver.wait(f"{one['id']}:end")
    assert receiver.ids() == [f"{one['id']}:end"]


def test_doctor_names_what_is_rejected(bridges, frigate, receiver, tmp_path):
    receiver.forbids = of_yard
    frigate.know(event(1, start=time.time() - 60, end=time.time() - 50, camera="yard"))
    bridge = bridges(broker=None).start()
    bridge.wait_metric("rejected", 1)
    assert "mobeyed rejects 1 event of noord: add its devices and the source /frigate/NAME to the client list" in bridge.doctor(tmp_path)


def test_that_frigate_is_offline_is_said_again_if_it_was_rejected(bridge, broker, receiver):
    receiver.forbids = lambda alert: alert["data"]["kind"] == "comms"
    broker.publish("frigate/available", "offline", retain=True)
    bridge.wait_metric("rejected", 1)
    receiver.forbids = lambda alert: False
    del receiver.got[:]
    bridge.restart()
    wait_until(lambda: receiver.ids(), "offline, again")
    assert [one.split(":")[0] for one in receiver.ids()] == ["offline"]
    bridge.wait_metric("rejected", 0)


@pytest.mark.parametrize("first, then", [("offline", "online"), ("online", "offline")])
def test_that_frigate_is_offline_is_said_until_it_is_accepted(bridge, broker, receiver, first, then):
    """A restart comes before mobeyed accepts it."""
    if first == "offline":
        broker.publish("frigate/available", "offline", retain=True)
        wait_until(lambda: receiver.ids(), "offline")
        bridge.wait_metric("waiting", 0)
    receiver.word = None
    broker.publish("frigate/available", then, retain=True)
    bridge.wait_metric("waiting", 1)
    bridge.restart()
    receiver.word = b"ACK"
    bridge.wait_metric("accepted_total", 1)
    assert receiver.got[-1][0].startswith(then + ":")


def test_what_the_configuration_no_longer_wants_is_not_sent_again(bridges, frigate, receiver):
    receiver.forbids = of_yard
    frigate.know(event(1, start=time.time() - 60, end=time.time() - 50, camera="yard"))
    bridge = bridges(broker=None).start()
    bridge.wait_metric("rejected", 1)
    bridge.stop()
    bridge.conf["cameras"] = {"yard": {"ignore": True}}
    bridge.start()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert (bridge.metric("rejected"), bridge.metric("alerts_total"), bridge.metric("rejected_given_up_total")) == (0, 0, 0)


# Several mobeyeds, and CURVE.

@pytest.fixture
def receivers(context):
    made = []

    def make(curve=None):
        made.append(Receiver(context, "tcp://127.0.0.1:*", curve))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_of_several_mobeyeds_the_first_that_answers_is_used_and_the_next_takes_over(bridges, broker, receivers):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as silent:  # lets anybody in, and says nothing
        first, second = receivers(), receivers()
        bridge = bridges([f"tcp://127.0.0.1:{silent.getsockname()[1]}", first.address, second.address]).start()
        bridge.wait_following()
        one, two = event(1), event(2)
        broker.tell("new", one)
        first.wait(f"{one['id']}:new")
        first.close()
        broker.tell("new", two)
        broker.tell("end", {**one, "end_time": time.time()})
        second.wait(f"{two['id']}:new", f"{one['id']}:end")
        bridge.wait_metric("waiting", 0)
        assert f"{one['id']}:new" not in second.ids()


def test_with_curve_only_the_mobeyed_of_the_key_gets_anything(bridges, broker, receivers, tmp_path):
    server, other = Key(), Key()
    stranger, real = receivers(other), receivers(server)
    bridge = bridges([stranger.address, real.address], server_key=server.public,
                     client_key=str(Key().write(tmp_path / "client.key"))).start()
    bridge.wait_following()
    one = event(1)
    broker.tell("new", one)
    real.wait(f"{one['id']}:new")
    assert stranger.got == []


# Clocks.

@pytest.mark.parametrize("ahead_s", [3 * HOUR, -3 * HOUR, 40 * 24 * HOUR])
def test_the_clock_of_frigate_is_hours_off(bridges, frigate, broker, receiver, ahead_s):
    now = time.time() + ahead_s
    frigate.ahead_s = ahead_s
    before, running, old = (event(n, start=now - age, end=end) for n, age, end in
                            ((1, 900, now - 890), (2, 30, None), (3, 3 * HOUR, now - 3 * HOUR + 10)))
    frigate.know(before, running, old)
    bridge = bridges().start()
    bridge.wait_following()
    receiver.wait(f"{before['id']}:end", f"{running['id']}:new")
    live = event(4, start=now)
    broker.tell("new", live)
    receiver.wait(f"{live['id']}:new")
    assert not [one for one in receiver.ids() if one.startswith(old["id"])]  # longer ago than an hour, by its clock
    assert abs(bridge.metric("cursor_timestamp_seconds") - now) < 600
    del receiver.got[:]
    bridge.restart()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert receiver.got == []


def test_a_clock_that_is_put_right_loses_nothing(bridges, frigate, receiver):
    """The cursor is then in the future."""
    frigate.ahead_s = 3 * HOUR
    frigate.know(event(1, start=time.time() + 3 * HOUR - 60, end=time.time() + 3 * HOUR - 50))
    bridge = bridges(broker=None).start()
    bridge.wait_metric("cursor_timestamp_seconds", lambda value: value > time.time() + 2 * HOUR)
    bridge.stop()
    frigate.ahead_s = 0
    lost = event(2, start=time.time() - 30, end=time.time() - 20)
    frigate.know(lost)
    bridge.start()
    receiver.wait(f"{lost['id']}:end")
    bridge.wait_metric("cursor_timestamp_seconds", lambda value: 0 < value < time.time() + 60)


# Servers that hang.

def test_http_that_hangs_delays_what_mqtt_says_by_nothing(bridges, frigate, broker, receiver):
    """Connections are accepted but never answered: the request is given up, and repeated."""
    over = threading.Event()

    def answer(handler):
        over.wait(120)
        return True
    frigate.fault = answer
    try:
        bridge = bridges(images={"retry_for": "1m"}).start()
        bridge.wait_metric("mqtt_connected", 1)
        one, lost = event(1), event(2, start=time.time() - 60, end=time.time() - 50)
        broker.tell("new", one)
        receiver.wait(f"{one['id']}:new")
        frigate.know(lost)
        bridge.wait_metric("http_failures_total", lambda value: value >= 1)
        assert receiver.ids() == [f"{one['id']}:new"]
    finally:
        frigate.fault = lambda handler: False
        over.set()
    receiver.wait(f"{lost['id']}:end")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a resolv.conf of its own")
def test_a_name_server_that_is_silent_holds_nothing_up(bridges, tmp_path):
    """The lookup takes longer than any wait of the test."""
    resolv, address = tmp_path / "resolv.conf", f"127.{os.getpid() >> 16 & 255}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    resolv.write_text(f"nameserver {address}\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((address, 53))
        bridge = bridges(broker=None, api={"url": "http://frigate.example:5000"}).start(
            {"RES_OPTIONS": "timeout:30 attempts:5"},
            within=["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolv])
        silent.settimeout(60)
        assert b"frigate" in silent.recv(2000)
        bridge.wait_log("frigate.example.*Resolving timed out")
        bridge.stop()


def tell_ended(bridges, broker, receiver):
    """An event that has ended, to a bridge that gives images up after a second."""
    bridge, one = bridges(images={"retry_for": "1s"}).start(), event(1, end=time.time())
    bridge.wait_following()
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:end")
    return bridge, one


@pytest.mark.parametrize("status", [401, 404, 500])
def test_images_that_http_refuses_are_given_up_and_alerts_come(bridges, frigate, broker, receiver, status):
    def answer(handler):
        if "/snapshot.jpg" not in handler.path:
            return False
        handler.send(status, b"<html>not here</html>")
        return True
    frigate.fault = answer
    bridge, one = tell_ended(bridges, broker, receiver)
    if status == 401:  # a login that has run out is not a reason to give up
        bridge.wait_metric("images_wanted", 1)
        frigate.images[one["id"]] = JPEG
        frigate.fault = lambda handler: False
        receiver.wait(f"{one['id']}:image")
    else:
        bridge.wait_metric("images_missing_total", 1)
        assert receiver.ids() == [f"{one['id']}:new", f"{one['id']}:end"]


def break_off(handler, start):
    """The connection is lost after the start of the body."""
    handler.send_response(200)
    handler.send_header("Content-Length", "50000")
    handler.end_headers()
    handler.wfile.write(start)
    handler.close_connection = True
    return True


def cut_images(handler):
    return "/snapshot.jpg" in handler.path and break_off(handler, JPEG)


def test_an_image_that_breaks_off_is_logged_and_given_up(bridges, frigate, broker, receiver):
    frigate.fault = cut_images
    bridge, one = tell_ended(bridges, broker, receiver)
    bridge.wait_log(f"image: of {one['id']} .camera front_door.: {frigate.url}/api/events/ID/snapshot.jpg: ")
    bridge.wait_metric("images_missing_total", 1)
    bridge.wait_metric("images_wanted", 0)
    assert receiver.ids() == [f"{one['id']}:new", f"{one['id']}:end"]


def test_an_image_outlives_that_frigate_cannot_be_reached(bridges, frigate, receiver):
    """Not only from when a list cannot be read, which is up to a minute later."""
    one = event(1, end=time.time())
    frigate.know(one)
    bridge = bridges(broker=None, images={"retry_for": "5s"}).start()
    receiver.wait(f"{one['id']}:end")
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    frigate.fault = lambda handler: setattr(handler, "close_connection", True) or True  # on the connections that are open
    frigate.stop()
    asked = bridge.metric("http_requests_total")
    bridge.wait_metric("http_requests_total", lambda value: value >= asked + 3)
    assert bridge.metric("images_missing_total") == 0
    frigate.fault = lambda handler: False
    frigate.images[one["id"]] = JPEG
    frigate.start()
    receiver.wait(f"{one['id']}:image")


def test_images_that_hang_come_after_those_that_were_not_asked_for_yet(bridges, frigate, broker, receiver):
    """As when Frigate keeps the snapshots of ended events on a file server that is away."""
    over, live = threading.Event(), event(9)
    frigate.images[live["id"]] = JPEG

    def answer(handler):
        if "/snapshot.jpg" in handler.path and live["id"] not in handler.path:
            over.wait(120)
        return False
    frigate.fault = answer
    try:
        bridge = bridges(images={"retry_for": "10m"}).start()
        bridge.wait_following()
        ended = [event(n, end=time.time()) for n in range(1, 8)]
        for one in ended:
            broker.tell("new", one)
        receiver.wait(*(f"{one['id']}:end" for one in ended))
        bridge.wait_log("Operation timed out")
        broker.tell("new", live)
        receiver.wait(f"{live['id']}:image")
        asked = [path.split("/")[3] for path in frigate.asked if "/snapshot.jpg" in path]
        assert asked.index(live["id"]) < len(ended)
    finally:
        over.set()


def test_events_come_although_images_of_as_many_as_are_remembered_are_awaited(bridges, frigate, receiver):
    """8192 are; also after a restart."""
    count, now = 8192, time.time()
    frigate.fault = cut_images
    bridge = bridges(broker=None, images={"retry_for": "1h"})
    (bridge.state / "state").write_text("mobeye-frigate state 1\n" + "".join(
        f"track\t{now - 3000 + n / 10:.6f}-t\t{now - 3000 + n / 10:.6f}\t3\t0\t0.5\t0\tyard\tperson\n" for n in range(count)))
    bridge.start()
    bridge.wait_metric("images_wanted", count)
    one = event(1, start=now - 60, end=now - 50)
    frigate.know(one)
    receiver.wait(f"{one['id']}:end")
    bridge.wait_log("image: of .*dropped: the images of 8192 events are awaited")
    assert (bridge.metric("tracks"), bridge.metric("images_missing_total")) == (count, 1)


def test_lists_that_break_off_are_read_by_fewer_events(bridges, frigate, receiver):
    """As on a line that is too slow for a longer one."""
    now = time.time()
    events = [event(n, start=now - 1000 - n, end=None if n < 15 else now - n) for n in range(40)]
    frigate.know(*events)
    frigate.fault = lambda handler: "limit=100" in handler.path and break_off(handler, b"[{")  # and of 1000
    bridge = bridges(broker=None).start()
    receiver.wait(*(f"{one['id']}:new" for one in events), *(f"{one['id']}:end" for one in events[15:]))
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert bridge.metric("http_failures_total") == 0


def test_an_event_that_cannot_be_read_holds_no_other_up(bridges, frigate, receiver):
    """It is known by the state alone, and asked for by its ID."""
    now = time.time()
    odd, ended, fresh = event(1, start=now - 5 * HOUR), event(2, start=now - 4 * HOUR, end=now), event(3, start=now - 60, end=now)
    frigate.know(ended, fresh)
    frigate.fault = lambda handler: handler.path == f"/api/events/{odd['id']}" and break_off(handler, b"{")
    bridge = bridges(broker=None)
    (bridge.state / "state").write_text("mobeye-frigate state 1\n" + "".join(
        f"track\t{one['id']}\t{one['start_time']:.6f}\t1\t0\t0.8\t0\tyard\tperson\n" for one in (odd, ended)))
    bridge.start()
    receiver.wait(f"{ended['id']}:end", f"{fresh['id']}:end")
    bridge.wait_log(f"warning frigate: {frigate.url}/api/events/{odd['id']}: ")
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert bridge.metric("http_answers") == 1


def test_a_kill_after_the_acceptance_sends_no_second_update_of_what_mqtt_told(bridges, frigate, broker, receiver):
    """HTTP would tell it again, with the time of asking in its ID."""
    one = event(1)
    frigate.know(one)
    bridge = bridges().start()
    bridge.wait_following()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    receiver.wait(f"{one['id']}:new")
    entered = {**one, "entered_zones": ["gate"]}
    frigate.know(entered)
    broker.tell("update", entered)
    bridge.wait_metric("accepted_total", 2)
    bridge.kill()
    bridge.start()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    assert bridge.metric("alerts_total") == 0


# The order of what is said about Frigate, and its last will.

def test_that_frigate_is_online_again_is_sent_after_that_it_was_offline(bridge, broker, receiver):
    receiver.word = b"RETRY"
    broker.publish("frigate/available", "offline", retain=True)
    wait_until(lambda: receiver.ids(), "offline")
    broker.publish("frigate/available", "online", retain=True)
    bridge.wait_metric("waiting", 2)
    count = len(receiver.got)
    wait_until(lambda: len(receiver.got) > count + 2, "it is sent again")
    assert [one.split(":")[0] for one in receiver.ids()] == ["offline"]
    receiver.word = b"ACK"
    bridge.wait_metric("waiting", 0)
    assert [one.split(":")[0] for one in receiver.ids()] == ["offline", "online"]


def test_a_last_will_is_not_heeded_once_frigate_publishes_to_no_broker(bridge, frigate, broker, receiver):
    """It stays retained by the broker."""
    frigate.config["mqtt"] = {"enabled": False}
    broker.publish("frigate/available", "offline", retain=True)
    wait_until(lambda: [i for i in receiver.ids() if i.startswith("online:")], "online")
    bridge.wait_metric("waiting", 0)
    assert [one.split(":")[0] for one in receiver.ids()] == ["offline", "online"]


@pytest.mark.parametrize("status, wanted", [(200, []), (500, ["offline"])])
def test_a_last_will_found_at_the_start_waits_for_the_configuration(bridges, frigate, broker, receiver, status, wanted):
    """That says whether Frigate still publishes; if it cannot be read, the will is heeded."""
    asked = threading.Event()

    def answer(handler):
        if handler.path == "/api/config":
            asked.wait(60)
            handler.send(status, b'{"cameras": {}, "mqtt": {"enabled": false}}')
        return handler.path == "/api/config"
    frigate.fault = answer
    broker.publish("frigate/available", "offline", retain=True)
    bridge, one = bridges().start(), event(1)
    bridge.wait_metric("mqtt_connected", 1)
    frigate.know(one)
    broker.tell("new", one)
    receiver.wait(f"{one['id']}:new")  # after the will
    asked.set()
    bridge.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)
    bridge.wait_metric("waiting", 0)
    assert [i.split(":")[0] for i in receiver.ids() if not i.startswith(one["id"])] == wanted


def test_a_kill_after_the_acceptance_sends_no_second_alert_that_frigate_is_offline(bridge, broker, receiver):
    """Its ID has the time at which it was seen."""
    broker.publish("frigate/available", "offline", retain=True)
    bridge.wait_metric("accepted_total", 1)
    bridge.kill()
    bridge.start()
    bridge.wait_following()
    broker.publish("frigate/available", "online", retain=True)
    bridge.wait_metric("accepted_total", 1)
    assert [one.split(":")[0] for one in receiver.ids()] == ["offline", "online"]


# TLS.

@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("openssl"), reason="no openssl, or not root, who can mount")
def test_with_ca_file_an_authority_of_the_system_does_not_do(bridges, frigate, tmp_path):
    """The system trusts Frigate's certificate; ca_file names another authority."""
    def certificate(name):
        key, file = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", file],
                       check=True, capture_output=True)
        return file, key
    own, key = certificate("frigate")
    other, _ = certificate("other")
    trusted, password = tmp_path / "certs", tmp_path / "password"
    trusted.mkdir()
    shutil.copy(own, trusted / "ca-certificates.crt")
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", own], check=True, capture_output=True, text=True).stdout
    shutil.copy(own, trusted / f"{name.strip()}.0")
    password.write_text("secret\n")
    password.chmod(0o600)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own, key)
    frigate.password = "secret"
    frigate.server.socket = tls.wrap_socket(frigate.server.socket, server_side=True)
    api = {"url": f"https://127.0.0.1:{frigate.port}", "user": "mobeye", "password_file": str(password)}
    within = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/ssl/certs && exec "$@"', trusted]
    bridges(broker=None, api={**api, "ca_file": str(other)}).start(within=within).wait_log(
        "frigate: .*certificate.* .is api.ca_file of the authority that signed the certificate of Frigate")
    assert not frigate.tokens
    bridges(broker=None, api=api).start(within=within).wait_metric("http_answers", 1)
    bridges(broker=None, api=api).start().wait_log("frigate: .*certificate.* .is api.ca_file missing")
    bridges(broker=None, api={**api, "ca_file": str(own)}).start().wait_metric("http_answers", 1)
