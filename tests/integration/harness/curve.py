"""Keys of CURVE, and the list of clients."""
import json
import os

import zmq


class Key:
    """A pair, and whom it goes to as a client."""

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
