/* AES in DC-09's manner, and the file of keys. */
#include "dc09_frames.h"

static const uint8_t zero_pad[DC09_PAD_MAX];

static struct dc09_key key_of(size_t len)
{
    struct dc09_key key;
    char hex[65];
    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)(uint8_t)(i * 7 + 1));
    cr_assert(dc09_key_parse((struct str){hex, 2 * len}, &key));
    cr_assert_eq(key.len, len);
    return key;
}

Test(dc09_crypt, what_is_encrypted_can_be_decrypted_whatever_its_length)
{
    for (size_t len = 16; len <= 32; len += 8) {
        struct dc09_key key = key_of(len);
        for (size_t n = 0; n < 100; n++) {
            struct buf text = {0}, hex = {0}, plain = {0};
            for (size_t i = 0; i < n; i++)
                buf_append(&text, &(char){(char)(' ' + i % 90)}, 1);
            uint8_t pad[DC09_PAD_MAX];
            memset(pad, (int)n * 31, sizeof(pad));
            dc09_encrypt(&key, buf_str(&text), pad, &hex);
            cr_expect_eq(hex.len % 32, (size_t)0);
            cr_expect_leq(hex.len, 2 * (n + 16));
            cr_expect(dc09_decrypt(&key, buf_str(&hex), &plain), "length %zu", n);
            cr_expect(str_eq(buf_str(&text), buf_str(&plain)), "length %zu", n);
            buf_free(&text);
            buf_free(&hex);
            buf_free(&plain);
        }
    }
}

Test(dc09_crypt, a_pad_is_letters_only)
{
    struct dc09_key key = key_of(16);
    for (int value = 0; value < 256; value++) {
        struct buf hex = {0}, plain = {0};
        uint8_t pad[DC09_PAD_MAX];
        memset(pad, value, sizeof(pad));
        dc09_encrypt(&key, STR("]"), pad, &hex);
        cr_expect(dc09_decrypt(&key, buf_str(&hex), &plain) && str_is(buf_str(&plain), "]"), "pad of %d", value);
        buf_free(&hex);
        buf_free(&plain);
    }
}

Test(dc09_crypt, hex_that_is_none_and_other_keys_are_refused)
{
    struct dc09_key key = key_of(16), other = key_of(24);
    struct buf hex = {0}, plain = {0};
    dc09_encrypt(&key, STR("#1234|Nri1/BA001]_21:15:00,12-01-2018"), zero_pad, &hex);
    cr_expect_not(dc09_decrypt(&other, buf_str(&hex), &plain));
    cr_expect_not(dc09_decrypt(&key, (struct str){hex.data, hex.len - 1}, &plain));
    cr_expect_not(dc09_decrypt(&key, (struct str){hex.data, hex.len - 2}, &plain));
    cr_expect_not(dc09_decrypt(&key, STR(""), &plain));
    cr_expect_not(dc09_decrypt(&key, STR("]"), &plain));
    hex.data[3] = 'g';
    cr_expect_not(dc09_decrypt(&key, buf_str(&hex), &plain));
    hex.len = 0;
    while (hex.len <= DC09_BODY_MAX)
        buf_append(&hex, "00112233445566778899AABBCCDDEEFF", 32);
    cr_expect_not(dc09_decrypt(&key, buf_str(&hex), &plain), "longer than a frame");
    hex.len = 0;
    buf_free(&hex);
    buf_free(&plain);
}

Test(dc09_crypt, control_characters_are_those_of_another_key_unless_an_account_or_a_time_is_readable)
{
    static const struct {
        const char *text;
        bool readable;
    } cases[] = {
        {"#1234|Nri1/BA001|Ahal\t1\x7f]", true},
        {"Nri1/BA001|Ahal\t1]_21:15:00,12-01-2018", true},
        {"Nri1/BA001|Ahal 1]", true},
        {"Nri1/BA001|Ahal\t1]", false},
        {"Nri1/BA001|Ahal\t1]_21:15:00,12-01-201", false},
        {"#12|Nri1/BA001|Ahal\t1]", false},
        {"#12G4|Nri1/BA001|Ahal\t1]", false},
        {"#1234\t|Nri1/BA001]", false},
        {"#1234]\t", false},
        {"#1234|Nri1/BA001|Ahal\t1", false},
    };
    struct dc09_key key = key_of(16);
    struct buf hex = {0}, plain = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hex.len = 0;
        dc09_encrypt(&key, str_from(cases[i].text), zero_pad, &hex);
        cr_expect_eq(dc09_decrypt(&key, buf_str(&hex), &plain), cases[i].readable, "%s", cases[i].text);
        if (cases[i].readable)
            cr_expect(str_eq(buf_str(&plain), str_from(cases[i].text)), "%s", cases[i].text);
    }
    buf_free(&hex);
    buf_free(&plain);
}

Test(dc09_crypt, a_key_is_32_48_or_64_hex_characters)
{
    struct dc09_key key;
    char hex[80];
    memset(hex, 'a', sizeof(hex));
    for (size_t len = 0; len < sizeof(hex); len++)
        cr_expect_eq(dc09_key_parse((struct str){hex, len}, &key), len == 32 || len == 48 || len == 64, "%zu", len);
    hex[5] = 'x';
    cr_expect_not(dc09_key_parse((struct str){hex, 32}, &key));
}

static struct dc09_keys *load_text(const char *text, mode_t mode, struct err *err)
{
    char *path = private_file(text, strlen(text), mode);
    struct dc09_keys *keys = dc09_keys_load(path, err);
    unlink(path);
    free(path);
    return keys;
}

#define KEY "00112233445566778899aabbccddeeff"

Test(dc09_crypt, keys_are_found_without_leading_zeros)
{
    struct err err;
    struct dc09_keys *keys = load_text("0371 " KEY "\n", 0600, &err);
    cr_assert_not_null(keys);
    cr_expect_not_null(dc09_keys_find(keys, STR("0371")));
    cr_expect_not_null(dc09_keys_find(keys, STR("371")));
    cr_expect_not_null(dc09_keys_find(keys, STR("00371")));
    cr_expect_null(dc09_keys_find(keys, STR("3710")));
    dc09_keys_free(&keys);
    cr_expect_null(load_text("0371 " KEY "\n371 " KEY "\n", 0600, &err), "an account has one key");
}

Test(dc09_crypt, keys_are_found_by_account)
{
    struct err err;
    struct dc09_keys *keys =
        load_text("# keys\n\n  12AB\t" KEY " # a comment\r\nfff " KEY KEY "\n0001 " KEY, 0400, &err);
    cr_assert_not_null(keys);
    cr_expect_eq(dc09_keys_find(keys, STR("12ab"))->len, 16);
    cr_expect_eq(dc09_keys_find(keys, STR("FFF"))->len, 32);
    cr_expect_eq(dc09_keys_find(keys, STR("0001"))->bytes[1], 0x11);
    cr_expect_null(dc09_keys_find(keys, STR("1")));
    cr_expect_null(dc09_keys_find(keys, STR("")));
    cr_expect_null(dc09_keys_find(keys, STR("12ABC")));
    cr_expect_null(dc09_keys_find(keys, STR("00000000000000000000")));
    cr_expect_null(dc09_keys_find(NULL, STR("12AB")));
    dc09_keys_free(&keys);
    cr_expect_null(keys);
    dc09_keys_free(&keys);
    keys = load_text("", 0600, &err);
    cr_assert_not_null(keys);
    cr_expect_null(dc09_keys_find(keys, STR("12AB")));
    dc09_keys_free(&keys);
}

Test(dc09_crypt, many_keys_are_all_kept)
{
    struct buf text = {0};
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&text, "%04X %032X\n", (i * 7919) % 0xFFFF, i);
    buf_append(&text, "", 1);
    struct err err;
    struct dc09_keys *keys = load_text(text.data, 0600, &err);
    cr_assert_not_null(keys);
    for (unsigned i = 0; i < 1000; i++) {
        char account[5];
        snprintf(account, sizeof(account), "%04X", (i * 7919) % 0xFFFF);
        const struct dc09_key *key = dc09_keys_find(keys, str_from(account));
        cr_assert_not_null(key);
        cr_expect_eq(key->bytes[14] << 8 | key->bytes[15], i);
    }
    dc09_keys_free(&keys);
    buf_free(&text);
}

Test(dc09_crypt, a_bad_file_of_keys_is_refused_with_the_place_and_without_the_key)
{
    static const struct {
        const char *text;
        const char *part; /* of the message */
    } bad[] = {
        {"1234 " KEY "\nxyz " KEY "\n", ":2: account is not valid"},
        {"12 " KEY "\n", ":1: account is not valid"},
        {"1234\n", ":1: key of account 1234 is not valid"},
        {"1234 0011\n", ":1: key of account 1234 is not valid"},
        {"1234 " KEY "00\n", ":1: key of account 1234 is not valid"},
        {"1234 " KEY " " KEY "\n", ":1: key of account 1234 is not valid"},
        {"12ab " KEY "\n5678 " KEY "\n12AB " KEY "\n", ":3: duplicate account 12AB, first defined on line 1"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {{0}};
        cr_expect_null(load_text(bad[i].text, 0600, &err), "%s", bad[i].text);
        cr_expect_not_null(strstr(err.text, bad[i].part), "%s", err.text);
        cr_expect_null(strstr(err.text, "00112233"), "%s", err.text);
    }
    char *path = private_file("1234 " KEY "\n\0\n", 39, 0600);
    struct err err;
    cr_expect_null(dc09_keys_load(path, &err));
    cr_expect_not_null(strstr(err.text, ":2: contains a NUL byte"), "%s", err.text);
    unlink(path);
    free(path);
}

static void collect(void *ctx, const struct err *err)
{
    buf_printf(ctx, "%s\n", strrchr(err->text, '/'));
}

Test(dc09_crypt, a_check_names_every_bad_line)
{
    static const char text[] = "1234 " KEY "\nxyz " KEY "\n1234 " KEY "\n77\n5678 00\n1234 " KEY "\n";
    struct buf got = {0}, want = {0};
    char *path = private_file(text, sizeof(text) - 1, 0600);
    const char *name = strrchr(path, '/');
    dc09_keys_check(path, collect, &got);
    buf_printf(&want, "%s:2: account is not valid (expected 3 to 16 hexadecimal characters)\n", name);
    buf_printf(&want, "%s:4: account is not valid (expected 3 to 16 hexadecimal characters)\n", name);
    buf_printf(&want, "%s:5: key of account 5678 is not valid (expected only 32, 48 or 64 hexadecimal characters)\n",
               name);
    for (unsigned line = 3; line <= 6; line += 3)
        buf_printf(&want, "%s:%u: duplicate account 1234, first defined on line 1 (expected each account once)\n", name,
                   line);
    cr_expect(str_eq(buf_str(&got), buf_str(&want)), "%.*s", (int)got.len, got.data);
    unlink(path);
    free(path);
    buf_free(&got);
    buf_free(&want);
}

Test(dc09_crypt, a_file_that_others_may_read_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0644, 0660, 0610, 0606};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct err err = {{0}};
        cr_expect_null(load_text("1234 " KEY "\n", modes[i], &err), "%o", modes[i]);
        cr_expect_not_null(strstr(err.text, "gives other users access"), "%s", err.text);
    }
    struct err err = {{0}};
    cr_expect_null(dc09_keys_load("/tmp", &err));
    cr_expect_not_null(strstr(err.text, "not a regular file"), "%s", err.text);
    cr_expect_null(dc09_keys_load("/nonexistent/keys", &err));
    cr_expect_not_null(strstr(err.text, "/nonexistent/keys: No such file"), "%s", err.text);
}
