//! Call requests: queued at desks, taken by exactly one (claim before connect).

use std::sync::Arc;

use calls::{
    Claimant, Command, CommandError, Done, FileRequest, Home, Input, RequestStatus, Withdrawal,
};
use model::{Address, CloudUserId, DeskId, EndCause, Escalation, NodeId, Pii, Priority, RequestId};

use crate::support::directory::{Plan, stations};
use crate::support::{SECOND, Site, number, station};

fn plan() -> Plan {
    stations(&["101", "102", "103", "104", "105"])
        .change("105", |s| s.priority = Priority::DEFAULT_ALARM)
        .desk("511", &["104"])
        .desk("510", &["102", "103"])
        .change_desk(|d| {
            d.positions.push(Address::CloudUser(CloudUserId::new(1)));
            d.escalation = Some(Escalation {
                after: 60 * SECOND,
                to: number("511"),
            });
        })
}

fn by(number: &str) -> Claimant {
    Claimant::Station(station(number))
}

fn claims(site: &mut Site, request: RequestId, claimant: &str) -> Result<Done, CommandError> {
    site.command(Command::Claim {
        request,
        by: by(claimant),
    })
}

fn files(site: &mut Site, from: &str, home: Home) -> RequestId {
    let (from, desk, name) = (number(from), DeskId::from_key("510"), Pii::default());
    let file = FileRequest {
        from,
        name,
        desk,
        priority: None,
        home,
    };
    match site.command(Command::FileRequest(file)) {
        Ok(Done::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// 101 waits at desk 510 on L1.
fn waiting() -> (Site, RequestId) {
    let mut site = Site::new(plan().build());
    site.seen(&["101", "102", "103", "104"]);
    site.arrives("101", "510");
    site.expect(&["L1 is shown queued"]);
    site.expect_station("101", "requesting");
    site.expect_events(&["request queued"]);
    let request = site.last_request();
    (site, request)
}

#[test]
fn the_first_claim_wins_and_only_the_winner_is_called() {
    let (mut site, request) = waiting();
    assert_eq!(
        claims(&mut site, request, "103"),
        Ok(Done::Request(request))
    );
    site.expect(&["L2 calls 103 (expected)", "L1 is shown trying"]);
    // Within the same millisecond, from another desk and from the cloud.
    let lost = Err(CommandError::TakenBy(by("103")));
    assert_eq!(claims(&mut site, request, "102"), lost);
    let cloud = Claimant::CloudUser(CloudUserId::new(1));
    assert_eq!(site.command(Command::Claim { request, by: cloud }), lost);
    site.answers(2);
    site.expect(&["L1 is answered", "L1-L2 talk"]);
    site.expect_events(&["request taken by 103", "request closed: Connected"]);
    assert_eq!(
        claims(&mut site, request, "102"),
        Err(CommandError::NoSuchRequest)
    );
    assert_eq!(site.engine.counters().claims_lost, 2);
}

#[test]
fn who_claims_but_does_not_answer_gives_it_back() {
    let (mut site, request) = waiting();
    claims(&mut site, request, "103").unwrap();
    site.skip();
    site.wait(15 * SECOND);
    site.expect(&[
        "L2 ends: no_answer",
        "record of L2: no_answer no_answer",
        "L1 is shown queued",
    ]);
    site.expect_events(&["request returned"]);
    assert_eq!(
        claims(&mut site, request, "102"),
        Ok(Done::Request(request))
    );
    site.answers(3);
    site.expect(&[
        "L3 calls 102 (expected)",
        "L1 is shown trying",
        "L1 is answered",
        "L1-L3 talk",
    ]);
}

#[test]
fn only_a_position_of_the_desk_may_take_and_only_when_free() {
    let (mut site, request) = waiting();
    assert_eq!(
        claims(&mut site, request, "104"),
        Err(CommandError::NotAPosition)
    );
    assert_eq!(
        claims(&mut site, request, "999"),
        Err(CommandError::NotAPosition)
    );
    site.arrives("104", "102");
    site.answers(3);
    assert_eq!(
        claims(&mut site, request, "102"),
        Err(CommandError::StationBusy)
    );
}

#[test]
fn who_asked_hangs_up_and_the_request_is_gone() {
    let (mut site, request) = waiting();
    site.hangs_up(1);
    site.expect(&["record of L1: cancelled caller_gave_up"]);
    site.expect_events(&["request closed: Withdrawn"]);
    assert_eq!(
        claims(&mut site, request, "102"),
        Err(CommandError::NoSuchRequest)
    );
    site.expect_quiet();
    // And while the taker is being called.
    let (mut site, request) = waiting();
    claims(&mut site, request, "102").unwrap();
    site.skip();
    site.hangs_up(1);
    site.expect(&[
        "record of L1: cancelled caller_gave_up",
        "L2 ends: caller_gave_up",
        "record of L2: cancelled caller_gave_up",
    ]);
    site.expect_events(&["request closed: Withdrawn"]);
    site.expect_quiet();
}

#[test]
fn a_position_that_calls_its_desk_takes_the_most_urgent_who_waits_longest() {
    let (mut site, _) = waiting();
    site.arrives("104", "510");
    site.arrives("105", "510");
    site.skip();
    site.arrives("102", "510");
    site.expect(&["L3 is answered", "L4 is answered", "L3-L4 talk"]);
    site.arrives("103", "510");
    site.expect(&["L1 is answered", "L5 is answered", "L1-L5 talk"]);
    site.hangs_up(5);
    site.hangs_up(2);
    site.skip();
    site.arrives("103", "510");
    site.expect(&[
        "L6 is refused: nothing_waiting",
        "record of L6: refused nothing_waiting",
    ]);
}

#[test]
fn take_next_by_command() {
    let (mut site, request) = waiting();
    let (desk, by) = (DeskId::from_key("510"), by("102"));
    assert_eq!(
        site.command(Command::TakeNext { desk, by }),
        Ok(Done::Request(request))
    );
    assert_eq!(
        site.command(Command::TakeNext { desk, by }),
        Err(CommandError::NothingWaiting)
    );
    let desk = DeskId::from_key("nowhere");
    assert_eq!(
        site.command(Command::TakeNext { desk, by }),
        Err(CommandError::NoSuchDesk)
    );
}

#[test]
fn who_is_not_on_the_line_is_called_back_when_the_taker_has_answered() {
    let mut site = Site::new(plan().build());
    let request = files(&mut site, "101", Home::Here);
    // Pressing the button again is the same wish.
    assert_eq!(files(&mut site, "101", Home::Here), request);
    site.skip();
    claims(&mut site, request, "102").unwrap();
    site.expect(&["L1 calls 102 (expected)"]);
    site.answers(1);
    site.expect(&["L1 hears Ringback", "L2 calls 101 (expected)"]);
    site.answers(2);
    site.expect(&["L1-L2 talk"]);
    site.expect_events(&["request taken by 102", "request closed: Connected"]);
}

#[test]
fn who_cannot_be_called_back_is_not_forgotten() {
    let mut site = Site::new(plan().build());
    let request = files(&mut site, "101", Home::Here);
    claims(&mut site, request, "102").unwrap();
    site.answers(1);
    site.skip();
    site.refuses(2, EndCause::Unreachable);
    site.expect(&[
        "record of L2: unreachable unreachable",
        "L1 ends: unreachable",
        "record of L1: answered unreachable",
    ]);
    site.expect_events(&["request returned"]);
    assert_eq!(
        site.engine.request(request).unwrap().status,
        RequestStatus::Waiting
    );
    // The taker gives up before the other side answers: the same.
    claims(&mut site, request, "102").unwrap();
    site.answers(3);
    site.skip();
    site.hangs_up(3);
    site.expect_events(&["request returned"]);
}

#[test]
fn it_is_brought_to_mind_seen_at_the_next_desk_and_expires() {
    let (mut site, request) = waiting();
    site.wait(31 * SECOND);
    site.expect_events(&["request reminder"]);
    site.wait(30 * SECOND);
    site.expect_events(&["request reminder", "request alsoat"]);
    assert_eq!(site.engine.requests_at(DeskId::from_key("510")).len(), 1);
    assert_eq!(site.engine.requests_at(DeskId::from_key("511")).len(), 1);
    site.wait(1_700 * SECOND);
    site.skip();
    site.wait(60 * SECOND);
    site.expect(&[
        "L1 is refused: request_expired",
        "record of L1: no_answer request_expired",
    ]);
    assert_eq!(
        claims(&mut site, request, "104"),
        Err(CommandError::NoSuchRequest)
    );
}

#[test]
fn a_position_of_the_next_desk_may_take_it_then() {
    let (mut site, request) = waiting();
    site.wait(61 * SECOND);
    assert_eq!(
        claims(&mut site, request, "104"),
        Ok(Done::Request(request))
    );
}

#[test]
fn it_may_become_a_call() {
    let plan = plan().change_desk(|d| {
        d.escalation = Some(Escalation {
            after: 60 * SECOND,
            to: number("104"),
        });
    });
    let mut site = Site::new(plan.build());
    site.arrives("101", "510");
    let request = files(&mut site, "103", Home::Here);
    site.skip();
    site.wait(60 * SECOND);
    site.expect(&[
        "L2 calls 104",
        "L1 is shown trying",
        "L3 calls 103 (expected)",
    ]);
    assert_eq!(
        claims(&mut site, request, "102"),
        Err(CommandError::BeingTaken)
    );
    site.answers(3);
    site.expect(&[
        "L3 hears Ringback",
        "L3 ends: busy",
        "record of L3: answered busy",
    ]);
}

#[test]
fn an_alarm_does_not_expire_and_goes_on_to_the_list() {
    let plan = plan()
        .escalation(&["104"])
        .change_desk(|d| d.escalation = None);
    let mut site = Site::new(plan.build());
    site.seen(&["102"]);
    site.arrives("105", "510");
    site.expect(&["L1 is shown queued"]);
    site.wait(60 * SECOND);
    site.expect(&["L1 is shown ringing", "L2 calls 104 (opens)"]);
    site.wait(7_200 * SECOND);
    assert_eq!(site.engine.gauges().calls, 1);
    site.hangs_up(1);
    site.expect_quiet();
}

#[test]
fn an_alarm_does_not_wait_where_nobody_is() {
    let mut site = Site::new(plan().escalation(&["104"]).build());
    let empty = plan().escalation(&["104"]).change_desk(|d| {
        d.positions = vec![number("102")];
        d.escalation = None;
    });
    site.input(Input::DirectoryChanged(Arc::new(empty.build())));
    site.arrives("105", "510");
    site.expect(&[
        "L1 is shown queued",
        "L1 is shown ringing",
        "L2 calls 104 (opens)",
    ]);
}

#[test]
fn a_mirrored_request_is_decided_at_home() {
    let mut site = Site::new(plan().build());
    let request = files(&mut site, "101", Home::Node(NodeId::new(4)));
    site.skip();
    assert_eq!(claims(&mut site, request, "102"), Ok(Done::Asked(request)));
    site.expect(&["asked at home of the request"]);
    assert_eq!(
        claims(&mut site, request, "103"),
        Err(CommandError::BeingTaken)
    );
    let verdict = calls::ClaimVerdict::Granted;
    site.input(Input::ClaimVerdict { request, verdict });
    site.expect(&["L1 calls 102 (expected)"]);
    // A verdict that comes twice changes nothing.
    site.input(Input::ClaimVerdict { request, verdict });
    site.expect(&[]);
}

#[test]
fn the_other_desk_was_faster() {
    let mut site = Site::new(plan().build());
    let request = files(&mut site, "101", Home::Node(NodeId::new(4)));
    site.arrives("102", "510");
    site.skip();
    let verdict = calls::ClaimVerdict::TakenElsewhere;
    site.input(Input::ClaimVerdict { request, verdict });
    site.expect(&[
        "L1 is refused: nothing_waiting",
        "record of L1: refused nothing_waiting",
    ]);
    site.expect_events(&["request closed: TakenElsewhere"]);
}

#[test]
fn home_does_not_answer_and_the_request_waits_again() {
    let mut site = Site::new(plan().build());
    let request = files(&mut site, "101", Home::Node(NodeId::new(4)));
    claims(&mut site, request, "102").unwrap();
    site.skip();
    site.wait(2 * SECOND);
    site.expect_events(&["request returned"]);
    assert_eq!(
        site.engine.request(request).unwrap().status,
        RequestStatus::Waiting
    );
    let why = Withdrawal::TakenElsewhere;
    assert_eq!(
        site.command(Command::Withdraw { request, why }),
        Ok(Done::Ended)
    );
    site.expect_events(&["request closed: TakenElsewhere"]);
}

#[test]
fn a_desk_may_close_a_request() {
    let (mut site, request) = waiting();
    let stranger = Command::Dismiss {
        request,
        by: by("104"),
    };
    assert_eq!(site.command(stranger), Err(CommandError::NotAPosition));
    site.command(Command::Dismiss {
        request,
        by: by("102"),
    })
    .unwrap();
    site.expect(&[
        "L1 is refused: request_dismissed",
        "record of L1: no_answer request_dismissed",
    ]);
}

#[test]
fn a_reload_takes_the_desk_away() {
    let (mut site, _) = waiting();
    site.arrives("105", "510");
    site.skip();
    let none = stations(&["101", "102", "105"])
        .change("105", |s| s.priority = Priority::DEFAULT_ALARM)
        .escalation(&["102"]);
    site.input(Input::DirectoryChanged(Arc::new(none.build())));
    site.expect(&[
        "L1 is refused: unknown_number",
        "record of L1: refused unknown_number",
        "L2 is shown ringing",
        "L3 calls 102 (opens)",
    ]);
}
