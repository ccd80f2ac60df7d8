/*
 * The image of an alert: bytes that are stored without being decoded.
 */
#ifndef MOBEYE_MODEL_IMAGE_H
#define MOBEYE_MODEL_IMAGE_H

#include "base/buf.h"

/* Limits of the contract; a side that a header cannot express is not a side. */
enum { IMAGE_BYTES_MAX = 1000000, IMAGE_SIDE_MAX = 0xffffff };

/* The numbers are written to the journal: never renumber, only append. */
enum image_kind { IMAGE_NONE = 0, IMAGE_JPEG = 1, IMAGE_PNG = 2, IMAGE_WEBP = 3, IMAGE_KINDS };

/* {0}: none. */
struct image {
    struct str bytes; /* 1 to IMAGE_BYTES_MAX; a slice of the message or of the journal record */
    enum image_kind kind;
    uint32_t width, height; /* 1 to IMAGE_SIDE_MAX; both 0: unknown */
};

/* "image/jpeg" and the like; NULL for IMAGE_NONE. */
const char *image_media_type(enum image_kind kind);

#endif
