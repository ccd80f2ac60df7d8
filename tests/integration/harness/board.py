"""mobeye-board as a process, and its peers: a proxy that names the person, raw sockets, pages that follow the
changes."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading

from psycopg.conninfo import make_conninfo

from .daemon import SANITIZER
from .paths import BOARD, free_port
from .wait import wait_until

SECRET = "een-lang-geheim-van-de-proxy"

PEOPLE = """
insert into mobeye.team values ('noord', 'Noord'), ('zuid', 'Zuid') on conflict do nothing;
insert into mobeye.team_area values ('noord', 'wijk', 'WK1'), ('zuid', 'wijk', 'WK2') on conflict do nothing;
insert into mobeye.person values ('jansen', 'Jansen', 'noord', false), ('bakker', 'Bakker', 'noord', false),
    ('zuider', 'Zuider', 'zuid', false), ('regie', 'Regie', null, true) on conflict do nothing;
insert into mobeye.device (device_id, state) values ('dev-1', 'placed'), ('dev-2', 'placed') on conflict do nothing;
insert into mobeye.placement (device_id, during, geom, address, team, secret, instructions) values
    ('dev-1', '[2020-01-01,)', 'SRID=4326;POINT(5.3601 52.1501)', 'Dorpsstraat 1', 'noord', false, 'bel aan'),
    ('dev-2', '[2020-01-01,)', 'SRID=4326;POINT(5.3702 52.1602)', 'Geheim 2', 'zuid', true, 'achterom');
"""

INCIDENT = """
with p as (select * from mobeye.placement where device_id = %s)
insert into mobeye.incident (incident_id, incident_key, category, priority, kind, device_id, created_at, first_seen, last_seen,
    last_received_at, alert_count, active, geom, accuracy_m, location_source, areas, placement_id, secret, secret_team, cell,
    status, accepting, team)
select nextval('mobeye.incident_id'), gen_random_uuid(), %s, 2, 'motion', p.device_id, now(), now(), now(), now(), 1, 1, p.geom, 12,
       'placement', array[%s], p.placement_id, p.secret, case when p.secret then p.team end, case when p.secret then p.cell end,
       'new', true, p.team
  from p returning incident_id
"""


def make_incident(database, device="dev-1", area="wijk:WK1", category="alarm"):
    number = database.value(INCIDENT, device, category, area)
    database.execute("select mobeye.add_change(%s, 'new')", number)
    database.execute("select patrol.number_changes()")
    return number


class Board:
    """Identity by a header and a secret on a port of 127.0.0.1, or by a Unix socket and its peers."""

    def __init__(self, database, directory, unix=False, user=None, more=""):
        self.directory, self.unix = directory, unix
        self.path = str(directory / "http.sock")
        self.port, self.metrics_port = free_port(), free_port()
        self.conninfo = make_conninfo(database.conninfo, user="mobeye_board")
        self.file = directory / "board.yaml"
        secret = directory / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        identity = (f"{{header: X-Remote-User, peers: [{user or 'root'}]}}" if unix else
                    f"{{header: X-Remote-User, secret: {{header: X-Proxy-Secret, file: {secret}}}}}")
        listen = f"unix:{self.path}" if unix else f"127.0.0.1:{self.port}"
        self.file.write_text(f"listen: \"{listen}\"\ndatabase: {{conninfo: {json.dumps(self.conninfo)}, connections: 2}}\n"
                             f"identity: {identity}\nhttp: {{listen: \"127.0.0.1:{self.metrics_port}\"}}\n{more}")
        self.process, self.log = None, []

    def start(self, ready=True):
        self.log = []
        self.process = subprocess.Popen([BOARD, "-c", self.file], stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=8"})
        threading.Thread(target=self.log.extend, args=[self.process.stderr], daemon=True).start()
        wait_until(lambda: any("is ready on" in line for line in self.log) or self.process.poll() is not None, "the board runs")
        assert self.process.poll() is None, "".join(self.log)
        if ready:
            wait_until(lambda: self.metric("database_connections") == 2, "the board has its connections")
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        self.process = None
        assert status in (0, -number if number == signal.SIGKILL else 0), f"status {status}\n" + "".join(self.log[-50:])
        assert not SANITIZER.search("".join(self.log)), "".join(self.log)

    def connect(self, receive_buffer=None):
        peer = socket.socket(socket.AF_UNIX if self.unix else socket.AF_INET)
        peer.settimeout(60)
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.connect(self.path if self.unix else ("127.0.0.1", self.port))
        return peer

    def head(self, person, method="GET", path="/api/queue", headers=(), body=b""):
        lines = [f"{method} {path} HTTP/1.1", "Host: board"]
        if person is not None:
            lines.append(f"X-Remote-User: {person}")
        if not self.unix:
            lines.append(f"X-Proxy-Secret: {SECRET}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode() + body

    def raw(self, request):
        """(status, headers, body) of the first response to these bytes, and whether the connection was closed after
        it."""
        with self.connect() as peer:
            peer.sendall(request)
            return read_answer(peer)

    def ask(self, person, path="/api/queue", method="GET", body=None, headers=()):
        data = json.dumps(body).encode() if body is not None else b""
        more = ["Content-Type: application/json"] if body is not None else []
        status, fields, answer = self.raw(self.head(person, method, path, [*more, *headers, "Connection: close"], data))
        return status, (json.loads(answer) if "json" in fields.get("content-type", "") else answer)

    def act(self, person, incident, action, **body):
        return self.ask(person, f"/api/incident/{incident}/{action}", "POST", body)

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(re.search(rf"^mobeye_board_{name} (\d+)$", text, re.M)[1])


def read_more(peer, before):
    part = peer.recv(65536)
    if not part:
        raise ConnectionAbortedError(f"closed after {before!r}")
    return before + part


def read_answer(peer, buffered=b"", method="GET"):
    """(status, headers, body) of one response with a Content-Length."""
    while b"\r\n\r\n" not in buffered:
        buffered = read_more(peer, buffered)
    head, _, body = buffered.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    headers = {}
    for field in fields:
        name, value = field.split(":", 1)
        headers[name.lower()] = value.strip()
    while method != "HEAD" and len(body) < int(headers.get("content-length", 0)):
        body = read_more(peer, body)
    return int(line.split()[1]), headers, body


class Page:
    """Follows the changes, as a browser does."""

    def __init__(self, board, person, after=None, last=None):
        self.peer = board.connect()
        more = [f"Last-Event-ID: {last}"] if last is not None else []
        self.peer.sendall(board.head(person, path="/api/changes" + (f"?after={after}" if after is not None else ""), headers=more))
        self.text, self.closed = "", False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while part := self.peer.recv(65536):
                self.text += part.decode()
        except OSError:
            pass
        self.closed = True

    def events(self, kind="change"):
        # What has no blank line after it has not come whole.
        blocks = re.sub(r"\r\n[0-9a-f]+\r\n|^[0-9a-f]+\r\n", "", self.text.partition("\r\n\r\n")[2]).split("\n\n")[:-1]
        found = []
        for block in blocks:
            fields = dict(re.findall(r"^(id|event|data): (.*)$", block, re.M))
            if fields.get("event") == kind and "data" in fields:
                found.append((int(fields["id"]) if "id" in fields else None, json.loads(fields["data"])))
        return found

    def wait(self, kind, count=1):
        wait_until(lambda: len(self.events(kind)) >= count, f"{count} {kind} in {self.text[-2000:]!r}")
        return self.events(kind)

    def close(self):
        with contextlib.suppress(OSError):  # it has ended already
            self.peer.shutdown(socket.SHUT_RDWR)  # ends the reading too, which close() alone does not
        self.peer.close()
