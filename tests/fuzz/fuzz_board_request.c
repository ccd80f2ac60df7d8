/* What the board parses itself: the bytes of a request, its path, and where an event stream begins. How the bytes are
 * split must not matter, and whatever passes must agree with a strict reading. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "board/board_api.h"
#include "board/web_file.h"
#include "board/wire_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire_watch read_in_pieces(const char *bytes, size_t len, size_t piece)
{
    struct wire_watch watch = {0};
    for (size_t at = 0; at < len; at += piece)
        wire_watch_feed(&watch, bytes + at, len - at < piece ? len - at : piece);
    return watch;
}

/* A head that passes has no byte at which a C string, or a line in another server, would end. */
static void check_passed(const char *bytes, size_t len, const struct wire_watch *watch)
{
    size_t head = watch->head_bytes;
    if (head > len || head < 4 || memcmp(bytes + head - 4, "\r\n\r\n", 4) != 0)
        abort();
    for (size_t i = 0; i < head; i++) {
        bool line_feed = bytes[i] == '\n';
        if (!bytes[i] || (line_feed && (i == 0 || bytes[i - 1] != '\r')) ||
            (bytes[i] == '\r' && bytes[i + 1] != '\n') ||
            (line_feed && i + 1 < head && (bytes[i + 1] == ' ' || bytes[i + 1] == '\t')))
            abort();
    }
    if (watch->length > WIRE_BODY_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct wire_watch whole = read_in_pieces(bytes, size, size ? size : 1), single = read_in_pieces(bytes, size, 1);
    if (whole.state != single.state || whole.status != single.status || whole.head_bytes != single.head_bytes ||
        whole.early != single.early || whole.body_left != single.body_left)
        abort();
    if (whole.state == WIRE_BODY || whole.state == WIRE_RESPONSE)
        check_passed(bytes, size, &whole);
    if (whole.state == WIRE_REFUSED && (!whole.why || whole.status < 400))
        abort();
    char *text = mem_strndup(bytes, size);
    struct board_route route = board_route_of((struct str){bytes, size});
    if (route.id < 0 || board_after(text, NULL) < -1)
        abort();
    web_file_find((struct str){bytes, size});
    free(text);
    return 0;
}
