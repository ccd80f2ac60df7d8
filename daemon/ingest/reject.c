#include "ingest/reject.h"

#include <stdarg.h>
#include <stdio.h>

const char *reject_word(enum reject_code code)
{
    static const char *const words[REJECT_COUNT] = {"malformed", "invalid", "too_large", "forbidden"};
    return words[code];
}

bool reject_set(struct reject *ret, enum reject_code code, struct str id, const char *field, const char *fmt, ...)
{
    *ret = (struct reject){.code = code, .id = id};
    snprintf(ret->field, sizeof(ret->field), "%s", field);
    va_list args;
    va_start(args, fmt);
    vsnprintf(ret->reason, sizeof(ret->reason), fmt, args);
    va_end(args);
    return false;
}
