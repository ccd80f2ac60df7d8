#!/usr/bin/python3
"""Sends one alert to mobeyed and waits until it is safe: producer.py ENDPOINT[,ENDPOINT]... [DEVICE [KIND]]
Of several daemons the next one is tried where one does not answer or has no room: they share a database."""
import datetime
import itertools
import sys
import time
import uuid
import zmq

if len(sys.argv) < 2:
    sys.exit(__doc__)
endpoints = sys.argv[1].split(",")
device = sys.argv[2] if len(sys.argv) > 2 else "NL-0307-00042"
kind = sys.argv[3] if len(sys.argv) > 3 else "motion"
now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
# Source and id are its identity: however often it is sent, and to whom, it is one alert.
alert = {"specversion": "1.0", "type": "mobeye.alert.v1", "source": "/example/producer", "id": str(uuid.uuid4()),
         "time": now, "data": {"device": device, "kind": kind, "phase": "raise", "text": "Beweging hal"}}
context = zmq.Context()
for turn, endpoint in enumerate(itertools.cycle(endpoints), 1):
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(endpoint)
        socket.send_json(alert)
        if not socket.poll(10_000):  # milliseconds
            continue  # no reply: send it again, to the next one
        answer, alert_id, detail = socket.recv_multipart()
    if answer == b"ACK":
        print(f"accepted: {alert_id.decode()} is number {detail.decode()} in the journal of {endpoint}")
        break
    if answer == b"REJECT":
        sys.exit(f"refused for good: {detail.decode()}")
    if turn % len(endpoints) == 0:
        time.sleep(int(detail) / 1000)  # RETRY: not stored, and nowhere else to go; come back later
