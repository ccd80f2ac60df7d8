/* Any bytes as a configuration: a configuration or a diagnostic, never neither, never a crash. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf report = {0};
    struct conf *conf = conf_parse("fuzz.yaml", (const char *)data, size, &report);
    if (!conf && report.len == 0)
        abort();
    if (conf && conf_needs_restart(conf, conf, &report))
        abort();
    conf_free(&conf);
    buf_free(&report);
    return 0;
}
