#include "base/hex.h"

#include <stdint.h>

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

char *hex_write(char *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (const uint8_t *byte = bytes, *end = byte + n; byte < end; byte++) {
        *out++ = digits[*byte >> 4];
        *out++ = digits[*byte & 15];
    }
    return out;
}

bool hex_read(void *ret, size_t n, const char *text)
{
    uint8_t *bytes = ret;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
