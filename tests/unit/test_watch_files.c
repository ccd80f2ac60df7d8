/* The cursor and the dead letters of mobeyectl watch, when the disk is full and when two runs meet. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/operate/status_watch.h"
#include "ctl/operate/watch_cursor.h"
#include "ctl/operate/watch_dead.h"

static char directory[64];
static unsigned synced_directories;

/* Takes the place of libc's. */
int fsync(int fd)
{
    struct stat st;
    synced_directories += fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return fdatasync(fd);
}

static const char *in_directory(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void expect_text(const char *path, const char *text)
{
    char found[256] = "";
    FILE *file = fopen(path, "re");
    cr_assert(file, "%s", path);
    found[fread(found, 1, sizeof(found) - 1, file)] = '\0';
    fclose(file);
    cr_expect_str_eq(found, text);
}

static void create_directory(void)
{
    strcpy(directory, "/tmp/watch.XXXXXX");
    cr_assert(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", directory);
    cr_assert_eq(system(command), 0);
}

/* A file of this size fills the disk. */
static void limit_size(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, RLIM_INFINITY});
}

TestSuite(watch_files, .init = create_directory, .fini = remove_directory);

Test(watch_files, no_part_of_a_letter_stays_that_did_not_fit)
{
    struct err err = {""};
    const char *file = in_directory("dead");
    cr_assert_eq(dead_append(file, STR("{\"id\": \"1\"}"), &err), 0, "%s", err.text);
    limit_size(20);
    cr_assert_eq(dead_append(file, STR("{\"id\": \"2\"}"), &err), -1);
    limit_size(RLIM_INFINITY);
    cr_expect(strstr(err.text, "File too large"), "%s", err.text);
    expect_text(file, "{\"id\": \"1\"}\n");
    cr_assert_eq(dead_append(file, STR("{\"id\": \"3\"}"), &err), 0, "%s", err.text);
    expect_text(file, "{\"id\": \"1\"}\n{\"id\": \"3\"}\n");
}

Test(watch_files, a_cursor_that_does_not_fit_gives_the_reason)
{
    struct err err = {""};
    const char *file = in_directory("cursor");
    cr_assert_eq(cursor_store(file, 41, &err), 0, "%s", err.text);
    limit_size(2);
    cr_assert_eq(cursor_store(file, 42000, &err), -1);
    limit_size(RLIM_INFINITY);
    cr_expect(strstr(err.text, "File too large"), "%s", err.text);
    expect_text(file, "41\n");
}

Test(watch_files, the_directory_of_a_cursor_is_synced)
{
    struct err err;
    synced_directories = 0;
    cr_assert_eq(cursor_store(in_directory("cursor"), 41, &err), 0, "%s", err.text);
    cr_assert_eq(synced_directories, 1);
}

Test(watch_files, two_runs_do_not_deliver_the_same_letters)
{
    struct err err = {""};
    size_t taken, left;
    struct delivery delivery = {.command = "true"};
    const char *file = in_directory("dead");
    char renamed[160];
    snprintf(renamed, sizeof(renamed), "%s.retrying", file);
    write_text(renamed, "{\"id\": \"1\"}\n");
    write_text(file, "{\"id\": \"2\"}\n");
    int other = open(renamed, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(other, LOCK_EX), 0);
    cr_assert_eq(dead_retry(file, &delivery, &taken, &left, &err), -1);
    cr_expect(strstr(err.text, "another --retry is running"), "%s", err.text);
    close(other);
    cr_assert_eq(dead_retry(file, &delivery, &taken, &left, &err), 0, "%s", err.text);
    cr_assert(taken == 1 && left == 0 && access(renamed, F_OK) != 0);
    expect_text(file, "{\"id\": \"2\"}\n");
    cr_assert_eq(dead_retry(file, &delivery, &taken, &left, &err), 0, "%s", err.text);
    cr_assert(taken == 1 && left == 0 && access(file, F_OK) != 0);
}

Test(watch_files, letters_of_an_interrupted_retry_are_counted)
{
    struct status_watches watches;
    cr_assert_eq(mkdir(in_directory("desk"), 0700), 0);
    write_text(in_directory("desk/dead-letter"), "{}\n");
    write_text(in_directory("desk/dead-letter.retrying"), "{}\n{}\n");
    status_watches_read(&watches, directory, 0);
    cr_assert_eq(watches.n, 1);
    cr_expect_eq(watches.list[0].dead, 3);
    free(watches.list);
}

/* Its user is not root, who counts them for status. */
Test(watch_files, of_what_is_not_a_file_nothing_is_read)
{
    struct err err;
    struct status_watches watches;
    cr_assert_eq(mkdir(in_directory("desk"), 0700), 0);
    cr_assert_eq(mkfifo(in_directory("desk/cursor"), 0600), 0);
    cr_assert_eq(symlink("/dev/zero", in_directory("desk/dead-letter")), 0);
    cr_assert_eq(mkfifo(in_directory("desk/dead-letter.retrying"), 0600), 0);
    status_watches_read(&watches, directory, 0);
    cr_assert_eq(watches.n, 1);
    cr_expect_eq(watches.list[0].dead, 0);
    cr_expect(watches.list[0].after != watches.list[0].after);
    free(watches.list);
    bool found;
    int64_t after;
    cr_expect_eq(cursor_read(in_directory("desk/cursor"), &found, &after, &err), -1);
    cr_expect(strstr(err.text, "desk/cursor: not a regular file"), "%s", err.text);
}
