//! The way of a packet through a session: admitted, judged, passed on.
//!
//! Decryption is a part of being admitted, encryption of leaving (see
//! [`crate::guard`]); between the two every packet is plain, for whoever listens.
//!
//! Invariant: nothing here allocates for a packet that is not an event.

use std::collections::VecDeque;
use std::time::Instant;

use crate::guard::Outlet;
use crate::leg::{Component, Inbound, Leg};
use crate::quality::Reason;
use crate::relay::{Arrival, Config, Event, KeyForm, Output, Sink};
use crate::rtcp::{Compound, Packet};
use crate::rtp::{self, Header, Kind};
use crate::session::{Session, slots};
use crate::translate::{Relation, translate};

/// Where in its session a datagram arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) slot: u8,
    pub(crate) component: Component,
}

impl Session {
    /// Tells whether the session's deadline may be nearer now.
    pub(crate) fn receive(
        &mut self,
        place: Place,
        arrival: &Arrival,
        packet: &mut [u8],
        config: &Config,
        outputs: &mut VecDeque<Output>,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<Waiting, Reason> {
        let slot = place.slot;
        let kind = match (rtp::kind(packet), place.component) {
            (Ok(Kind::Rtcp), _) => Kind::Rtcp,
            (Ok(Kind::Rtp), Component::Rtp) => Kind::Rtp,
            (Ok(Kind::Rtp), Component::Rtcp) | (Err(_), _) => {
                return self.refuse(slot, Reason::Malformed);
            }
        };
        let Some(leg) = self.leg_mut(slot) else {
            return Err(Reason::NowhereToSend);
        };
        let inside = match leg.admit(place.component, kind, arrival, packet, config) {
            Ok(inside) => inside,
            Err(reason) => return self.refuse(slot, reason),
        };
        let packet = &mut packet[..inside];
        leg.announce(place.component, outputs);
        let outcome = match kind {
            Kind::Rtcp => self.receive_rtcp(slot, packet, arrival.at, outlet),
            Kind::Rtp => self.receive_rtp(slot, packet, arrival, outputs, outlet),
        };
        outcome.or_else(|reason| self.refuse(slot, reason))
    }

    fn refuse(&mut self, slot: u8, reason: Reason) -> Result<Waiting, Reason> {
        if let Some(leg) = self.leg_mut(slot) {
            leg.drops.count(reason);
        }
        Err(reason)
    }

    fn receive_rtp(
        &mut self,
        slot: u8,
        packet: &mut [u8],
        arrival: &Arrival,
        outputs: &mut VecDeque<Output>,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<Waiting, Reason> {
        let now = arrival.at;
        let header = Header::parse(packet).map_err(|_| Reason::Malformed)?;
        let session = self.id;
        let leg = self.leg_mut(slot).ok_or(Reason::NowhereToSend)?;
        let (inbound, presses) = leg.take(header, packet, now)?;
        let (key, heard_by, is_mixed) = (leg.key, leg.heard_by, leg.is_mixed);
        let seed = u64::from(leg.out.ssrc());
        // Before the listeners' headers are on it.
        leg.tapping.hear(&inbound, packet, seed, now);
        let tapped = leg.tapping.deadline().is_some();
        let mut waiting = match leg.digits.deadline() {
            None if !tapped => Waiting::No,
            Some(_) | None => Waiting::Yes,
        };
        if !std::mem::replace(&mut leg.started, true) {
            let event = Event::Started {
                leg: key,
                from: arrival.from,
            };
            outputs.push_back(Output::Event { session, event });
        }
        for press in presses.into_iter().flatten().flatten() {
            self.tell_digit(key, press, KeyForm::Event, outputs);
        }
        // Out of the leg for as long as others look at it.
        let kept = self.leg_mut(slot).and_then(|leg| leg.kept.take());
        let inbound = Inbound {
            told: kept.as_deref(),
            ..inbound
        };
        // Before the listeners' headers are on it.
        if is_mixed
            && let Err(reason) = self.say_in_room(slot, &inbound, packet, now)
            && let Some(leg) = self.leg_mut(slot)
        {
            leg.drops.count(reason);
        }
        let mut decoded = is_mixed;
        for listener in slots(heard_by) {
            let Some(ear) = self.leg_mut(listener) else {
                continue;
            };
            // A listener that cannot be served is its own affair, not the sender's.
            if let Err(reason) = ear.give(&inbound, packet, now, outlet) {
                ear.drops.count(reason);
            }
            if ear.hears_our_words() {
                waiting = Waiting::Yes;
                decoded = true;
            }
        }
        if let Some(leg) = self.leg_mut(slot) {
            leg.kept = kept;
        }
        if let Some(leg) = self.leg_mut(slot)
            && (decoded || heard_by != 0)
        {
            leg.was_decoded = decoded;
            // Nobody else is there to report to it.
            if decoded || leg.hears == Some(slot) {
                leg.begin_to_report(now);
                waiting = Waiting::Yes;
            }
        }
        if tapped {
            self.tell_tapped(slot, now, outputs, outlet.sink);
        }
        Ok(waiting)
    }

    fn receive_rtcp(
        &mut self,
        slot: u8,
        packet: &[u8],
        now: Instant,
        outlet: &mut Outlet<'_, impl Sink>,
    ) -> Result<Waiting, Reason> {
        let compound = Compound::parse(packet).map_err(|_| Reason::Malformed)?;
        let leg = self.leg_mut(slot).ok_or(Reason::NowhereToSend)?;
        let lost = leg.hear_reports(compound, now);
        let (hears, heard_by) = (leg.hears, leg.heard_by);
        if let Some(lost) = lost {
            self.lost_in_crowd(slot, lost);
        }
        let cname = self.cname();
        let concerned = heard_by | hears.map_or(0, |source| 1 << source);
        for other in slots(concerned) {
            let relation = Relation {
                from: slot,
                to: other,
                heard: heard_by & (1 << other) != 0,
                hears: hears == Some(other),
            };
            let Some((from, to)) = self.pair_mut(slot, other) else {
                continue;
            };
            let Some((port, target)) = to.rtcp_target() else {
                continue;
            };
            if let Some(writer) = translate(compound, relation, from, to, &cname, now) {
                let way = (port, target);
                let sent = outlet.send(&mut to.guard, Kind::Rtcp, way, writer.written());
                if let Err(reason) = sent {
                    to.drops.count(reason);
                }
            }
        }
        Ok(Waiting::No)
    }
}

/// Whether something may have to happen without a packet: a key is being held, or a voice is
/// carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Yes,
    No,
}

impl Leg {
    /// Tells the owner once when a port's source is settled: it may then let
    /// the kernel drop what comes from elsewhere.
    fn announce(&mut self, component: Component, outputs: &mut VecDeque<Output>) {
        let port = match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => match &mut self.rtcp {
                Some(port) => port,
                None => return,
            },
        };
        if port.announced {
            return;
        }
        if let Some(remote) = port.latch.settled() {
            port.announced = true;
            outputs.push_back(Output::Peer {
                port: port.key,
                remote: Some(remote),
            });
        }
    }

    /// Gives what the peer lost of late of what it is sent, in parts of 256.
    fn hear_reports(&mut self, compound: Compound<'_>, now: Instant) -> Option<u8> {
        self.hear_clock(compound, now);
        let mut lost = None;
        let clock_rate = self.out.clock_rate().unwrap_or(8000);
        for packet in compound.packets() {
            let Packet::Report { blocks, .. } = packet else {
                continue;
            };
            let ssrc = self.out.ssrc();
            for block in blocks.filter(|block| block.ssrc == ssrc) {
                self.out.heard(&block, clock_rate, now);
                lost = Some(block.fraction_lost);
                if let Some(speaking) = self.speaking_mut() {
                    speaking.expect_loss(block.fraction_lost);
                }
            }
        }
        lost
    }
}
