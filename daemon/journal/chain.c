#include "journal/chain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* A segment file, before it is known which journal is ours. */
struct candidate {
    struct segment segment;
    uint8_t origin[16];
};

struct candidates {
    struct candidate *list;
    size_t n, cap;
};

struct segment *chain_add(struct chain *chain)
{
    if (chain->n == chain->cap) {
        chain->cap = chain->cap ? 2 * chain->cap : 32;
        chain->segments = mem_realloc(chain->segments, chain->cap, sizeof(*chain->segments));
    }
    struct segment *segment = &chain->segments[chain->n++];
    *segment = (struct segment){0};
    return segment;
}

void chain_remove(struct chain *chain, size_t i)
{
    chain->n--;
    memmove(&chain->segments[i], &chain->segments[i + 1], (chain->n - i) * sizeof(*chain->segments));
}

const struct segment *chain_find(const struct chain *chain, uint64_t seq)
{
    size_t low = 0, high = chain->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chain->segments[middle].next_seq <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < chain->n ? &chain->segments[low] : NULL;
}

void chain_add_foreign(struct chain *chain, const char *name, const char *why)
{
    chain->foreign = mem_realloc(chain->foreign, chain->n_foreign + 1, sizeof(*chain->foreign));
    chain->foreign[chain->n_foreign++] = (struct foreign_segment){mem_strdup(name), why};
}

void chain_free(struct chain *chain)
{
    for (size_t i = 0; i < chain->n_foreign; i++)
        free(chain->foreign[i].name);
    free(chain->foreign);
    free(chain->segments);
    *chain = (struct chain){0};
}

static bool is_later_version(struct window *window, uint32_t limit)
{
    struct frame_header header;
    const char *block = limit < FRAME_BLOCK ? NULL : window_get(window, 0, FRAME_BLOCK, limit, NULL);
    if (!block)
        return false;
    memcpy(&header, block, sizeof(header));
    return frame_is_later_version(&header);
}

static const char cannot_be_read[] = "the disk cannot read it";

/* Fills ret from the first recognisable frame. Returns NULL, or why the file is not a segment that can be used. */
static const char *identify_segment(int fd, struct window *window, uint64_t seq, struct candidate *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return cannot_be_read;
    if (!S_ISREG(st.st_mode))
        return "not a regular file";
    uint64_t size = ((uint64_t)st.st_size + FRAME_BLOCK - 1) / FRAME_BLOCK * FRAME_BLOCK;
    uint32_t limit = size < SEGMENT_BYTES_MAX ? (uint32_t)size : SEGMENT_BYTES_MAX;
    struct frame_header header;
    window_reset(window, fd);
    window->salvaged = false;
    if (segment_find_frame(window, 0, 0, 0, limit, &header, NULL) != 1) {
        if (window->salvaged)
            return cannot_be_read;
        return is_later_version(window, limit) ? "later format version" : "no recognisable frame";
    }
    if (header.segment_seq != seq)
        return "its name differs from the number of its first record";
    *ret = (struct candidate){.segment = {.seq = seq, .nonce = header.nonce}};
    ret->segment.bytes = limit > header.segment_bytes ? limit : header.segment_bytes;
    memcpy(ret->origin, header.origin, sizeof(ret->origin));
    return NULL;
}

static void add_unusable(struct chain *chain, const char *name, const char *why)
{
    chain->n_lost += why == cannot_be_read;
    chain_add_foreign(chain, name, why);
}

static int add_candidate(struct chain *chain, struct candidates *all, struct window *window, int dir_fd,
                         const char *name, struct err *err)
{
    uint64_t seq;
    if (!segment_parse_name(name, &seq)) {
        chain_add_foreign(chain, name, "not a segment name");
        return 0;
    }
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 && (errno == EIO || errno == EUCLEAN || errno == ELOOP)) {
        add_unusable(chain, name, errno == ELOOP ? "a link that leads nowhere" : cannot_be_read);
        return 0;
    }
    if (fd < 0)
        return err_set(err, "segment %s: cannot be opened: %s", name, strerror(errno));
    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 32;
        all->list = mem_realloc(all->list, all->cap, sizeof(*all->list));
    }
    const char *why = identify_segment(fd, window, seq, &all->list[all->n]);
    if (why)
        add_unusable(chain, name, why);
    else
        all->n++;
    close(fd);
    return 0;
}

static bool is_segment_file(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && name[0] != '.' && strcmp(name + len - 4, ".seg") == 0;
}

static int list_candidates(struct chain *chain, struct candidates *all, int dir_fd, struct err *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return err_set(err, "cannot be listed: %s", strerror(errno));
    }
    struct window window = {.salvage = true};
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = errno == 0 ? 0 : err_set(err, "cannot be listed: %s", strerror(errno));
            break;
        }
        if (is_segment_file(entry->d_name))
            rc = add_candidate(chain, all, &window, dir_fd, entry->d_name, err);
    }
    window_free(&window);
    closedir(dir);
    return rc;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t left = ((const struct candidate *)a)->segment.seq, right = ((const struct candidate *)b)->segment.seq;
    return left < right ? -1 : left > right;
}

static size_t count_origin(const struct candidates *all, const uint8_t *origin)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        n += memcmp(all->list[i].origin, origin, sizeof(all->list[i].origin)) == 0;
    return n;
}

static const uint8_t *choose_origin(const struct candidates *all, const uint8_t *wanted)
{
    const uint8_t *best = NULL;
    size_t best_n = 0;
    if (wanted && count_origin(all, wanted) > 0)
        return wanted;
    for (size_t i = 0; i < all->n && best_n <= all->n / 2; i++) {
        size_t n = count_origin(all, all->list[i].origin);
        if (n > best_n) {
            best = all->list[i].origin;
            best_n = n;
        }
    }
    return best;
}

int chain_load(struct chain *chain, int dir_fd, const uint8_t *origin, struct err *err)
{
    struct candidates all = {0};
    *chain = (struct chain){0};
    int rc = list_candidates(chain, &all, dir_fd, err);
    const uint8_t *ours = rc == 0 && all.n > 0 ? choose_origin(&all, origin) : NULL;
    if (ours) {
        memcpy(chain->origin, ours, sizeof(chain->origin));
        qsort(all.list, all.n, sizeof(*all.list), by_seq);
    }
    for (size_t i = 0; ours && i < all.n; i++) {
        char name[SEGMENT_NAME_SIZE];
        if (memcmp(all.list[i].origin, chain->origin, sizeof(chain->origin)) == 0)
            *chain_add(chain) = all.list[i].segment;
        else
            chain_add_foreign(chain, segment_name(all.list[i].segment.seq, name), "of another journal");
    }
    free(all.list);
    if (rc != 0)
        chain_free(chain);
    return rc;
}
