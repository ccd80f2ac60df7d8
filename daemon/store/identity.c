#include "store/identity.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

void identity_of(struct str source, struct str event_id, uint8_t ret[IDENTITY_BYTES])
{
    crypto_generichash_state state;
    uint32_t len = htobe32((uint32_t)source.len);
    crypto_generichash_init(&state, NULL, 0, IDENTITY_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)&len, sizeof(len));
    crypto_generichash_update(&state, (const unsigned char *)source.p, source.len);
    crypto_generichash_update(&state, (const unsigned char *)event_id.p, event_id.len);
    crypto_generichash_final(&state, ret, IDENTITY_BYTES);
}

void identity_own(const uint8_t id[IDENTITY_BYTES], struct str device, uint8_t ret[IDENTITY_BYTES])
{
    static const unsigned char apart = 0xFF;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, IDENTITY_BYTES);
    crypto_generichash_update(&state, &apart, sizeof(apart));
    crypto_generichash_update(&state, id, IDENTITY_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)device.p, device.len);
    crypto_generichash_final(&state, ret, IDENTITY_BYTES);
}

uint64_t identity_device(const uint8_t own[IDENTITY_BYTES])
{
    uint64_t device;
    memcpy(&device, own, sizeof(device));
    return device == 0 ? 1 : be64toh(device);
}

char *identity_text(const uint8_t id[IDENTITY_BYTES], char out[IDENTITY_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *p = out;
    for (int i = 0; i < IDENTITY_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[id[i] >> 4];
        *p++ = digits[id[i] & 15];
    }
    *p = '\0';
    return out;
}
