#!/usr/bin/python3
"""Sends one alert to mobeyed and waits until it is accepted: producer.py ENDPOINT[,ENDPOINT]... [DEVICE [KIND [IMAGE]]]
If a daemon does not reply or its journal is full, the next one is tried: they share a database."""
import datetime
import itertools
import json
import sys
import time
import uuid
import zmq

if len(sys.argv) < 2:
    sys.exit(__doc__)
endpoints = sys.argv[1].split(",")
device = sys.argv[2] if len(sys.argv) > 2 else "NL-0307-00042"
kind = sys.argv[3] if len(sys.argv) > 3 else "motion"
image = [open(sys.argv[4], "rb").read()] if len(sys.argv) > 4 else []  # a frame of its own: JPEG, PNG or WebP
now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
# Source and id identify the alert: it is stored once, however often and to whichever daemon it is sent.
alert = {"specversion": "1.0", "type": "mobeye.alert.v1", "source": "/example/producer", "id": str(uuid.uuid4()),
         "time": now, "data": {"device": device, "kind": kind, "phase": "raise", "text": "Beweging hal"}}
context = zmq.Context()
for turn, endpoint in enumerate(itertools.cycle(endpoints), 1):
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        socket.send_multipart([json.dumps(alert).encode(), *image])
        if not socket.poll(10_000):  # milliseconds
            continue  # no reply: resend it, to the next one
        answer, alert_id, detail, *flags = socket.recv_multipart()
    if answer == b"ACK":
        odd = f", flagged {flags[0].decode()}" if flags and flags[0] else ""  # where the endpoint says reply_flags
        print(f"accepted: {alert_id.decode()} has number {detail.decode()} in the journal of {endpoint}{odd}")
        break
    if answer == b"REJECT":
        sys.exit(f"rejected: {detail.decode()}")
    if turn % len(endpoints) == 0:
        time.sleep(int(detail) / 1000)  # RETRY: no daemon has stored it; try again later
