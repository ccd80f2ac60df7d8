#include "conf/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "conf/conf.h"
#include "conf/diagnostics.h"
#include "conf/value.h"

static int check_no_control(const char *text, struct err *err)
{
    for (; *text; text++)
        if (control_len(text))
            return err_set(err, "contains a control character");
    return 0;
}

int text_check_printable(const char *text, int64_t min, int64_t max, struct err *err)
{
    int64_t chars = (int64_t)value_chars(text);
    if (chars < min)
        return err_set(err, "is empty");
    if (chars > max)
        return err_set(err, "is too long");
    return check_no_control(text, err);
}

int text_check_glob(const char *text, int64_t min, int64_t max, struct err *err)
{
    if (text_check_printable(text, min, max, err) != 0)
        return -1;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._:/-*?[]!^\\", *p))
            return err_set(err, "contains a character that is not allowed in a device ID");
    return 0;
}

int text_check_device(const char *text, int64_t min, int64_t max, struct err *err)
{
    if (text_check_printable(text, min, max, err) != 0)
        return -1;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._:/-", *p))
            return err_set(err, "contains a character that is not allowed in a device ID");
    return 0;
}

/* With or without %25ZONE, the interface of a link-local address. */
static bool is_ipv6(const char *text, const char *end)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t len = (size_t)(end - text);
    const char *zone = memmem(text, len, "%25", 3);
    if (zone && zone + 3 == end)
        return false;
    len = zone ? (size_t)(zone - text) : len;
    return len < sizeof(host) && snprintf(host, sizeof(host), "%.*s", (int)len, text) > 0 &&
           inet_pton(AF_INET6, host, &address) == 1;
}

/* The part of a URL before its path: HOST, HOST:PORT or [IPV6]:PORT. */
static bool is_authority(const char *text)
{
    const char *end = text + strcspn(text, "/");
    const char *host_end = *text == '[' ? strchr(text, ']') : text + strcspn(text, ":/[]");
    if (!host_end || host_end > end || (*text == '[' && !is_ipv6(text + 1, host_end)))
        return false;
    const char *colon = host_end + (*text == '[');
    if (colon == end)
        return true;
    size_t digits = strspn(colon + 1, "0123456789");
    return *colon == ':' && digits > 0 && digits <= 5 && colon + 1 + digits == end && atoi(colon + 1) >= 1 &&
           atoi(colon + 1) <= 65535;
}

int text_check_url(const char *text, struct err *err)
{
    const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : NULL;
    if (!host || !*host || *host == '/' || *host == ':')
        return err_set(err, "is not a URL");
    if (strchr(host, '@'))
        return err_set(err, "contains a user or a password");
    if (!is_authority(host))
        return err_set(err, "has no valid host or port");
    for (const char *p = host; *p; p++)
        if (*p <= ' ' || *p == 0x7f || strchr("?#\"\\", *p))
            return err_set(err, "contains a character that is not allowed");
    if (strlen(text) > 1024)
        return err_set(err, "is too long");
    return 0;
}

int text_check_layer(const char *text, struct err *err)
{
    if (!islower((unsigned char)text[0]) || strlen(text) > 32 ||
        text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")])
        return err_set(err, "is not a layer name");
    return 0;
}

int text_check_zone(const char *text, struct err *err)
{
    char path[PATH_MAX];
    char magic[4] = {0};
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_+-/", *p))
            return err_set(err, "is not a time zone");
    if (!isalpha((unsigned char)text[0]) || snprintf(path, sizeof(path), ZONEINFO "/%s", text) >= (int)sizeof(path))
        return err_set(err, "is not a time zone");
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, "is not installed on this machine");
    size_t got = fread(magic, 1, sizeof(magic), file);
    fclose(file);
    return got == 4 && memcmp(magic, "TZif", 4) == 0 ? 0 : err_set(err, "is not a time zone");
}

/* Skips a value with its quotes and backslashes; NULL if a quote is not closed. */
static const char *skip_value(const char *p)
{
    bool quote = *p == '\'';
    for (p += quote; *p && (quote ? *p != '\'' : !isspace((unsigned char)*p)); p++)
        if (*p == '\\' && p[1])
            p++;
    if (quote)
        return *p == '\'' ? p + 1 : NULL;
    return p;
}

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* The way libpq distinguishes it from a list of keyword=value. */
static bool is_conninfo_url(const char *text)
{
    return strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
}

int text_check_conninfo(const char *text, struct err *err)
{
    if (check_no_control(text, err) != 0)
        return -1;
    if (is_conninfo_url(text))
        return 0;
    const char *p = skip_space(text);
    if (!*p)
        return err_set(err, "is empty");
    while (*p) {
        size_t word = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
        p = skip_space(p + word);
        if (word == 0 || *p != '=')
            return err_set(err, "does not consist of keyword=value pairs");
        p = skip_value(skip_space(p + 1));
        if (!p)
            return err_set(err, "has an unclosed quote");
        p = skip_space(p);
    }
    return 0;
}

static bool url_has_password(const char *text)
{
    const char *user = strstr(text, "://") + 3, *end = user + strcspn(user, "/?"),
               *at = memchr(user, '@', (size_t)(end - user));
    bool before_at = at && memchr(user, ':', (size_t)(at - user));
    return before_at || strstr(end, "?password=") || strstr(end, "&password=");
}

bool text_conninfo_has_password(const char *text)
{
    static const char name[] = "password";
    if (is_conninfo_url(text))
        return url_has_password(text);
    for (const char *p = skip_space(text); p && *p;) {
        size_t word = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
        if (word == 0 || (word == sizeof(name) - 1 && memcmp(p, name, word) == 0))
            return word > 0;
        p = skip_space(p + word);
        p = *p == '=' ? skip_value(skip_space(p + 1)) : NULL;
        p = p ? skip_space(p) : NULL;
    }
    return false;
}

int text_check_path(const char *text, struct err *err)
{
    if (text[0] != '/')
        return err_set(err, "is not an absolute path");
    if (strlen(text) > 1024)
        return err_set(err, "is too long");
    return check_no_control(text, err);
}

int text_check_secret(const char *text, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    const char *name = text + sizeof(SECRET_CREDENTIAL) - 1;
    if (strncmp(text, SECRET_CREDENTIAL, sizeof(SECRET_CREDENTIAL) - 1) != 0)
        return text_check_path(text, err);
    if (!*name || name[strspn(name, letters)] || name[0] == '.' || strlen(name) > NAME_MAX)
        return err_set(err, "is not a credential name");
    return 0;
}

int text_check_key(const char *text, struct err *err)
{
    static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    uint64_t group = 0;
    if (strlen(text) != CONF_KEY_LEN)
        return err_set(err, "has %zu characters", strlen(text));
    for (size_t i = 0; i < CONF_KEY_LEN; i++) {
        const char *digit = strchr(z85, text[i]);
        if (!digit)
            return err_set(err, "contains a character that is not in Z85");
        group = (i % 5 == 0 ? 0 : group) * 85 + (uint64_t)(digit - z85);
        if (group > UINT32_MAX)
            return err_set(err, "is not valid Z85");
    }
    return 0;
}
