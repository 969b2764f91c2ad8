//! Our ISDN against libpri, an independent stack, with tshark as the judge of each frame.

mod capture;
mod corpus;
mod rig;
mod survives;

use std::time::Duration;

use legacy_protocols::isdn::codec::{CauseValue, NotificationIndicator, Number};
use legacy_protocols::isdn::link::{Side, Tei};
use legacy_protocols::isdn::session::{CallEvent, CallId, Event, Hunt, Restart, Setup};

use capture::Capture;
use rig::{MODES, Mode, Rig, SIDES};

const NORMAL: CauseValue = CauseValue::NORMAL_CLEARING;

fn setup() -> Setup {
    let number = |digits| Number {
        plan: 1,
        ..Number::unknown(digits)
    };
    Setup::speech(number("107"), number("4711"))
}

/// We call, they answer.
fn our_call(rig: &mut Rig, complete: bool) -> CallId {
    let call = rig.does(|line, now| line.call(setup(), now));
    let complete = if complete { "complete" } else { "open" };
    let ring = rig.peer_says("ring");
    assert!(ring.starts_with("ring 4711 from 107 "), "{ring}");
    assert!(ring.ends_with(complete), "{ring}");
    rig.command("proceed");
    rig.call_event(call, &CallEvent::Proceeding { in_band: false });
    rig.command("ring");
    rig.call_event(call, &CallEvent::Alerting { in_band: false });
    rig.command("answer");
    rig.call_event(call, &CallEvent::Answered);
    call
}

/// They call, we answer.
fn their_call(rig: &mut Rig) -> CallId {
    rig.command("call 201 202 1 complete");
    let (call, incoming) = rig.incoming();
    let digits = |number: Option<Number>| number.map(|number| number.digits);
    assert_eq!(digits(incoming.called).as_deref(), Some("202"));
    assert_eq!(digits(incoming.calling).as_deref(), Some("201"));
    assert_eq!(incoming.channel, 1);
    rig.does(|line, now| line.proceed(call, now));
    rig.peer_says("proceeding");
    rig.does(|line, now| line.alert(call, None, now));
    rig.peer_says("ringing");
    rig.does(|line, now| line.answer_call(call, now));
    rig.peer_says("answer");
    rig.call_event(call, &CallEvent::Connected);
    call
}

fn we_hang_up(rig: &mut Rig, call: CallId) {
    rig.does(|line, now| line.hang_up(call, NORMAL, now));
    rig.peer_says("disconnect 16");
    rig.call_event(call, &CallEvent::Ended(NORMAL));
    rig.until("no calls", |rig| rig.line.calls() == 0);
}

fn they_hang_up(rig: &mut Rig, call: CallId) {
    rig.command("hangup 16");
    rig.call_event(call, &CallEvent::Ended(NORMAL));
    rig.peer_says("hangup");
    rig.until("no calls", |rig| rig.line.calls() == 0);
}

#[test]
fn calls_in_both_directions_in_both_roles_of_each_mode() {
    let mut capture = Capture::new("calls");
    for mode in MODES {
        for side in SIDES {
            let mut rig = Rig::up(mode, side);
            let complete = mode != Mode::PrimaryQsig;
            let call = our_call(&mut rig, complete);
            we_hang_up(&mut rig, call);
            let call = our_call(&mut rig, complete);
            they_hang_up(&mut rig, call);
            let call = their_call(&mut rig);
            we_hang_up(&mut rig, call);
            let call = their_call(&mut rig);
            they_hang_up(&mut rig, call);
            capture.add(rig.end());
        }
    }
    capture.judge();
}

#[test]
fn refusals_in_both_directions_tell_their_cause() {
    let mut capture = Capture::new("refusals");
    for mode in MODES {
        for side in SIDES {
            let mut rig = Rig::up(mode, side);
            let busy = CauseValue::USER_BUSY;
            let call = rig.does(|line, now| line.call(setup(), now));
            rig.peer_says("ring");
            // A call it has not answered at all libpri refuses in silence.
            rig.command("proceed");
            rig.command("hangup 17");
            rig.call_event(call, &CallEvent::Ended(busy));
            rig.command("call 201 202 1 complete");
            let (call, _) = rig.incoming();
            rig.does(|line, now| line.hang_up(call, busy, now));
            rig.peer_says("hangup 17");
            rig.call_event(call, &CallEvent::Ended(busy));
            rig.until("no calls", |rig| rig.line.calls() == 0);
            capture.add(rig.end());
        }
    }
    capture.judge();
}

#[test]
fn numbers_are_dialled_digit_by_digit_in_both_directions() {
    let mut capture = Capture::new("overlap");
    for (mode, side) in [
        (Mode::PrimaryDss1, Side::User),
        (Mode::PrimaryDss1, Side::Network),
        (Mode::PrimaryQsig, Side::User),
        (Mode::BasicLine, Side::User),
        (Mode::BasicBus, Side::User),
    ] {
        let mut rig = Rig::up(mode, side);
        let open = Setup {
            complete: false,
            ..setup()
        };
        let call = rig.does(|line, now| line.call(open, now));
        let ring = rig.peer_says("ring");
        assert!(ring.ends_with("open"), "{ring}");
        rig.command("more");
        rig.call_event(call, &CallEvent::MoreDigitsWanted);
        for digit in ["8", "9"] {
            rig.does(|line, now| line.dial(call, digit, false, now));
            rig.peer_says(&format!("digits {digit}"));
        }
        rig.command("answer");
        rig.call_event(call, &CallEvent::Answered);
        we_hang_up(&mut rig, call);
        if mode == Mode::BasicBus {
            // libpri's network end dials no further digits to a bus.
            capture.add(rig.end());
            continue;
        }

        rig.command("call 201 2 1 open");
        let (call, incoming) = rig.incoming();
        assert!(!incoming.complete);
        rig.does(|line, now| line.more_digits(call, now));
        rig.peer_says("setup_ack");
        for digit in ["3", "4"] {
            rig.command(&format!("digit {digit}"));
            let digits = CallEvent::Digits {
                digits: digit.into(),
                keypad: String::new(),
                complete: false,
            };
            rig.call_event(call, &digits);
        }
        rig.does(|line, now| line.answer_call(call, now));
        rig.peer_says("answer");
        rig.call_event(call, &CallEvent::Connected);
        they_hang_up(&mut rig, call);
        capture.add(rig.end());
    }
    capture.judge();
}

/// T200 at both ends, so that a lost frame costs little time.
const QUICK: Duration = Duration::from_millis(100);

#[test]
fn lost_frames_are_sent_again_until_the_calls_are_through() {
    let mut capture = Capture::new("lost");
    for mode in [Mode::PrimaryDss1, Mode::BasicLine] {
        // Not every third: the peer's poll, our answer and what it sends again would come in step
        // with the losses for ever.
        for (side, every) in [(Side::User, 4), (Side::Network, 5), (Side::User, 7)] {
            let mut config = mode.config(side);
            config.link.link.answer_within = QUICK;
            config.link.link.retries = 10;
            let mut rig = Rig::new(mode, config);
            rig.command("timer T200 100");
            rig.command("timer N200 10");
            rig.wait_until_up(mode);
            rig.lose = Some(every);
            for _ in 0..3 {
                let call = our_call(&mut rig, true);
                they_hang_up(&mut rig, call);
                let call = their_call(&mut rig);
                we_hang_up(&mut rig, call);
            }
            let (_, _, counters) = rig.line.lapd().links()[0];
            let repaired = counters.answers_missed + counters.rejects_sent + counters.repeated;
            assert!(repaired > 0, "{counters:?}");
            assert_eq!(counters.recoveries, 0, "{counters:?}");
            capture.add(rig.end());
        }
    }
    capture.judge();
}

#[test]
fn a_silent_peer_is_noticed_and_its_call_ended_until_it_comes_back() {
    let mut capture = Capture::new("silence");
    for side in SIDES {
        let mut config = Mode::PrimaryDss1.config(side);
        config.link.link.answer_within = QUICK;
        config.link.link.watch_idle_after = Some(Duration::from_millis(500));
        config.timers.t309 = Duration::from_secs(1);
        config.timers.establish_pause = Duration::from_millis(300);
        let mut rig = Rig::new(Mode::PrimaryDss1, config);
        rig.wait_until_up(Mode::PrimaryDss1);
        let call = our_call(&mut rig, true);
        rig.cut = true;
        rig.event("the line is down", |event| {
            (*event == Event::LineDown).then_some(())
        });
        let lost = CallEvent::Ended(CauseValue::DESTINATION_OUT_OF_ORDER);
        rig.call_event(call, &lost);
        rig.cut = false;
        rig.event("the line is up", |event| {
            (*event == Event::LineUp).then_some(())
        });
        capture.add(rig.end());
    }
    capture.judge();
}

#[test]
fn a_channel_that_both_take_at_once_is_the_networks() {
    let mut capture = Capture::new("glare");
    for mode in [Mode::PrimaryDss1, Mode::PrimaryQsig, Mode::BasicLine] {
        let mut config = mode.config(Side::Network);
        config.hunt = Hunt::FromFirst;
        let mut rig = Rig::new(mode, config);
        rig.wait_until_up(mode);
        // Ours is on its way while theirs is said.
        rig.hold();
        let ours = rig.does(|line, now| line.call(setup(), now));
        rig.command("call 201 202 1 complete");
        rig.until("a collision", |rig| {
            rig.line.counters().channel_collisions == 1
        });
        rig.let_go();
        rig.peer_says("hangup 44");
        assert_eq!(rig.line.channel(ours), Some(1));
        capture.add(rig.end());
    }
    capture.judge();
}

#[test]
fn channels_are_restarted_from_both_ends() {
    let mut capture = Capture::new("restart");
    for mode in [Mode::PrimaryDss1, Mode::PrimaryQsig, Mode::BasicLine] {
        for side in SIDES {
            let mut rig = Rig::up(mode, side);
            let call = our_call(&mut rig, mode != Mode::PrimaryQsig);
            let channel = rig.line.channel(call).expect("a channel");
            let one = Restart::One(channel);
            rig.does(|line, now| line.restart(one, now));
            rig.peer_says(&format!("restart {channel}"));
            rig.event("the restart is done", |event| {
                (*event == Event::RestartDone(vec![channel])).then_some(())
            });
            assert_eq!(rig.line.calls(), 0);
            rig.command("restart 2");
            rig.event("a restart", |event| {
                (*event == Event::Restarted(vec![2])).then_some(())
            });
            rig.peer_says("restart_ack 2");
            capture.add(rig.end());
        }
    }
    // All at once; on the peer's side it names no channel.
    let mut rig = Rig::up(Mode::PrimaryDss1, Side::Network);
    rig.does(|line, now| line.restart(Restart::All, now));
    rig.peer_says("restart");
    rig.event("the restart is done", |event| {
        matches!(event, Event::RestartDone(channels) if channels.len() == 30).then_some(())
    });
    capture.add(rig.end());
    capture.judge();
}

#[test]
fn a_terminal_whose_identifier_is_removed_asks_for_another_one() {
    let mut capture = Capture::new("identifiers");
    // The network is ours: the terminal loses its identifier and comes back.
    let mut rig = Rig::up(Mode::BasicBus, Side::Network);
    let (tei, _, _) = rig.line.lapd().links()[0];
    assert_eq!(tei.number(), 64);
    let remove = |tei: Tei| [0xFE, 0xFF, 0x03, 0x0F, 0, 0, 6, tei.number() << 1 | 1];
    rig.forge(&remove(tei));
    rig.event("a second identifier", |event| {
        matches!(event, Event::TerminalUp(again) if *again != tei).then_some(())
    });
    let call = our_call(&mut rig, true);
    we_hang_up(&mut rig, call);
    capture.add(rig.end());
    capture.judge();
}

#[test]
fn two_terminals_with_one_identifier_are_told_apart() {
    let mut capture = Capture::new("collision");
    let mut rig = Rig::up(Mode::BasicBus, Side::Network);
    let (tei, _, _) = rig.line.lapd().links()[0];
    // A second terminal claims the same identifier: it asks the network to check it, and both
    // answer.
    let claim = |kind: u8, reference: u8| {
        [
            0xFC,
            0xFF,
            0x03,
            0x0F,
            0,
            reference,
            kind,
            tei.number() << 1 | 1,
        ]
    };
    rig.hear(&claim(7, 0));
    rig.hear(&claim(5, 77));
    rig.event("the identifier is removed", |event| {
        (*event == Event::TerminalGone(tei)).then_some(())
    });
    assert_eq!(rig.line.lapd().counters().collisions, 1);
    rig.event("another identifier", |event| {
        matches!(event, Event::TerminalUp(_)).then_some(())
    });
    let call = their_call(&mut rig);
    they_hang_up(&mut rig, call);
    capture.add(rig.end());
    capture.judge();
}

#[test]
fn notifications_and_status_pass_during_a_call() {
    let mut capture = Capture::new("during");
    for side in SIDES {
        let mut rig = Rig::up(Mode::PrimaryDss1, side);
        let call = our_call(&mut rig, true);
        rig.command("notify 0");
        let suspended = NotificationIndicator(0);
        rig.call_event(call, &CallEvent::Notified(suspended));
        let resumed = NotificationIndicator(1);
        rig.does(|line, now| line.notify(call, resumed, now));
        rig.peer_says("notify 1");
        rig.does(|line, now| line.check(call, now));
        // The peer's STATUS agrees: the call goes on, and no second enquiry is needed.
        let call_again = call;
        rig.does(|line, now| line.inform(call_again, "5", "", now));
        rig.peer_says("keypad 5");
        assert_eq!(rig.line.counters().status_mismatches, 0);
        we_hang_up(&mut rig, call);
        capture.add(rig.end());
    }
    capture.judge();
}
