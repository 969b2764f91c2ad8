//! Does for pages what the calls of their company want, and what follows from the state of legs.
//!
//! One task, so that what is wanted of a party is done in the order it was wanted.

use std::time::Duration;

use bytes::Bytes;
use calls::TransferStatus;
use cloud_logic::ids::{CompanyId, UserId};
use exchange::{WebCommand, WebEvent, WebParty, WebProgress, WebRing};
use model::{Address, EarlyMedia, EndCause};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use web_edge::{LegNews, News};

use super::hall::{Call, Gone, Partner, PartyOf, Stage, parting};
use super::messages::{Caller, Told};
use super::{PATIENCE, WebCalls, secret_name};

/// How often it looks for pages that did not come back.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Attendant {
    calls: WebCalls,
    commands: mpsc::Receiver<(CompanyId, WebParty, WebCommand)>,
    news: mpsc::Receiver<LegNews>,
}

impl Attendant {
    pub(super) fn new(
        calls: WebCalls,
        commands: mpsc::Receiver<(CompanyId, WebParty, WebCommand)>,
        news: mpsc::Receiver<LegNews>,
    ) -> Self {
        Self {
            calls,
            commands,
            news,
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some((company, party, command)) = self.commands.recv() => {
                    self.command((company, party), command).await;
                }
                Some(news) = self.news.recv() => self.leg(news),
                _ = look.tick() => self.look(),
            }
        }
    }

    async fn command(&self, party: PartyOf, command: WebCommand) {
        match command {
            WebCommand::Ring(ring) => self.ring(party, *ring).await,
            WebCommand::Progress(progress) => {
                let (state, answer) = match progress {
                    WebProgress::Ringing => ("ringing", None),
                    WebProgress::Queued => ("queued", None),
                    WebProgress::EarlyMedia { answer } => ("early_media", Some(answer)),
                };
                if let Some(answer) = answer {
                    self.connect(party, answer).await;
                }
                self.calls
                    .tell_party(party, |call| Told::Progress { call, state });
            }
            WebCommand::Accept { answer } => {
                self.connect(party, answer).await;
                self.calls.hall().party_talks(party);
                self.calls
                    .tell_party(party, |call| Told::SelectAnswer { call });
            }
            WebCommand::Refuse { cause, .. } => self.calls.over(party, |call| Told::Reject {
                call,
                reason: cause.name().to_owned(),
                detail: "",
            }),
            WebCommand::End { cause } => self.calls.over(party, |call| Told::Hangup {
                call,
                reason: cause.name().to_owned(),
            }),
            WebCommand::TransferStatus(status) => {
                let (state, reason) = match status {
                    TransferStatus::Trying => ("trying", None),
                    TransferStatus::Ringing => ("ringing", None),
                    TransferStatus::Done => ("done", None),
                    TransferStatus::Failed(cause) => ("failed", Some(cause.name().to_owned())),
                };
                self.calls.tell_party(party, |call| Told::Transfer {
                    call,
                    state,
                    reason: reason.clone(),
                });
            }
        }
    }

    /// Every page of hers rings, each with a leg of its own.
    async fn ring(&self, party: PartyOf, ring: WebRing) {
        let user = UserId::from_bits(ring.user.get());
        let tabs = self.calls.hall().tabs_of(party.0, user);
        for tab in tabs {
            let made = self.calls.edge().ring(ring.offer.clone()).await;
            let ringing = match made {
                Ok(ringing) => ringing,
                Err(error) => {
                    tracing::debug!(%error, "a page cannot be rung");
                    continue;
                }
            };
            let call = Call {
                leg: ringing.leg,
                partner: Partner::House(party),
                stage: Stage::Rings,
                plain: ringing.plain,
            };
            let name = secret_name::<8>();
            let mut hall = self.calls.hall();
            match hall.insert(&tab, &name, call) {
                Ok(()) => hall.tell(&tab, invite(name, ringing.offer, &ring)),
                Err(call) => self.calls.end_leg(&call),
            }
        }
        let hall = self.calls.hall();
        let event = match hall.is_alone(party) {
            true => WebEvent::Refused {
                cause: EndCause::Unreachable,
            },
            false => WebEvent::Ringing,
        };
        hall.tell_house(party, event);
    }

    async fn connect(&self, party: PartyOf, answer: Bytes) {
        let legs = self.calls.hall().legs_of(party);
        for leg in legs {
            if let Err(error) = self.calls.edge().connect(leg, answer.clone()).await {
                tracing::debug!(%error, "a page's call is not connected");
            }
        }
    }

    fn leg(&self, LegNews { leg, news }: LegNews) {
        let mut hall = self.calls.hall();
        let Some((tab, call)) = hall.by_leg(leg) else {
            return;
        };
        let state = match news {
            News::Connected => "connected",
            News::Silent => "silent",
            News::Back => "back",
            News::Over => {
                if let Some(gone) = hall.remove(&tab, &call) {
                    let reason = EndCause::ConnectionLost.name().to_owned();
                    hall.tell(&tab, Told::Hangup { call, reason });
                    drop(hall);
                    self.calls.abandoned(&gone, EndCause::ConnectionLost);
                }
                return;
            }
        };
        hall.tell(&tab, Told::Network { call, state });
    }

    fn look(&self) {
        let Some(before) = Instant::now().checked_sub(PATIENCE) else {
            return;
        };
        let gone = self.calls.hall().forget_away(before);
        for gone in gone {
            let figures = self.calls.figures();
            figures.add(|figures| &figures.calls_abandoned);
            self.calls.end_leg(&gone.call);
            self.calls.abandoned(&gone, EndCause::ConnectionLost);
        }
    }
}

fn invite(call: String, offer: String, ring: &WebRing) -> Told {
    let number = ring.caller.address.as_ref().and_then(number_of);
    Told::Invite {
        call,
        offer,
        caller: Caller {
            name: ring.caller.name.reveal().clone(),
            number,
        },
        dialled: ring.dialled.as_ref().and_then(number_of),
        priority: ring.priority.get(),
        early_media: ring.early_media == EarlyMedia::On,
    }
}

fn number_of(address: &Address) -> Option<String> {
    match address {
        Address::Local(number) | Address::Remote { number, .. } => Some(number.to_string()),
        Address::Sip(_) | Address::CloudUser(_) | Address::Group(_) | Address::Desk(_) => None,
    }
}

impl WebCalls {
    fn tell_party(&self, party: PartyOf, mut told: impl FnMut(String) -> Told) {
        let hall = self.hall();
        for (tab, name) in hall.of_party(party) {
            hall.tell(&tab, told(name));
        }
    }

    /// The calls of the company have ended a party.
    fn over(&self, party: PartyOf, mut told: impl FnMut(String) -> Told) {
        let mut hall = self.hall();
        for (tab, name) in hall.of_party(party) {
            if let Some(gone) = hall.remove(&tab, &name) {
                self.end_leg(&gone.call);
                hall.tell(&tab, told(name));
            }
        }
    }

    /// One of the edge's legs is needed no more.
    pub(super) fn end_leg(&self, call: &Call) {
        if let Err(error) = self.edge().end(call.leg) {
            // It ends by itself when its browser is silent.
            tracing::debug!(%error, "a leg is not ended yet");
        }
    }

    /// A page gave a call up. The party is over when no other page rings for it.
    pub(super) fn abandoned(&self, gone: &Gone, cause: EndCause) {
        if let Partner::House(party) = gone.call.partner {
            let hall = self.hall();
            if hall.is_alone(party) {
                hall.tell_house(party, parting(gone.call.stage, cause));
            }
        }
    }
}
