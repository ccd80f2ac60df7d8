#include "ingest/image_header.h"

#include <string.h>

#include "base/array.h"

/* Segments and fill bytes of a JPEG that are skipped on the way to its frame header: far more than cameras write. */
#define JPEG_STEPS_MAX 256

static bool has(struct str bytes, size_t at, const char *expected, size_t len)
{
    return bytes.len >= len && at <= bytes.len - len && memcmp(bytes.p + at, expected, len) == 0;
}

static uint32_t byte(struct str bytes, size_t at)
{
    return (uint8_t)bytes.p[at];
}

static uint32_t big16(struct str bytes, size_t at)
{
    return byte(bytes, at) << 8 | byte(bytes, at + 1);
}

static uint32_t little16(struct str bytes, size_t at)
{
    return byte(bytes, at) | byte(bytes, at + 1) << 8;
}

static uint32_t little24(struct str bytes, size_t at)
{
    return little16(bytes, at) | byte(bytes, at + 2) << 16;
}

static void set_size(struct image *image, uint32_t width, uint32_t height)
{
    if (width < 1 || width > IMAGE_SIDE_MAX || height < 1 || height > IMAGE_SIDE_MAX)
        return;
    image->width = width;
    image->height = height;
}

/* SOF0 to SOF15; three of those numbers are other markers. */
static bool is_frame_header(uint32_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Markers without a length: TEM, and RST0 to EOI. */
static bool stands_alone(uint32_t marker)
{
    return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd9);
}

/* Goes marker by marker to the frame header, which precedes the first scan. */
static void read_jpeg_size(struct str b, struct image *image)
{
    size_t at = 2;
    for (unsigned step = 0; step < JPEG_STEPS_MAX && b.len >= 4 && at <= b.len - 4; step++) {
        uint32_t marker = byte(b, at + 1);
        if (byte(b, at) != 0xff)
            return;
        if (marker == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        if (marker == 0x00 || marker == 0xda || stands_alone(marker))
            return;
        uint32_t length = big16(b, at + 2);
        if (is_frame_header(marker)) {
            if (length >= 8 && b.len - at >= 9)
                set_size(image, big16(b, at + 7), big16(b, at + 5));
            return;
        }
        if (length < 2)
            return;
        at += 2 + length;
    }
}

static void read_png_size(struct str b, struct image *image)
{
    if (!has(b, 8, "\0\0\0\15IHDR", 8) || b.len < 24 || byte(b, 16) != 0 || byte(b, 20) != 0)
        return;
    set_size(image, byte(b, 17) << 16 | big16(b, 18), byte(b, 21) << 16 | big16(b, 22));
}

/* The first chunk: lossy, lossless, or extended. */
static void read_webp_size(struct str b, struct image *image)
{
    if (b.len < 30)
        return;
    if (has(b, 12, "VP8 ", 4) && has(b, 23, "\x9d\x01\x2a", 3)) {
        set_size(image, little16(b, 26) & 0x3fff, little16(b, 28) & 0x3fff);
    } else if (has(b, 12, "VP8L", 4) && byte(b, 20) == 0x2f) {
        uint32_t bits = little24(b, 21) | byte(b, 24) << 24;
        set_size(image, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
    } else if (has(b, 12, "VP8X", 4)) {
        set_size(image, little24(b, 24) + 1, little24(b, 27) + 1);
    }
}

bool image_read(struct str bytes, struct image *ret)
{
    static const struct {
        enum image_kind kind;
        void (*read_size)(struct str bytes, struct image *image);
    } kinds[] = {{IMAGE_JPEG, read_jpeg_size}, {IMAGE_PNG, read_png_size}, {IMAGE_WEBP, read_webp_size}};
    bool is[] = {has(bytes, 0, "\xff\xd8\xff", 3), has(bytes, 0, "\x89PNG\r\n\x1a\n", 8),
                 has(bytes, 0, "RIFF", 4) && has(bytes, 8, "WEBP", 4)};
    *ret = (struct image){0};
    for (size_t i = 0; bytes.len <= IMAGE_BYTES_MAX && i < ARRAY_LEN(kinds); i++) {
        if (!is[i])
            continue;
        *ret = (struct image){.bytes = bytes, .kind = kinds[i].kind};
        kinds[i].read_size(bytes, ret);
        return true;
    }
    return false;
}
