/*
 * The token of a login to Frigate, and the cookies that are sent back with it. Pure.
 */
#ifndef MOBEYE_FRIGATE_LOGIN_TOKEN_H
#define MOBEYE_FRIGATE_LOGIN_TOKEN_H

#include <stdbool.h>

#include "base/buf.h"

#define LOGIN_TOKEN_SIZE 4096

struct login_token {
    char text[LOGIN_TOKEN_SIZE];    /* empty: none */
    char cookies[LOGIN_TOKEN_SIZE]; /* "a=1; b=2": all that came with it; a proxy may add its own */
};

/* Adds the cookie of a Set-Cookie field; one that is empty, or does not fit, is left out. */
void login_token_add_cookie(struct login_token *token, struct str set_cookie);

/* Takes the token from the cookie frigate_token, else from the first that is a JSON web token, else from the body,
 * where a proxy may put it as access_token or token, else from the first cookie. false: there is none. */
bool login_token_read(struct login_token *token, struct str body);

void login_token_wipe(struct login_token *token);

#endif
