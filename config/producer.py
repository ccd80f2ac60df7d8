#!/usr/bin/python3
"""Sends one alert to mobeyed and waits until it is safe."""
import argparse
import datetime
import sys
import time
import uuid

import zmq

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("endpoint", help="tcp://HOST:PORT or ipc://PATH")
parser.add_argument("device", nargs="?", default="NL-0307-00042")
parser.add_argument("kind", nargs="?", default="motion")
args = parser.parse_args()
alert = {
    "specversion": "1.0", "type": "mobeye.alert.v1",
    "source": "/example/producer", "id": str(uuid.uuid4()),  # its identity: sent twice, it is still one alert
    "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
    "data": {"device": args.device, "kind": args.kind, "phase": "raise", "text": "Beweging hal"},
}
socket = zmq.Context().socket(zmq.DEALER)
socket.linger = 0
socket.connect(args.endpoint)
while True:
    socket.send_json(alert)
    if not socket.poll(10_000):  # milliseconds
        print("no reply yet, sending it again", file=sys.stderr)
        continue
    answer, alert_id, detail = socket.recv_multipart()
    if answer == b"ACK":
        print(f"accepted: {alert_id.decode()} is number {detail.decode()} in the journal")
        break
    if answer == b"REJECT":
        sys.exit(f"refused for good: {detail.decode()}")
    time.sleep(int(detail) / 1000)  # RETRY: not stored, come back later
