"""Drawn pictures of a street at night, as a camera would send them: PNG with a palette, of nobody and nowhere."""
import struct
import zlib

WIDTH, HEIGHT = 640, 360
COLOURS = {
    "sky 0": (10, 14, 26), "sky 1": (14, 19, 34), "sky 2": (19, 26, 44), "sky 3": (26, 34, 54), "moon": (214, 218, 226),
    "wall": (44, 40, 42), "wall lit": (92, 80, 64), "roof": (28, 26, 30), "dark window": (22, 25, 33), "window": (226, 186, 104),
    "door": (34, 30, 31), "path": (62, 62, 66), "path lit": (122, 112, 92), "street": (30, 31, 36), "street lit": (66, 62, 58),
    "post": (70, 72, 76), "lamp": (255, 240, 200), "hedge": (24, 34, 28), "person": (8, 9, 12), "bag": (20, 18, 22),
    "box": (255, 168, 0), "text": (230, 230, 230),
}
NAMES = list(COLOURS)
# The digits of the clock in the corner, three by five.
GLYPHS = {"0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71111",
          "8": "75757", "9": "75717", ":": "02020"}


class Picture:
    def __init__(self):
        self.rows = [bytearray(WIDTH) for _ in range(HEIGHT)]

    def rectangle(self, left, top, right, bottom, colour):
        index = NAMES.index(colour)
        left, right = max(0, left), min(WIDTH, right)
        for row in self.rows[max(0, top):min(HEIGHT, bottom)]:
            row[left:right] = bytes([index]) * (right - left)

    def polygon(self, points, colour):
        """Row by row, between the edges."""
        for y in range(max(0, min(y for _, y in points)), min(HEIGHT, max(y for _, y in points) + 1)):
            crossings = sorted(x0 + (y - y0) * (x1 - x0) // (y1 - y0) for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1])
                               if min(y0, y1) <= y < max(y0, y1))
            for left, right in zip(crossings[::2], crossings[1::2]):
                self.rectangle(left, y, right + 1, y + 1, colour)

    def disc(self, x, y, radius, colour):
        for row in range(y - radius, y + radius + 1):
            half = int((radius ** 2 - (row - y) ** 2) ** 0.5)
            self.rectangle(x - half, row, x + half + 1, row + 1, colour)

    def frame(self, left, top, right, bottom, colour):
        for edge in ((left, top, right, top + 2), (left, bottom - 2, right, bottom), (left, top, left + 2, bottom),
                     (right - 2, top, right, bottom)):
            self.rectangle(*edge, colour)

    def clock(self, left, top, text):
        for letter in text:
            for y, bits in enumerate(GLYPHS[letter]):
                for x in range(3):
                    if int(bits) >> (2 - x) & 1:
                        self.rectangle(left + 4 * x, top + 4 * y, left + 4 * x + 4, top + 4 * y + 4, "text")
            left += 16

    def png(self):
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
        palette = bytes(part for colour in COLOURS.values() for part in colour)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self.rows), 9)
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in (
            (b"IHDR", head), (b"PLTE", palette), (b"IDAT", pixels), (b"IEND", b"")))


def house(picture, left, width, lit):
    """With a roof, two windows above, a door and a window below."""
    right = left + width
    picture.polygon([(left - 8, 130), (left + width // 2, 70), (right + 8, 130)], "roof")
    picture.rectangle(left, 130, right, 262, "wall")
    for number, (x, y) in enumerate(((left + 18, 148), (right - 50, 148), (right - 60, 206))):
        picture.rectangle(x, y, x + 32, y + 34, "window" if number == lit else "dark window")
        picture.rectangle(x + 15, y, x + 17, y + 34, "wall")
    picture.rectangle(left + 20, 204, left + 48, 262, "door")


def person(picture, x, foot):
    """In a hood, with a bag, bent forward; and the box that the camera draws around."""
    picture.polygon([(x - 12, foot - 62), (x + 16, foot - 66), (x + 14, foot - 34), (x - 14, foot - 34)], "person")
    picture.polygon([(x - 13, foot - 36), (x + 1, foot - 36), (x - 6, foot), (x - 18, foot)], "person")
    picture.polygon([(x, foot - 36), (x + 14, foot - 36), (x + 20, foot), (x + 9, foot)], "person")
    picture.polygon([(x + 8, foot - 60), (x + 18, foot - 58), (x + 34, foot - 42), (x + 28, foot - 37)], "person")
    picture.disc(x + 8, foot - 76, 11, "person")
    picture.polygon([(x - 24, foot - 58), (x - 8, foot - 60), (x - 10, foot - 34), (x - 26, foot - 36)], "bag")
    picture.frame(x - 34, foot - 96, x + 42, foot + 8, "box")


def street(time, lamp, at, lit):
    """The picture of a camera: the time in its corner, a lamp at x, a person at x, which windows are lit."""
    picture = Picture()
    for band in range(4):
        picture.rectangle(0, band * 36, WIDTH, band * 36 + 60, f"sky {band}")
    picture.disc(70, 44, 15, "moon")
    picture.disc(77, 40, 14, "sky 1")
    for number, left in enumerate((20, 180, 340, 500)):
        house(picture, left, 130, lit[number])
    picture.rectangle(0, 262, WIDTH, 296, "path")
    picture.rectangle(0, 296, WIDTH, HEIGHT, "street")
    picture.polygon([(lamp - 12, 120), (lamp + 12, 120), (lamp + 120, 262), (lamp - 120, 262)], "wall lit")
    picture.polygon([(lamp - 120, 262), (lamp + 120, 262), (lamp + 150, 296), (lamp - 150, 296)], "path lit")
    picture.polygon([(lamp - 150, 296), (lamp + 150, 296), (lamp + 180, 344), (lamp - 180, 344)], "street lit")
    for x in range(10, WIDTH, 160):
        picture.polygon([(x - 24, 290), (x - 18, 250), (x + 10, 244), (x + 26, 290)], "hedge")
    picture.rectangle(lamp - 3, 104, lamp + 3, 300, "post")
    picture.polygon([(lamp - 14, 118), (lamp - 8, 100), (lamp + 8, 100), (lamp + 14, 118)], "lamp")
    person(picture, at, 286)
    picture.clock(WIDTH - 16 * len(time) - 12, 14, time)
    return picture.png()
