#include "ctl/watch_deliver.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define SECRET_LEAST_BYTES 16
#define SECRET_MOST_BYTES  4096

int delivery_read_secret(struct delivery *delivery, const char *file, struct err *err)
{
    struct stat stat;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0) {
        if (fd >= 0)
            close(fd);
        return err_set(err, "%s: %s", file, strerror(errno));
    }
    ssize_t n = -1;
    if (stat.st_mode & 077)
        err_set(err, "%s: others may read it (mode 0600)", file);
    else if ((n = read(fd, buf_reserve(&delivery->secret, SECRET_MOST_BYTES), SECRET_MOST_BYTES)) < 0)
        err_set(err, "%s: %s", file, strerror(errno));
    close(fd);
    if (n < 0)
        return -1;
    if (n > 0 && delivery->secret.data[n - 1] == '\n')
        n--;
    if (n < SECRET_LEAST_BYTES)
        return err_set(err, "%s: a secret of %zd bytes is too short (at least %d)", file, n, SECRET_LEAST_BYTES);
    delivery->secret.len = (size_t)n;
    return 0;
}

void delivery_sign(struct str secret, struct str body, struct buf *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    HMAC(EVP_sha256(), secret.p, (int)secret.len, (const unsigned char *)body.p, body.len, digest, &len);
    buf_printf(out, "sha256=");
    for (unsigned int i = 0; i < len; i++)
        buf_printf(out, "%02x", digest[i]);
}

static int send_line(struct str event, struct err *err)
{
    fwrite(event.p, 1, event.len, stdout);
    fputc('\n', stdout);
    return fflush(stdout) == 0 ? 0 : err_set(err, "standard output: %s", strerror(errno));
}

static size_t ignore_answer(char *data, size_t size, size_t n, void *ctx)
{
    (void)data, (void)ctx;
    return size * n;
}

static int post(CURL *curl, const struct delivery *delivery, struct str event, struct err *err)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/cloudevents+json; charset=UTF-8");
    struct buf signature = {0};
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    if (delivery->secret.len > 0) {
        buf_printf(&signature, "Mobeye-Signature: ");
        delivery_sign(buf_str(&delivery->secret), event, &signature);
        headers = curl_slist_append(headers, signature.data);
    }
    curl_easy_setopt(curl, CURLOPT_URL, delivery->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, event.p);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)event.len);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)DELIVERY_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mobeyectl/" MOBEYE_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_answer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    buf_free(&signature);
    if (code != CURLE_OK)
        return err_set(err, "the webhook: %s", why[0] ? why : curl_easy_strerror(code));
    return status >= 200 && status < 300 ? 0 : err_set(err, "the webhook answered %ld", status);
}

static int send_webhook(const struct delivery *delivery, struct str event, struct err *err)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return err_set(err, "the webhook: libcurl cannot be used");
    int rc = post(curl, delivery, event, err);
    curl_easy_cleanup(curl);
    return rc;
}

/* In the child: sh, with the event's pipe as standard input. */
static void run_command(const char *command, int in)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    dup2(in, STDIN_FILENO);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* A command that reads nothing is no failure, so neither is a pipe that it closed. */
static void write_event(int fd, struct str event)
{
    for (size_t at = 0; at < event.len;) {
        ssize_t n = write(fd, event.p + at, event.len - at);
        if (n < 0 && errno != EINTR)
            return;
        at += n > 0 ? (size_t)n : 0;
    }
}

static int wait_for(pid_t pid, struct err *err)
{
    int status = 0, fd = pidfd_open(pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int64_t end_us = clock_mono_us() + DELIVERY_TIMEOUT_S * CLOCK_SECOND;
    bool ended = false;
    while (fd >= 0 && !ended && clock_mono_us() < end_us)
        ended = poll(&poll_fd, 1, (int)((end_us - clock_mono_us()) / CLOCK_MS) + 1) > 0;
    if (!ended)
        kill(-pid, SIGKILL);
    if (fd >= 0)
        close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!ended)
        return err_set(err, "the command took longer than %d s", DELIVERY_TIMEOUT_S);
    if (WIFSIGNALED(status))
        return err_set(err, "the command was ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? 0 : err_set(err, "the command ended with %d", WEXITSTATUS(status));
}

static int send_command(const struct delivery *delivery, struct str event, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(err, "the command: %s", strerror(errno));
    /* An event fits the pipe: writing it waits for nobody. */
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        run_command(delivery->command, ends[0]);
    close(ends[0]);
    if (pid > 0)
        write_event(ends[1], event);
    close(ends[1]);
    return pid > 0 ? wait_for(pid, err) : err_set(err, "the command: %s", strerror(errno));
}

int delivery_send(const struct delivery *delivery, struct str event, struct err *err)
{
    if (delivery->url)
        return send_webhook(delivery, event, err);
    if (delivery->command)
        return send_command(delivery, event, err);
    return send_line(event, err);
}
