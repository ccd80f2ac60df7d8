/*
 * A journal of one segment, as bytes that a test may damage and restore. Syncs do nothing: it is for tests of what the
 * bytes mean, not of when they reach a disk.
 */
#ifndef MOBEYE_TESTS_JOURNAL_IMAGE_H
#define MOBEYE_TESTS_JOURNAL_IMAGE_H

#include "journal/frame.h"
#include "no_sync.h"
#include "test_journal_support.h"

#define IMAGE_BYTES (128u << 10)

static char image[IMAGE_BYTES], damaged[IMAGE_BYTES];
static char image_path[8192];
static uint32_t image_used; /* where the frames end */
static uint64_t image_records;

/* Where the frames of a segment begin, by their lengths; ends with where the last ends. Returns how many. */
static __attribute__((unused)) size_t frame_offsets(const char *bytes, uint32_t *ret, size_t room)
{
    size_t n = 0;
    struct frame_header header;
    uint32_t at = 0;
    for (;;) {
        ret[n] = at;
        memcpy(&header, bytes + at, sizeof(header));
        if (!frame_header_ok(&header, at) || n + 1 == room)
            return n;
        n++;
        at += header.length;
    }
}

/* A journal of one segment: frames of 1, 2, ... records. */
static __attribute__((unused)) void make_image(unsigned frames, bool clean)
{
    struct journal *journal = open_journal(SMALL, NULL);
    for (unsigned i = 1; i <= frames; i++) {
        append_usual(journal, i);
        sync_journal(journal);
    }
    image_records = journal_synced_seq(journal);
    if (clean)
        close_journal(&journal);
    else
        journal_free(&journal);
    snprintf(image_path, sizeof(image_path), "%s", in_dir("journal/%020d.seg", 1));
    cr_assert_eq(load_file(image_path, image, sizeof(image)), sizeof(image));
    uint32_t offsets[64];
    image_used = offsets[frame_offsets(image, offsets, 64)];
    memcpy(damaged, image, sizeof(image));
}

static __attribute__((unused)) void put_image(const char *bytes, size_t len)
{
    remove_tree(in_dir("journal/salvaged"));
    save_file(image_path, bytes, len);
}

#endif
