/*
 * The encryption of SIA DC-09: AES-128/192/256 in CBC mode with a zero IV, in hex, by libcrypto; and the file of keys.
 * Source: ANSI/SIA DC-09-2013, 5.4 (5.4.4 the pad, 5.4.6 CBC).
 *
 * Encrypted are pad, '|', data, ']', extended data and timestamp; the pad (any bytes except '|', '[' and ']') makes
 * them a multiple of 16. CBC does not authenticate: only a readable plaintext shows that the key is right.
 */
#ifndef MOBEYE_INGEST_DC09_CRYPT_H
#define MOBEYE_INGEST_DC09_CRYPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    DC09_KEY_MAX = 32,
    DC09_PAD_MAX = 15,
    DC09_ACCOUNT_MAX = 16,
};

struct dc09_key {
    uint8_t bytes[DC09_KEY_MAX];
    uint8_t len; /* 16, 24 or 32 */
};

/* 32, 48 or 64 hex characters. */
bool dc09_key_parse(struct str hex, struct dc09_key *ret);

/* Replaces `out` by the plaintext after the pad and its '|'. Ignores a ']' at the end of the hex. false: not hex of
 * whole blocks, or no '|' in the plaintext, or control characters in one that has neither the account nor the time of a
 * frame, which means a wrong key. */
bool dc09_decrypt(const struct dc09_key *key, struct str hex, struct buf *out);

/* Appends the hex of pad, '|' and text. `pad`: random bytes, or fixed ones for reproducible output; any value is mapped
 * to letters. */
void dc09_encrypt(const struct dc09_key *key, struct str text, const uint8_t pad[DC09_PAD_MAX], struct buf *out);

/* The keys of all accounts. */
struct dc09_keys;

/* Reads lines "ACCOUNT HEXKEY" from a secret (base/secret.h) of at most 4 MiB; '#' starts a comment. NULL with err set,
 * which names the source and the line, never the key. */
struct dc09_keys *dc09_keys_load(const char *source, struct err *err);

/* The same, but calls on_error for every error in the source, with err as by dc09_keys_load(). */
typedef void (*dc09_keys_error_fn)(void *ctx, const struct err *err);
void dc09_keys_check(const char *source, dc09_keys_error_fn on_error, void *ctx);

void dc09_keys_free(struct dc09_keys **keys); /* wipes them; safe on NULL */

/* NULL: no key for this account (3 to 16 hex characters, in either case, with or without leading zeros). Safe on NULL
 * keys. */
const struct dc09_key *dc09_keys_find(const struct dc09_keys *keys, struct str account);

#endif
