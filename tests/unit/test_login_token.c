/* Which cookie of a login is the token, and what is sent back. */
#include <string.h>

#include <criterion/criterion.h>

#include "frigate/login_token.h"

#define JWT "eyJhbGciOiJIUzI1NiJ9.e30.x-_"

static bool read_token(struct login_token *token, const char *const *cookies, const char *body)
{
    *token = (struct login_token){0};
    for (; *cookies; cookies++)
        login_token_add_cookie(token, str_from(*cookies));
    return login_token_read(token, str_from(body));
}

Test(login_token, the_cookie_of_frigate_is_it_whatever_a_proxy_adds)
{
    static const char *const cookies[] = {"A=eyJ", "frigate_token=" JWT "; HttpOnly; Path=/", "SERVERID=a1; path=/",
                                          NULL};
    struct login_token token;
    cr_expect(read_token(&token, cookies, "{\"token\": \"body\"}"));
    cr_expect_str_eq(token.text, JWT);
    cr_expect_str_eq(token.cookies, "A=eyJ; frigate_token=" JWT "; SERVERID=a1");
}

Test(login_token, of_other_names_the_one_with_a_json_web_token_is_it)
{
    static const char *const cookies[] = {"SERVERID=a1", "my_token=" JWT, NULL};
    struct login_token token;
    cr_expect(read_token(&token, cookies, "{}"));
    cr_expect_str_eq(token.text, JWT);
}

Test(login_token, then_the_body_and_then_the_first_cookie)
{
    static const char *const cookies[] = {"SERVERID=a1", "other=b", NULL};
    struct login_token token;
    cr_expect(read_token(&token, cookies, "{\"access_token\": \"body\"}"));
    cr_expect_str_eq(token.text, "body");
    cr_expect(read_token(&token, cookies, "{}"));
    cr_expect_str_eq(token.text, "a1");
}

Test(login_token, what_cannot_be_in_a_header_line_is_left_out)
{
    static const char *const none[] = {"", "=", "a=", "noequals", "a\nb=c", "; a=b", NULL};
    static char long_one[LOGIN_TOKEN_SIZE + 8];
    static const char *const two[] = {"a=1 ; b=2", long_one, NULL};
    struct login_token token;
    cr_expect(!read_token(&token, none, "{\"token\": \"a\\nb\"}"));
    cr_expect_str_empty(token.text);
    cr_expect_str_empty(token.cookies);
    memset(long_one, '=', sizeof(long_one) - 1);
    cr_expect(read_token(&token, two, ""));
    cr_expect_str_eq(token.cookies, "a=1");
    login_token_wipe(&token);
    cr_expect_str_empty(token.cookies);
}
