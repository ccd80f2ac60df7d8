/* Hexadecimal text, against printf() and isxdigit(). */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

Test(hex, writes_as_printf_and_reads_it_in_either_case)
{
    for (unsigned value = 0; value < 256; value++) {
        char expected[3], upper[3], text[2];
        uint8_t byte = (uint8_t)value, read[2];
        snprintf(expected, sizeof(expected), "%02x", value);
        snprintf(upper, sizeof(upper), "%02X", value);
        cr_expect_eq(hex_write(text, &byte, 1), text + 2);
        cr_expect_arr_eq(text, expected, 2);
        cr_expect(hex_read(read, 1, expected));
        cr_expect(hex_read(read + 1, 1, upper));
        cr_expect(read[0] == value && read[1] == value, "%s, %s", expected, upper);
    }
}

Test(hex, refuses_anything_else_wherever_it_is)
{
    for (size_t at = 0; at < 4; at++)
        for (int c = 0; c < 256; c++) {
            char text[] = "09aF";
            uint8_t bytes[2];
            text[at] = (char)c;
            cr_expect_eq(hex_read(bytes, 2, text), isxdigit(c) != 0, "character %d at %zu", c, at);
        }
}
