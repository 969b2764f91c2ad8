//! Carries out what an exchange wants: sends, moves media, hands over records.
//!
//! Nothing here waits; what cannot be done is told back to the exchange in the same turn. Invariant:
//! octets leave only by flows that the exchange was given. It is never followed to an address that
//! stands in a message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use cloud_logic::ids::CompanyId;
use exchange::{Input, Output, StoreWrite, UrlReply, WebCommand, WebEvent, WebParty};
use model::EndCause;
use net::flows::Outlet;
use sip::flow::Hop;
use switchboard::{MediaShell, Outgoing, net_connection};
use tokio::sync::mpsc;

use super::figures::Figures;
use super::held::Held;
use super::records::Record;

/// What an exchange is told back in one turn. More would be a circle of sending and failing.
const MOST_BACK: usize = 1_024;
/// Records that wait for the store. A busy hour of a thousand calls fits.
const MOST_RECORDS: usize = 50_000;
/// Records in one transaction.
const PORTION: usize = 200;

/// What the calls of a company want of somebody's page.
pub(crate) type ToPage = (CompanyId, WebParty, WebCommand);

#[derive(Debug)]
pub(super) struct Hands {
    pub(super) media: MediaShell,
    pub(super) figures: Arc<Figures>,
    outgoing: Outgoing,
    records: VecDeque<Record>,
    writer: mpsc::Sender<Vec<Record>>,
    /// None: no page is ever there.
    pages: Option<mpsc::Sender<ToPage>>,
}

impl Hands {
    pub(super) fn new(
        media: MediaShell,
        writer: mpsc::Sender<Vec<Record>>,
        pages: Option<mpsc::Sender<ToPage>>,
        figures: Arc<Figures>,
    ) -> Self {
        Self {
            media,
            figures,
            outgoing: Outgoing::new(std::iter::empty()),
            records: VecDeque::new(),
            writer,
            pages,
        }
    }

    /// Carries out everything that the exchange wants; when it wants to be woken.
    pub(super) fn drain(
        &mut self,
        held: &mut Held,
        outlet: &mut Outlet,
        now: Instant,
    ) -> Option<Instant> {
        let mut told_back = 0;
        let deadline = loop {
            match held.exchange.poll_output() {
                Output::Timeout(deadline) => match held.back.pop_front() {
                    // The rest has its turn after others had theirs.
                    Some(input) if told_back == MOST_BACK => {
                        held.back.push_front(input);
                        break Some(now);
                    }
                    Some(input) => {
                        told_back += 1;
                        held.exchange.handle(input, now);
                    }
                    None => break deadline,
                },
                Output::Transmit { to, bytes } => self.transmit(held, &to, &bytes, outlet),
                Output::CloseFlow(connection) => outlet.close(net_connection(connection)),
                Output::Media(command) => self.media.command(command),
                Output::Store(write) => self.store(held, write),
                Output::OpenUrl(request) => {
                    // Doors with an address of their own are a matter of gateways.
                    let (command, reply) = (request.command, UrlReply::Refused);
                    let refused = Input::UrlAnswered { command, reply };
                    held.back.push_back(refused);
                }
                Output::Web { party, command } => self.tell_page(held, party, command),
                Output::Event(event) => {
                    tracing::debug!(company = %held.company, ?event, "calls");
                }
                // Nothing is recorded, nobody registers, and there are no lines to older servers.
                Output::Recording(_)
                | Output::Registrar(_)
                | Output::Answer { .. }
                | Output::LegNamed { .. }
                | Output::Line { .. }
                | Output::LineState { .. }
                | Output::LineHappened { .. }
                | Output::LineAsked { .. }
                | Output::LineCommanded { .. }
                | Output::LineDone { .. }
                | Output::LineTold { .. } => {}
            }
        };
        self.media.flush();
        deadline
    }

    fn transmit(&mut self, held: &mut Held, to: &Hop, bytes: &[u8], outlet: &mut Outlet) {
        if let Hop::Destination(destination) = to {
            self.figures.add(|figures| &figures.unsent);
            let unreachable = Input::Unreachable(destination.clone());
            return held.back.push_back(unreachable);
        }
        if let Err(error) = self.outgoing.send(to, bytes, outlet) {
            // A flow that is gone says so itself.
            self.figures.add(|figures| &figures.unsent);
            tracing::debug!(%error, "a message could not be sent");
        }
    }

    /// Who is called where nobody listens for pages is not reached.
    fn tell_page(&self, held: &mut Held, party: WebParty, command: WebCommand) {
        let rings = matches!(command, WebCommand::Ring(_));
        let told = self.pages.as_ref().is_some_and(|pages| {
            let told = pages.try_send((held.company, party, command));
            if told.is_err() {
                self.figures.add(|figures| &figures.page_commands_lost);
                tracing::error!(company = %held.company, "a page could not be told of its call");
            }
            told.is_ok()
        });
        if !told && rings {
            let cause = EndCause::Unreachable;
            let event = WebEvent::Refused { cause };
            held.back.push_back(Input::Web { party, event });
        }
    }

    fn store(&mut self, held: &Held, write: StoreWrite) {
        match write {
            StoreWrite::CallRecord(record) if self.records.len() < MOST_RECORDS => {
                self.records.push_back(Record::of(held, &record));
            }
            StoreWrite::CallRecord(_) => {
                self.figures.add(|figures| &figures.records_lost);
                tracing::error!("a record of a call is lost: the store takes none");
            }
            // Doors are opened by gateways, which tell of it themselves.
            StoreWrite::DoorRecord(_) | StoreWrite::Bindings(_) | StoreWrite::Standing(_) => {}
        }
    }

    /// Whether records wait for the writer.
    pub(super) fn records_wait(&self) -> bool {
        !self.records.is_empty()
    }

    /// Gives the writer what it has room for.
    pub(super) fn hand_over_records(&mut self) {
        while !self.records.is_empty() {
            let Ok(place) = self.writer.try_reserve() else {
                return;
            };
            let portion = self.records.len().min(PORTION);
            place.send(self.records.drain(..portion).collect());
        }
    }

    /// Gives the writer all that is left; it ends when it has written it.
    pub(super) async fn finish(mut self) {
        while !self.records.is_empty() {
            let portion = self.records.len().min(PORTION);
            let records = self.records.drain(..portion).collect();
            if self.writer.send(records).await.is_err() {
                return;
            }
        }
    }
}
