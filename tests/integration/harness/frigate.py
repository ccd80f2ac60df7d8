"""A Frigate server with its broker, as mobeye-frigate sees it, and the bridge itself as a process."""
import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import zmq

from .daemon import SANITIZER, mobeyectl
from .paths import BRIDGE, TSAN_SUPPRESSIONS, free_port
from .wait import wait_until

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 100


def event(number, start=None, camera="front_door", label="person", score=0.8, zones=(), end=None, **more):
    """An event as in MQTT, under before and after."""
    start = time.time() - 10 if start is None else start
    return {"id": f"{start:.6f}-t{number}", "camera": camera, "label": label, "sub_label": None, "top_score": score,
            "score": score - 0.1, "false_positive": False, "start_time": start, "end_time": end, "frame_time": start + 1.5,
            "box": [128, 72, 256, 144], "current_zones": list(zones), "entered_zones": list(zones), "stationary": False,
            "active": True, "has_snapshot": True, "has_clip": True, "path_data": [[[0.5, 0.5], start]], **more}


def as_rest(one):
    """The same event as in the HTTP interface."""
    return {"id": one["id"], "camera": one["camera"], "label": one["label"], "sub_label": None, "zones": one["entered_zones"],
            "start_time": one["start_time"] - 5, "end_time": one["end_time"], "has_clip": one["has_clip"],
            "has_snapshot": one["has_snapshot"], "plus_id": None, "retain_indefinitely": False, "top_score": None,
            "false_positive": None, "box": None,
            "data": {"box": [0.1, 0.1, 0.1, 0.1], "region": [0, 0, 1, 1], "score": one["score"], "top_score": one["top_score"],
                     "type": "object"}}


class FrigateServer:
    """The HTTP interface. What it knows is in `events` and `images`; `fault(path)` may answer instead of it."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.events = {}
        self.images = {}
        self.config = {"cameras": {"front_door": {"detect": {"width": 1280, "height": 720}}}}
        self.asked = []
        self.fault = lambda handler: False
        self.ahead_s = 0  # its clock
        self.password = None
        self.tokens = set()
        self.server = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return super().date_time_string((timestamp or time.time()) + server.ahead_s)

            def send(self, status, body, kind="application/json", headers=()):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                server.asked.append(self.path)
                try:
                    if not server.fault(self):
                        server.answer(self)
                except OSError:
                    pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/api/login" or body != {"user": "mobeye", "password": server.password}:
                    self.send(401, b"{}")
                    return
                token = f"token-{len(server.tokens)}"
                server.tokens.add(token)
                self.send(200, b"{}", headers=[("Set-Cookie", f"frigate_token={token}; HttpOnly; Path=/")])

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    def know(self, *events):
        for one in events:
            self.events[one["id"]] = as_rest(one)

    def answer(self, handler):
        url = urllib.parse.urlparse(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.password and handler.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            handler.send(401, b"{}")
        elif url.path == "/api/config":
            handler.send(200, json.dumps(self.config).encode())
        elif url.path == "/api/version":
            handler.send(200, b"0.16.1-e664cb2", "text/plain")
        elif url.path == "/api/events":
            handler.send(200, json.dumps(self.chosen(query)).encode())
        elif url.path.endswith("/snapshot.jpg"):
            image = self.images.get(url.path.split("/")[3])
            handler.send(200 if image else 404, image or b"{}", "image/jpeg")
        elif url.path.startswith("/api/events/"):
            one = self.events.get(url.path.split("/")[3])
            handler.send(200 if one else 404, json.dumps(one or {}).encode())
        else:
            handler.send(404, b"{}")

    def chosen(self, query):
        found = sorted(self.events.values(), key=lambda one: -one["start_time"])
        if "after" in query:
            found = [one for one in found if one["start_time"] > float(query["after"])]
        if "before" in query:
            found = [one for one in found if one["start_time"] < float(query["before"])]
        if query.get("in_progress") == "1":
            found = [one for one in found if one["end_time"] is None]
        return found[:int(query.get("limit", 100))]


def _text(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">H", len(data)) + data


def _packet(kind, body):
    length, digits = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        digits += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([kind]) + digits + body


class Broker:
    """Debian's mosquitto, and a publisher."""

    def __init__(self, login=False):
        self.port = free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mobeye."))
        self.file = self.directory / "mosquitto.conf"
        # Publishers send more at once than a slow reader's queue would hold.
        self.file.write_text(f"per_listener_settings true\nmax_queued_messages 0\nlistener {self.port} 127.0.0.1\n"
                             "allow_anonymous true\n")
        if login:
            self._add_login()
        self.process = self.publisher = None
        self.start()

    def _add_login(self):
        """A second listener, with TLS and a password."""
        self.secure_port, self.ca, key = free_port(), self.directory / "ca.pem", self.directory / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.ca],
                       check=True, capture_output=True)
        users = self.directory / "users"
        users.write_text("mobeye:secret\n")
        subprocess.run(["mosquitto_passwd", "-U", users], check=True)
        for file in self.directory, self.ca, key, users:
            file.chmod(0o755)  # it drops root
        with self.file.open("a") as file:
            file.write(f"listener {self.secure_port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n"
                       f"certfile {self.ca}\nkeyfile {key}\n")

    def start(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "mosquitto", "-c", self.file],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._connect, "the broker")

    def _connect(self):
        try:
            self.publisher = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.publisher.sendall(_packet(0x10, _text("MQTT") + b"\x04\x02" + struct.pack(">H", 0) + _text("publisher")))
            return self.publisher.recv(4) == b"\x20\x02\x00\x00"
        except OSError:  # nobody listens yet, or the broker that is ending reset it
            return False

    def publish(self, topic, payload, retain=False):
        payload = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        payload = payload.encode() if isinstance(payload, str) else payload
        self.publisher.sendall(_packet(0x31 if retain else 0x30, _text(topic) + payload))

    def tell(self, kind, after, before=None):
        self.publish("frigate/events", {"type": kind, "before": before or after, "after": after})

    def stop(self):
        if self.publisher:
            self.publisher.close()
        self.process.kill()
        self.process.wait(30)

    def close(self):
        self.stop()
        shutil.rmtree(self.directory)


class EndlessBroker:
    """Lets anybody log in and subscribe, and then sends one message of 250 MB."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.sent = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.server.accept()
                with contextlib.suppress(OSError), peer:
                    peer.recv(1000)
                    peer.sendall(b"\x20\x02\x00\x00")
                    subscribe = peer.recv(1000)
                    peer.sendall(b"\x90\x04" + subscribe[2:4] + b"\x00\x00")
                    peer.sendall(b"\x30" + b"\x80\xe5\x9a\x77" + _text("frigate/events"))
                    for _ in range(240):
                        peer.sendall(b" " * (1 << 20))
                        self.sent += 1 << 20

    def close(self):
        self.server.close()


class Receiver:
    """A mobeyed of the test: a router that answers `word` (ACK, RETRY, REJECT; None: nothing) and keeps what it has.
    What `forbids(alert)` is true of is still rejected."""

    def __init__(self, context, address, curve=None):
        self.word = b"ACK"
        self.forbids = lambda alert: False
        self.got = []  # (id, alert, image) in the order of receipt, resent ones again
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if curve:
            curve.serve(self.socket)
        self.socket.bind(address)
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.ending.is_set():
            if not self.socket.poll(50):
                continue
            peer, payload, *image = self.socket.recv_multipart()
            alert = json.loads(payload)
            self.got.append((alert["id"], alert, image[0] if image else None))
            word = b"REJECT" if self.forbids(alert) else self.word
            if word:
                detail = {b"ACK": b"1", b"RETRY": b"50", b"REJECT": b"forbidden: device: not permitted"}[word]
                self.socket.send_multipart([peer, word, alert["id"].encode(), detail])

    def close(self):
        self.ending.set()
        self.thread.join(30)
        self.socket.close()

    def ids(self):
        """Each once, in the order of first receipt."""
        return list(dict.fromkeys(one for one, _, _ in self.got))

    def alert(self, wanted):
        return next(alert for one, alert, _ in self.got if one == wanted)

    def image(self, wanted):
        return next(image for one, _, image in self.got if one == wanted)

    def wait(self, *wanted):
        wait_until(lambda: set(wanted) <= set(self.ids()), lambda: f"{wanted}; there are {self.ids()}")


class Bridge:
    """mobeye-frigate with one configuration; the log is that of all processes that ran it."""

    def __init__(self, to, frigate, broker=None, **keys):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mobeye."))
        self.state = self.directory / "state"
        self.state.mkdir()
        self.file = self.directory / "mobeye-frigate.yaml"
        self.log_file = self.directory / "log"
        self.log_file.touch()
        self.port = free_port()
        self.conf = {"name": "noord", "api": {"url": frigate.url}, "to": to, "state": str(self.state),
                     "http": {"listen": f"127.0.0.1:{self.port}"}, **keys}
        if broker:
            self.conf["mqtt"] = {"host": "127.0.0.1", "port": broker.port, **keys.get("mqtt", {})}
        self.process = None

    def start(self, env=None, within=()):
        """within: a command that runs the command after it."""
        self.file.write_text(json.dumps(self.conf))
        env = {**os.environ, "TSAN_OPTIONS": f"suppressions={TSAN_SUPPRESSIONS}", **(env or {})}
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *within, BRIDGE, "--debug", "-c", self.file],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        wait_until(self._answers, lambda: f"the bridge to answer: {self.log()}")
        return self

    def restart(self):
        self.stop()
        return self.start()

    def _answers(self):
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=30) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            lines = [line.split() for line in answer.read().decode().splitlines() if not line.startswith("#")]
        found = {name.removeprefix("mobeye_frigate_"): float(value) for name, value in lines}
        assert found["alerts_total"] == found["accepted_total"] + found["rejected_total"] + found["waiting"], found
        return found

    def metric(self, name):
        return self.metrics()[name]

    def wait_metric(self, name, condition):
        holds = condition if callable(condition) else lambda value: value == condition
        wait_until(lambda: holds(self.metric(name)), lambda: f"mobeye_frigate_{name}: {self.metric(name)}")

    def wait_saved(self):
        """The state file is written, again."""
        file = self.state / "state"
        before = file.stat().st_ino if file.exists() else None
        wait_until(lambda: file.exists() and file.stat().st_ino != before, "the state is saved")

    def wait_following(self):
        """Subscribed, and through a cycle."""
        self.wait_metric("mqtt_connected", 1)
        self.wait_metric("http_last_success_timestamp_seconds", lambda value: value > 0)

    def _lines_of(self, verb, directory):
        """What a verb says about it, on a machine without a daemon."""
        daemon = directory / "mobeyed.yaml"
        daemon.write_text(json.dumps({"instance": "a", "database": {"conninfo": f"host={directory} dbname=none"},
                                      "journal": {"directory": str(directory)}, "endpoints": [
                                          {"name": "door", "bind": f"ipc://{directory}/door", "socket": "router",
                                           "format": "cloudevents"}]}))
        done = mobeyectl(verb, "-c", daemon, "--frigate", self.file)
        return "\n".join(line for line in done.stdout.splitlines() if "frigate" in line.split()[:2])

    def doctor(self, directory):
        return self._lines_of("doctor", directory)

    def status(self, directory):
        return self._lines_of("status", directory)

    def wait_log(self, pattern):
        """The line of the log that matches, once there is one."""
        return wait_until(lambda: re.search(f".*(?:{pattern}).*", self.log()), lambda: f"{pattern!r} in {self.log()[-3000:]}")[0]

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.log()

    def log(self):
        return self.log_file.read_text(errors="replace")

    def dispose(self):
        """Ends it, and returns what was wrong with it."""
        wrong = []
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = "none within 10 s"
            if status != 0:
                wrong.append(f"status {status} after SIGTERM")
        if SANITIZER.search(self.log()):
            wrong.append("a sanitizer found something")
        if wrong:
            print(self.log()[-20000:])
        shutil.rmtree(self.directory)
        return wrong
