#include "ingest/reject.h"

const char *reject_word(enum reject_code code)
{
    static const char *const words[REJECT_COUNT] = {"malformed", "invalid", "too_large", "forbidden"};
    return words[code];
}
