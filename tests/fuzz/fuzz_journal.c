/*
 * Recovery of any bytes: the journal opens, reads stay within bounds, appending continues, and a second recovery finds
 * nothing left to repair. An input is a byte of options and up to two segment files; with option 1 the checksums of all
 * headers and tables in it are corrected first, since nothing would get past them by chance.
 */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/frame.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "model/batch.h"

#include "../unit/no_sync.h"

enum { OPTION_SEAL = 1, OPTION_TWO_FILES = 2, OPTION_CLOSE = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_directory(void)
{
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void demand(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* The header at `at`, if it looks like one, with the size of this target's files; its table follows or precedes it. */
static void seal_at(char *bytes, size_t size, size_t at, int rear)
{
    struct frame_header header;
    memcpy(&header, bytes + at, sizeof(header));
    if (memcmp(header.magic, "mobeyeJ\n", sizeof(header.magic)) != 0)
        return;
    size_t table = header.count * sizeof(struct frame_entry), room = rear ? at : size - at - sizeof(header);
    if (!(header.flags & FRAME_GAP) && (header.count > size || table > room))
        return;
    const char *start = rear ? bytes + at - (header.flags & FRAME_GAP ? 0 : table) : bytes + at + sizeof(header);
    header.segment_bytes = 128 << 10;
    frame_seal(&header, (const struct frame_entry *)(const void *)start);
    memcpy(bytes + at, &header, sizeof(header));
}

static void seal(char *bytes, size_t size)
{
    for (size_t at = 0; at + FRAME_BLOCK <= size; at += FRAME_BLOCK) {
        seal_at(bytes, size, at, 0);
        seal_at(bytes, size, at + FRAME_BLOCK - sizeof(struct frame_header), 1);
    }
}

static void write_segment(const uint8_t *data, size_t size, int options)
{
    struct frame_header header = {.segment_seq = 1};
    char name[SEGMENT_NAME_SIZE], path[128], *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    if (options & OPTION_SEAL)
        seal(bytes, size);
    if (size >= sizeof(header))
        memcpy(&header, bytes, sizeof(header));
    snprintf(path, sizeof(path), "%s/%s", directory, segment_name(header.segment_seq, name));
    FILE *file = fopen(path, "wb");
    demand(file != NULL, path);
    fwrite(bytes, 1, size, file);
    fclose(file);
    free(bytes);
}

static uint64_t read_all(struct journal *journal)
{
    struct batch *batch = batch_new(64);
    struct err err;
    uint64_t readable = 0, last = 0;
    for (;;) {
        demand(journal_read(journal, last + 1, 50, 4096, batch, &err) == 0, "it cannot be read");
        if (batch->n == 0)
            break;
        for (size_t i = 0; i < batch->n; i++) {
            demand(batch->rows[i].alert.seq > last, "numbers do not rise");
            last = batch->rows[i].alert.seq;
            readable += !batch->rows[i].unreadable;
            volatile char sum = 0;
            for (size_t k = 0; k < batch->rows[i].record.len; k++)
                sum = (char)(sum ^ batch->rows[i].record.p[k]);
        }
        batch_clear(batch);
    }
    demand(last < journal_next_seq(journal), "a number is used twice");
    batch_free(&batch);
    return readable;
}

static void recover_twice(int options)
{
    struct journal_options how = {directory, 512 << 10, 0};
    struct journal_recovery found;
    struct journal *journal = NULL;
    struct err err;
    uint64_t seq;
    demand(journal_open(&journal, &how, 1, &found, &err) == 0, err.text);
    uint64_t records = read_all(journal), next = journal_next_seq(journal);
    demand(records == found.records, "what is counted is not what is read");
    demand(found.unsaved_bytes == 0, "bytes are lost");
    if (options & OPTION_CLOSE)
        demand(journal_close(journal, &err) == 0, err.text);
    journal_free(&journal);

    demand(journal_open(&journal, &how, 2, &found, &err) == 0, err.text);
    demand(found.damaged + found.repaired + found.torn_bytes + found.foreign == 0, "not everything was repaired");
    demand(found.records == records && journal_next_seq(journal) == next,
           "a second recovery makes something else of it");
    demand(journal_append(journal, STR("goes on"), 3, &seq, &err) == JOURNAL_APPENDED && seq == next,
           "it cannot go on");
    demand(journal_sync(journal, &err) == 0, err.text);
    demand(read_all(journal) == records + 1, "what is appended is not read");
    journal_free(&journal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 100000)
        return 0;
    int options = data[0];
    size_t first = (size_t)(data[1] | data[2] << 8);
    if (directory[0] == '\0') {
        snprintf(directory, sizeof(directory), "%s/mobeye-fuzz-%ld",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
        atexit(remove_directory);
    }
    remove_directory();
    demand(mkdir(directory, 0700) == 0, directory);
    data += 3;
    size -= 3;
    if (!(options & OPTION_TWO_FILES) || first > size)
        first = size;
    write_segment(data, first, options);
    if (first < size)
        write_segment(data + first, size - first, options);
    recover_twice(options);
    return 0;
}
