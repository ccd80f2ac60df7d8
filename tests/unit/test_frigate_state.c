/* What mobeye-frigate remembers: tracks, cursor, availability, the state file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "frigate/availability.h"
#include "frigate/state_file.h"
#include "frigate/tracks.h"

static struct frigate_event event_of(const char *id, double start_s, bool ended)
{
    struct frigate_event event = {.start_s = start_s, .top_score = 0.5, .stationary = TRI_NO, .ended = ended};
    strcpy(event.id, id);
    strcpy(event.camera, "yard\tgate");
    return event;
}

static struct track *add(struct tracks *tracks, const char *id, double start_s, bool ended, unsigned done)
{
    struct frigate_event event = event_of(id, start_s, ended);
    struct track *track = tracks_add(tracks, &event, 1);
    cr_assert_not_null(track);
    track->done |= done;
    track->accepted = track_report_of(&event);
    return track;
}

Test(frigate_tracks, a_track_is_done_when_all_of_it_is_answered)
{
    struct tracks tracks;
    tracks_init(&tracks, true);
    struct track *live = add(&tracks, "live", 1e9, false, TRACK_NEW | TRACK_END | TRACK_IMAGE);
    struct track *ended = add(&tracks, "ended", 1e9, true, TRACK_NEW | TRACK_END | TRACK_IMAGE);
    cr_expect(!track_is_done(&tracks, live), "its last image is missing");
    cr_expect(track_is_done(&tracks, ended));
    ended->users = 1;
    cr_expect(!track_is_done(&tracks, ended), "an alert refers to it");
    ended->users = 0;
    live->done |= TRACK_IMAGE_END;
    cr_expect(track_is_done(&tracks, live));
    tracks_prune(&tracks, 1e9);
    cr_expect_eq(tracks.n, 2, "began at the time, not before it");
    tracks_prune(&tracks, 1e9 + 1);
    cr_expect_eq(tracks.n, 0);
    tracks_clear(&tracks);
}

Test(frigate_tracks, a_full_table_forgets_what_is_done_and_nothing_else)
{
    struct tracks tracks;
    char id[16];
    struct frigate_event more = event_of("more", 2e9, false);
    tracks_init(&tracks, false);
    for (int i = 0; i < TRACKS_MAX; i++) {
        sprintf(id, "t%d", i);
        add(&tracks, id, 1e9, false, TRACK_NEW);
    }
    cr_expect_null(tracks_add(&tracks, &more, 1));
    tracks_find(&tracks, "t77")->done |= TRACK_END;
    cr_expect_not_null(tracks_add(&tracks, &more, 1));
    cr_expect_null(tracks_find(&tracks, "t77"));
    cr_expect_not_null(tracks_find(&tracks, "t0"));
    cr_expect_eq(tracks.n, TRACKS_MAX);
    tracks_clear(&tracks);
}

Test(frigate_tracks, what_frigate_does_not_know_has_ended_unless_only_mqtt_could_bring_it)
{
    struct tracks tracks;
    tracks_init(&tracks, false);
    struct track *track = add(&tracks, "a", 1e9, false, TRACK_NEW);
    int64_t seen_us = track->seen_us = CLOCK_MINUTE, due_us = seen_us + TRACK_VANISHED_US;
    cr_expect(!track_is_vanished(track, INT64_MIN, due_us - 1) && track_is_vanished(track, INT64_MIN, due_us));
    cr_expect(!track_is_vanished(track, 0, 100 * due_us), "MQTT is away");
    cr_expect(!track_is_vanished(track, seen_us + 1, due_us), "and back for less than five minutes");
    cr_expect(track_is_vanished(track, seen_us + 1, due_us + 1));
    track->listed = true;
    cr_expect(track_is_vanished(track, 0, due_us), "Frigate had stored it");
    tracks_clear(&tracks);
}

Test(frigate_tracks, the_text_reads_back_as_it_was)
{
    struct tracks tracks, again;
    struct buf text = {0}, twice = {0};
    struct tracks_extra extra = {true, true};
    tracks_init(&tracks, true);
    tracks_init(&again, true);
    tracks.cursor_s = 1795467600.123456;
    add(&tracks, "1795467600.5-a", 1795467600.5, false, TRACK_NEW);
    add(&tracks, "1795467600.6-b", NAN, true, TRACK_NEW | TRACK_END | TRACK_IMAGE);
    add(&tracks, "unsent", 1795467600.7, true, 0);
    tracks_write(&tracks, &extra, &text);
    extra = (struct tracks_extra){0};
    cr_expect_eq(tracks_read(&again, &extra, buf_str(&text), 7), 0, "%.*s", (int)text.len, text.data);
    cr_expect(extra.offline && extra.offline_by_mqtt);
    cr_expect_float_eq(again.cursor_s, tracks.cursor_s, 1e-6);
    cr_expect_eq(again.n, 2, "what was not accepted is found again");
    const struct track *track = tracks_find(&again, "1795467600.5-a");
    cr_assert_not_null(track);
    cr_expect_eq(track->done, TRACK_NEW | TRACK_LIVE);
    cr_expect_eq(track->queued, track->done);
    cr_expect_eq(track->sent.top_score, 0.5);
    cr_expect_str_eq(track->last.camera, "yard gate");
    cr_expect_eq(track->seen_us, 7);
    tracks_write(&again, &extra, &twice);
    cr_expect(strncmp(twice.data, text.data, text.len - 6) == 0, "%.*s", (int)twice.len, twice.data);
    tracks_clear(&tracks);
    tracks_clear(&again);
    buf_free(&text);
    buf_free(&twice);
}

Test(frigate_tracks, what_is_rejected_is_held_and_read_back)
{
    struct tracks tracks, again;
    struct buf text = {0};
    struct tracks_extra extra = {0};
    tracks_init(&tracks, true);
    tracks_init(&again, true);
    struct track *raised = add(&tracks, "raised", 1e9, true, TRACK_NEW);
    struct track *not_raised = add(&tracks, "not raised", 1e9, true, 0);
    raised->queued = not_raised->queued = TRACK_NEW | TRACK_END;
    cr_expect_eq(tracks_reject(&tracks, raised, TRACK_END), 0);
    cr_expect_eq(tracks_reject(&tracks, not_raised, TRACK_NEW), 0);
    cr_expect(raised->held && raised->queued == TRACK_NEW, "its end is to be sent again");
    tracks_accept(&tracks, raised, TRACK_IMAGE);
    cr_expect(raised->done & TRACK_REJECTED, "an image that was under way does not settle the end");
    tracks_prune(&tracks, 2e9);
    cr_expect_eq(tracks_rejected(&tracks), 2);
    tracks_write(&tracks, &extra, &text);
    cr_expect_eq(tracks_read(&again, &extra, buf_str(&text), 7), 0, "%.*s", (int)text.len, text.data);
    const struct track *read = tracks_find(&again, "not raised");
    cr_assert_not_null(read);
    cr_expect(read->queued == 0 && !read->held, "a restart sends it again");
    cr_expect_eq(tracks_rejected(&again), 2);
    cr_expect_eq(tracks_release(&tracks), 2);
    tracks_accept(&tracks, raised, TRACK_END);
    cr_expect_eq(tracks_rejected(&tracks), 1);
    tracks_clear(&tracks);
    tracks_clear(&again);
    buf_free(&text);
}

Test(frigate_tracks, of_too_many_rejected_ones_the_oldest_is_given_up)
{
    struct tracks tracks;
    char id[16];
    unsigned given_up = 0;
    tracks_init(&tracks, false);
    for (int i = 0; i < TRACKS_REJECTED_MAX + 3; i++) {
        sprintf(id, "t%d", i);
        given_up += tracks_reject(&tracks, add(&tracks, id, 1e9, false, 0), TRACK_NEW);
    }
    cr_expect_eq(given_up, 3);
    cr_expect_eq(tracks_rejected(&tracks), TRACKS_REJECTED_MAX);
    cr_expect(track_is_done(&tracks, tracks_find(&tracks, "t2")));
    cr_expect(tracks_find(&tracks, "t3")->held);
    cr_expect_eq(tracks_expire(&tracks, 1e9), 0, "began at the time, not before it");
    cr_expect_eq(tracks_expire(&tracks, 1e9 + 1), TRACKS_REJECTED_MAX);
    cr_expect_eq(tracks_rejected(&tracks), 0);
    tracks_clear(&tracks);
}

Test(frigate_availability, offline_after_two_minutes_without_http_and_online_with_the_first_answer)
{
    struct availability a = {.http_good_us = 0};
    availability_http(&a, false, 10 * CLOCK_SECOND);
    cr_expect_eq(availability_check(&a, AVAILABILITY_HTTP_US - 1), AVAILABILITY_SAME);
    cr_expect_eq(availability_check(&a, AVAILABILITY_HTTP_US), AVAILABILITY_OFFLINE);
    a.offline = true;
    cr_expect_eq(availability_check(&a, 2 * AVAILABILITY_HTTP_US), AVAILABILITY_SAME, "once");
    availability_http(&a, true, 3 * AVAILABILITY_HTTP_US);
    cr_expect_eq(availability_check(&a, 3 * AVAILABILITY_HTTP_US), AVAILABILITY_ONLINE);
    a.offline = false;
    availability_http(&a, false, 4 * AVAILABILITY_HTTP_US);
    cr_expect_eq(availability_check(&a, 4 * AVAILABILITY_HTTP_US - 1), AVAILABILITY_SAME,
                 "counted from the last answer");
}

Test(frigate_availability, what_mqtt_says_holds_until_it_says_otherwise)
{
    struct availability a = {.http_answers = true, .offline_by_mqtt = true};
    cr_expect_eq(availability_check(&a, 1), AVAILABILITY_OFFLINE);
    a.offline = true;
    availability_http(&a, true, 2);
    cr_expect_eq(availability_check(&a, 2), AVAILABILITY_SAME, "HTTP alone does not bring it back");
    a.offline_by_mqtt = false;
    availability_http(&a, false, 3);
    cr_expect_eq(availability_check(&a, 3), AVAILABILITY_SAME, "nor does MQTT while HTTP is silent");
    availability_http(&a, true, 4);
    cr_expect_eq(availability_check(&a, 4), AVAILABILITY_ONLINE);
}

Test(frigate_state, the_file_is_replaced_and_locked)
{
    char directory[] = "/tmp/mobeye-state-XXXXXX", path[64];
    struct err err;
    struct buf text = {0};
    struct state_file file, other;
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(state_file_open(&file, directory, &err), 0, "%s", err.text);
    cr_expect_eq(state_file_open(&other, directory, &err), -1);
    cr_expect_not_null(strstr(err.text, "another mobeye-frigate"), "%s", err.text);
    cr_expect_eq(state_file_read(&file, &text, &err), 0);
    cr_expect_eq(text.len, 0, "there is none yet");
    cr_expect_eq(state_file_write(&file, STR("one\n"), &err), 0);
    cr_expect_eq(state_file_write(&file, STR("two\n"), &err), 0);
    cr_expect_eq(state_file_read(&file, &text, &err), 0);
    cr_expect(str_is(buf_str(&text), "two\n"));
    snprintf(path, sizeof(path), "%s/state", directory);
    cr_expect_eq(unlink(path), 0);
    cr_expect_eq(rmdir(directory), 0, "nothing else is left in it");
    cr_expect_eq(state_file_write(&file, STR("three\n"), &err), -1);
    state_file_close(&file);
    buf_free(&text);
}
