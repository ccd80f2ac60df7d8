#include "model/image.h"

#include <stddef.h>

const char *image_media_type(enum image_kind kind)
{
    static const char *const types[IMAGE_KINDS] = {NULL, "image/jpeg", "image/png", "image/webp"};
    return types[kind];
}
