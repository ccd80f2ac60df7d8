/* What the first bytes of an image reveal. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/image_header.h"

#define PNG "\x89PNG\r\n\x1a\n"
#define BYTES(literal)                                                                                                 \
    {                                                                                                                  \
        (literal), sizeof(literal) - 1                                                                                 \
    }

struct sample {
    const char *name;
    struct {
        const char *p;
        size_t len;
    } bytes;
    enum image_kind kind; /* IMAGE_NONE: it is dropped */
    uint32_t width, height;
};

static const struct sample samples[] = {
    {"JPEG, baseline, after JFIF",
     BYTES("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\x02\xd0\x05\x00\x03"), IMAGE_JPEG, 1280,
     720},
    {"JPEG, progressive, after fill bytes", BYTES("\xff\xd8\xff\xff\xff\xc2\0\x0b\x08\0\x01\0\x02\1"), IMAGE_JPEG, 2,
     1},
    {"JPEG, Huffman table first", BYTES("\xff\xd8\xff\xc4\0\x03\0\xff\xc0\0\x0b\x08\0\x03\0\x04\1"), IMAGE_JPEG, 4, 3},
    {"JPEG, the size cut off", BYTES("\xff\xd8\xff\xc0\0\x11\x08\x02\xd0\x05"), IMAGE_JPEG, 0, 0},
    {"JPEG, nothing but its first bytes", BYTES("\xff\xd8\xff"), IMAGE_JPEG, 0, 0},
    {"JPEG, a segment that ends beyond it", BYTES("\xff\xd8\xff\xe1\xff\xff ab"), IMAGE_JPEG, 0, 0},
    {"JPEG, a segment without length", BYTES("\xff\xd8\xff\xe1\0\0\xff\xc0\0\x11\x08\0\1\0\1\3"), IMAGE_JPEG, 0, 0},
    {"JPEG, scan before frame header", BYTES("\xff\xd8\xff\xda\0\x02\xff\xc0\0\x11\x08\0\1\0\1\3"), IMAGE_JPEG, 0, 0},
    {"JPEG, no marker where one is due", BYTES("\xff\xd8\xff\xe0\0\x02\0\xc0\0\x11\x08\0\1\0\1\3"), IMAGE_JPEG, 0, 0},
    {"JPEG, height to come later (0)", BYTES("\xff\xd8\xff\xc0\0\x0b\x08\0\0\0\x04\1"), IMAGE_JPEG, 0, 0},
    {"JPEG, a frame header too short", BYTES("\xff\xd8\xff\xc0\0\x07\x08\0\1\0\1"), IMAGE_JPEG, 0, 0},
    {"PNG", BYTES(PNG "\0\0\0\15IHDR\0\0\x07\x80\0\0\x04\x38\x08\2\0\0\0"), IMAGE_PNG, 1920, 1080},
    {"PNG without its header", BYTES(PNG), IMAGE_PNG, 0, 0},
    {"PNG, another chunk first", BYTES(PNG "\0\0\0\15CgBI\0\0\x07\x80\0\0\x04\x38"), IMAGE_PNG, 0, 0},
    {"PNG of 4 billion columns", BYTES(PNG "\0\0\0\15IHDR\xff\xff\xff\xff\0\0\0\1\x08\2\0\0\0"), IMAGE_PNG, 0, 0},
    {"PNG of no rows", BYTES(PNG "\0\0\0\15IHDR\0\0\0\1\0\0\0\0\x08\2\0\0\0"), IMAGE_PNG, 0, 0},
    {"WebP, lossy", BYTES("RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\1\0\x9d\x01\x2a\x80\x02\xe0\x01"), IMAGE_WEBP, 640,
     480},
    {"WebP, lossy, scaled", BYTES("RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\1\0\x9d\x01\x2a\x80\x42\xe0\xc1"), IMAGE_WEBP,
     640, 480},
    {"WebP, lossless", BYTES("RIFF\x24\0\0\0WEBPVP8L\x18\0\0\0\x2f\x7f\xc2\x77\x00\0\0\0\0\0"), IMAGE_WEBP, 640, 480},
    {"WebP, extended", BYTES("RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x7f\x02\0\xdf\x01\0"), IMAGE_WEBP, 640, 480},
    {"WebP, lossy, without its start code",
     BYTES("RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\1\0\x9d\x01\x2b\x80\x02\xe0\x01"), IMAGE_WEBP, 0, 0},
    {"WebP, cut off", BYTES("RIFF\x24\0\0\0WEBP"), IMAGE_WEBP, 0, 0},
    {"nothing", BYTES(""), IMAGE_NONE, 0, 0},
    {"GIF", BYTES("GIF89a\1\0\1\0"), IMAGE_NONE, 0, 0},
    {"JPEG, two bytes of it", BYTES("\xff\xd8"), IMAGE_NONE, 0, 0},
    {"PNG, seven bytes of it", BYTES("\x89PNG\r\n\x1a"), IMAGE_NONE, 0, 0},
    {"RIFF, a sound", BYTES("RIFF\x24\0\0\0WAVEfmt "), IMAGE_NONE, 0, 0},
    {"SVG", BYTES("<svg xmlns='http://www.w3.org/2000/svg'/>"), IMAGE_NONE, 0, 0},
};

/* In memory of exactly their length, for the sanitizer. */
static void expect(const struct sample *sample, size_t len)
{
    char *bytes = malloc(len);
    struct image image;
    if (len > 0)
        memcpy(bytes, sample->bytes.p, len);
    bool good = image_read((struct str){bytes, len}, &image);
    if (len == sample->bytes.len) {
        cr_expect_eq(good, sample->kind != IMAGE_NONE, "%s", sample->name);
        cr_expect_eq(image.kind, sample->kind, "%s: kind %d", sample->name, image.kind);
        cr_expect(image.width == sample->width && image.height == sample->height, "%s: %u x %u", sample->name,
                  image.width, image.height);
    }
    cr_expect_eq(good, image.kind != IMAGE_NONE, "%s, %zu bytes", sample->name, len);
    cr_expect_eq(image.bytes.len, good ? len : 0, "%s, %zu bytes", sample->name, len);
    free(bytes);
}

Test(image_header, says_kind_and_size)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        expect(&samples[i], samples[i].bytes.len);
}

Test(image_header, reads_nothing_beyond_a_truncated_image)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        for (size_t len = 0; len < samples[i].bytes.len; len++)
            expect(&samples[i], len);
}

Test(image_header, takes_a_million_bytes_and_no_more)
{
    struct image image;
    char *bytes = calloc(1, IMAGE_BYTES_MAX + 1);
    memcpy(bytes, "\xff\xd8\xff", 3);
    cr_expect(image_read((struct str){bytes, IMAGE_BYTES_MAX}, &image));
    cr_expect_not(image_read((struct str){bytes, IMAGE_BYTES_MAX + 1}, &image));
    cr_expect_eq(image.bytes.len, 0);
    free(bytes);
}

/* Endless segments would be a way to keep the daemon busy. */
Test(image_header, gives_up_on_endless_segments)
{
    struct image image;
    char *bytes = malloc(IMAGE_BYTES_MAX);
    for (size_t i = 0; i + 4 <= IMAGE_BYTES_MAX; i += 4)
        memcpy(bytes + i, "\xff\xe0\0\2", 4);
    memcpy(bytes, "\xff\xd8\xff\xff", 4);
    memcpy(bytes + 4000, "\xff\xc0\0\x0b\x08\0\1\0\1\1\0\0", 12);
    cr_expect(image_read((struct str){bytes, IMAGE_BYTES_MAX}, &image));
    cr_expect_eq(image.width, 0);
    free(bytes);
}

Test(image_header, names_the_media_type_of_each_kind)
{
    cr_expect_str_eq(image_media_type(IMAGE_JPEG), "image/jpeg");
    cr_expect_str_eq(image_media_type(IMAGE_PNG), "image/png");
    cr_expect_str_eq(image_media_type(IMAGE_WEBP), "image/webp");
    cr_expect_null(image_media_type(IMAGE_NONE));
}
