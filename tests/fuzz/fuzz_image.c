/* Any bytes as an image: its header is read only within them, and the result is within the limits of a journal
 * record. */
#include <stdint.h>
#include <stdlib.h>

#include "ingest/image_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str bytes = {(const char *)data, size};
    struct image image;
    bool good = image_read(bytes, &image);
    check(good == (image.kind != IMAGE_NONE) && image.kind < IMAGE_KINDS);
    check(good ? image.bytes.p == bytes.p && image.bytes.len == size : image.bytes.len == 0);
    check(image.width <= IMAGE_SIDE_MAX && image.height <= IMAGE_SIDE_MAX);
    check((image.width == 0) == (image.height == 0));
    return 0;
}
