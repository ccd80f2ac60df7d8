"""Reads a table of messages; the format is described at the head of cloudevents.txt."""

import datetime
import pathlib
import re
from dataclasses import dataclass, field

CLOUDEVENTS = pathlib.Path(__file__).parent / "cloudevents.txt"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass
class Message:
    name: str
    accept: bool
    bytes: bytes
    id: bytes  # of the answer
    flags: set = field(default_factory=set)  # of one that is accepted
    code: str = ""  # of one that is refused, as the next
    field: str = ""
    schema: str = ""  # "passes", "fails", or what follows from the rest


def load(path=CLOUDEVENTS, now=None):
    """The messages of a table in order; `now` is what $NOW stands for, an aware datetime."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    head, *blocks = ("\n" + pathlib.Path(path).read_text("utf-8")).split("\n== ")
    macros = dict(re.findall(r"^\$(\w+) = (.*)$", head, re.MULTILINE))
    return [_message(block, macros, now, f"m-{number}") for number, block in enumerate(blocks, 1)]


def _message(block, macros, now, default_id):
    name, expected, text = block.split("\n", 2)
    verdict, *words = _expand(expected, macros, now, default_id).split(" ")
    options = dict(word.split("=", 1) for word in words if re.match(r"(id|pad|schema)=", word))
    words = [word for word in words if not re.match(r"(id|pad|schema)=", word)]
    data = _bytes(_expand(text.rstrip("\n"), macros, now, default_id)).ljust(int(options.get("pad", 0)))
    message = Message(name, verdict == "accept", data, _bytes(options.get("id", default_id)))
    message.schema = options.get("schema", "")
    if message.accept:
        message.flags = set(words[0].split(",")) if words else set()
    else:
        message.code, message.field = words[0], words[1] if len(words) > 1 else ""
    return message


def _expand(text, macros, now, default_id):
    def one(match):
        count, repeated, word, sign, number, unit = match.groups()
        if count:
            return "".join(repeated.replace("%", str(i)) for i in range(int(count)))
        if word == "NOW":
            shift = datetime.timedelta(**{UNITS[unit]: int(sign + number)}) if unit else datetime.timedelta()
            utc = (now + shift).astimezone(datetime.timezone.utc)
            return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if word == "ID":
            return default_id
        return _expand(macros[word], macros, now, default_id) if word in macros else match.group(0)

    return re.sub(r"\$\((\d+) ([^)]*)\)|\$([A-Z]+)(?:([+-])(\d+)([smhd]))?", one, text)


def _bytes(text):
    raw = text.encode("utf-8")
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda match: bytes([int(match.group(1), 16)]), raw)
