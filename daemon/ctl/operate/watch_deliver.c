#include "ctl/operate/watch_deliver.h"

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
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"

#define SECRET_LEAST_BYTES 16
#define SECRET_MOST_BYTES  4096
#define ANSWER_MOST_BYTES  (64 * 1024)

int delivery_read_secret(struct delivery *delivery, const char *source, struct err *err)
{
    if (secret_read(source, SECRET_MOST_BYTES, &delivery->secret, err) != 0)
        return -1;
    struct buf *secret = &delivery->secret;
    if (secret->len > 0 && secret->data[secret->len - 1] == '\n')
        secret->len--;
    if (secret->len < SECRET_LEAST_BYTES)
        return err_set(err, "%s: a secret of %zu bytes is too short (at least %d)", source, secret->len,
                       SECRET_LEAST_BYTES);
    return 0;
}

bool delivery_is_url(const char *url)
{
    CURLU *parsed = curl_url();
    bool is_http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    bool is_url = is_http && parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;
    curl_url_cleanup(parsed);
    return is_url;
}

int delivery_read_webhook(struct delivery *delivery, const char *source, struct err *err)
{
    struct buf *text = &delivery->webhook;
    if (secret_read(source, SECRET_MOST_BYTES, text, err) != 0)
        return -1;
    buf_append(text, "", 1);
    if (strlen(text->data) + 1 != text->len)
        return err_set(err, "%s: contains a NUL byte (expected text)", source);
    char *rest = text->data;
    delivery->url = strsep(&rest, "\n");
    delivery->fields = rest;
    if (!delivery_is_url(delivery->url))
        return err_set(err, "%s:1: is not a URL (expected http:// or https://)", source);
    return 0;
}

void delivery_free(struct delivery *delivery)
{
    secret_free(&delivery->webhook);
    secret_free(&delivery->secret);
    watch_template_free(&delivery->message);
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

static enum delivery_result send_line(struct str event, struct err *err)
{
    fwrite(event.p, 1, event.len, stdout);
    fputc('\n', stdout);
    if (fflush(stdout) == 0)
        return DELIVERY_TAKEN;
    err_set(err, "standard output: %s", strerror(errno));
    return DELIVERY_REFUSED;
}

/* Counts the bytes of header lines and body, and ends the transfer if there are too many. */
/* NOLINTNEXTLINE(readability-non-const-parameter): as libcurl declares it */
static size_t on_answer(char *data, size_t size, size_t n, void *ctx)
{
    size_t *read = ctx;
    (void)data;
    *read += size * n;
    return *read <= ANSWER_MOST_BYTES ? size * n : 0;
}

static struct curl_slist *append_fields(struct curl_slist *fields, const char *lines)
{
    struct buf line = {0};
    for (const char *at = lines; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        line.len = 0;
        buf_append(&line, at, strcspn(at, "\n"));
        buf_append(&line, "", 1);
        if (line.len > 1)
            fields = curl_slist_append(fields, line.data);
    }
    secret_free(&line);
    return fields;
}

/* own: the fields of the template; NULL: there is none. */
static struct curl_slist *header_fields(const struct delivery *delivery, const char *own, struct str body)
{
    struct curl_slist *fields =
        append_fields(NULL, own ? own : "Content-Type: application/cloudevents+json; charset=UTF-8");
    if (delivery->secret.len > 0) {
        struct buf line = {0};
        buf_printf(&line, "Mobeye-Signature: ");
        delivery_sign(buf_str(&delivery->secret), body, &line);
        buf_append(&line, "", 1);
        fields = curl_slist_append(fields, line.data);
        buf_free(&line);
    }
    return append_fields(fields, delivery->fields);
}

static enum delivery_result post_event(CURL *curl, const struct delivery *delivery, const char *own, struct str event,
                                       int timeout_s, struct err *err)
{
    struct curl_slist *fields = header_fields(delivery, own, event);
    char why[CURL_ERROR_SIZE] = "";
    size_t read = 0;
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_URL, delivery->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, event.p);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)event.len);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "mobeyectl/" MOBEYE_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &read);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &read);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(fields);
    /* A server that sends more than is read has already sent its status. */
    bool answered = code == CURLE_OK || (read > ANSWER_MOST_BYTES && status > 0);
    if (answered && status >= 200 && status < 300)
        return DELIVERY_TAKEN;
    if (answered)
        err_set(err, "the webhook returned status %ld (expected 2xx)", status);
    else
        err_set(err, "webhook: %s", why[0] ? why : curl_easy_strerror(code));
    return answered ? DELIVERY_REFUSED : DELIVERY_UNANSWERED;
}

static enum delivery_result send_webhook(const struct delivery *delivery, const char *own, struct str event,
                                         int timeout_s, struct err *err)
{
    CURL *curl = curl_easy_init();
    if (!curl) {
        err_set(err, "webhook: cannot initialise libcurl");
        return DELIVERY_UNANSWERED;
    }
    enum delivery_result result = post_event(curl, delivery, own, event, timeout_s, err);
    curl_easy_cleanup(curl);
    return result;
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

/* 0, or why the rest of the event need not be written. */
static int write_some(int fd, struct str *event)
{
    ssize_t n = write(fd, event->p, event->len);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : errno;
    *event = (struct str){event->p + n, event->len - (size_t)n};
    return 0;
}

/* Writes the event, as fast as the pipe takes it, and waits. A command need not read it: it may close the
 * pipe, or end. Closes `in`. 0: it has ended; ETIMEDOUT: not in time; or why it cannot get the event. */
static int feed_command(int pid_fd, int in, struct str event, int timeout_s)
{
    struct pollfd fds[] = {{.fd = pid_fd, .events = POLLIN}, {.fd = in, .events = POLLOUT}};
    int64_t now_us = clock_mono_us(), end_us = now_us + timeout_s * CLOCK_SECOND;
    int why = 0;
    for (; why == 0 && now_us < end_us; now_us = clock_mono_us()) {
        if (poll(fds, 2, (int)((end_us - now_us) / CLOCK_MS) + 1) <= 0)
            continue;
        if (fds[0].revents)
            break;
        why = write_some(in, &event);
        if (event.len == 0 || why == EPIPE) {
            why = 0;
            close(in);
            fds[1].fd = -1;
        }
    }
    if (fds[1].fd >= 0)
        close(in);
    return why == 0 && !fds[0].revents ? ETIMEDOUT : why;
}

static enum delivery_result wait_for(pid_t pid, int in, struct str event, int timeout_s, struct err *err)
{
    int status = 0, fd = pidfd_open(pid, 0);
    int why = fd < 0 ? errno : feed_command(fd, in, event, timeout_s);
    close(fd < 0 ? in : fd);
    if (why != 0)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (why == ETIMEDOUT)
        err_set(err, "the command took longer than %d s", timeout_s);
    else if (why != 0)
        err_set(err, "command: %s", strerror(why));
    else if (WIFSIGNALED(status))
        err_set(err, "the command was terminated by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        err_set(err, "the command exited with status %d (expected 0)", WEXITSTATUS(status));
    else
        return DELIVERY_TAKEN;
    return why == 0 ? DELIVERY_REFUSED : DELIVERY_UNANSWERED;
}

static enum delivery_result send_command(const struct delivery *delivery, struct str event, int timeout_s,
                                         struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_set(err, "command: %s", strerror(errno));
        return DELIVERY_UNANSWERED;
    }
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        run_command(delivery->command, ends[0]);
    int why = errno;
    close(ends[0]);
    if (pid > 0) {
        setpgid(pid, pid); /* here too: the group exists before it is killed */
        return wait_for(pid, ends[1], event, timeout_s, err);
    }
    close(ends[1]);
    err_set(err, "command: %s", strerror(why));
    return DELIVERY_UNANSWERED;
}

enum delivery_result delivery_send(const struct delivery *delivery, struct str event, int timeout_s, struct err *err)
{
    struct buf fields = {0}, body = {0};
    enum delivery_result result = DELIVERY_REFUSED;
    if (delivery->message && watch_template_fill(delivery->message, event, &fields, &body, err) != 0)
        goto out;
    if (!delivery->message)
        buf_append_str(&body, event);
    if (delivery->url) {
        buf_append(&fields, "", 1);
        result = send_webhook(delivery, delivery->message ? fields.data : NULL, buf_str(&body), timeout_s, err);
        goto out;
    }
    if (delivery->message)
        buf_append_str(&fields, STR("\n"));
    buf_append_str(&fields, buf_str(&body));
    if (delivery->command && !delivery->message)
        buf_append_str(&fields, STR("\n")); /* for commands that append it to a file */
    result =
        delivery->command ? send_command(delivery, buf_str(&fields), timeout_s, err) : send_line(buf_str(&fields), err);
out:
    buf_free(&fields);
    buf_free(&body);
    return result;
}
