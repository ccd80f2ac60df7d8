"""A Frigate for the demo: mosquitto, an HTTP interface that knows two events, and mobeye-frigate, which sends them to the
daemon. play runs it after the night."""
import http.server
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import drawing


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def events(now):
    """One that MQTT reports, and one that MQTT has lost: in progress, and ended ten minutes ago."""
    live = {"id": f"{now - 5:.6f}-demo1", "camera": "nieuwland", "label": "person", "top_score": 0.91, "false_positive": False,
            "start_time": now - 5, "end_time": None, "frame_time": now, "box": [100, 90, 200, 360], "entered_zones": ["stoep"],
            "stationary": False, "has_snapshot": True}
    lost = {"id": f"{now - 600:.6f}-demo2", "camera": "hoogland", "label": "car", "zones": [], "start_time": now - 600,
            "end_time": now - 590, "has_snapshot": True, "top_score": None, "false_positive": None,
            "data": {"top_score": 0.83, "box": [0.1, 0.5, 0.3, 0.2]}}
    return live, lost


class Handler(http.server.BaseHTTPRequestHandler):
    """/api/config, /api/version, /api/events, /api/events/ID/snapshot.jpg; the server has `known` and `image`."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body, status = b"{}", 200
        if url.path == "/api/config":
            body = b'{"cameras": {"nieuwland": {"detect": {"width": 1000, "height": 500}}}}'
        elif url.path == "/api/version":
            body = b"demo"
        elif url.path == "/api/events":
            found = [one for one in self.server.known if float(query.get("after", 0)) < one["start_time"] < float(query.get("before", 1e12))
                     and (query.get("in_progress") != "1" or one["end_time"] is None)]
            body = json.dumps(found).encode()
        elif url.path.endswith("/snapshot.jpg"):
            body = self.server.image
        else:
            status = 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def publish(port, topic, message):
    """One message, by MQTT 3.1.1."""
    def packet(kind, body):
        length = b""
        rest = len(body)
        while rest or not length:
            rest, digit = divmod(rest, 128)
            length += bytes([digit | (0x80 if rest else 0)])
        return bytes([kind]) + length + body

    def text(data):
        return struct.pack(">H", len(data)) + data
    with socket.create_connection(("127.0.0.1", port), timeout=10) as broker:
        broker.sendall(packet(0x10, text(b"MQTT") + b"\x04\x02\x00\x00" + text(b"frigate")))
        broker.recv(4)
        broker.sendall(packet(0x30, text(topic.encode()) + json.dumps(message).encode()) + b"\xe0\x00")


class Frigate:
    """Runs until stop()."""

    def __init__(self, directory, program, to):
        self.directory, self.program, self.to = pathlib.Path(directory), program, to
        self.mqtt, self.http = free_port(), f"127.0.0.1:{free_port()}"
        self.log = self.directory / "frigate.log"
        self.processes, self.server = [], None
        self.live, self.lost = events(time.time())

    @staticmethod
    def possible():
        return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin") is not None

    def run(self, *command):
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def start(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.known, self.server.image = [self.lost], drawing.street(time.strftime("%H:%M:%S"), 400, 455, (0, 1, None, None))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        broker = self.directory / "mosquitto.conf"
        broker.write_text(f"listener {self.mqtt} 127.0.0.1\nallow_anonymous true\n")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
        self.run(program, "-c", broker)
        state = self.directory / "frigate"
        state.mkdir()
        file = self.directory / "mobeye-frigate.yaml"
        file.write_text(json.dumps({
            "name": "noord", "mqtt": {"host": "127.0.0.1", "port": self.mqtt}, "to": [self.to], "state": str(state),
            "api": {"url": f"http://127.0.0.1:{self.server.server_address[1]}"}, "images": {"height": 180},
            "cameras": {"nieuwland": {"device": "CAM-NIEUWLAND-1"}, "hoogland": {"device": "CAM-HOOGLAND-1"}},
            "http": {"listen": self.http}}))
        self.run(self.program, "-c", file)

    def tell(self):
        """The event in progress, by MQTT."""
        publish(self.mqtt, "frigate/events", {"type": "new", "before": self.live, "after": self.live})
        self.server.known.append({**self.lost, "id": self.live["id"], "camera": "nieuwland", "label": "person", "end_time": None,
                                  "start_time": self.live["start_time"], "zones": self.live["entered_zones"],
                                  "data": {"top_score": self.live["top_score"], "box": [0.1, 0.18, 0.1, 0.54]}})

    def ids(self):
        """The resulting alerts."""
        return [f"{self.lost['id']}:{what}" for what in ("new", "end", "image")] + \
               [f"{self.live['id']}:{what}" for what in ("new", "image")]

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
