"""All users of the system at once: senders with ledgers, also those that get no reply, cameras, officers at the board, a page
that follows the changes."""
import array
import collections
import contextlib
import random
import re
import threading
import time

import zmq

from harness.alerts import encode
from harness.board import Page
from harness.frigate import JPEG, event as camera_event
from harness.peers import Load, Ledger
from harness.portal import Portal, ack, event
from harness.wait import TIMEOUT_S, wait_until

KINDS = ["intrusion", "motion", "motion", "panic", "power", "battery", "keepalive", "gremlins"]
DEVICES = [f"NL-{n:02}" for n in range(30)]
STRANGERS = [f"XX-{n}" for n in range(3)]

# gap and settle of what no other rule matches are filled in.
RULES = """
rules:
  - {name: signs-of-life, match: {kind: [keepalive, arm, bypass]}, action: store}
  - {name: panic, match: {kind: [panic, holdup]}, incident: {category: alarm, priority: 1, group_by: [device], gap: 4h30m, overdue: 1s}}
  - {name: strangers, match: {registered: false}, incident: {category: service, priority: 4, group_by: [endpoint], gap: 24h}}
  - {name: technical, match: {kind: [power, battery, comms]}, incident: {category: service, priority: 4, group_by: [device, kind], gap: 24h}}
  - {name: default, incident: {category: alarm, priority: 2, group_by: [device], gap: %s, settle: %s, verify_by: {within: 5m, radius: 150m, priority: 1}}}
"""
REGISTRY = """
insert into mobeye.area (layer, code, name, geom) values
    ('wijk', 'WK1', 'Een', st_geomfromtext('POLYGON((5.3 52.1, 5.4 52.1, 5.4 52.2, 5.3 52.2, 5.3 52.1))', 4326)),
    ('wijk', 'WK2', 'Twee', st_geomfromtext('POLYGON((5.4 52.1, 5.5 52.1, 5.5 52.2, 5.4 52.2, 5.4 52.1))', 4326));
"""
PLACEMENTS = """
select mobeye.device_place(device_id, 5.31 + (row_number() over ()) % 18 / 100.0, 52.15, team => 'noord') from mobeye.device
 where device_id like 'NL-%'
"""


class MixedLoad(Load):
    """Every kind of alert, of sets that are registered and of some that are not. An id means the same whichever sender
    uses it. `rate` per second; delays of more than a second are not caught up."""

    def __init__(self, *arguments, devices=DEVICES + STRANGERS, rate=150, **more):
        self.devices, self.rate = devices, rate
        super().__init__(*arguments, **more)

    def messages(self):
        due = time.monotonic()
        for message in super().messages():
            chance = random.Random(message["id"])
            message["data"].update(device=chance.choice(self.devices), kind=chance.choice(KINDS), input=chance.randrange(1, 4),
                                   phase="restore" if chance.random() < 0.2 else "raise")
            yield message
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            self.ending.wait(max(due - time.monotonic(), 0))


class PushLoad(MixedLoad):
    """Sends to a `pull`, which does not reply: what it sends may be lost in a crash, but is never doubled."""

    kind = zmq.PUSH

    def send(self, socket, payload):
        socket.send(payload)

    def run(self):
        context = zmq.Context()
        try:
            socket = context.socket(self.kind)
            socket.setsockopt(zmq.LINGER, TIMEOUT_S * 1000)
            socket.setsockopt(zmq.SNDTIMEO, TIMEOUT_S * 1000)
            socket.connect(self.address)
            for message in self.messages():
                if self.ending.is_set():
                    break
                self.ledger.sent.add((message["source"], message["id"]))
                self.send(socket, encode(message))
            socket.close()
        except Exception as failure:  # told by stop(), in the test's own thread
            self.failure = failure
        context.destroy()


class PubLoad(PushLoad):
    """Publishes to a `sub`: also what is sent while there is no connection is lost."""

    kind = zmq.PUB

    def send(self, socket, payload):
        socket.send_multipart([b"alerts", payload])


class Worker(threading.Thread):
    """Does work() in a thread until it is stopped; stop() raises what work() raised."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ending = threading.Event()
        self.failure = None
        self.start()

    def run(self):
        try:
            self.work()
        except Exception as failure:  # told by stop(), in the test's own thread
            self.failure = failure

    def stop(self):
        self.ending.set()
        self.join(2 * TIMEOUT_S)
        assert not self.is_alive(), f"{self} does not end"
        if self.failure is not None:
            raise self.failure


class Panel(Worker):
    """An alarm panel: one frame after another over TCP, each again on a new connection until it has its ACK. The ledger is
    by frame: the id of an alert follows from it."""

    def __init__(self, address, account, every=0.01):
        self.address, self.account, self.every = address, account, every
        self.ledger = Ledger()
        self.portal = None
        super().__init__()

    def _ask(self, frame):
        """The response; None: there was none."""
        try:
            if self.portal is None:
                self.portal = Portal(self.address)
                self.portal.socket.settimeout(1)
            answer = self.portal.ask(frame)
        except OSError:
            answer = None
        if answer is None and self.portal is not None:
            self.portal.close()
            self.portal = None
        return answer

    def _deliver(self, number):
        sequence = 1 + number % 9999
        frame = event(sequence, self.account, zone=1 + number % 5, code=("BA", "BR", "YP", "FA")[number % 4])
        key = (f"dc09:{self.account}", frame.decode())
        self.ledger.sent.add(key)
        answer = wait_until(lambda: self._ask(frame), "an answer; nobody listens while the daemon is down")
        assert answer == ack(sequence, self.account), answer
        self.ledger.accepted[key] = number

    def work(self):
        number = 0
        while not self.ending.wait(self.every):
            number += 1
            self._deliver(number)

    def stop(self):
        super().stop()
        return self.ledger


class Traffic(Worker):
    """What cameras see: events that begin and end, known to Frigate, and published where the broker is there. At most 20 go
    on at a time."""

    def __init__(self, frigate, broker, chance, every=0.005):
        self.frigate, self.broker, self.chance, self.every = frigate, broker, chance, every
        self.made = 0
        self.open, self.ended = [], []
        super().__init__()

    def _tell(self, kind, one):
        self.frigate.know(one)
        self.frigate.images[one["id"]] = JPEG + one["id"].encode()
        with contextlib.suppress(OSError):
            self.broker.tell(kind, one)

    def work(self):
        while not self.ending.wait(self.every):
            if len(self.open) < 20:
                self.made += 1
                self.open.append(camera_event(self.made, start=time.time() - 1))
                self._tell("new", self.open[-1])
            else:
                one = self.open.pop(self.chance.randrange(len(self.open)))
                self.ended.append({**one, "end_time": time.time()})
                self._tell("end", self.ended[-1])

    def stop(self):
        """All have ended, the last of them only for Frigate."""
        super().stop()
        for one in self.open:
            self.ended.append({**one, "end_time": time.time()})
            self.frigate.know(self.ended[-1])
        self.open = []

    def wanted(self):
        """The ids of the alerts that must result."""
        return {f"{one['id']}:{what}" for one in self.ended for what in ("new", "end", "image")}


def image_of_event(event_id):
    """The image of an alert that the bridge sent; None: it has none."""
    fetched = re.fullmatch(r"(.*):image(:end)?", event_id)
    return JPEG + fetched[1].encode() if fetched else None


DEAD_S = 25

# What an officer does, with what body, and which action of the history it is.
ACTS = {"claim": ({}, "status"), "acknowledge": ({}, "status"), "on_scene": ({}, "status"), "release": ({}, "status"),
        "close": ({"outcome": "false_alarm"}, "status"), "note": ({"note": "gezien"}, "note"), "verify": ({}, "verified")}


class Officer(Worker):
    """Works at the board: takes the next incident or does something with one of the queue, closed ones are reopened.
    `done`: how often each (incident, action of the history) was answered with 200; `unknown`: those without an answer."""

    def __init__(self, board, login, seed, every=0.02):
        self.board, self.login, self.chance, self.every = board, login, random.Random(f"{seed} {login}"), every
        self.done, self.unknown = collections.Counter(), collections.Counter()
        super().__init__()

    def _post(self, path, body, incident, action):
        """Recorded before it is sent: it may take effect, whatever the response."""
        self.unknown[incident, action] += 1
        try:
            status, answer = self.board.ask(self.login, path, "POST", body)
        except OSError:
            return
        if status >= 500:
            return
        assert status in (200, 404, 409), (path, body, status, answer)
        self.unknown[incident, action] -= 1
        taken = incident or answer.get("incident") and answer["incident"]["incident_id"]  # null: there was none to take
        if status == 200 and taken is not None:
            self.done[taken, action] += 1

    def _choose(self, path):
        try:
            status, answer = self.board.ask(self.login, path)
        except OSError:
            return None
        assert status == 200 or status >= 500, (path, status, answer)
        return self.chance.choice(answer["incidents"][:10])["incident_id"] if status == 200 and answer["incidents"] else None

    def _act(self):
        if self.chance.random() < 0.3:
            self._post("/api/next", {}, None, "status")
            return
        action = self.chance.choice([*ACTS, "reopen"])
        incident = self._choose("/api/closed" if action == "reopen" else "/api/queue")
        if incident is not None:
            body, entry = ACTS.get(action, ({"note": "toch niet"}, "status"))
            self._post(f"/api/incident/{incident}/{action}", body, incident, entry)

    def work(self):
        while not self.ending.wait(self.every):
            self._act()


class Follower(Worker):
    """A page that follows the changes from the first, and goes on after the last that it has seen however often the stream
    ends. As live.js does, it replaces a connection on which nothing comes, not even a heartbeat."""

    def __init__(self, board, login):
        self.board, self.login = board, login
        self.seen = array.array("q", [0])
        self.page = None
        super().__init__()

    def _is_refused(self):
        """The database is unavailable: 503, on a connection that stays open."""
        return re.match(r"HTTP/1\.1 (?!200)\d", self.page.text)

    def _follow(self):
        self.page = Page(self.board, self.login, after=self.seen[-1])
        self.page.peer.settimeout(DEAD_S)
        while not (self.page.closed or self._is_refused() or self.ending.wait(0.05)):
            pass
        self.page.close()
        self.page.thread.join(TIMEOUT_S)
        assert not self.page.events("reset"), "changes were missed"
        self.seen.extend(number for number, _ in self.page.events())

    def reconnect(self):
        if self.page is not None:
            self.page.close()

    def wait(self, number):
        """Waits until it has seen that change."""
        wait_until(lambda: self.failure or self.seen[-1] >= number or any(seen >= number for seen, _ in self.page.events()),
                   f"change {number} on the page", every=0.2)

    def work(self):
        while not self.ending.wait(0.05):
            with contextlib.suppress(OSError):  # the board is down
                self._follow()

    def stop(self):
        super().stop()
        return self.seen[1:]
