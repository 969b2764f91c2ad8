//! Call requests on both sides of a line: each lives at one end and is mirrored at the other.
//!
//! Taking one is decided where it lives, one claim after the other. Requests of the other end are
//! filed at a desk of ours and claimed over there before anybody is called; ours are filed at its
//! desks, and its claims go to the engine. Invariants: nobody is connected before the end at home has
//! granted it; a request whose claim got lost with the line is not forgotten before it is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use calls::{
    ClaimVerdict, Claimant, Closure, Done, FileRequest, Home, Input, RequestChange, RequestStatus,
    Withdrawal,
};
use legacy_protocols::command::{Answer, Cause, Command, RequestRef, Verdict};
use legacy_protocols::coverage::{CommandKind, Coverage};
use legacy_protocols::event::{CallRequest, Event};
use legacy_protocols::number::Party;
use legacy_protocols::port::{Picture, PictureStage, Port};
use legacy_protocols::text::Text;
use model::{DeskId, Destination, Pii, Reach, RequestId};

use super::{Errand, LineId, LineSound, words};
use crate::state::Exchange;

/// Requests of other servers that are mirrored here at most; the engine holds no more either.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Those that live at another server.
    mirrored: BTreeMap<RequestId, Mirrored>,
    by_name: BTreeMap<(LineId, RequestRef), RequestId>,
    /// Those of ours, and the lines at whose desks they are seen.
    filed: BTreeMap<RequestId, BTreeSet<LineId>>,
    /// Those of ours that somebody behind a line has taken and will call for: whom.
    promised: BTreeMap<(LineId, Party), (RequestId, Party)>,
    /// What a picture has named so far, of lines that are being told one.
    pictured: BTreeMap<LineId, BTreeSet<RequestRef>>,
}

#[derive(Clone, Copy, Debug)]
struct Mirrored {
    line: LineId,
    name: RequestRef,
    standing: Standing,
}

/// What is known of who may take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Open,
    /// It was asked for this party, and no answer came: it may be ours.
    InDoubt(Party),
    /// It was granted to us.
    Ours,
}

/// What a protocol has to take a request with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimWords {
    /// It is asked for, and one has it.
    Claim,
    /// Whoever asked is called back; the server takes its request away by itself.
    CallBack,
    /// Neither: nobody here can answer it.
    None,
}

impl Requests {
    fn named(&self, line: LineId, name: RequestRef) -> Option<(RequestId, Mirrored)> {
        let id = *self.by_name.get(&(line, name))?;
        Some((id, *self.mirrored.get(&id)?))
    }

    fn insert(&mut self, id: RequestId, mirrored: Mirrored) {
        self.forget(id);
        self.by_name.insert((mirrored.line, mirrored.name), id);
        self.mirrored.insert(id, mirrored);
    }

    fn forget(&mut self, id: RequestId) -> Option<Mirrored> {
        let mirrored = self.mirrored.remove(&id)?;
        self.by_name.remove(&(mirrored.line, mirrored.name));
        Some(mirrored)
    }

    fn stands(&mut self, id: RequestId, standing: Standing) {
        if let Some(mirrored) = self.mirrored.get_mut(&id) {
            mirrored.standing = standing;
        }
    }
}

impl Exchange {
    // ---- requests that live there ------------------------------------------------------

    pub(super) fn request_told(&mut self, line: LineId, told: &CallRequest, now: Instant) {
        if let Some(pictured) = self.lines.requests.pictured.get_mut(&line) {
            pictured.insert(told.request);
        }
        let known = self.lines.requests.named(line, told.request);
        if known.is_some_and(|(_, mirrored)| mirrored.standing == Standing::Ours) {
            return;
        }
        let (Some(desk), Some(from)) = (
            self.desk_of_request(line, told),
            self.address_behind(line, told.from),
        ) else {
            return self.count_request_refused(line);
        };
        let Some(node) = self.lines.get(line).map(|line| line.config.node.node) else {
            return;
        };
        if known.is_none() && self.lines.requests.mirrored.len() >= MOST {
            return self.count_request_refused(line);
        }
        let name = told.text.as_ref().map_or("", Text::as_str);
        let file = FileRequest {
            from,
            name: Pii::new(name.to_owned()),
            desk,
            priority: Some(words::priority(told.priority)),
            home: Home::Node(node),
        };
        match self.calls.command(calls::Command::FileRequest(file), now) {
            Ok(Done::Request(id)) => {
                let known = known.filter(|(known, _)| *known == id);
                let mirrored = Mirrored {
                    line,
                    name: told.request,
                    standing: known.map_or(Standing::Open, |(_, known)| known.standing),
                };
                self.lines.requests.insert(id, mirrored);
            }
            Ok(_) | Err(_) => self.count_request_refused(line),
        }
    }

    fn count_request_refused(&mut self, line: LineId) {
        if let Some(line) = self.lines.get_mut(line) {
            line.totals.requests_refused += 1;
        }
    }

    /// The desk of ours that the request names, else the one of the line.
    fn desk_of_request(&self, line: LineId, told: &CallRequest) -> Option<DeskId> {
        let line = self.lines.get(line)?;
        let number = told.to.and_then(|to| line.our_number(to));
        match number.and_then(|number| self.directory.by_number(number)) {
            Some(Destination::Desk(desk)) => Some(desk.id),
            Some(_) | None => line.config.desk,
        }
    }

    /// It is over where it lives, or whoever asked took it back.
    pub(super) fn request_over(
        &mut self,
        line: LineId,
        name: RequestRef,
        why: Withdrawal,
        now: Instant,
    ) {
        let Some((request, mirrored)) = self.lines.requests.named(line, name) else {
            return;
        };
        if mirrored.standing == Standing::Ours && why == Withdrawal::TakenElsewhere {
            // By us.
            return;
        }
        self.lines.requests.forget(request);
        let withdraw = calls::Command::Withdraw { request, why };
        // It can only have ended by itself meanwhile.
        let _ = self.calls.command(withdraw, now);
    }

    /// A line is told what is; what a whole picture does not name is over.
    pub(super) fn picture_stage(&mut self, line: LineId, stage: PictureStage, now: Instant) {
        let pictured = &mut self.lines.requests.pictured;
        match stage {
            PictureStage::Begins => {
                pictured.insert(line, BTreeSet::new());
            }
            PictureStage::Ends(Picture::Whole) => self.picture_is_whole(line, now),
            PictureStage::Ends(Picture::Partial | Picture::None) => {
                pictured.remove(&line);
            }
        }
    }

    fn picture_is_whole(&mut self, line: LineId, now: Instant) {
        let Some(pictured) = self.lines.requests.pictured.remove(&line) else {
            return;
        };
        let all = self.lines.requests.mirrored.values();
        let gone = all.filter(|mirrored| {
            let here = mirrored.line == line && mirrored.standing == Standing::Open;
            here && !pictured.contains(&mirrored.name)
        });
        let gone: Vec<RequestRef> = gone.map(|mirrored| mirrored.name).collect();
        for name in gone {
            self.request_over(line, name, Withdrawal::TakenElsewhere, now);
        }
    }

    /// The engine wants to know whether somebody may have a request of another server.
    pub(crate) fn claim_at_home(&mut self, request: RequestId, by: Claimant, now: Instant) {
        let Some(mirrored) = self.lines.requests.mirrored.get(&request).copied() else {
            // Its server took it back just now.
            return self.claim_decided(request, ClaimVerdict::TakenElsewhere, now);
        };
        if mirrored.standing == Standing::Ours {
            return self.claim_decided(request, ClaimVerdict::Granted, now);
        }
        let up = self
            .lines
            .get(mirrored.line)
            .is_some_and(super::Line::is_up);
        if !up {
            return self.claim_decided(request, ClaimVerdict::Unreachable, now);
        }
        match self.claim_words(mirrored.line) {
            ClaimWords::Claim => {}
            ClaimWords::CallBack => return self.claim_decided(request, ClaimVerdict::Granted, now),
            ClaimWords::None => {
                self.count_claim_without_word(mirrored.line);
                return self.claim_decided(request, ClaimVerdict::Unreachable, now);
            }
        }
        let by = self.party_claiming(mirrored.line, by);
        let errand = Errand::Claim { request, by };
        let claim = Command::RequestClaim {
            request: mirrored.name,
            by,
        };
        self.command_line(mirrored.line, claim, errand, now);
    }

    pub(super) fn claim_answered(
        &mut self,
        (request, by): (RequestId, Party),
        answer: &Answer,
        now: Instant,
    ) {
        let Some(mirrored) = self.lines.requests.mirrored.get(&request).copied() else {
            return;
        };
        let before = mirrored.standing;
        let verdict = match answer.verdict {
            Verdict::Done | Verdict::Accepted | Verdict::Sent => ClaimVerdict::Granted,
            // An earlier claim of ours, whose answer got lost.
            Verdict::AlreadyTaken if before == Standing::InDoubt(by) && answer.by == Some(by) => {
                ClaimVerdict::Granted
            }
            Verdict::AlreadyTaken | Verdict::Expired | Verdict::NoSuchNumber => {
                ClaimVerdict::TakenElsewhere
            }
            // The other end has no word for it: whoever is called first has it.
            Verdict::Unsupported => self.called_instead(mirrored.line),
            Verdict::LineLost | Verdict::NoAnswer => {
                self.lines.requests.stands(request, Standing::InDoubt(by));
                ClaimVerdict::Unreachable
            }
            Verdict::Busy
            | Verdict::NotAllowed
            | Verdict::Loop
            | Verdict::NodeUnreachable
            | Verdict::TestRefused
            | Verdict::RateLimited
            | Verdict::NotConnected => ClaimVerdict::Unreachable,
        };
        if verdict == ClaimVerdict::Granted {
            // Also where the engine waits no longer: the next who takes it has it.
            self.lines.requests.stands(request, Standing::Ours);
        }
        self.claim_decided(request, verdict, now);
    }

    /// How the requests of a line can be taken.
    fn claim_words(&self, line: LineId) -> ClaimWords {
        let Some(line) = self.lines.get(line) else {
            return ClaimWords::None;
        };
        let coverage = line.port().map_or(Coverage::NONE, Port::coverage);
        let calls = coverage.can_command(CommandKind::CallSetup);
        if coverage.can_command(CommandKind::RequestClaim) {
            return ClaimWords::Claim;
        }
        match (&line.config.sound, calls) {
            (LineSound::Sip(_), _) | (LineSound::Rtp | LineSound::Channels, true) => {
                ClaimWords::CallBack
            }
            (LineSound::Rtp | LineSound::Channels, false) | (LineSound::None, _) => {
                ClaimWords::None
            }
        }
    }

    fn called_instead(&mut self, line: LineId) -> ClaimVerdict {
        match self.claim_words(line) {
            ClaimWords::Claim | ClaimWords::CallBack => ClaimVerdict::Granted,
            ClaimWords::None => {
                self.count_claim_without_word(line);
                ClaimVerdict::Unreachable
            }
        }
    }

    fn count_claim_without_word(&mut self, line: LineId) {
        if let Some(line) = self.lines.get_mut(line) {
            line.totals.claims_without_word += 1;
        }
    }

    fn claim_decided(&mut self, request: RequestId, verdict: ClaimVerdict, now: Instant) {
        self.calls
            .handle(Input::ClaimVerdict { request, verdict }, now);
    }

    fn party_claiming(&self, line: LineId, by: Claimant) -> Party {
        let party = match by {
            Claimant::Station(id) => self.party_of_station(line, id),
            Claimant::CloudUser(_) => None,
        };
        party.unwrap_or_else(|| self.party_shown(line, &model::Party::default()))
    }

    // ---- requests of ours --------------------------------------------------------------

    /// What happened to a request at the engine.
    pub(super) fn request_changed(
        &mut self,
        request: RequestId,
        change: &RequestChange,
        now: Instant,
    ) {
        match change {
            RequestChange::Queued { .. }
            | RequestChange::AlsoAt { .. }
            | RequestChange::Returned { .. } => {
                self.forget_promise(request);
                self.file_at_lines(request, now);
            }
            RequestChange::Reminder => {}
            RequestChange::Taken { by } => {
                let by = Some(*by);
                self.close_at_lines(request, Cause::NORMAL, by, now);
            }
            RequestChange::Closed { why } => {
                let (cause, by) = match why {
                    Closure::Dismissed { by } => (Cause::REJECTED, Some(*by)),
                    Closure::Expired => (Cause::NO_ANSWER, None),
                    Closure::Connected
                    | Closure::Withdrawn
                    | Closure::TakenElsewhere
                    | Closure::Escalated => (Cause::NORMAL, None),
                };
                self.forget_promise(request);
                self.close_at_lines(request, cause, by, now);
                if let Some(mirrored) = self.lines.requests.forget(request)
                    && matches!(why, Closure::Dismissed { .. })
                {
                    let request = mirrored.name;
                    let command = Command::RequestWithdraw { request };
                    self.command_line(mirrored.line, command, Errand::Nothing, now);
                }
            }
        }
    }

    fn forget_promise(&mut self, request: RequestId) {
        let promised = &mut self.lines.requests.promised;
        promised.retain(|_, (of, _)| *of != request);
    }

    /// Shows a request of ours at the desks behind lines that are positions of its desks.
    fn file_at_lines(&mut self, request: RequestId, now: Instant) {
        let Some(view) = self.calls.request(request) else {
            return;
        };
        if view.home != Home::Here || view.status != RequestStatus::Waiting {
            return;
        }
        for (line, position) in self.desks_behind_lines(&view.desks) {
            let filed = self.lines.requests.filed.entry(request).or_default();
            if !filed.insert(line) {
                continue;
            }
            let command = Command::RequestFile(CallRequest {
                request: name(request),
                from: self.party_shown(line, &view.from),
                to: Some(position),
                priority: words::their_priority(view.priority),
                text: Some(Text::clip(view.from.name.reveal())),
            });
            self.command_line(line, command, Errand::File { request, line }, now);
        }
    }

    /// The lines behind which positions of these desks are, with the first of them.
    fn desks_behind_lines(&self, desks: &[DeskId]) -> BTreeMap<LineId, Party> {
        let desks = desks.iter().filter_map(|desk| self.directory.desk(*desk));
        let positions = desks.flat_map(|desk| &desk.positions);
        let mut found = BTreeMap::new();
        for position in positions {
            let Some(Destination::Station(station)) = self.directory.destination(position) else {
                continue;
            };
            let Reach::Behind(node) = station.reach else {
                continue;
            };
            let line = self.lines.towards(node).filter(|line| {
                let line = self.lines.get(*line);
                line.is_some_and(super::Line::is_up)
            });
            if let Some(line) = line
                && let Some(party) = self.party_behind(line, station.id)
            {
                found.entry(line).or_insert(party);
            }
        }
        found
    }

    fn close_at_lines(
        &mut self,
        request: RequestId,
        cause: Cause,
        by: Option<Claimant>,
        now: Instant,
    ) {
        let lines = self.lines.requests.filed.remove(&request);
        for line in lines.unwrap_or_default() {
            let closed = Event::RequestClosed {
                request: name(request),
                cause,
                by: by.map(|by| self.party_claiming(line, by)),
            };
            self.tell_line(line, closed, now);
        }
    }

    /// The other end did not take it: it is not seen there.
    pub(super) fn request_filed(&mut self, request: RequestId, line: LineId, verdict: Verdict) {
        let taken = matches!(verdict, Verdict::Done | Verdict::Accepted | Verdict::Sent);
        if taken {
            return;
        }
        if let Some(filed) = self.lines.requests.filed.get_mut(&request) {
            filed.remove(&line);
        }
        if let Some(line) = self.lines.get_mut(line) {
            line.totals.requests_not_filed += 1;
        }
    }

    /// A desk behind a line claims a request of ours.
    pub(super) fn claim_asked(
        &mut self,
        line: LineId,
        asked: RequestRef,
        by: Party,
        now: Instant,
    ) -> Answer {
        let request = RequestId::new(asked.0);
        let Some(station) = self.station_behind(line, by).map(|station| station.id) else {
            return Answer {
                text: Some(Text::clip(
                    "who claims is no station of the directory; add it there and to the desk",
                )),
                ..Verdict::NotAllowed.into()
            };
        };
        let asker = self.calls.request(request).map(|view| view.from);
        let claim = calls::Command::ClaimToCall {
            request,
            by: Claimant::Station(station),
        };
        let Err(error) = self.calls.command(claim, now) else {
            let asker = self.party_shown(line, &asker.unwrap_or_default());
            let promised = &mut self.lines.requests.promised;
            promised.insert((line, by), (request, asker));
            return Verdict::Done.into();
        };
        let verdict = match error {
            calls::CommandError::NoSuchRequest
            | calls::CommandError::TakenBy(_)
            | calls::CommandError::BeingTaken => Verdict::AlreadyTaken,
            calls::CommandError::NotAPosition => Verdict::NotAllowed,
            calls::CommandError::StationBusy => Verdict::Busy,
            calls::CommandError::NothingWaiting
            | calls::CommandError::NoSuchDesk
            | calls::CommandError::NoSuchCall
            | calls::CommandError::NoSuchLeg
            | calls::CommandError::NoSuchAddress
            | calls::CommandError::NotASingleDevice => Verdict::NoSuchNumber,
            calls::CommandError::Overload | calls::CommandError::Stopping => Verdict::RateLimited,
        };
        let faster = match error {
            calls::CommandError::TakenBy(by) => Some(self.party_claiming(line, by)),
            _ => None,
        };
        Answer {
            by: faster,
            text: Some(Text::clip(&error.to_string())),
            ..verdict.into()
        }
    }

    /// The request that a call from behind a line is to fulfil.
    pub(super) fn request_promised(
        &mut self,
        line: LineId,
        (from, to): (Party, Party),
    ) -> Option<RequestId> {
        let promised = &mut self.lines.requests.promised;
        let (request, _) = *promised
            .get(&(line, from))
            .filter(|(_, asker)| *asker == to)?;
        promised.remove(&(line, from));
        Some(request)
    }

    /// The other end files a request here, as a command.
    pub(super) fn request_asked(
        &mut self,
        line: LineId,
        told: &CallRequest,
        now: Instant,
    ) -> Verdict {
        self.request_told(line, told, now);
        match self.lines.requests.named(line, told.request) {
            Some(_) => Verdict::Done,
            None => Verdict::NoSuchNumber,
        }
    }

    /// Those that the desks behind a line which has come up should see.
    pub(super) fn file_all_at_lines(&mut self, line: LineId, now: Instant) {
        for filed in self.lines.requests.filed.values_mut() {
            filed.remove(&line);
        }
        let desks = self.directory.desks().iter().map(|desk| desk.id);
        let desks: Vec<DeskId> = desks.collect();
        for desk in desks {
            for view in self.calls.requests_at(desk) {
                self.file_at_lines(view.request, now);
            }
        }
    }

    /// The picture of our requests that a line asks for.
    pub(super) fn requests_for_picture(&self, line: LineId) -> Vec<Event> {
        let filed = self.lines.requests.filed.iter();
        let there = filed.filter(|(_, lines)| lines.contains(&line));
        let shown = there.filter_map(|(id, _)| {
            let view = self.calls.request(*id)?;
            Some(Event::RequestNew(CallRequest {
                request: name(*id),
                from: self.party_shown(line, &view.from),
                to: None,
                priority: words::their_priority(view.priority),
                text: Some(Text::clip(view.from.name.reveal())),
            }))
        });
        shown.collect()
    }
}

/// Ids of ours never have the top bit.
fn name(request: RequestId) -> RequestRef {
    RequestRef(request.get() & !legacy_protocols::command::CallRef::OF_PORT)
}
