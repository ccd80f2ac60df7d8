"""A daemon's connection to the database, through a proxy that breaks it at any byte or stalls it."""
import re
import selectors
import socket
import struct
import threading

import pytest
from psycopg.conninfo import conninfo_to_dict

from harness.cluster import Cluster

RESET = struct.pack("ii", 1, 0)
TO_SERVER, TO_DAEMON = 0, 1


class Proxy(threading.Thread):
    """Passes bytes on to the server, and cuts the writer's connection where it is told to. The daemon's others, which
    load the registry and look after silence, are passed on as they are. Stalled, it passes nothing on, of no connection."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.server = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.05)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.cut_in = self.left = None
        self.cuts = 0
        self.flowing = threading.Event()
        self.flowing.set()
        self.ending = False
        self.failure = None
        self.relays = []
        self.start()

    def cut_after(self, direction, count):
        """After `count` more bytes that way, of this connection or those after it."""
        with self.lock:
            self.cut_in, self.left = direction, count

    def stall(self):
        self.flowing.clear()

    def resume(self):
        self.flowing.set()

    def run(self):
        while not self.ending:
            try:
                daemon, _ = self.listener.accept()
            except TimeoutError:
                continue
            self.relays.append(threading.Thread(target=self._serve, args=[daemon], daemon=True))
            self.relays[-1].start()

    def _serve(self, daemon):
        try:
            with daemon, socket.create_connection(self.server) as server:
                self._relay(daemon, server)
        except ConnectionRefusedError:  # the server is down, and so is the way to it
            pass
        except Exception as failure:  # told by close(), in the test's own thread
            self.failure = failure

    def _allowed(self, direction, count):
        """How many of these bytes pass, and whether the connection ends there."""
        with self.lock:
            if self.cut_in != direction:
                return count, False
            if count < self.left:
                self.left -= count
                return count, False
            count, self.cut_in = self.left, None
            return count, True

    def _relay(self, daemon, server):
        with selectors.DefaultSelector() as ready:
            ready.register(daemon, selectors.EVENT_READ, (TO_SERVER, server))
            ready.register(server, selectors.EVENT_READ, (TO_DAEMON, daemon))
            writers = None  # until its startup packet has said who it is
            while not self.ending:
                if not self.flowing.wait(0.05):
                    continue
                for key, _ in ready.select(0.05):
                    direction, to = key.data
                    try:
                        data = key.fileobj.recv(65536)
                        if writers is None and b"application_name\0" in data:
                            writers = re.search(rb"application_name\0mobeyed [^ \0]+\0", data) is not None
                        count, cut = self._allowed(direction, len(data)) if writers else (len(data), False)
                        to.sendall(data[:count])
                    except (ConnectionError, BrokenPipeError):
                        return
                    if cut:
                        self.cuts += 1
                        for end in (daemon, server):
                            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        return
                    if not data:
                        return

    def close(self):
        self.ending = True
        self.join(60)
        for relay in self.relays:
            relay.join(60)
        self.listener.close()
        if self.failure is not None:
            raise self.failure


@pytest.fixture(scope="module")
def cluster_of_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOBEYE_PG_TCP", "1")
        made = Cluster()
    yield made
    made.close()


@pytest.fixture
def proxy(cluster):
    made = Proxy(int(conninfo_to_dict(cluster.conninfo)["port"]))
    yield made
    made.close()
