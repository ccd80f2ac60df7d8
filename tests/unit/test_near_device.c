/* Which registered device an unknown sender may be. */
#include <criterion/criterion.h>

#include "ctl/registry/near_device.h"

static const struct near_candidate all[] = {
    {"NL-0307-00042", NULL, NULL}, {"NL-HOME", "3071", "1"}, {"NL-PANEL", "40AB", NULL},
    {"NL-SHOP", "0371", "2"},      {"cam7", NULL, NULL},
};

static void expect(const char *unknown, const char *device_id)
{
    const struct near_candidate *near = near_device(unknown, all, sizeof(all) / sizeof(all[0]));
    cr_expect_str_eq(near ? near->device_id : "none", device_id, "%s", unknown);
}

Test(near_device, the_same_account_with_another_input)
{
    expect("dc09:3071/9", "NL-HOME");
    expect("dc09:371/9", "NL-SHOP");
    expect("dc09:00371", "NL-SHOP");
}

Test(near_device, an_account_that_differs_in_one_character)
{
    expect("dc09:3072/1", "NL-HOME");
    expect("dc09:40BA", "NL-PANEL");
    expect("dc09:4AB", "NL-PANEL");
    expect("dc09:9999", "none");
    expect("dc09:0", "none");
    expect("dc09:307122", "none");
}

Test(near_device, an_id_that_is_close)
{
    expect("NL-0307-00043", "NL-0307-00042");
    expect("NL-0307-0042", "NL-0307-00042");
    expect("nl-0307-00042", "NL-0307-00042");
    expect("NL-0307-00099", "NL-0307-00042");
    expect("NL-0307-00199", "none");
    expect("cam8", "cam7");
    expect("cam89", "none");
    expect("NL-9999-12345", "none");
}

Test(near_device, nobody_is_registered)
{
    cr_expect_null(near_device("dc09:1234", NULL, 0));
}
