/*
 * The encryption of SIA DC-09: AES-128/192/256 in CBC mode with a zero IV, in hex, by libcrypto; and the file of keys.
 *
 * What is encrypted is pad, '|', data, ']', extended data and timestamp; the pad (any bytes but '|', '[' and ']') makes
 * it a multiple of 16. CBC authenticates nothing: that a key is the right one shows in a readable plaintext only.
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

/* Replaces `out` by the plaintext behind the pad and its '|'. A ']' at the end of the hex is passed over. false: no hex
 * of whole blocks, no '|', or control characters in the plaintext: the key is another one. */
bool dc09_decrypt(const struct dc09_key *key, struct str hex, struct buf *out);

/* Appends the hex of pad, '|' and text. `pad` is what the pad is made of: random bytes in service, fixed ones where the
 * same bytes are wanted again; any value will do, it is mapped to letters. */
void dc09_encrypt(const struct dc09_key *key, struct str text, const uint8_t pad[DC09_PAD_MAX], struct buf *out);

/* The keys of all accounts. */
struct dc09_keys;

/* Reads lines "ACCOUNT HEXKEY" from a secret (base/secret.h) of at most 4 MiB; '#' begins a comment. NULL with err set,
 * naming source and line and never the key. */
struct dc09_keys *dc09_keys_load(const char *source, struct err *err);
void dc09_keys_free(struct dc09_keys **keys); /* wipes them; safe on NULL */

/* NULL: none for this account (3 to 16 hex characters, in either case and with or without leading zeros). Safe on NULL
 * keys. */
const struct dc09_key *dc09_keys_find(const struct dc09_keys *keys, struct str account);

#endif
