/*
 * The files of daemon/board/web/, built into the program (embed_web.cmake).
 */
#ifndef MOBEYE_BOARD_WEB_FILE_H
#define MOBEYE_BOARD_WEB_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct web_file {
    const char *path; /* "/queue.js": path below web/ */
    const char *type; /* Content-Type */
    const char *etag; /* in quotes */
    const unsigned char *bytes;
    size_t len;
};

/* In no order. */
extern const struct web_file web_files[];
extern const size_t web_files_n;

/* The file of a path of a request. A page is the file of its first word with .html, and / is index.html: /incident/17
 * is incident.html. A page that has no file of its own is index.html. NULL: neither a file nor a page. */
const struct web_file *web_file_find(struct str path);

/* Whether the path is that of a page that a person opens. */
bool web_file_is_page(struct str path);

#endif
