#include "ctl/registry/near_device.h"

#include <stdio.h>
#include <string.h>

#include "conf/schema.h"
#include "ctl/lib/nearest.h"
#include "model/alert.h"

enum { FAR = 3, LONG_ID = 8 };

static const char *without_zeros(const char *account)
{
    while (account[0] == '0' && account[1])
        account++;
    return account;
}

/* How many characters differ; FAR if more than `most`. Compares the lengths first, which is cheap. */
static unsigned distance(const char *a, const char *b, unsigned most)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned changes = n > m + most || m > n + most ? FAR : schema_distance(a, b);
    return changes <= most ? changes : FAR;
}

/* The account of "dc09:ACCOUNT/INPUT", in lower case. false: another form of name, or no account. */
static bool read_account(const char *unknown, struct lower_word *ret)
{
    if (!str_starts(str_from(unknown), ALERT_DC09_PREFIX) || strcmp(unknown, ALERT_DC09_PREFIX "0") == 0)
        return false;
    *ret = lower_word(unknown + sizeof(ALERT_DC09_PREFIX) - 1);
    ret->text[strcspn(ret->text, "/")] = '\0';
    return true;
}

const struct near_candidate *near_device(const char *unknown, const struct near_candidate *candidates, size_t n)
{
    struct lower_word account, id = lower_word(unknown);
    bool has_account = read_account(unknown, &account);
    unsigned least = FAR, most = strlen(unknown) >= LONG_ID ? 2 : 1;
    const struct near_candidate *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        unsigned changes = FAR;
        if (!has_account)
            changes = distance(id.text, lower_word(candidates[i].device_id).text, most);
        else if (candidates[i].account)
            changes = distance(without_zeros(account.text), without_zeros(lower_word(candidates[i].account).text), 1);
        if (changes < least) {
            least = changes;
            nearest = &candidates[i];
        }
    }
    return nearest;
}
