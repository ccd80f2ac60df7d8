#include "ctl/operate/watch_options.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/operate/watch_deliver.h"

#define VERB "watch"

const char *const watch_include_names[] = {"reference",   "kind",  "priority",   "wijk",         "buurt", "team",
                                           "verified_by", "drill", "first_seen", "overdue_step", NULL};
const char *const watch_op_names[] = {"new", "alert", "status", "verified", "overdue", "mute", "note", "link", NULL};

static const char *word_at(const void *ctx, size_t i)
{
    const char *const *words = ctx;
    return words[i];
}

static int refuse_word(const char *option, const char *word, const char *const *words)
{
    const char *nearest = nearest_word(word, word_at, words);
    if (nearest)
        return ctl_usage(VERB, "%s: \"%s\" is not allowed (did you mean %s?)", option, word, nearest);
    struct buf all = {0};
    for (size_t i = 0; words[i]; i++)
        buf_printf(&all, "%s%s", i > 0 ? " " : "", words[i]);
    ctl_usage(VERB, "%s: \"%s\" is not allowed (expected some of %.*s, separated by commas)", option, word,
              (int)all.len, all.data);
    buf_free(&all);
    return CTL_USAGE;
}

int watch_check_list(const char *option, const char *list, const char *const *words)
{
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char word[NEAREST_WORD_MAX];
        bool known = false;
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, ","), at);
        for (size_t i = 0; words[i]; i++)
            known |= strcmp(word, words[i]) == 0;
        if (!known)
            return refuse_word(option, word, words);
    }
    return CTL_GO;
}

/* Command lines are visible to every user of the machine. */
static int refuse_secret_url(const char *url)
{
    const char *host = strstr(url, "://");
    if (host && (strchr(host, '@') || strchr(host, '?')))
        return ctl_usage(VERB,
                         "--webhook: the URL contains a user or a query, which may be secret (use --webhook-file)");
    return CTL_GO;
}

int watch_check_webhook(const char *url)
{
    static const char *const schemes[] = {"http", "https", NULL};
    char scheme[NEAREST_WORD_MAX];
    if (!url)
        return CTL_GO;
    if (refuse_secret_url(url) != CTL_GO)
        return CTL_USAGE;
    if (delivery_is_url(url))
        return CTL_GO;
    snprintf(scheme, sizeof(scheme), "%.*s", (int)strcspn(url, ":"), url);
    const char *nearest = nearest_word(scheme, word_at, schemes);
    if (nearest && strcmp(nearest, scheme) != 0)
        return ctl_usage(VERB, "--webhook: \"%s\" is not the scheme of a webhook (did you mean %s?)", scheme, nearest);
    return ctl_usage(VERB, "--webhook: is not a URL (expected http://HOST/... or https://HOST/...)");
}
