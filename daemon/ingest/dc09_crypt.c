#include "ingest/dc09_crypt.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ingest/dc09_frame.h"
#include "model/alert.h"

enum { BLOCK = 16, HEX_BLOCK = 2 * BLOCK, FILE_MAX_BYTES = 4 << 20 };

struct account_key {
    char account[DC09_ACCOUNT_MAX + 1]; /* upper case, without leading zeros */
    unsigned line;
    struct dc09_key key;
};

/* Sorted by account. */
struct dc09_keys {
    struct account_key *entries;
    size_t n, cap;
};

/* The file that is being read, and the callback for its errors. */
struct key_file {
    const char *path;
    dc09_keys_error_fn on_error;
    void *ctx;
    bool bad;
};

static const EVP_CIPHER *cipher_of(const struct dc09_key *key)
{
    switch (key->len) {
    case 16:
        return EVP_aes_128_cbc();
    case 24:
        return EVP_aes_192_cbc();
    default:
        return EVP_aes_256_cbc();
    }
}

/* In place; whole blocks. false: libcrypto failed, as it does when memory runs out. */
static bool crypt_cbc(const struct dc09_key *key, bool encrypt, unsigned char *bytes, size_t len)
{
    static const unsigned char zero_iv[BLOCK];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done = 0;
    bool ok = ctx && EVP_CipherInit_ex(ctx, cipher_of(key), NULL, key->bytes, zero_iv, encrypt) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 && EVP_CipherUpdate(ctx, bytes, &done, bytes, (int)len) == 1 &&
              (size_t)done == len;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

bool dc09_key_parse(struct str hex, struct dc09_key *ret)
{
    if (hex.len != 32 && hex.len != 48 && hex.len != 64)
        return false;
    *ret = (struct dc09_key){.len = (uint8_t)(hex.len / 2)};
    return hex_read(ret->bytes, ret->len, hex.p);
}

static bool has_controls(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F)
            return true;
    return false;
}

/* "#1234|" */
static bool begins_with_account(struct str data)
{
    const char *bar = data.len > 0 && data.p[0] == '#' ? memchr(data.p, '|', data.len) : NULL;
    if (!bar)
        return false;
    struct str account = {data.p + 1, (size_t)(bar - data.p) - 1};
    return account.len >= 3 && dc09_is_hex(account);
}

/* Another key leaves random bytes. A text of an event may have a tab; then an account or the time of sending shows that
 * the key is right: with control characters allowed throughout, a fifth of the frames of another key had a bar and were
 * taken for badly formed ones of this key. */
static bool is_readable(struct str text)
{
    struct dc09_content content;
    if (!has_controls(text))
        return true;
    return dc09_content_parse(text, &content) &&
           (content.time_us != ALERT_NO_TIME || begins_with_account(content.data));
}

bool dc09_decrypt(const struct dc09_key *key, struct str hex, struct buf *out)
{
    out->len = 0;
    if (hex.len > 0 && hex.p[hex.len - 1] == ']')
        hex.len--;
    if (hex.len == 0 || hex.len % HEX_BLOCK != 0 || hex.len > DC09_BODY_MAX)
        return false;
    size_t len = hex.len / 2;
    char *bytes = buf_reserve(out, len);
    if (!hex_read(bytes, len, hex.p) || !crypt_cbc(key, false, (unsigned char *)bytes, len))
        return false;
    const char *bar = memchr(bytes, '|', len);
    if (!bar)
        return false;
    size_t pad = (size_t)(bar - bytes) + 1;
    if (!is_readable((struct str){bytes + pad, len - pad}))
        return false;
    memmove(bytes, bytes + pad, len - pad);
    out->len = len - pad;
    return true;
}

void dc09_encrypt(const struct dc09_key *key, struct str text, const uint8_t pad[DC09_PAD_MAX], struct buf *out)
{
    size_t pad_len = (BLOCK - (text.len + 1) % BLOCK) % BLOCK;
    struct buf plain = {0};
    for (size_t i = 0; i < pad_len; i++)
        buf_append(&plain, &(char){(char)('A' + pad[i] % 26)}, 1);
    buf_append(&plain, "|", 1);
    buf_append_str(&plain, text);
    if (!crypt_cbc(key, true, (unsigned char *)plain.data, plain.len))
        abort(); /* out of memory */
    for (size_t i = 0; i < plain.len; i++)
        buf_printf(out, "%02X", (unsigned char)plain.data[i]);
    buf_free(&plain);
}

static int compare_entries(const void *a, const void *b)
{
    const struct account_key *left = a, *right = b;
    return strcmp(left->account, right->account);
}

static int compare_lines(const void *a, const void *b)
{
    const struct account_key *left = a, *right = b;
    int order = compare_entries(a, b);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

/* false: not an account. */
static bool entry_account(struct account_key *entry, struct str account)
{
    if (account.len < 3 || account.len > DC09_ACCOUNT_MAX || !dc09_is_hex(account))
        return false;
    while (account.len > 1 && *account.p == '0')
        account = (struct str){account.p + 1, account.len - 1};
    for (size_t i = 0; i < account.len; i++)
        entry->account[i] = (char)toupper((unsigned char)account.p[i]);
    entry->account[account.len] = '\0';
    return true;
}

/* The next word of a line; empty at its end or at a comment. */
static struct str next_word(struct str *line)
{
    while (line->len > 0 && strchr(" \t\r", line->p[0])) {
        line->p++;
        line->len--;
    }
    size_t len = 0;
    while (len < line->len && !strchr(" \t\r#", line->p[len]))
        len++;
    struct str word = {line->p, len};
    line->p += len;
    line->len -= len;
    return word;
}

__attribute__((format(printf, 3, 4))) static void line_error(struct key_file *file, unsigned number, const char *fmt,
                                                             ...)
{
    struct err err;
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    err_set(&err, "%s:%u: %s", file->path, number, what);
    file->bad = true;
    file->on_error(file->ctx, &err);
}

static void add_entry(struct dc09_keys *keys, const struct account_key *entry)
{
    if (keys->n == keys->cap) {
        keys->cap = keys->cap ? keys->cap * 2 : 16;
        struct account_key *grown = mem_realloc(NULL, keys->cap, sizeof(*grown));
        if (keys->n > 0)
            memcpy(grown, keys->entries, keys->n * sizeof(*grown));
        OPENSSL_cleanse(keys->entries, keys->n * sizeof(*grown));
        free(keys->entries);
        keys->entries = grown;
    }
    keys->entries[keys->n++] = *entry;
}

static void read_line(struct dc09_keys *keys, struct key_file *file, unsigned number, struct str line)
{
    struct account_key entry = {.line = number};
    if (memchr(line.p, '\0', line.len)) {
        line_error(file, number, "contains a NUL byte (expected text)");
        return;
    }
    struct str account = next_word(&line);
    if (account.len == 0)
        return;
    struct str key = next_word(&line);
    struct str extra = next_word(&line);
    if (!entry_account(&entry, account))
        line_error(file, number, "account is not valid (expected 3 to 16 hexadecimal characters)");
    else if (extra.len > 0 || !dc09_key_parse(key, &entry.key))
        line_error(file, number, "key of account %s is not valid (expected only 32, 48 or 64 hexadecimal characters)",
                   entry.account);
    else
        add_entry(keys, &entry);
    OPENSSL_cleanse(&entry, sizeof(entry));
}

static void sort_entries(struct dc09_keys *keys, struct key_file *file)
{
    if (keys->n > 0)
        qsort(keys->entries, keys->n, sizeof(*keys->entries), compare_lines);
    for (size_t i = 1, first = 0; i < keys->n; i++) {
        if (compare_entries(&keys->entries[i], &keys->entries[first]) != 0)
            first = i;
        else
            line_error(file, keys->entries[i].line,
                       "duplicate account %s, first defined on line %u (expected each account once)",
                       keys->entries[i].account, keys->entries[first].line);
    }
}

static void read_lines(struct dc09_keys *keys, struct key_file *file, struct str text)
{
    for (unsigned number = 1; text.len > 0; number++) {
        const char *end = memchr(text.p, '\n', text.len);
        struct str line = {text.p, end ? (size_t)(end - text.p) : text.len};
        read_line(keys, file, number, line);
        size_t used = line.len + (end != NULL);
        text = (struct str){text.p + used, text.len - used};
    }
    sort_entries(keys, file);
}

/* NULL: at least one error was passed on. */
static struct dc09_keys *load_keys(struct key_file *file)
{
    struct err err;
    struct dc09_keys *keys = mem_zalloc(sizeof(*keys));
    struct buf text = {0};
    if (secret_read(file->path, FILE_MAX_BYTES, &text, &err) == 0) {
        read_lines(keys, file, buf_str(&text));
    } else {
        file->bad = true;
        file->on_error(file->ctx, &err);
    }
    if (file->bad)
        dc09_keys_free(&keys);
    secret_free(&text);
    return keys;
}

static void keep_first(void *ctx, const struct err *err)
{
    struct err *first = ctx;
    if (!*first->text)
        *first = *err;
}

struct dc09_keys *dc09_keys_load(const char *source, struct err *err)
{
    *err->text = '\0';
    return load_keys(&(struct key_file){.path = source, .on_error = keep_first, .ctx = err});
}

void dc09_keys_check(const char *source, dc09_keys_error_fn on_error, void *ctx)
{
    struct dc09_keys *keys = load_keys(&(struct key_file){.path = source, .on_error = on_error, .ctx = ctx});
    dc09_keys_free(&keys);
}

void dc09_keys_free(struct dc09_keys **keys)
{
    if (!*keys)
        return;
    if ((*keys)->entries)
        OPENSSL_cleanse((*keys)->entries, (*keys)->n * sizeof(*(*keys)->entries));
    free((*keys)->entries);
    free(*keys);
    *keys = NULL;
}

const struct dc09_key *dc09_keys_find(const struct dc09_keys *keys, struct str account)
{
    struct account_key wanted;
    if (!keys || keys->n == 0 || !entry_account(&wanted, account))
        return NULL;
    const struct account_key *found = bsearch(&wanted, keys->entries, keys->n, sizeof(wanted), compare_entries);
    return found ? &found->key : NULL;
}
