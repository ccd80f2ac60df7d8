/* mobeyectl keygen: generates a CURVE key pair. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "base/file.h"
#include "conf/conf.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/curve.h"
#include "ctl/lib/options.h"

#define VERB "keygen"

static const char help[] =
    "Usage: mobeyectl keygen [FILE]\n"
    "       mobeyectl keygen --public FILE\n"
    "Generates a CURVE key pair.\n\n"
    "The secret key is written to FILE, which is created with mode 0600 and must not exist yet. The public key, for\n"
    "the client list or for senders, is written to standard output. Without FILE both keys are written there, one\n"
    "per line: first the public key, then the secret key.\n\n"
    "      --public FILE  print the public key that belongs to the secret key in FILE\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl keygen /etc/mobeyed/server.key\n\n" CTL_EXIT_HELP;

/* On failure no file is left under the name. */
static int write_key(const char *file, const char *secret)
{
    char line[CONF_KEY_LEN + 2];
    int len = snprintf(line, sizeof(line), "%s\n", secret);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ctl_fail(VERB, "%s: %s", file, errno == EEXIST ? "file exists (expected a new file)" : strerror(errno));
    bool good = file_write(fd, (struct str){line, (size_t)len}) == 0 && file_sync_parent(AT_FDCWD, file) == 0;
    int why = errno;
    close(fd);
    explicit_bzero(line, sizeof(line));
    if (good)
        return CTL_OK;
    unlink(file);
    return ctl_fail(VERB, "%s: %s", file, strerror(why));
}

static int create_pair(const char *file)
{
    struct curve pair;
    if (zmq_curve_keypair(pair.public_key, pair.secret_key) != 0)
        return ctl_fail(VERB, "libzmq cannot generate keys: %s", zmq_strerror(errno));
    int status = file ? write_key(file, pair.secret_key) : CTL_OK;
    if (status == CTL_OK)
        puts(pair.public_key);
    if (status == CTL_OK && !file)
        puts(pair.secret_key);
    curve_wipe(&pair);
    return status;
}

static int print_public_key(const char *file)
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
        return ctl_usage(VERB, "\"%s\": unexpected argument (--public already names a file)", call.arguments[0]);
    return public_of ? print_public_key(public_of) : create_pair(call.arguments[0]);
}
