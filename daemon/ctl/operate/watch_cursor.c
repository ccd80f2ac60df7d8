#include "ctl/operate/watch_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

int cursor_read(const char *file, bool *ret_found, int64_t *ret_after, struct err *err)
{
    FILE *in = fopen(file, "re");
    *ret_found = false;
    if (!in && errno == ENOENT)
        return 0;
    if (!in)
        return err_set(err, "%s: %s", file, strerror(errno));
    *ret_found = fscanf(in, "%" SCNd64, ret_after) == 1 && *ret_after >= 0;
    fclose(in);
    return *ret_found ? 0 : err_set(err, "%s: not a change number (use --after N, or remove the file)", file);
}

int cursor_store(const char *file, int64_t after, struct err *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64 "\n", after);
    return file_replace(AT_FDCWD, file, str_from(text), 0600) == 0 ? 0 : err_set(err, "%s: %s", file, strerror(errno));
}
