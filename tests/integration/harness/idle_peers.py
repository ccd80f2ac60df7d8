"""DEALERs that send nothing but what keeps them alive, in a process of its own: its descriptors are not the test's.

As a program: opens COUNT connections to PORT, prints COUNT when all are ready, answers heartbeats until its input ends,
and prints how many of them were closed by the other side."""
import resource
import selectors
import socket
import subprocess
import sys

if __package__:
    from .zmtp import handshake
else:
    from zmtp import handshake

PING, PONG = b"\x04PING", b"\x04PONG"


class IdlePeers:
    """For use with `with`; closed() ends them and returns how many had been closed."""

    def __init__(self, address, count):
        self.count = count
        self.process = subprocess.Popen([sys.executable, __file__, address.rsplit(":", 1)[1], str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        assert self.process.stdout.readline() == f"{self.count}\n"
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.communicate()

    def closed(self):
        return int(self.process.communicate()[0])


def answer(data):
    """The replies to what arrived: a PONG for each PING. The daemon sends nothing else to a peer that never sent
    anything."""
    replies = data.count(PING)
    return (b"\x04" + bytes([len(PONG)]) + PONG) * replies


def serve(connections):
    closed = 0
    with selectors.DefaultSelector() as waiting:
        waiting.register(sys.stdin, selectors.EVENT_READ)
        for connection in connections:
            waiting.register(connection, selectors.EVENT_READ)
        while True:
            for ready, _ in waiting.select():
                if ready.fileobj is sys.stdin:
                    return closed
                try:
                    data = ready.fileobj.recv(65536)
                except ConnectionError:
                    data = b""
                if data:
                    ready.fileobj.sendall(answer(data))
                else:
                    waiting.unregister(ready.fileobj)
                    closed += 1


def main(port, count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    connections = []
    for start in range(0, count, 200):  # fewer than wait to be accepted
        some = [socket.create_connection(("127.0.0.1", port)) for _ in range(min(200, count - start))]
        for one in some:
            one.settimeout(60)
            handshake(one)
        connections += some
    print(len(connections), flush=True)
    print(serve(connections), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
