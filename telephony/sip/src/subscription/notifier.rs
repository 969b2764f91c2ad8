//! The notifier: subscriptions of peers to the dialogs of a resource, and the NOTIFYs they get.
//!
//! Who may watch what is the owner's decision. Invariant: one NOTIFY of a subscription is under
//! way at a time, at most one a second leaves (RFC 4235 3.10), and the last state is always told;
//! each subscription announced ends with one `SubscriptionEnded`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DialogInfo, SubscriptionId};
use crate::deadlines::Deadlines;
use crate::dialog::{Dialog, Order};
use crate::endpoint::core::{ContactName, Core, Draft};
use crate::endpoint::{Event, IncomingSubscribe, Output};
use crate::flow::Flow;
use crate::message::{HeaderName, Method, Request, StatusCode};
use crate::session::{CommandError, Inbound, Outcome};
use crate::tokens::Token;
use crate::transaction::{TransactionId, User};

#[derive(Debug, Default)]
pub(crate) struct Notifier {
    live: HashMap<SubscriptionId, Subscription>,
    by_tag: HashMap<Token, SubscriptionId>,
    deadlines: Deadlines<SubscriptionId>,
    last: u64,
}

#[derive(Debug)]
struct Subscription {
    tag: Token,
    dialog: Dialog,
    contact_name: ContactName,
    /// What Event says: the package and perhaps an id (RFC 6665 8.2.1).
    event: Box<str>,
    state: State,
    /// Of the next document (RFC 4235 4.1.1).
    version: u32,
    told: Option<DialogInfo>,
    under_way: Option<TransactionId>,
    /// What is told next: as soon as nothing is under way and `earliest` has come.
    due: Due,
    earliest: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The owner has not decided.
    Asked {
        tx: TransactionId,
        seconds: u32,
    },
    Active {
        until: Instant,
    },
    /// The last NOTIFY is to be sent or under way.
    Ending(End),
}

/// The reason in a last NOTIFY (RFC 6665 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Timeout,
    NoResource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    State,
}

/// A SUBSCRIBE that may become a subscription.
pub(crate) struct Wish<'a> {
    pub(crate) request: Request,
    pub(crate) tx: TransactionId,
    pub(crate) tag: Token,
    pub(crate) flow: &'a Flow,
    pub(crate) account: Option<Arc<str>>,
}

const PACKAGE: &str = "dialog";
/// RFC 4235 3.10.
const PACE: Duration = Duration::from_secs(1);
/// RFC 4235 3.4.
const DEFAULT_SECONDS: u32 = 3600;
const MIN_SECONDS: u32 = 60;

impl Notifier {
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn next_id(&mut self) -> SubscriptionId {
        self.last += 1;
        SubscriptionId(self.last)
    }

    /// What speaks against a SUBSCRIBE, whoever sends it.
    pub(crate) fn judge(request: &Request) -> Result<(), (StatusCode, HeaderName, &'static str)> {
        let headers = &request.headers;
        if !headers
            .event()
            .ok()
            .flatten()
            .is_some_and(|event| event.is(PACKAGE))
        {
            return Err((StatusCode::BAD_EVENT, HeaderName::AllowEvents, PACKAGE));
        }
        let reads = |kind: &str| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            [DialogInfo::CONTENT_TYPE, "application/*", "*/*"]
                .iter()
                .any(|ours| kind.eq_ignore_ascii_case(ours))
        };
        if headers.has(HeaderName::Accept)
            && !headers.tokens(HeaderName::Accept).any(|kind| reads(&kind))
        {
            return Err((
                StatusCode::NOT_ACCEPTABLE,
                HeaderName::Accept,
                DialogInfo::CONTENT_TYPE,
            ));
        }
        if seconds_of(request).is_some_and(|seconds| (1..MIN_SECONDS).contains(&seconds)) {
            return Err((StatusCode::INTERVAL_TOO_BRIEF, HeaderName::MinExpires, "60"));
        }
        Ok(())
    }

    /// A SUBSCRIBE outside any dialog: the owner is asked.
    pub(crate) fn arrive(&mut self, id: SubscriptionId, wish: Wish<'_>, core: &mut Core) {
        let Wish {
            request,
            tx,
            tag,
            flow,
            account,
        } = wish;
        let (Some(dialog), Ok(from)) = (
            Dialog::of_request(&request, tag, flow),
            request.headers.from(),
        ) else {
            core.counters.refused.malformed += 1;
            return core.answer(tx, StatusCode::BAD_REQUEST);
        };
        let longest = u32::try_from(core.settings.subscription_max.as_secs()).unwrap_or(u32::MAX);
        let seconds = seconds_of(&request).unwrap_or(DEFAULT_SECONDS).min(longest);
        let subscription = Subscription {
            tag,
            dialog,
            contact_name: ContactName::called(&request),
            event: request
                .headers
                .get_str(HeaderName::Event)
                .unwrap_or(PACKAGE)
                .into(),
            state: State::Asked { tx, seconds },
            version: 0,
            told: None,
            under_way: None,
            due: Due::Nothing,
            earliest: core.now,
        };
        self.live.insert(id, subscription);
        self.by_tag.insert(tag, id);
        let resource = request.uri.clone();
        let event = IncomingSubscribe {
            subscription: id,
            flow: *flow,
            from,
            resource,
            account,
            request,
        };
        core.out
            .push_back(Output::Event(Event::Subscribe(Box::new(event))));
    }

    pub(crate) fn accept(
        &mut self,
        id: SubscriptionId,
        state: &DialogInfo,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let subscription = self.live.get_mut(&id).ok_or(CommandError::UnknownSession)?;
        let State::Asked { tx, seconds } = subscription.state else {
            return Err(CommandError::WrongState);
        };
        subscription.state = match seconds {
            // A fetch: one NOTIFY and no more (RFC 6665 4.4.3).
            0 => State::Ending(End::Timeout),
            seconds => State::Active {
                until: core.now + Duration::from_secs(seconds.into()),
            },
        };
        subscription.confirm(tx, seconds, core);
        subscription.told = Some(state.clone());
        subscription.due = Due::State;
        self.go_on(id, core);
        Ok(())
    }

    pub(crate) fn refuse(
        &mut self,
        id: SubscriptionId,
        code: StatusCode,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        if !code.is_failure() {
            return Err(CommandError::BadCode);
        }
        let subscription = self.live.get(&id).ok_or(CommandError::UnknownSession)?;
        let State::Asked { tx, .. } = subscription.state else {
            return Err(CommandError::WrongState);
        };
        core.answer(tx, code);
        self.remove(id, core);
        Ok(())
    }

    pub(crate) fn notify(
        &mut self,
        id: SubscriptionId,
        state: &DialogInfo,
        core: &mut Core,
    ) -> Result<(), CommandError> {
        let subscription = self.live.get_mut(&id).ok_or(CommandError::UnknownSession)?;
        if !matches!(subscription.state, State::Active { .. }) {
            return Err(CommandError::WrongState);
        }
        if subscription.told.as_ref() != Some(state) {
            subscription.told = Some(state.clone());
            subscription.due = Due::State;
            self.go_on(id, core);
        }
        Ok(())
    }

    /// The resource is gone, or the watcher may not watch any more.
    pub(crate) fn end(&mut self, id: SubscriptionId, core: &mut Core) -> Result<(), CommandError> {
        let subscription = self.live.get_mut(&id).ok_or(CommandError::UnknownSession)?;
        let State::Active { .. } = subscription.state else {
            return Err(CommandError::WrongState);
        };
        subscription.finish(End::NoResource, core.now);
        self.go_on(id, core);
        Ok(())
    }

    /// The subscription a request within a dialog belongs to.
    pub(crate) fn find(
        &self,
        call_id: &str,
        to_tag: &str,
        from_tag: Option<&str>,
    ) -> Option<SubscriptionId> {
        let id = *self.by_tag.get(&Token::parse(to_tag)?)?;
        let dialog = &self.live.get(&id)?.dialog;
        (dialog.id().call_id == call_id && dialog.is_peer_tag(from_tag)).then_some(id)
    }

    /// A SUBSCRIBE that refreshes or ends (RFC 6665 4.2.1.2).
    pub(crate) fn on_refresh(
        &mut self,
        id: SubscriptionId,
        inbound: &Inbound<'_>,
        core: &mut Core,
    ) {
        let Some(subscription) = self.live.get_mut(&id) else {
            return;
        };
        let missing = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        if inbound.request.method != Method::Subscribe
            || !matches!(subscription.state, State::Active { .. })
        {
            return core.answer(inbound.tx, missing);
        }
        if subscription.dialog.note_number(inbound.number) == Order::Late {
            return core.answer(inbound.tx, StatusCode::SERVER_INTERNAL_ERROR);
        }
        if let Err((status, name, value)) = Self::judge(inbound.request) {
            return core.answer_with(inbound.tx, status, name, value);
        }
        subscription.dialog.refresh(inbound.request, inbound.flow);
        let longest = u32::try_from(core.settings.subscription_max.as_secs()).unwrap_or(u32::MAX);
        let seconds = seconds_of(inbound.request)
            .unwrap_or(DEFAULT_SECONDS)
            .min(longest);
        subscription.confirm(inbound.tx, seconds, core);
        if seconds == 0 {
            subscription.finish(End::Timeout, core.now);
        } else {
            subscription.state = State::Active {
                until: core.now + Duration::from_secs(seconds.into()),
            };
            subscription.due = Due::State;
        }
        self.go_on(id, core);
    }

    /// What became of a NOTIFY of ours, or of the SUBSCRIBE the owner was asked about.
    pub(crate) fn on_outcome(
        &mut self,
        id: SubscriptionId,
        tx: TransactionId,
        outcome: &Outcome,
        core: &mut Core,
    ) {
        let Some(subscription) = self.live.get_mut(&id) else {
            return;
        };
        if outcome.code().is_provisional() {
            return;
        }
        if matches!(subscription.state, State::Asked { tx: asked, .. } if asked == tx) {
            return self.remove(id, core);
        }
        if subscription.under_way != Some(tx) {
            return;
        }
        subscription.under_way = None;
        let ending =
            matches!(subscription.state, State::Ending(_)) && subscription.due == Due::Nothing;
        // RFC 6665 4.2.2: a watcher that does not take NOTIFYs is gone.
        if ending || outcome.code().is_failure() {
            return self.remove(id, core);
        }
        self.go_on(id, core);
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core) -> bool {
        let Some(id) = self.deadlines.pop_due(core.now) else {
            return false;
        };
        if let Some(subscription) = self.live.get_mut(&id)
            && let State::Active { until } = subscription.state
            && until <= core.now
        {
            subscription.finish(End::Timeout, core.now);
        }
        self.go_on(id, core);
        true
    }

    /// Sends what is due, and sets the next deadline.
    fn go_on(&mut self, id: SubscriptionId, core: &mut Core) {
        let Some(subscription) = self.live.get_mut(&id) else {
            return;
        };
        let free = subscription.under_way.is_none() && subscription.due == Due::State;
        if free && subscription.earliest <= core.now && subscription.send(id, core).is_err() {
            return self.remove(id, core);
        }
        let pace = (subscription.under_way.is_none() && subscription.due == Due::State)
            .then_some(subscription.earliest);
        let until = match subscription.state {
            State::Active { until } => Some(until),
            State::Asked { .. } | State::Ending(_) => None,
        };
        self.deadlines
            .set(id, [pace, until].into_iter().flatten().min());
    }

    fn remove(&mut self, id: SubscriptionId, core: &mut Core) {
        let Some(subscription) = self.live.remove(&id) else {
            return;
        };
        self.by_tag.remove(&subscription.tag);
        self.deadlines.set(id, None);
        core.out
            .push_back(Output::Event(Event::SubscriptionEnded { subscription: id }));
    }
}

impl Subscription {
    fn confirm(&self, tx: TransactionId, seconds: u32, core: &mut Core) {
        let contact = core
            .table
            .hop(tx)
            .map(|hop| core.contact(&self.contact_name, hop))
            .unwrap_or_default();
        if let Some(response) = core.response(tx, StatusCode::OK) {
            let response = response
                .with_header(HeaderName::Contact, contact)
                .with_header(HeaderName::Expires, seconds.to_string());
            core.respond(tx, &response);
        }
    }

    fn finish(&mut self, end: End, now: Instant) {
        self.state = State::Ending(end);
        self.due = Due::State;
        self.earliest = now;
    }

    fn send(&mut self, id: SubscriptionId, core: &mut Core) -> Result<(), CommandError> {
        let hop = core.aim(self.dialog.hop().clone())?;
        let (via, token) = core.via(&hop);
        let mut request = self.dialog.request(Method::Notify, &via, None);
        let state = match self.state {
            State::Active { until } => format!("active;expires={}", (until - core.now).as_secs()),
            State::Ending(End::Timeout) => "terminated;reason=timeout".to_owned(),
            State::Ending(End::NoResource) => "terminated;reason=noresource".to_owned(),
            State::Asked { .. } => "pending".to_owned(),
        };
        request
            .headers
            .push(HeaderName::Contact, core.contact(&self.contact_name, &hop));
        request.headers.push(HeaderName::Event, &*self.event);
        request.headers.push(HeaderName::SubscriptionState, state);
        if let Some(told) = &self.told {
            request = request.with_body(DialogInfo::CONTENT_TYPE, told.to_xml(self.version));
            self.version = self.version.wrapping_add(1);
        }
        self.due = Due::Nothing;
        self.earliest = core.now + PACE;
        self.under_way = Some(core.send(Draft { request, token }, hop, User::Subscription(id)));
        Ok(())
    }
}

fn seconds_of(request: &Request) -> Option<u32> {
    request.headers.expires().ok().flatten()
}
