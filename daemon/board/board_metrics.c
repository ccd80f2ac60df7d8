#include "board/board_metrics.h"

#include <inttypes.h>

void board_metrics_write(const struct board_metrics *metrics, struct buf *out)
{
#define SCALAR(type, name, help, advice)                                                                               \
    buf_printf(out, "# HELP mobeye_board_%s %s\n# TYPE mobeye_board_%s %s\nmobeye_board_%s %" PRIu64 "\n", #name,      \
               help, #name, #type, #name, metrics->name);
#include "board/board_metrics.def"
#undef SCALAR
    buf_printf(out, "# HELP mobeye_board_build_info The version of the program; the value is always 1.\n"
                    "# TYPE mobeye_board_build_info gauge\n"
                    "mobeye_board_build_info{version=\"" MOBEYE_VERSION "\"} 1\n");
    buf_printf(out, "# HELP mobeye_board_requests_total Responses, by status.\n"
                    "# TYPE mobeye_board_requests_total counter\n");
    for (int status = 0; status < BOARD_STATUS_MOST; status++)
        if (metrics->requests[status] > 0)
            buf_printf(out, "mobeye_board_requests_total{code=\"%d\"} %" PRIu64 "\n", status,
                       metrics->requests[status]);
}
