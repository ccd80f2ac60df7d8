"""Keys of CURVE, and the list of clients."""
import json
import os

import zmq

from .paths import free_port


class Key:
    """A key pair, and the client that it belongs to."""

    def __init__(self, server=None):
        self.public, self.secret = (key.decode() for key in zmq.curve_keypair())
        self.server = server

    def open(self, socket):
        socket.curve_publickey = self.public.encode()
        socket.curve_secretkey = self.secret.encode()
        socket.curve_serverkey = self.server.public.encode()

    def serve(self, socket):
        socket.curve_server = True
        socket.curve_secretkey = self.secret.encode()

    def write(self, file, mode=0o600):
        file.unlink(missing_ok=True)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, mode), "w") as opened:
            opened.write(self.secret + "\n")
        return file


class Clients:
    """The file of clients: what is on it is given by name, as {"name": (key, devices, until)}. Sources: by `sources`."""

    def __init__(self, file):
        self.file = file
        self.sources = {}

    def write(self, **clients):
        lines = ["clients:"] if clients else ["clients: []"]
        for name, (key, devices, *until) in clients.items():
            lines.append(f"  - {{name: {name}, key: {json.dumps(key.public)}, devices: {json.dumps(devices)}"
                         f", sources: {json.dumps(self.sources.get(name, '*'))}"
                         + (f", until: {until[0]}}}" if until else "}"))
        self.file.write_text("\n".join(lines) + "\n")


class Site:
    """A daemon with a server key and a list of clients; its router `door` speaks CURVE over TCP."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.server = Key()
        self.key_file = self.server.write(daemon.directory / "server.key")
        self.clients = Clients(daemon.directory / "clients.yaml")
        daemon.conf.set(more=f"security: {{server_key: {self.key_file}, clients: {self.clients.file}}}\n"
                             "timezone: UTC\n", endpoints=[self.endpoint()])

    def endpoint(self, name="door", **keys):
        if "connect" not in keys:
            keys.setdefault("bind", f"tcp://127.0.0.1:{free_port()}")
        return self.daemon.conf.endpoint(name, **keys)

    def client(self):
        return Key(self.server)

    def start(self, **clients):
        self.clients.write(**clients)
        self.daemon.start()
        return self

    def reload(self, **clients):
        self.clients.write(**clients)
        self.daemon.hang_up()
        assert self.reloaded()

    def reloaded(self):
        return self.daemon.metric("config_last_reload_successful") == 1

    def refused(self, count=1, **labels):
        self.daemon.wait_metric("handshakes_refused_total", lambda value: value >= count, **labels)
