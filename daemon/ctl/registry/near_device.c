#include "ctl/registry/near_device.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "model/alert.h"

enum { LONG_ID = 8 };

static const char *without_zeros(const char *account)
{
    while (account[0] == '0' && account[1])
        account++;
    return account;
}

/* The account of "dc09:ACCOUNT/INPUT". false: another form of name, or no account. */
static bool read_account(const char *unknown, char ret[NEAREST_WORD_MAX + 1])
{
    if (!str_starts(str_from(unknown), ALERT_DC09_PREFIX) || strcmp(unknown, ALERT_DC09_PREFIX "0") == 0)
        return false;
    snprintf(ret, NEAREST_WORD_MAX + 1, "%s", unknown + sizeof(ALERT_DC09_PREFIX) - 1);
    ret[strcspn(ret, "/")] = '\0';
    return true;
}

const struct near_candidate *near_device(const char *unknown, const struct near_candidate *candidates, size_t n)
{
    char account[NEAREST_WORD_MAX + 1];
    bool has_account = read_account(unknown, account);
    unsigned least = !has_account && strlen(unknown) >= LONG_ID ? 3 : 2;
    const struct near_candidate *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        unsigned changes = WORDS_DIFFER;
        if (!has_account)
            changes = word_distance(unknown, candidates[i].device_id);
        else if (candidates[i].account)
            changes = word_distance(without_zeros(account), without_zeros(candidates[i].account));
        if (changes < least) {
            least = changes;
            nearest = &candidates[i];
        }
    }
    return nearest;
}
