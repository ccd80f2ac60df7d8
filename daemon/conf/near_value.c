#include "conf/near_value.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/array.h"
#include "base/nearest.h"
#include "conf/text.h"
#include "conf/value.h"

enum { TEXT_MAX = 64 };

/* A short text without blanks, in lower case; empty if it is too long. */
struct plain_text {
    char text[TEXT_MAX + 1];
};

static struct plain_text plain_of(const char *text)
{
    struct plain_text ret = {""};
    size_t len = 0;
    for (; *text && len < TEXT_MAX; text++)
        if (!isspace((unsigned char)*text))
            ret.text[len++] = (char)tolower((unsigned char)*text);
    if (*text)
        len = 0;
    ret.text[len] = '\0';
    return ret;
}

static void suggest(struct buf *out, const char *word)
{
    if (word)
        buf_printf(out, ", did you mean %s?", word);
}

static const char *word_of_key(const void *ctx, size_t i)
{
    const struct schema_key *key = ctx;
    unsigned value;
    return key->word((unsigned)i, &value);
}

static const char *word_of_bool(const void *ctx, size_t i)
{
    static const char *const words[] = {"true", "false", NULL};
    (void)ctx;
    return words[i];
}

/* Units as people write them, each with the configuration's unit. A longer name comes before any that it begins
 * with. */
static const struct {
    const char *word, *unit;
    int factor;
} units[] = {{"milliseconds", "ms", 1},
             {"msec", "ms", 1},
             {"seconds", "s", 1},
             {"second", "s", 1},
             {"sec", "s", 1},
             {"minutes", "m", 1},
             {"minuten", "m", 1},
             {"minute", "m", 1},
             {"min", "m", 1},
             {"hours", "h", 1},
             {"hour", "h", 1},
             {"hrs", "h", 1},
             {"hr", "h", 1},
             {"uur", "h", 1},
             {"days", "d", 1},
             {"day", "d", 1},
             {"dagen", "d", 1},
             {"dag", "d", 1},
             {"weeks", "d", 7},
             {"week", "d", 7},
             {"weken", "d", 7},
             {"w", "d", 7},
             {"kib", "KiB", 1},
             {"kb", "KiB", 1},
             {"k", "KiB", 1},
             {"mib", "MiB", 1},
             {"mb", "MiB", 1},
             {"gib", "GiB", 1},
             {"gb", "GiB", 1},
             {"g", "GiB", 1},
             {"tib", "TiB", 1},
             {"tb", "TiB", 1},
             {"t", "TiB", 1},
             {"m", "m", 1},
             {"h", "h", 1},
             {"d", "d", 1},
             {"s", "s", 1},
             {"ms", "ms", 1}};

/* "4 hours": 4h; "4 GB": 4GiB. A number and one unit. */
static void near_amount(int (*parse)(const char *, int64_t *, struct err *), const char *text, struct buf *out)
{
    struct plain_text plain = plain_of(text);
    size_t digits = strspn(plain.text, "0123456789");
    char meant[TEXT_MAX + 8];
    struct err err;
    int64_t value, number = 0;
    for (size_t k = 0; k < digits && digits <= 9; k++)
        number = number * 10 + (plain.text[k] - '0');
    if (number == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(plain.text + digits, units[i].word) != 0)
            continue;
        snprintf(meant, sizeof(meant), "%" PRId64 "%s", number * units[i].factor, units[i].unit);
        if (parse(meant, &value, &err) == 0 && strcmp(meant, text) != 0) {
            suggest(out, meant);
            return;
        }
    }
}

struct near_text near_duration(const char *text)
{
    struct buf out = {0};
    struct near_text ret;
    near_amount(value_duration, text, &out);
    snprintf(ret.text, sizeof(ret.text), "%.*s", (int)out.len, out.len > 0 ? out.data : "");
    buf_free(&out);
    return ret;
}

/* A decimal comma, in a number or a distance. */
static void near_number(const struct schema_key *key, const char *text, struct buf *out)
{
    struct plain_text plain = plain_of(text);
    char *comma = strchr(plain.text, ',');
    struct err err;
    double value;
    if (!comma || strchr(comma + 1, ','))
        return;
    *comma = '.';
    int rc = key->type == SCHEMA_DISTANCE ? value_distance(plain.text, &value, &err)
                                          : value_number(plain.text, &value, &err);
    if (rc == 0)
        buf_printf(out, " and has a decimal comma, did you mean %s?", plain.text);
}

/* "22.00 - 6.00", "22-6": "22:00-06:00". */
static void near_hours(const char *text, struct buf *out)
{
    struct plain_text plain = plain_of(text);
    int hour[2] = {0}, minute[2] = {0};
    const char *at = plain.text;
    for (int i = 0; i < 2; i++) {
        int end = 0;
        if (sscanf(at, "%2d%n", &hour[i], &end) != 1 || hour[i] < 0 || hour[i] > 24)
            return;
        at += end;
        end = 0;
        if ((*at == '.' || *at == ':' || *at == 'h') && sscanf(at + 1, "%2d%n", &minute[i], &end) == 1)
            at += 1 + end;
        if (i == 0 && *at++ != '-')
            return;
    }
    char meant[64];
    struct conf_hours hours;
    struct err err;
    snprintf(meant, sizeof(meant), "%02d:%02d-%02d:%02d", hour[0], minute[0], hour[1], minute[1]);
    if (*at == '\0' && strcmp(meant, text) != 0 && value_hours(meant, &hours, &err) == 0)
        suggest(out, meant);
}

/* The day that a word means, in English or Dutch, in full or abbreviated to two letters or more; NULL: none. */
static const char *day_of(const char *word, size_t len)
{
    static const char *const names[][3] = {
        {"monday", "maandag", "mon"},     {"tuesday", "dinsdag", "tue"}, {"wednesday", "woensdag", "wed"},
        {"thursday", "donderdag", "thu"}, {"friday", "vrijdag", "fri"},  {"saturday", "zaterdag", "sat"},
        {"sunday", "zondag", "sun"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names) && len >= 2; i++)
        if (strncmp(names[i][0], word, len) == 0 || strncmp(names[i][1], word, len) == 0)
            return names[i][2];
    return NULL;
}

/* "maandag", "Ma-Vr", "mon - friday". */
static void near_days(const char *text, struct buf *out)
{
    struct plain_text plain = plain_of(text);
    size_t first = strcspn(plain.text, "-");
    const char *from = day_of(plain.text, first), *until = NULL;
    if (plain.text[first] == '-')
        until = day_of(plain.text + first + 1, strlen(plain.text + first + 1));
    if (from && plain.text[first] == '\0')
        suggest(out, from);
    else if (from && until)
        buf_printf(out, ", did you mean %s-%s?", from, until);
}

/* The name in a directory of time zones that is nearest to a component of a path; false: none is near. */
static bool near_name(const char *path, const char *part, struct plain_text *ret)
{
    unsigned least = WORDS_DIFFER;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (strlen(entry->d_name) <= TEXT_MAX && word_distance(part, entry->d_name) < least) {
            least = word_distance(part, entry->d_name);
            snprintf(ret->text, sizeof(ret->text), "%s", entry->d_name);
        }
    if (dir)
        closedir(dir);
    return least < WORDS_DIFFER;
}

static void near_zone(const char *text, struct buf *out)
{
    struct plain_text continent, place;
    char first[TEXT_MAX + 1] = "", path[2 * TEXT_MAX];
    size_t len = strcspn(text, "/");
    if (len > TEXT_MAX || strlen(text) - len > TEXT_MAX || text[len] != '/' || strchr(text, '.'))
        return;
    memcpy(first, text, len);
    if (!near_name(ZONEINFO, first, &continent))
        return;
    snprintf(path, sizeof(path), ZONEINFO "/%s", continent.text);
    if (near_name(path, text + len + 1, &place))
        buf_printf(out, ", did you mean %s/%s?", continent.text, place.text);
}

static void near_address(const struct schema_key *key, const char *text, struct buf *out)
{
    struct address address;
    struct err err;
    char meant[256];
    if (strstr(text, "://") ||
        snprintf(meant, sizeof(meant), "%s%s", *text == '/' ? "ipc://" : "tcp://", text) >= (int)sizeof(meant))
        return;
    int rc = key->type == SCHEMA_BIND ? address_bind(meant, &address, &err) : address_connect(meant, &address, &err);
    if (rc == 0)
        suggest(out, meant);
}

void near_value(const struct schema_key *key, const char *text, struct buf *out)
{
    switch (key->type) {
    case SCHEMA_WORD:
    case SCHEMA_WORDS:
        suggest(out, nearest_word(text, word_of_key, key));
        break;
    case SCHEMA_BOOL:
        suggest(out, nearest_word(text, word_of_bool, NULL));
        break;
    case SCHEMA_DURATION:
    case SCHEMA_STEPS:
        near_amount(value_duration, text, out);
        break;
    case SCHEMA_SIZE:
        near_amount(value_size, text, out);
        break;
    case SCHEMA_NUMBER:
    case SCHEMA_BOX:
    case SCHEMA_DISTANCE:
        near_number(key, text, out);
        break;
    case SCHEMA_HOURS:
        near_hours(text, out);
        break;
    case SCHEMA_DAYS:
        near_days(text, out);
        break;
    case SCHEMA_ZONE:
        near_zone(text, out);
        break;
    case SCHEMA_BIND:
    case SCHEMA_CONNECT:
        near_address(key, text, out);
        break;
    default:
        break;
    }
}
