/* mobeyectl keygen: a key pair of CURVE. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "conf/conf.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/lib/options.h"

#define VERB "keygen"

static const char help[] =
    "Usage: mobeyectl keygen [FILE]\n"
    "       mobeyectl keygen --public FILE\n"
    "Makes a key pair of CURVE. The secret key goes to FILE, which is made with mode 0600 and must not be there "
    "yet; "
    "the public key, for the list of clients or for senders, goes to stdout. Without FILE both do, a line each: "
    "the public key, then the secret key.\n\n"
    "      --public  print the public key that belongs to the secret key in FILE\n"
    "  -h, --help    this text\n\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

/* Nothing is there under the name unless all of it is on the disk. */
static int write_key(const char *file, const char *secret)
{
    char line[CONF_KEY_LEN + 2];
    int len = snprintf(line, sizeof(line), "%s\n", secret);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ctl_fail(VERB, "%s: %s", file,
                        errno == EEXIST ? "is there already, and stays as it is" : strerror(errno));
    bool good = write(fd, line, (size_t)len) == len && fsync(fd) == 0;
    int why = errno;
    close(fd);
    explicit_bzero(line, sizeof(line));
    if (good)
        return CTL_OK;
    unlink(file);
    return ctl_fail(VERB, "%s: %s", file, strerror(why));
}

static int make(const char *file)
{
    struct curve pair;
    if (zmq_curve_keypair(pair.public_key, pair.secret_key) != 0)
        return ctl_fail(VERB, "libzmq makes no keys: %s", zmq_strerror(errno));
    int status = file ? write_key(file, pair.secret_key) : CTL_OK;
    if (status == CTL_OK)
        puts(pair.public_key);
    if (status == CTL_OK && !file)
        puts(pair.secret_key);
    curve_wipe(&pair);
    return status;
}

static int show(const char *file)
{
    struct err err;
    struct curve pair;
    if (curve_load(file, &pair, &err) != 0)
        return ctl_fail(VERB, "%s", err.text);
    puts(pair.public_key);
    curve_wipe(&pair);
    return CTL_OK;
}

static const struct ctl_verb verb = {VERB, .takes = "", .argument = "FILE", .most = 1, .help = help};

int ctl_keygen(int argc, char **argv)
{
    const char *public_of = NULL;
    const struct ctl_option options[] = {{"public", .text = &public_of}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    if (public_of && call.n_arguments > 0)
        return ctl_usage(VERB, "one FILE at a time, not \"%s\" as well", call.arguments[0]);
    return public_of ? show(public_of) : make(call.arguments[0]);
}
