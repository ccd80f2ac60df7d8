"""Alerts to send."""
import datetime
import json

SOURCE = "/test/gateway"


def now(minutes_ago=0):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def alert(event_id, source=SOURCE, device="NL-0307-00042", kind="motion", **data):
    """A good alert as a dict; what is given by name goes into `data`."""
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": source,
        "type": "mobeye.alert.v1",
        "time": now(),
        "data": {"device": device, "kind": kind, **data},
    }


def encode(message):
    return message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()


def alerts(count, prefix="a", source=SOURCE, **data):
    return [alert(f"{prefix}-{n:06}", source, **data) for n in range(count)]


def padded(event_id, size):
    """A good alert of exactly `size` bytes."""
    message = alert(event_id)
    message["padding"] = ""
    message["padding"] = "x" * (size - len(encode(message)))
    assert len(encode(message)) == size
    return encode(message)
