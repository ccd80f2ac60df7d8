/* Files are read and written whole, however few bytes a call takes and whatever interrupts it, or not at all. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "ctl/operate/watch_dead.h"
#include "ctl/operate/watch_metrics.h"
#include "ctl/setup/setup.h"

#define LIMIT (1 << 20) /* of setup_read() */

static char folder[] = "/tmp/mobeye-file-XXXXXX", path[64];
static struct {
    bool armed; /* for files */
    bool interrupted;
    bool full; /* a write takes nothing, which is no error */
    int error; /* of every call; 0: every other one is interrupted, and the others take less than they are asked for */
    unsigned synced_directories;
} sim;

/* Whether this call fails; it has set errno then. */
static bool fails(void)
{
    sim.interrupted = !sim.interrupted;
    errno = sim.error ? sim.error : EINTR;
    return sim.error || sim.interrupted;
}

/* Takes the place of libc's. */
ssize_t read(int fd, void *out, size_t len)
{
    struct stat st;
    if (!sim.armed || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return syscall(SYS_read, fd, out, len);
    return fails() ? -1 : syscall(SYS_read, fd, out, len > 1000 ? 1000 : len);
}

ssize_t write(int fd, const void *in, size_t len)
{
    struct stat st;
    if (!sim.armed || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return syscall(SYS_write, fd, in, len);
    if (sim.full)
        return 0;
    return fails() ? -1 : syscall(SYS_write, fd, in, len > 1000 ? 1000 : len);
}

int fsync(int fd)
{
    struct stat st;
    sim.synced_directories += fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return (int)syscall(SYS_fsync, fd);
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

static void expect_names(unsigned expected)
{
    unsigned n = 0;
    DIR *all = opendir(folder);
    cr_assert_not_null(all);
    while (readdir(all))
        n++;
    closedir(all);
    cr_expect_eq(n, 2 + expected, "%u", n);
}

static void expect_file(size_t len)
{
    struct stat st;
    struct buf text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && fstat(fd, &st) == 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    cr_expect_eq(file_read(fd, LIMIT, &text), 0);
    expect_letters(&text, len);
    buf_free(&text);
    close(fd);
    expect_names(1);
}

static int replace(size_t len)
{
    struct buf text = {0};
    for (size_t i = 0; i < len; i++)
        buf_append(&text, &(char){(char)('a' + i % 26)}, 1);
    sim.armed = true;
    int rc = file_replace(AT_FDCWD, path, buf_str(&text), 0600), why = errno;
    sim.armed = false;
    buf_free(&text);
    errno = why;
    return rc;
}

Test(file, a_file_is_created_and_replaced_whole_and_its_directory_synced)
{
    cr_expect_eq(replace(2500), 0);
    expect_file(2500);
    cr_expect_eq(replace(1200), 0);
    expect_file(1200);
    cr_expect_eq(sim.synced_directories, 2);
}

Test(file, a_file_that_cannot_be_replaced_stays_and_nothing_beside_it)
{
    cr_expect_eq(replace(2500), 0);
    sim.error = EIO;
    cr_expect_eq(replace(1200), -1);
    cr_expect_eq(errno, EIO);
    expect_file(2500);
}

Test(file, a_write_that_takes_nothing_is_a_failure)
{
    cr_expect_eq(replace(2500), 0);
    sim.full = true;
    cr_expect_eq(replace(1200), -1);
    cr_expect_eq(errno, EIO);
    expect_file(2500);
}

/* Whatever has the name of the new file is not written through, and its mode is not used. */
Test(file, a_leftover_of_an_interrupted_run_is_not_used)
{
    char beside[80], other[80];
    snprintf(beside, sizeof(beside), "%s.new", path);
    snprintf(other, sizeof(other), "%s/other", folder);
    int fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && fchmod(fd, 0666) == 0);
    close(fd);
    cr_expect_eq(replace(2500), 0);
    expect_file(2500);
    cr_assert_eq(symlink(other, beside), 0);
    cr_expect_eq(replace(1200), 0);
    expect_file(1200);
    cr_assert_eq(mkfifo(beside, 0600), 0);
    cr_expect_eq(replace(100), 0);
    expect_file(100);
    unlink(other);
}

Test(file, a_dead_letter_is_synced_with_the_directory_that_its_file_is_new_in)
{
    struct err err = {""};
    cr_expect_eq(dead_append(path, STR("{}"), &err), 0, "%s", err.text);
    cr_expect_eq(sim.synced_directories, 1);
}

Test(file, a_directory_in_the_way_is_reported)
{
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_eq(replace(10), -1);
    cr_expect_eq(errno, EISDIR);
    expect_names(1);
    rmdir(path);
}

Test(file, a_file_has_the_mode_that_was_asked_for_whatever_the_umask)
{
    struct stat st;
    mode_t before = umask(0077);
    cr_expect_eq(file_replace(AT_FDCWD, path, STR("x"), 0644), 0);
    umask(before);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0644);
    expect_names(1);
}

Test(file, metrics_that_cannot_be_put_in_place_leave_nothing_beside)
{
    struct err err = {""};
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_eq(watch_metrics_write(&(struct watch_metrics){.taken = 1}, path, &err), -1);
    cr_expect_not_null(strstr(err.text, strerror(EISDIR)), "%s", err.text);
    expect_names(1);
    rmdir(path);
}

Test(file, a_name_that_is_too_long_is_reported)
{
    char name[5000];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_expect_eq(file_replace(AT_FDCWD, name, STR("x"), 0600), -1);
    cr_expect_eq(errno, ENAMETOOLONG);
}
