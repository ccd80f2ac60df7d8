/*
 * What the first bytes of an image reveal: its kind, and its size in pixels. Nothing is decoded. Pure.
 *
 * Sources: JPEG: ITU-T T.81, B.1.1.3 (markers) and B.2.2 (frame header). PNG: ISO/IEC 15948, 5.2 (signature) and 11.2.2
 * (IHDR). WebP: RFC 9649, 2.5 to 2.7 (container) and 3 (lossless); RFC 6386, 9.1 (lossy).
 */
#ifndef MOBEYE_INGEST_IMAGE_HEADER_H
#define MOBEYE_INGEST_IMAGE_HEADER_H

#include <stdbool.h>

#include "model/image.h"

/* false: not a JPEG, PNG or WebP of 1 to IMAGE_BYTES_MAX bytes; *ret is then {0}. A size that cannot be read is left
 * unknown. Reads at most a few hundred bytes, whatever they are. ret->bytes is `bytes`. */
bool image_read(struct str bytes, struct image *ret);

#endif
