"""A name server for one test, and programs that ask it alone: they run with another /etc/resolv.conf."""
import os
import random
import socket
import struct
import threading

import pytest

WITH_RESOLV_CONF = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


class NameServer:
    """It answers for the names in `addresses` ({name: [IPv4 address]}), and is silent about all others. If it rotates,
    each answer begins with the second address of the answer before."""

    def __init__(self, directory):
        if os.geteuid() != 0:
            pytest.skip("needs root, for port 53 and a mount")
        self.addresses = {}
        self.rotates = False
        self.asked = []
        self.silent = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.socket.bind((self.address, 53))
        self.file = directory / "resolv.conf"
        self.file.write_text(f"nameserver {self.address}\n")
        # Each program replaces the one before: what is started is what runs in the end.
        self.wrapper = ["unshare", "--mount", "sh", "-c", WITH_RESOLV_CONF, "sh", self.file]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def put_silent_servers_first(self):
        """Each look-up asks two of them before this one: together they take longer than the 3 s that libevent waits for
        the other family. The options, which would not let it come to this one, are not followed."""
        addresses = [f"127.{network}.{random.randrange(256)}.{random.randrange(1, 255)}" for network in (54, 55)]
        for address in addresses:
            self.silent.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.silent[-1].bind((address, 53))
        # libevent asks the first one, then the others from the last to the second.
        order = [addresses[0], self.address, addresses[1]]
        self.file.write_text("".join(f"nameserver {one}\n" for one in order) + "options timeout:30 attempts:1\n")

    def close(self):
        for one in self.silent:
            one.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", (self.address, 53))
        self.thread.join(60)
        self.socket.close()

    def _serve(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            if not query:
                return
            name, at = [], 12
            while query[at]:
                name.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, kind = ".".join(name).lower(), struct.unpack_from("!H", query, at + 1)[0]
            self.asked.append(name)
            if name in self.addresses:
                found = self.addresses[name] if kind == 1 else []
                if found and self.rotates:
                    self.addresses[name] = found[1:] + found[:1]
                records = b"".join(struct.pack("!HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(one) for one in found)
                head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
                self.socket.sendto(head + query[12:at + 5] + records, peer)
