#include "frigate/frigate_metrics.h"

void frigate_metrics_write(const struct frigate_metrics *metrics, struct buf *out)
{
#define SCALAR(type, name, help, advice)                                                                               \
    buf_printf(out, "# HELP mobeye_frigate_%s %s\n# TYPE mobeye_frigate_%s %s\nmobeye_frigate_%s %.17g\n", #name,      \
               help, #name, #type, #name, (double)metrics->name);
#include "frigate/frigate_metrics.def"
#undef SCALAR
}
