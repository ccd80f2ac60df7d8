#include "ctl/lib/json.h"

#include <inttypes.h>
#include <math.h>

#include "ctl/lib/ctl.h"

void ctl_json_comma(struct buf *out)
{
    char last = out->len > 0 ? out->data[out->len - 1] : '{';
    if (last != '{' && last != '[')
        buf_append_str(out, STR(", "));
}

void ctl_json_name(struct buf *out, const char *name)
{
    ctl_json_comma(out);
    buf_printf(out, "\"%s\": ", name);
}

void ctl_json_text(struct buf *out, const char *name, struct str value)
{
    ctl_json_name(out, name);
    ctl_json_string(out, value);
}

void ctl_json_count(struct buf *out, const char *name, uint64_t value)
{
    ctl_json_name(out, name);
    buf_printf(out, "%" PRIu64, value);
}

void ctl_json_number(struct buf *out, const char *name, double value)
{
    ctl_json_name(out, name);
    buf_printf(out, isnan(value) ? "null" : "%.15g", value);
}

void ctl_json_bool(struct buf *out, const char *name, bool value)
{
    ctl_json_name(out, name);
    buf_append_str(out, value ? STR("true") : STR("false"));
}
