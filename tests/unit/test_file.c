/* Files are read whole, however few bytes a call returns and whatever interrupts it, or not at all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "ctl/setup/setup.h"

#define LIMIT (1 << 20) /* of setup_read() */

static char folder[] = "/tmp/mobeye-file-XXXXXX", path[64];
static struct {
    bool armed; /* for files */
    bool interrupted;
    int error; /* of every call; 0: every other one is interrupted, and the others read less than they are asked for */
} sim;

/* Takes the place of libc's. */
ssize_t read(int fd, void *out, size_t len)
{
    struct stat st;
    if (!sim.armed || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return syscall(SYS_read, fd, out, len);
    if (sim.error || !sim.interrupted) {
        sim.interrupted = true;
        errno = sim.error ? sim.error : EINTR;
        return -1;
    }
    sim.interrupted = false;
    return syscall(SYS_read, fd, out, len > 1000 ? 1000 : len);
}

/* Leaves an error of its own. */
int close(int fd)
{
    int rc = (int)syscall(SYS_close, fd);
    if (sim.armed)
        errno = ENOSPC;
    return rc;
}

static void setup(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
}

static void teardown(void)
{
    sim.armed = false;
    unlink(path);
    rmdir(folder);
}

TestSuite(file, .init = setup, .fini = teardown, .timeout = 60);

static void put(size_t len)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    for (size_t i = 0; i < len; i++)
        fputc('a' + (int)(i % 26), file);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0600), 0);
}

static void expect_letters(const struct buf *text, size_t len)
{
    cr_assert_eq(text->len, len, "%zu", text->len);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(text->data[i], 'a' + (int)(i % 26), "byte %zu", i);
}

static void expect_setup_reads(size_t len)
{
    struct buf text = {0};
    put(len);
    sim.armed = true;
    int there = setup_read(path, &text);
    sim.armed = false;
    cr_expect_eq(there, 1);
    expect_letters(&text, len);
    buf_free(&text);
}

Test(file, setup_reads_all_of_a_file)
{
    expect_setup_reads(0);
    expect_setup_reads(2500);
    expect_setup_reads(LIMIT);
}

static void expect_setup_fails(const char *why)
{
    char said[1024];
    int ends[2];
    struct buf text = {0};
    cr_assert_eq(pipe(ends), 0);
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    sim.armed = true;
    int there = setup_read(path, &text);
    sim.armed = false;
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    ssize_t n = read(ends[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    cr_expect_eq(there, -1);
    cr_expect_not_null(strstr(said, why), "%s", said);
    buf_free(&text);
}

Test(file, setup_takes_no_part_of_a_file_that_is_too_large)
{
    put(LIMIT + 1);
    expect_setup_fails(strerror(EFBIG));
}

Test(file, setup_says_why_a_file_cannot_be_read)
{
    put(100);
    sim.error = EIO;
    expect_setup_fails(strerror(EIO));
}

Test(file, a_secret_is_read_although_a_signal_comes)
{
    struct buf secret = {0};
    struct err err = {""};
    put(2500);
    sim.armed = true;
    int rc = secret_read(path, 4096, &secret, &err);
    sim.armed = false;
    cr_expect_eq(rc, 0, "%s", err.text);
    expect_letters(&secret, 2500);
    secret_free(&secret);
}
