"""F, the reference: the same alerts by a plain COPY into a table that never changes with ours.

By psql, binary, one transaction each 5,000 alerts with two COPYs: the identities, sorted, and the alerts."""
import calendar
import functools
import hashlib
import json
import struct
import subprocess
import time

from daemons import sender_command
from databases import create, psql, server_cpu_s

BATCH = 5000
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
POSTGRES_EPOCH_S = calendar.timegm((2000, 1, 1, 0, 0, 0))
TABLES = """
create table alert (source text, event_id text, device text collate "C", kind text, occurred_at timestamptz,
                    received_at timestamptz, payload text);
create index on alert (device, occurred_at);
create index on alert using brin (received_at);
create table identity (id uuid primary key, stored_on date);
"""


def copy_row(*fields):
    return struct.pack("!h", len(fields)) + b"".join(struct.pack("!i", len(field)) + field for field in fields)


def timestamp(unix_s):
    return struct.pack("!q", (unix_s - POSTGRES_EPOCH_S) * 1_000_000)


@functools.lru_cache
def occurred(text):
    return timestamp(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))


def write_batch(alerts, identities, payloads):
    received = timestamp(int(time.time()))
    today = struct.pack("!i", (int(time.time()) - POSTGRES_EPOCH_S) // 86400)
    hashes = []
    with open(alerts, "wb") as file:
        file.write(SIGNATURE)
        for payload in payloads:
            alert = json.loads(payload)
            source, event = alert["source"].encode(), alert["id"].encode()
            hashes.append(hashlib.blake2b(source + b"\0" + event, digest_size=16).digest())
            data = alert["data"]
            file.write(copy_row(source, event, data["device"].encode(), data["kind"].encode(), occurred(alert["time"]),
                                received, payload))  # fmt: skip
        file.write(struct.pack("!h", -1))
    with open(identities, "wb") as file:
        file.write(SIGNATURE + b"".join(copy_row(one, today) for one in sorted(hashes)) + struct.pack("!h", -1))


def write_files(directory, count):
    """The alerts as files of a batch each, and the script that copies them in; returns the script."""
    script = directory / "copy.sql"
    with subprocess.Popen(sender_command(count, "copy", "--print"), stdout=subprocess.PIPE) as sender, open(script, "w") as file:
        payloads = [line.rstrip(b"\n") for line in sender.stdout]
        for first in range(0, count, BATCH):
            alerts, identities = directory / f"{first}.alert", directory / f"{first}.identity"
            write_batch(alerts, identities, payloads[first : first + BATCH])
            print(f"begin;\n\\copy identity from '{identities}' (format binary)\n"
                  f"\\copy alert from '{alerts}' (format binary)\ncommit;", file=file)  # fmt: skip
    if sender.returncode != 0:
        raise SystemExit("bench: the alerts of the COPY could not be generated")
    return script


def copy_all(script, count):
    database = create("bench", "template0")
    psql(database, TABLES)
    cpu, start = server_cpu_s(), time.monotonic()
    psql(database, script=script)
    seconds, cpu = time.monotonic() - start, server_cpu_s() - cpu
    stored = int(psql(database, "select count(*) from alert"))
    if stored != count:
        raise SystemExit(f"bench: the COPY stored {stored} alerts (expected {count})")
    return {"rate": count / seconds, "server_cpu_us": cpu / count * 1e6}
