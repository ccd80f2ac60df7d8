"""Images to send: their headers are real, the rest is noise, which nothing may decode."""
import hashlib
import random
import struct


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def jpeg(size=2000, width=1280, height=720, seed=0):
    head = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\3"
    return head + noise(size - len(head), seed)


def png(size=2000, width=640, height=480, seed=0):
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return head + noise(size - len(head), seed)


def webp(size=2000, width=320, height=240, seed=0):
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    head = b"RIFF" + struct.pack("<I", size - 8) + b"WEBPVP8X\x0a\0\0\0\0\0\0\0" + sides
    return head + noise(size - len(head), seed)


def image_of(event_id):
    """The image of the alert with that id, the same whenever it is asked for: one in four has one, few are large."""
    chance = random.Random(event_id)
    if chance.random() > 0.25:
        return None
    size = 120_000 if chance.random() < 0.02 else chance.randrange(200, 4000)
    return chance.choice((jpeg, png, webp))(size, seed=event_id)


def sha256(image):
    return hashlib.sha256(image).hexdigest()
