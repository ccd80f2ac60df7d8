/* How alerts join incidents, rule by rule, as stories (correlate_story.h). */
#include "correlate_story.h"

Test(correlate, the_gap)
{
    static const struct row rows[] = {
        {"a repeat at the gap's edge joins", "0:00, 4:30", "1 1", "1 alerts=2 first=0:00 last=4:30"},
        {"a second later it begins a new incident, and the old one accepts no more", "0:00, 4:30:01", "1 2",
         "1 accepting=0 alerts=1, 2 accepting=1 previous=0"},
        {"the same from batch to batch", "0:00, | 4:30, | 9:00:01", "1 1 2", "1 accepting=0, 2 accepting=1"},
        {"each alert extends it", "0:00, 4:00, 8:00, 12:00", "1 1 1 1", "1 alerts=4 last=12:00"},
        {"an outage of half a day holds several episodes", "0:00, 0:10, 6:00, 6:10, 12:00", "1 1 2 2 3",
         "1 alerts=2 accepting=0, 2 alerts=2 accepting=0, 3 alerts=1 accepting=1"},
        {"the gap is that of the rule that made the incident", "0:00 urgent, 1:00:01 night, 5:30 urgent, 5:31 night",
         "1 2 2 2", NULL},
        {"another device has incidents of its own", "0:00, 0:01 device=B", "1 2", "1 device=A, 2 device=B"},
        {"other kinds of a device join by the key", "0:00 motion, 0:01 tamper, 0:02 fire", "1 1 1", "1 kind=motion"},
    };
    CHECK_ALL(rows);
}

Test(correlate, late_alerts)
{
    static const struct row rows[] = {
        {"an early alert within the gap joins, and the incident began then", "6:00, 1:30", "1 1",
         "1 first=1:30 last=6:00 alerts=2"},
        {"one of an episode before makes an incident that never accepts", "12:00, | 1:00, | 12:01", "1 2 1",
         "1 accepting=1 alerts=2, 2 accepting=0 closed=0"},
        {"later ones of that episode find it", "12:00, | 1:00, | 1:10, 5:30, 10:00", "1 2 2 2 1",
         "2 alerts=3 last=5:30"},
        {"between two episodes the one that accepts takes it", "0:00, 6:00, 3:00", "1 2 2", NULL},
        {"an older episode that is nearer and no longer accepts takes what the accepting one cannot",
         "0:00, 10:00, | 2:00", "1 2 1", "1 last=2:00 alerts=2, 2 alerts=1 accepting=1"},
        {"of two older ones the nearer", "0:00, 6:00, 20:00, | 4:00, 2:30", "1 2 3 2 2", NULL},
        {"a late one does not lead its thread away", "12:00, | 1:00, | 12:10 restore", "1 2 1",
         "1 active=0 restored=12:10, 2 active=0"},
        {"out of order within a batch is one episode", "0:30, 0:10, 0:20, 0:00", "1 1 1 1",
         "1 first=0:00 last=0:30 alerts=4"},
        {"what was received last is known", "0:00 received=0:01, 0:10 received=3:00, 0:20 received=0:21", "1 1 1",
         "1 received=3:00"},
    };
    CHECK_ALL(rows);
}

Test(correlate, max_age)
{
    static const struct row rows[] = {
        {"as old as may be",
         "0:00 camera, 0:10 camera, 0:20 camera, 0:30 camera, 0:40 camera, 0:50 camera, 1:00 camera", "1 1 1 1 1 1 1",
         "1 accepting=1"},
        {"a second older",
         "0:00 camera, 0:10 camera, 0:20 camera, 0:30 camera, 0:40 camera, 0:50 camera, "
         "1:00:01 camera, 1:01 camera",
         "1 1 1 1 1 1 2 2", "1 accepting=0, 2 accepting=1"},
        {"an early alert makes no incident older than that either",
         "1:00 camera, 0:50 camera, 0:40 camera, 0:30 camera, 0:20 camera, 0:10 camera, 0:00 camera", "1 1 1 1 1 1 1",
         "1 first=0:00"},
        {"too early for its age",
         "1:05 camera, 0:55 camera, 0:45 camera, 0:35 camera, 0:25 camera, 0:15 camera, "
         "0:05 camera, 0:04:59 camera",
         "1 1 1 1 1 1 1 2", "1 accepting=1, 2 accepting=0"},
        {"without max_age an incident may be days old", "0:00, 4:00, 8:00, 12:00, 16:00, 20:00, 24:00, 28:00",
         "1 1 1 1 1 1 1 1", NULL},
    };
    CHECK_ALL(rows);
}

Test(correlate, moved_over)
{
    static const struct row rows[] = {
        {"within the distance", "0:00 camera fix=0, 0:01 camera fix=199", "1 1", "1 east=0"},
        {"beyond it", "0:00 camera fix=0, 0:01 camera fix=201, 0:02 camera fix=202", "1 2 2",
         "1 accepting=0, 2 accepting=1 east=201"},
        {"back again is a third", "0:00 camera fix=0, 0:01 camera fix=300, 0:02 camera fix=0", "1 2 3", NULL},
        {"a late one of before the move joins the first", "0:00 camera fix=0, 0:05 camera fix=300, 0:02 camera fix=10",
         "1 2 1", NULL},
        {"without a place nothing has moved", "0:00 camera fix=0, 0:01 camera, 0:02 camera fix=150", "1 1 1", NULL},
        {"an incident without a place takes the first that comes", "0:00 camera, 0:01 camera fix=900", "1 1",
         "1 east=900"},
        {"another device is not the incident's device that moved",
         "0:00 street fix=0, 0:01 street device=B fix=900, 0:02 street fix=201, 0:03 street device=B fix=0", "1 1 2 2",
         NULL},
        {"no limit", "0:00 fix=0, 0:01 fix=5000", "1 1", NULL},
    };
    CHECK_ALL(rows);
}

Test(correlate, another_home)
{
    static const struct row rows[] = {
        {"another home is another incident", "0:00 home=1 placed=0, 0:01 home=2 placed=900, 0:02 home=2 placed=900",
         "1 2 2", "1 accepting=0 east=0, 2 accepting=1 east=900"},
        {"without a rule about distance, and though it is next door", "0:00 home=1 fix=0, | 0:01 home=2 fix=1", "1 2",
         NULL},
        {"not by settle either", "0:00 home=1, close 1 0:01, 0:02 home=2", "1 2", NULL},
        {"nor by its condition", "0:00 home=1 input=1, 0:01 home=2 input=1 store", "1 -", NULL},
        {"a late one of before the move joins the first", "0:00 home=1, 0:05 home=2, 0:02 home=1", "1 2 1", NULL},
        {"a device without a home has not moved", "0:00 home=1, 0:01, 0:02 home=1", "1 1 1", NULL},
        {"the first home that it has counts", "0:00, 0:01 home=1, | 0:02 home=2", "1 1 2", NULL},
        {"a test in the van before is another incident",
         "0:00 fix=500, 0:01 home=1 since=0:01, | 0:02 home=1 since=0:01, 0:03 home=2 since=0:03", "1 2 2 3", NULL},
        {"that test closed too", "0:00, close 1 0:01, 0:02 home=1 since=0:02", "1 2", NULL},
        {"a late one of the van is the van's", "0:00, 0:03 home=1 since=0:02, | 0:01", "1 2 1",
         "2 accepting=1 alerts=1"},
        {"or is its own, which is over", "0:03 home=1 since=0:02, 0:01, 0:04 home=1 since=0:02", "1 2 1",
         "1 accepting=1, 2 accepting=0"},
        {"and one after it has been taken away", "0:05, | 0:02 home=1 until=0:03", "1 2", NULL},
        {"in the van it does not take the home's incident along", "0:00 home=1 placed=0, 0:01 fix=900", "1 1",
         "1 east=0"},
        {"another device's home is not a move",
         "0:00 street home=1, 0:01 street device=B home=2 fix=0, | 0:02 street home=1, 0:03 street device=B home=2",
         "1 1 1 1", NULL},
        {"its restore ends what it raised at the first home", "0:00 home=1, | 0:01 home=2 restore", "1 -",
         "1 active=0"},
    };
    CHECK_ALL(rows);
}

Test(correlate, conditions)
{
    static const struct row rows[] = {
        {"a repeat joins whichever rule matches now", "0:00 night, 0:10 urgent, 0:20 store, 0:30 input", "1 1 1 1",
         "1 alerts=4 priority=1"},
        {"a device's other kind goes by its rule", "0:00 motion, 0:01 tamper store", "1 -", NULL},
        {"an update follows too", "0:00, | 0:10 update store", "1 1", "1 alerts=1"},
        {"another input is another thread", "0:00 input input=1, 0:01 input input=2, 0:02 store input=1", "1 2 1",
         NULL},
        {"and goes by the key", "0:00 input=1, 0:01 input=2", "1 1", "1 alerts=2 active=2"},
        {"out of the gap the rule decides", "0:00, 4:31 store", "1 -", NULL},
        {"an alarm's raise does not hide in a service incident",
         "0:00 tamper technical, 0:01 tamper night, 0:02 tamper technical", "1 2 2",
         "1 active=0 alerts=1 accepting=1, 2 active=1 alerts=2 priority=2"},
        {"nor in one that a person has just closed", "0:00 tamper technical, close 1 0:01, 0:02 tamper night", "1 2",
         "2 accepting=1 alerts=1"},
        {"as a further one of its own rule does", "0:00 tamper technical, close 1 0:01, 0:02 tamper technical", "1 1",
         NULL},
        {"its update and its restore do", "0:00 tamper technical, 0:01 tamper update night, 0:02 tamper restore night",
         "1 1 1", "1 closed=1"},
        {"a service raise may join an alarm incident, and leaves its priority",
         "0:00 tamper night, 0:01 tamper technical", "1 1", "1 priority=2 alerts=2"},
    };
    CHECK_ALL(rows);
}

Test(correlate, restores)
{
    static const struct row rows[] = {
        {"a restore makes nothing", "0:00 restore", "-", NULL},
        {"an alarm stays open", "0:00, 0:05 restore", "1 1", "1 closed=0 accepting=1 restored=0:05 active=0 alerts=1"},
        {"and takes the next raise: it flaps", "0:00, 0:05 restore, 0:10, | 0:15 restore, | 0:20", "1 1 1 1 1",
         "1 flaps=2 active=1 restored=never alerts=3"},
        {"service is closed", "0:00 power technical, 0:05 power restore technical", "1 1",
         "1 closed=1 accepting=0 restored=0:05"},
        {"the same in the next batch", "0:00 power technical, | 0:05 power restore technical, | 0:06 power technical",
         "1 1 2", "1 closed=1, 2 closed=0 previous=0"},
        {"of several inputs the last restore closes",
         "0:00 power technical input=1, 0:01 power technical input=2, 0:02 power restore technical input=1, | "
         "0:03 power restore technical input=2",
         "1 1 1 1", "1 closed=1 restored=0:03"},
        {"one of them is not enough",
         "0:00 power technical input=1, 0:01 power technical input=2, | 0:02 power restore technical input=1", "1 1 1",
         "1 closed=0 active=1 restored=never"},
        {"a restore without input ends all of its kind",
         "0:00 power technical input=1, 0:01 power technical input=2, | 0:02 power restore store", "1 1 1",
         "1 closed=1 active=0"},
        {"but not another kind", "0:00 motion input=1, 0:01 tamper input=1, 0:02 tamper restore", "1 1 1",
         "1 active=1 restored=never"},
        {"a raise without input is ended by any restore of its kind",
         "0:00 power technical, | 0:05 power restore store input=3", "1 1", "1 closed=1"},
        {"an input's restore leaves the other input's incident",
         "0:00 input input=1, 0:01 input input=2, 0:02 restore input input=2", "1 2 2", "1 active=1, 2 active=0"},
        {"a restore without input joins the latest that is active",
         "0:00 input input=1, 0:01 input input=2, 0:02 restore store", "1 2 2", "1 active=1, 2 active=0"},
        {"a restore by the key joins, and ends nothing that it does not speak of", "0:00 input=1, 0:02 tamper restore",
         "1 1", "1 active=1 last=0:02"},
        {"too late to join, it still ends what was raised: an alarm is no longer active", "0:00, | 5:00 restore", "1 -",
         "1 active=0 restored=5:00 restore_received=5:00 closed=0 last=0:00 received=0:00"},
        {"a restore that is repeated ends nothing", "0:00, 0:10 restore received=0:11, 0:20 restore", "1 1 1",
         "1 restored=0:10 restore_received=0:11 received=0:20"},
        {"and service is over", "0:00 battery technical, | 72:00 battery restore technical", "1 -",
         "1 closed=1 restored=72:00"},
        {"a late restore does not end what was raised after it",
         "0:00 power technical, 0:05 power restore technical, 0:10 power technical, | 0:06 power restore technical",
         "1 1 2 2", "2 closed=0 active=1"},
        {"nor does a late raise begin what has been restored", "0:00, 0:10 restore, | 0:05", "1 1 1",
         "1 alerts=2 active=0 flaps=0 restored=0:10"},
        {"nor a late restore close an episode that came after",
         "0:00 power technical, | 48:00 power technical, | "
         "24:00 power restore technical",
         "1 2 2", "2 closed=0 active=1"},
    };
    CHECK_ALL(rows);
}

Test(correlate, closed_by_a_person)
{
    static const struct row rows[] = {
        {"what is received later makes a new one, linked", "0:00, close 1 0:20, 0:31", "1 2",
         "1 alerts=1, 2 previous=1 accepting=1"},
        {"what was received before counts on it", "0:00, close 1 0:20, 0:10 received=0:20", "1 1", "1 alerts=2"},
        {"within settle too", "0:00, close 1 0:20, 0:30", "1 1", "1 alerts=2 closed=1 accepting=0"},
        {"by receipt, not by occurrence", "0:00, close 1 0:20, 0:19 received=0:31", "1 2", "2 previous=1"},
        {"not without settle", "0:00 urgent, close 1 0:20, 0:21 urgent", "1 2", "2 previous=1"},
        {"panic is news", "0:00, close 1 0:20, 0:21 panic", "1 2", "2 previous=1 urgent=1 kind=panic"},
        {"holdup is news, also when it was received before", "0:00, close 1 0:20, 0:10 holdup received=0:11", "1 2",
         "2 previous=1 urgent=1"},
        {"and what follows it joins the news", "0:00, close 1 0:20, 0:21 panic, 0:22", "1 2 2", "2 alerts=2"},
        {"a restore within settle joins and opens nothing", "0:00, close 1 0:20, 0:25 restore", "1 1",
         "1 closed=1 restored=0:25 active=0"},
        {"after settle it joins nothing", "0:00, close 1 0:20, 0:40 restore", "1 -", "1 closed=1"},
        {"out of the gap nothing links", "0:00, close 1 0:20, 4:31", "1 2", "2 previous=0"},
        {"the thread's incident settles whichever rule matches", "0:00, close 1 0:20, 0:25 store, 0:26 input", "1 1 1",
         NULL},
        {"and links", "0:00, close 1 0:20, 0:35 input", "1 2", "2 previous=1"},
        {"closed by the system: no settle, no link", "0:00, system 1 0:20, 0:21", "1 2", "2 previous=0"},
        {"even what was received before", "0:00, system 1 0:20, 0:10 received=0:19", "1 2", "2 previous=0"},
        {"an update after it makes a new one as well, and counts", "0:00, close 1 0:20, 0:31 update", "1 2",
         "2 alerts=1 previous=1"},
    };
    CHECK_ALL(rows);
}

Test(correlate, counts)
{
    static const struct row rows[] = {
        {"an update counts only where it makes the incident", "0:00 update, 0:01 update, 0:02", "1 1 1",
         "1 alerts=2 active=1"},
        {"a track counts once",
         "0:00 camera track=x, 0:01 camera track=x, 0:02 camera track=x update, | 0:03 camera track=x, "
         "0:04 camera track=x restore",
         "1 1 1 1 1", "1 alerts=1 active=0"},
        {"each track does", "0:00 camera track=x, 0:01 camera track=y, | 0:02 camera track=y, 0:03 camera track=z",
         "1 1 1 1", "1 alerts=3 active=3"},
        {"whose first alert was too weak and is an update now",
         "0:00 camera track=x, 0:01 store track=y, 0:02 camera update track=y, 0:03 camera track=y", "1 - 1 1",
         "1 alerts=2"},
        {"in the next incident again", "0:00 camera track=x, 0:20 camera track=x", "1 2", "1 alerts=1, 2 alerts=1"},
        {"but not for each late alert of the one before",
         "0:00 camera track=x, 0:20 camera track=x, | 0:01 camera track=x, | 0:02 camera track=x", "1 2 1 1",
         "1 alerts=1 active=0, 2 alerts=1 active=1"},
        {"nor for those of one that a late alert has made",
         "0:20 camera track=x, 0:00 camera track=x, 0:01 camera track=x, | 0:02 camera track=x", "1 2 2 2",
         "1 alerts=1, 2 alerts=1"},
        {"nor for late alerts of two in turn",
         "0:00 camera track=x, 0:20 camera track=x, 0:40 camera track=y, | 0:01 camera track=x, 0:21 camera track=x, | "
         "0:02 camera track=x, 0:22 camera track=x",
         "1 2 3 1 2 1 2", "1 alerts=1, 2 alerts=1, 3 alerts=1"},
        {"restores count nothing", "0:00, 0:01 restore, 0:02 restore", "1 1 1", "1 alerts=1"},
        {"the most urgent rule of the same category", "0:00 night, 0:01 urgent, 0:02 camera", "1 1 1",
         "1 priority=1 alerts=3"},
        {"also that of an update", "0:00 camera, 0:01 urgent update", "1 1", "1 priority=1"},
        {"not that of a rule of the other category", "0:00 camera, 0:01 fault, | 0:02 fault update", "1 1 1",
         "1 priority=3 alerts=2"},
        {"not that of a restore", "0:00 camera, 0:01 urgent restore", "1 1", "1 priority=3"},
    };
    CHECK_ALL(rows);
}

Test(correlate, places)
{
    static const struct row rows[] = {
        {"a fix is better than the placement", "0:00 placed=0, 0:01 fix=50, 0:02 placed=0", "1 1 1", "1 east=50"},
        {"of two fixes the more accurate", "0:00 fix=0 accuracy=50, 0:01 fix=30 accuracy=10, 0:02 fix=40 accuracy=20",
         "1 1 1", "1 east=30"},
        {"any accuracy is better than none", "0:00 fix=0, 0:01 fix=30 accuracy=500", "1 1", "1 east=30"},
        {"else the first stays", "0:00 fix=0, 0:01 fix=30", "1 1", "1 east=0"},
        {"a better fix at the home leaves the home", "0:00 street home=1 placed=0, 0:01 street device=B fix=90", "1 1",
         "1 east=90 home=1"},
        {"which comes later as well", "0:00 street fix=90, | 0:01 street device=B home=1 placed=0", "1 1",
         "1 east=90 home=1"},
        {"a better fix elsewhere does not", "0:00 street home=1 placed=0, 0:01 street device=B fix=110", "1 1",
         "1 east=110 home=0"},
        {"nor later", "0:00 street fix=110, | 0:01 street device=B home=1 placed=0", "1 1", "1 east=110 home=0"},
        {"however many fixes lead there",
         "0:00 street home=1 placed=0, 0:01 street device=B fix=60 accuracy=50, | 0:02 street device=B fix=120 "
         "accuracy=20",
         "1 1 1", "1 east=120 home=0"},
        {"of two homes the first stays",
         "0:00 street home=1 placed=0, 0:01 street device=B home=2 placed=50, | 0:02 street device=C fix=40", "1 1 1",
         "1 east=40 home=1"},
        {"what knows better where it is has its own home",
         "0:00 street home=1 placed=0, 0:01 street device=B placed=50 home=2 fix=60", "1 1", "1 east=60 home=2"},
        {"unless it is away from there", "0:00 street home=1 placed=0, | 0:01 street device=B placed=50 home=2 fix=500",
         "1 1", "1 east=500 home=0"},
        {"it may be at the other one",
         "0:00 street home=1 placed=0, | 0:01 street device=B placed=500 home=2 fix=60, 0:02 street home=1 placed=0",
         "1 1 1", "1 east=60 home=1"},
        {"of the device that began, the home says whose it is", "0:00 street placed=0 home=1 fix=500", "1",
         "1 east=500 home=1"},
    };
    CHECK_ALL(rows);
}

Test(correlate, what_panels_say)
{
    static const struct row rows[] = {
        {"a verified alarm is verified, with the priority of that", "0:00 intrusion verified", "1",
         "1 verified=1 priority=1"},
        {"also the second alert", "0:00 intrusion, | 0:01 intrusion verified", "1 1", "1 verified=1 priority=1"},
        {"service is not", "0:00 power technical verified", "1", "1 verified=0 priority=4"},
        {"a drill is not", "0:00 drill intrusion verified", "1", "1 verified=0 priority=2"},
        {"a restore verifies nothing", "0:00 intrusion, 0:01 intrusion restore verified", "1 1", "1 verified=0"},
        {"called off: noted, and closes nothing", "0:00 intrusion, 0:01 intrusion update cancel", "1 1",
         "1 cancelled=0:01 closed=0 accepting=1 alerts=1 active=1"},
        {"the number is a user's: noted on what is active",
         "0:00 intrusion input=3, | 0:01 store intrusion update input=7 cancel", "1 1",
         "1 cancelled=0:01 closed=0 active=1"},
        {"what is active goes before what is over, whatever the number",
         "0:00 input intrusion input=3, 0:01 input intrusion input=7, 0:02 input intrusion input=7 restore, | "
         "0:03 input intrusion update input=7 cancel",
         "1 2 2 1", "1 cancelled=0:03 active=1, 2 cancelled=never active=0"},
        {"of the input that it names, where that is active",
         "0:00 input intrusion input=3, 0:01 input intrusion input=7, 0:02 input intrusion update input=3 cancel",
         "1 2 1", "1 cancelled=0:02, 2 cancelled=never"},
        {"not of another device or kind",
         "0:00 intrusion input=3, 0:01 fire input=3, 0:02 store device=B intrusion update input=3 cancel", "1 1 -",
         "1 cancelled=never"},
        {"makes nothing", "0:00 intrusion update cancel", "-", NULL},
        {"panic makes an incident urgent, its restore does not",
         "0:00 panic, 0:00 device=B, 0:01 device=B panic restore", "1 2 2", "1 urgent=1, 2 urgent=0"},
    };
    CHECK_ALL(rows);
}

Test(correlate, drills)
{
    static const struct row rows[] = {
        {"drills and real alerts never share an incident",
         "0:00 drill, 0:01, 0:02 drill, 0:03 restore drill, 0:04 restore", "1 2 1 1 2",
         "1 drill=1 alerts=2, 2 drill=0 alerts=1"},
        {"a real alarm in the midst of a drill is its own", "0:00 drill panic, 0:01 panic", "1 2",
         "1 drill=1, 2 drill=0"},
    };
    CHECK_ALL(rows);
}

Test(correlate, rows_that_are_not_to_be_stored_are_left_out)
{
    struct story story;
    tell(&story, "");
    char first[] = "0:00", second[] = "0:01";
    take_alert(&story, first);
    take_alert(&story, second);
    struct incident_set set = {0};
    correlate(&set, story.batch, (const uint8_t[]){0, 1});
    cr_expect_eq(story.batch->rows[0].alert.incident, NO_INCIDENT);
    cr_expect_eq(story.batch->rows[1].alert.incident, 0);
    cr_expect_eq(set.n_incidents, 1);
    cr_expect_eq(set.incidents[0].alert_count, 1);
    cr_expect(set.incidents[0].fresh && set.incidents[0].joined && set.incidents[0].raised);
    incident_set_free(&set);
    end_story(&story);
}

Test(correlate, only_alarms_verify_and_say_where_they_were_raised)
{
    char words[][64] = {"0:00 fix=0", "0:00 device=B fix=0 technical", "0:00 device=C fix=0 drill"};
    struct story story;
    tell(&story, "");
    for (size_t i = 0; i < 3; i++)
        take_alert(&story, words[i]);
    struct incident_set set = {0};
    correlate(&set, story.batch, (const uint8_t[]){1, 1, 1});
    cr_assert_eq(set.n_incidents, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct incident *incident = &set.incidents[i];
        cr_expect_eq(incident->raised, i == 0, "%s", words[i]);
        cr_expect_eq(incident->extent.west <= incident->extent.east, i == 0, "%s: has an extent", words[i]);
    }
    incident_set_free(&set);
    end_story(&story);
}
