/*
 * Preloaded into mobeyectl, it kills the process before the Nth step, N being MOBEYE_INTERRUPT. A step is a call that
 * changes something outside the process, or asks another process to do so.
 */
#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <libpq-fe.h>

static long wanted, seen;

/* Programs that it starts run undisturbed. */
__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("MOBEYE_INTERRUPT");
    wanted = text ? atol(text) : 0;
    unsetenv("MOBEYE_INTERRUPT");
    unsetenv("LD_PRELOAD");
}

static void step(const char *call)
{
    if (++seen != wanted)
        return;
    fprintf(stderr, "interrupt: before step %ld, %s\n", seen, call);
    kill(getpid(), SIGKILL);
}

#define STEP(type, name, parameters, arguments)                                                                        \
    type name parameters                                                                                               \
    {                                                                                                                  \
        type(*real) parameters;                                                                                        \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                     \
        step(#name);                                                                                                   \
        return real arguments;                                                                                         \
    }

STEP(ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len))
STEP(int, fsync, (int fd), (fd))
STEP(int, fchmod, (int fd, mode_t mode), (fd, mode))
STEP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
STEP(int, chown, (const char *path, uid_t user, gid_t group), (path, user, group))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, link, (const char *from, const char *to), (from, to))
STEP(int, unlink, (const char *path), (path))
STEP(int, posix_spawnp,
     (pid_t * pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *how,
      char *const argv[], char *const envp[]),
     (pid, file, actions, how, argv, envp))
STEP(PGconn *, PQconnectdbParams, (const char *const *keys, const char *const *values, int expand),
     (keys, values, expand))
STEP(PGresult *, PQexec, (PGconn * conn, const char *sql), (conn, sql))
STEP(PGresult *, PQexecParams,
     (PGconn * conn, const char *sql, int n, const Oid *types, const char *const *values, const int *lengths,
      const int *formats, int result_format),
     (conn, sql, n, types, values, lengths, formats, result_format))
