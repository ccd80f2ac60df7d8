"""Measurement of images: 100 kB each, accepted and stored, against a COPY of the same bytes as bytea."""
import json
import os
import tempfile
import time

import psycopg
import zmq

import databases
import mix
from daemons import daemon
from measurement import Measurement

BYTES = 100_000
WINDOW = 200  # in flight, as a bridge of many cameras has them
COPY_ROWS = 40  # in a transaction of the reference: as many bytes as a batch of the daemon has


def picture(number):
    """A JPEG by its first bytes, the rest random: nothing compresses it."""
    return b"\xff\xd8\xff\xe0" + number.to_bytes(4, "big") + os.urandom(BYTES - 8)


def alert(number):
    return json.dumps({
        "specversion": "1.0", "id": f"image-{number}", "source": "/bench/images", "type": "mobeye.alert.v1",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": {"device": f"NL-0307-{number % 100:05d}", "kind": "camera", "phase": "update", "camera": {"score": 0.3}},
    }).encode()  # fmt: skip


def send(endpoint, pictures):
    """Returns when the first was sent."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.connect(endpoint)
        start, sent, accepted = time.monotonic(), 0, 0
        while accepted < len(pictures):
            while sent < len(pictures) and sent - accepted < WINDOW:
                dealer.send_multipart([b"", alert(sent), pictures[sent]], copy=False)
                sent += 1
            word = dealer.recv_multipart()[1]
            if word != b"ACK":
                raise SystemExit(f"bench: an image was answered {word.decode()}")
            accepted += 1
    return start


def images(bench, _):
    pictures = [picture(number) for number in range(bench.images)]
    database = databases.create("bench")
    with daemon(bench.directory, database, mix.STORE_ONLY) as running:
        start = send(running.endpoint, pictures)
        seconds = running.wait_stored(len(pictures)) - start
    stored = int(databases.psql(database, f"select count(*) from mobeye.snapshot where bytes = {BYTES}"))
    if stored != len(pictures):
        raise SystemExit(f"bench: {stored} images were stored whole (expected {len(pictures)})")
    return {"rate": len(pictures) / seconds, "copy_rate": copy(pictures)}


def copy(pictures):
    database = databases.create("bench", "template0")
    databases.psql(database, "create table image (id bigint primary key, bytes bytea)",
                   "alter table image alter bytes set storage external")  # fmt: skip
    with psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True) as connection:
        start = time.monotonic()
        for first in range(0, len(pictures), COPY_ROWS):
            with connection.cursor().copy("copy image from stdin (format binary)") as rows:
                rows.set_types(["int8", "bytea"])
                for number in range(first, min(first + COPY_ROWS, len(pictures))):
                    rows.write_row((number, pictures[number]))
        return len(pictures) / (time.monotonic() - start)


MEASUREMENTS = {
    "images": Measurement("images of 100 kB", images, lambda bench: bench.images / 500 + 4),
}
