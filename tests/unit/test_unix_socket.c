/* A socket that a killed process left behind is removed; anything else at the path is kept. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/unix_socket.h"

static char directory[] = "/tmp/mobeye-unix-socket-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void setup(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
}

static void teardown(void)
{
    unlink(address.sun_path);
    rmdir(directory);
}

TestSuite(unix_socket, .init = setup, .fini = teardown, .timeout = 60);

static int bound(int type)
{
    int fd = socket(AF_UNIX, type, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s", strerror(errno));
    return fd;
}

static int listening(int backlog)
{
    int fd = bound(SOCK_STREAM);
    cr_assert_eq(listen(fd, backlog), 0);
    return fd;
}

static void expect_kept(int error)
{
    struct stat st;
    errno = 0;
    cr_expect_eq(unix_socket_claim(address.sun_path), -1);
    cr_expect_eq(errno, error, "%s", strerror(errno));
    cr_expect_eq(lstat(address.sun_path, &st), 0, "it is removed");
}

Test(unix_socket, a_free_path_is_free)
{
    cr_expect_eq(unix_socket_claim(address.sun_path), 0);
}

Test(unix_socket, a_socket_without_a_listener_is_removed)
{
    close(listening(1));
    cr_expect_eq(unix_socket_claim(address.sun_path), 0);
    cr_expect_neq(access(address.sun_path, F_OK), 0);
}

Test(unix_socket, a_socket_with_a_listener_is_kept)
{
    listening(1);
    expect_kept(EADDRINUSE);
}

Test(unix_socket, a_listener_that_does_not_accept_keeps_its_socket)
{
    listening(0);
    int fd;
    do
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
    expect_kept(EADDRINUSE);
}

Test(unix_socket, a_socket_of_another_type_is_kept)
{
    bound(SOCK_DGRAM);
    expect_kept(EPROTOTYPE);
}

Test(unix_socket, without_descriptors_nothing_is_removed)
{
    struct rlimit before, none;
    listening(1);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    expect_kept(EMFILE);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

Test(unix_socket, a_file_is_kept)
{
    close(open(address.sun_path, O_WRONLY | O_CREAT, 0600));
    expect_kept(EEXIST);
}

Test(unix_socket, a_path_that_cannot_be_looked_at_is_not_free)
{
    char below[sizeof(address.sun_path) + 8];
    snprintf(below, sizeof(below), "%s/more", address.sun_path);
    close(open(address.sun_path, O_WRONLY | O_CREAT, 0600));
    cr_expect_eq(unix_socket_claim(below), -1);
    cr_expect_eq(errno, ENOTDIR, "%s", strerror(errno));
}
