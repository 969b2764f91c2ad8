/*
 * A D channel's other end, played by libpri, for the tests of our ISDN.
 *
 *   libpri_peer network|user pri|qsig|bus|line < one end of a datagram socket pair
 *
 * Both directions share the socket. What comes: "F" and a frame without check
 * sequence, or "C" and a command of ours. What goes: "F" and a frame, or "E" and an
 * event in words. It does nothing on its own but what libpri does, except to hang up
 * what the other end hung up. It ends on the command "quit", or after a minute.
 *
 * libpri is GPL-2: this program is built and run by the tests alone, as a process of
 * its own, and is no part of the product.
 */
#include <errno.h>
#include <libpri.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WIRE = 0, LONGEST = 1024, FCS = 2 };

static unsigned char frame[LONGEST];
static int frame_length;
static q931_call *current;
static int channel = 1;

static void say(const char *format, ...)
{
    char words[LONGEST] = "E";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words + 1, sizeof words - 1, format, arguments);
    va_end(arguments);
    if (send(WIRE, words, strlen(words), MSG_NOSIGNAL) < 0)
        _exit(1);
}

static void complain(struct pri *pri, char *words)
{
    (void)pri;
    fputs(words, stderr);
}

static int read_frame(struct pri *pri, void *buffer, int size)
{
    (void)pri;
    if (frame_length == 0 || frame_length + FCS > size)
        return 0;
    memcpy(buffer, frame, frame_length);
    memset((char *)buffer + frame_length, 0, FCS);
    int length = frame_length + FCS;
    frame_length = 0;
    return length;
}

static int write_frame(struct pri *pri, void *buffer, int size)
{
    (void)pri;
    unsigned char datagram[LONGEST + 1] = "F";
    if (size - FCS > LONGEST)
        return 0;
    memcpy(datagram + 1, buffer, size - FCS);
    if (send(WIRE, datagram, 1 + size - FCS, MSG_NOSIGNAL) < 0)
        _exit(1);
    return size;
}

static void tell(struct pri *pri, pri_event *event)
{
    switch (event->e) {
    case PRI_EVENT_DCHAN_UP:
        say("up");
        break;
    case PRI_EVENT_DCHAN_DOWN:
        say("down");
        break;
    case PRI_EVENT_RING:
        current = event->ring.call;
        channel = event->ring.channel & 0xff;
        say("ring %s from %s channel %d %s", event->ring.callednum, event->ring.callingnum, channel,
            event->ring.complete ? "complete" : "open");
        break;
    case PRI_EVENT_INFO_RECEIVED:
        say("digits %s", event->ring.callednum);
        break;
    case PRI_EVENT_KEYPAD_DIGIT:
        say("keypad %s", event->digit.digits);
        break;
    case PRI_EVENT_SETUP_ACK:
        say("setup_ack");
        break;
    case PRI_EVENT_PROCEEDING:
        say("proceeding");
        break;
    case PRI_EVENT_PROGRESS:
        say("progress");
        break;
    case PRI_EVENT_RINGING:
        say("ringing");
        break;
    case PRI_EVENT_ANSWER:
        say("answer channel %d", event->answer.channel & 0xff);
        break;
    case PRI_EVENT_CONNECT_ACK:
        say("connect_ack");
        break;
    case PRI_EVENT_NOTIFY:
        say("notify %d", event->notify.info);
        break;
    case PRI_EVENT_HANGUP_REQ:
        say("disconnect %d", event->hangup.cause);
        pri_hangup(pri, event->hangup.call, event->hangup.cause);
        break;
    case PRI_EVENT_HANGUP:
    case PRI_EVENT_HANGUP_ACK:
        say("hangup %d", event->hangup.cause);
        if (event->e == PRI_EVENT_HANGUP)
            pri_hangup(pri, event->hangup.call, event->hangup.cause);
        if (current == event->hangup.call)
            current = NULL;
        break;
    case PRI_EVENT_RESTART:
        say("restart %d", event->restart.channel & 0xff);
        break;
    case PRI_EVENT_RESTART_ACK:
        say("restart_ack %d", event->restartack.channel & 0xff);
        break;
    default:
        say("event %s", pri_event2str(event->e));
    }
}

/* "call CALLER CALLED CHANNEL complete|open" */
static void make_call(struct pri *pri, const char *words)
{
    char caller[64], called[64], complete[16];
    if (sscanf(words, "%63s %63s %d %15s", caller, called, &channel, complete) != 4) {
        say("error: call what?");
        return;
    }
    struct pri_sr *setup = pri_sr_new();
    current = pri_new_call(pri);
    if (!setup || !current) {
        say("error: no call");
        return;
    }
    pri_sr_set_channel(setup, channel, 1, 0);
    pri_sr_set_bearer(setup, PRI_TRANS_CAP_SPEECH, PRI_LAYER_1_ALAW);
    pri_sr_set_called(setup, called, PRI_UNKNOWN, strcmp(complete, "complete") == 0);
    pri_sr_set_caller(setup, caller, NULL, PRI_UNKNOWN, PRI_PRES_ALLOWED);
    if (pri_setup(pri, current, setup) < 0)
        say("error: setup");
    pri_sr_free(setup);
}

static void obey(struct pri *pri, char *words)
{
    char *rest = strchr(words, ' ');
    if (rest)
        *rest++ = 0;
    else
        rest = "";
    if (strcmp(words, "quit") == 0)
        exit(0);
    if (strcmp(words, "call") == 0)
        make_call(pri, rest);
    else if (strcmp(words, "restart") == 0)
        pri_reset(pri, atoi(rest));
    else if (strcmp(words, "timer") == 0) {
        char name[16];
        int milliseconds;
        if (sscanf(rest, "%15s %d", name, &milliseconds) == 2)
            pri_set_timer(pri, pri_timer2idx(name), milliseconds);
    } else if (!current)
        say("error: no call to %s", words);
    else if (strcmp(words, "proceed") == 0)
        pri_proceeding(pri, current, channel, 0);
    else if (strcmp(words, "ring") == 0)
        pri_acknowledge(pri, current, channel, 0);
    else if (strcmp(words, "more") == 0)
        pri_need_more_info(pri, current, channel, 0);
    else if (strcmp(words, "answer") == 0)
        pri_answer(pri, current, channel, 0);
    else if (strcmp(words, "digit") == 0)
        pri_information(pri, current, rest[0]);
    else if (strcmp(words, "notify") == 0)
        pri_notify(pri, current, channel, atoi(rest));
    else if (strcmp(words, "hangup") == 0)
        pri_hangup(pri, current, atoi(rest));
    else
        say("error: what is %s?", words);
}

static void take_datagram(struct pri *pri)
{
    unsigned char datagram[LONGEST + 2];
    ssize_t length = recv(WIRE, datagram, LONGEST + 1, 0);
    if (length <= 0) {
        if (length < 0 && errno == EINTR)
            return;
        exit(0);
    }
    if (datagram[0] == 'F') {
        frame_length = length - 1;
        memcpy(frame, datagram + 1, frame_length);
        pri_event *event = pri_check_event(pri);
        if (event)
            tell(pri, event);
    } else {
        datagram[length] = 0;
        obey(pri, (char *)datagram + 1);
    }
}

/* Milliseconds until libpri wants to be woken. */
static int patience(struct pri *pri)
{
    struct timeval *next = pri_schedule_next(pri);
    if (!next)
        return 1000;
    struct timeval now;
    gettimeofday(&now, NULL);
    long wait = (next->tv_sec - now.tv_sec) * 1000 + (next->tv_usec - now.tv_usec) / 1000;
    return wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait + 1;
}

int main(int count, char **words)
{
    if (count != 3) {
        fputs("usage: libpri_peer network|user pri|qsig|bus|line\n", stderr);
        return 2;
    }
    alarm(60);
    pri_set_message(complain);
    pri_set_error(complain);
    int node = strcmp(words[1], "network") == 0 ? PRI_NETWORK : PRI_CPE;
    struct pri *pri;
    if (strcmp(words[2], "pri") == 0)
        pri = pri_new_cb(WIRE, node, PRI_SWITCH_EUROISDN_E1, read_frame, write_frame, NULL);
    else if (strcmp(words[2], "qsig") == 0)
        pri = pri_new_cb(WIRE, node, PRI_SWITCH_QSIG, read_frame, write_frame, NULL);
    else
        pri = pri_new_bri_cb(WIRE, strcmp(words[2], "line") == 0, node, PRI_SWITCH_EUROISDN_E1,
                             read_frame, write_frame, NULL);
    if (!pri)
        return 1;
    pri_set_overlapdial(pri, 1);
    if (getenv("PEER_DEBUG"))
        pri_set_debug(pri, PRI_DEBUG_ALL);
    for (;;) {
        struct pollfd wire = {.fd = WIRE, .events = POLLIN};
        int ready = poll(&wire, 1, patience(pri));
        if (ready > 0)
            take_datagram(pri);
        pri_event *event = pri_schedule_run(pri);
        if (event)
            tell(pri, event);
    }
}
