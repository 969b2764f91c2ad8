//! What becomes of what a page says.

use std::str::FromStr;

use bytes::Bytes;
use cloud_logic::ids::UserId;
use exchange::{WebArrival, WebEvent, WebParty};
use model::{Address, CallNumber, CloudUserId, Digit, EndCause, Pii};
use web_edge::{LegError, LegId};

use super::hall::{Call, Partner, Stage, parting};
use super::messages::{Caller, Said, Told, Trouble};
use super::{WebCalls, secret_name};

/// Dialled for a test call.
const ECHO: &str = "echo";
/// Of a test call that rings.
const TEST_PRIORITY: u8 = 100;

/// A page as its socket knows it.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) tab: String,
    pub(super) user: UserId,
    pub(super) name: String,
}

/// The other side of a test call, and the way its browser is to be reached: itself.
async fn echo(calls: &WebCalls, leg: LegId, plain: Bytes) -> Result<(), LegError> {
    calls.edge().connect(leg, plain).await
}

impl WebCalls {
    pub(super) async fn said(&self, speaker: &Speaker, said: Said) -> Result<(), Trouble> {
        let call = said.call().unwrap_or_default().to_owned();
        let done = match said {
            Said::Hello { .. } => Err(Trouble::new(
                "already_here",
                "/kind",
                "Say hello only once.",
            )),
            Said::Invite { call, to, offer } => self.invite(speaker, &call, &to, offer).await,
            Said::Answer { call, answer } => {
                let leg = self.leg_of(speaker, &call)?;
                let answered = self.edge().answered(leg, answer).await;
                answered.map_err(|error| refused(&error, "/answer"))
            }
            Said::Take { call } => self.take(speaker, &call),
            Said::Negotiate { call, offer } => self.negotiate(speaker, call, offer).await,
            Said::Candidates { call, candidates } => {
                self.candidates(speaker, &call, candidates).await
            }
            Said::Reject { call } => self.part(speaker, &call, EndCause::Declined),
            Said::Hangup { call } => self.part(speaker, &call, EndCause::HungUp),
            Said::Dtmf { call, digits } => self.digits(speaker, &call, &digits),
            Said::Hold { call, held } => {
                let event = if held {
                    WebEvent::Held
                } else {
                    WebEvent::Resumed
                };
                self.tell_partner(speaker, &call, event)
            }
            Said::Transfer { call, to, with } => self.transfer(speaker, &call, to, with),
            Said::Test => self.test(speaker).await,
        };
        done.map_err(|trouble| match call.as_str() {
            "" => trouble,
            call => trouble.of(call),
        })
    }

    async fn invite(
        &self,
        speaker: &Speaker,
        name: &str,
        to: &str,
        offer: String,
    ) -> Result<(), Trouble> {
        let dialled = match to {
            ECHO => None,
            to => Some(dialled(to)?),
        };
        if self.hall().call(&speaker.tab, name).is_some() {
            return Err(Trouble::new(
                "name_taken",
                "/call",
                "Name each call differently.",
            ));
        }
        let taken = self.edge().call(offer).await;
        let taken = taken.map_err(|error| refused(&error, "/offer"))?;
        let company = self.hall().tab(&speaker.tab).map(|tab| tab.company);
        let party = (company, WebParty::Caller(self.caller()));
        let partner = match (&dialled, party) {
            (Some(_), (Some(company), party)) => Partner::House((company, party)),
            (Some(_), (None, _)) | (None, _) => Partner::Echo,
        };
        let call = Call {
            leg: taken.leg,
            partner,
            stage: Stage::Calls,
            plain: taken.plain.clone(),
        };
        {
            let mut hall = self.hall();
            if let Err(call) = hall.insert(&speaker.tab, name, call) {
                self.end_leg(&call);
                return Err(Trouble::new(
                    "too_many_calls",
                    "",
                    "End another call first.",
                ));
            }
            let (call, answer) = (name.to_owned(), taken.answer);
            hall.tell(&speaker.tab, Told::Answer { call, answer });
        }
        match (dialled, partner) {
            (Some(dialled), Partner::House(party)) => {
                let arrival = WebArrival {
                    user: CloudUserId::new(speaker.user.bits()),
                    name: Pii::new(speaker.name.clone()),
                    dialled,
                    offer: taken.plain,
                };
                let arrived = WebEvent::Arrived(Box::new(arrival));
                let told = self.hall().tell_house(party, arrived);
                if !told {
                    self.turn_away(speaker, name);
                }
            }
            (Some(_) | None, Partner::Echo | Partner::House(_)) => {
                self.inner.figures.add(|figures| &figures.test_calls);
                let connected = echo(self, taken.leg, taken.plain).await;
                connected.map_err(|error| refused(&error, "/offer"))?;
                let mut hall = self.hall();
                hall.talks(&speaker.tab, name);
                let call = name.to_owned();
                hall.tell(&speaker.tab, Told::SelectAnswer { call });
            }
        }
        Ok(())
    }

    /// Nobody carries calls of this company here.
    fn turn_away(&self, speaker: &Speaker, name: &str) {
        let mut hall = self.hall();
        if let Some(gone) = hall.remove(&speaker.tab, name) {
            self.end_leg(&gone.call);
            let told = Told::Reject {
                call: name.to_owned(),
                reason: EndCause::Unreachable.name().to_owned(),
                detail: "This core carries no calls of your company at the moment; try again later.",
            };
            hall.tell(&speaker.tab, told);
        }
    }

    fn take(&self, speaker: &Speaker, name: &str) -> Result<(), Trouble> {
        let mut hall = self.hall();
        let (call, lost) = hall.take(&speaker.tab, name)?;
        for gone in lost {
            self.end_leg(&gone.call);
            let reason = EndCause::AnsweredElsewhere.name().to_owned();
            let call = gone.name;
            hall.tell(&gone.tab, Told::Hangup { call, reason });
        }
        if let Partner::House(party) = call.partner {
            hall.tell_house(party, WebEvent::Answered { answer: call.plain });
        }
        let call = name.to_owned();
        hall.tell(&speaker.tab, Told::SelectAnswer { call });
        Ok(())
    }

    async fn negotiate(
        &self,
        speaker: &Speaker,
        call: String,
        offer: String,
    ) -> Result<(), Trouble> {
        let leg = self.leg_of(speaker, &call)?;
        let renewed = self.edge().renew(leg, offer).await;
        let renewed = renewed.map_err(|error| refused(&error, "/offer"))?;
        let answer = renewed.answer;
        self.hall()
            .tell(&speaker.tab, Told::Answer { call, answer });
        Ok(())
    }

    async fn candidates(
        &self,
        speaker: &Speaker,
        call: &str,
        candidates: Vec<String>,
    ) -> Result<(), Trouble> {
        // It may have crossed the end of its call.
        let Ok(leg) = self.leg_of(speaker, call) else {
            return Ok(());
        };
        for line in candidates {
            // Names of mDNS hide an address, and kinds that we do not know are no fault of the
            // page's: we are reachable, and learn its address from its checks.
            match self.edge().candidate(leg, line).await {
                Ok(()) | Err(LegError::Candidate | LegError::Unknown) => {}
                Err(error) => return Err(refused(&error, "/candidates")),
            }
        }
        Ok(())
    }

    fn part(&self, speaker: &Speaker, name: &str, cause: EndCause) -> Result<(), Trouble> {
        let gone = self.hall().remove(&speaker.tab, name);
        let gone = gone.ok_or_else(no_call)?;
        self.end_leg(&gone.call);
        let Partner::House(party) = gone.call.partner else {
            return Ok(());
        };
        // Declined is meant for all of her pages: the others stop ringing as well.
        let mut hall = self.hall();
        if gone.call.stage == Stage::Rings {
            for (tab, name) in hall.of_party(party) {
                if let Some(other) = hall.remove(&tab, &name) {
                    self.end_leg(&other.call);
                    let reason = cause.name().to_owned();
                    let call = name;
                    hall.tell(&tab, Told::Hangup { call, reason });
                }
            }
        }
        hall.tell_house(party, parting(gone.call.stage, cause));
        Ok(())
    }

    fn digits(&self, speaker: &Speaker, call: &str, digits: &str) -> Result<(), Trouble> {
        let known: Option<Vec<Digit>> = digits.chars().map(Digit::from_char).collect();
        let known = known.ok_or_else(|| {
            Trouble::new(
                "no_digits",
                "/digits",
                "Send keys of a telephone: 0-9, *, # and A-D.",
            )
        })?;
        for digit in known {
            self.tell_partner(speaker, call, WebEvent::Digit(digit))?;
        }
        Ok(())
    }

    fn transfer(
        &self,
        speaker: &Speaker,
        call: &str,
        to: Option<String>,
        with: Option<String>,
    ) -> Result<(), Trouble> {
        let event = match (to, with) {
            (Some(to), None) => WebEvent::Transfer { to: dialled(&to)? },
            (None, Some(with)) => {
                let other = self
                    .hall()
                    .call(&speaker.tab, &with)
                    .map(|call| call.partner);
                match other {
                    Some(Partner::House((_, party))) => WebEvent::TransferTo(party),
                    Some(Partner::Echo) | None => {
                        return Err(Trouble::new(
                            "no_call",
                            "/with",
                            "Name a call of this page.",
                        ));
                    }
                }
            }
            _ => return Err(Trouble::new("malformed", "", "Write either to or with.")),
        };
        self.tell_partner(speaker, call, event)
    }

    /// Rings her with her own sound.
    async fn test(&self, speaker: &Speaker) -> Result<(), Trouble> {
        let made = self.edge().ring(Bytes::from_static(TEST_OFFER)).await;
        let ringing = made.map_err(|error| refused(&error, "/kind"))?;
        self.inner.figures.add(|figures| &figures.test_calls);
        let call = Call {
            leg: ringing.leg,
            partner: Partner::Echo,
            stage: Stage::Rings,
            plain: ringing.plain.clone(),
        };
        let name = secret_name::<8>();
        if let Err(call) = self.hall().insert(&speaker.tab, &name, call) {
            self.end_leg(&call);
            return Err(Trouble::new(
                "too_many_calls",
                "",
                "End another call first.",
            ));
        }
        let connected = echo(self, ringing.leg, ringing.plain).await;
        connected.map_err(|error| refused(&error, "/kind"))?;
        let invite = Told::Invite {
            call: name,
            offer: ringing.offer,
            caller: Caller {
                name: "Test call".to_owned(),
                number: None,
            },
            dialled: None,
            priority: TEST_PRIORITY,
            early_media: true,
        };
        self.hall().tell(&speaker.tab, invite);
        Ok(())
    }

    fn tell_partner(&self, speaker: &Speaker, call: &str, event: WebEvent) -> Result<(), Trouble> {
        let hall = self.hall();
        let partner = hall.call(&speaker.tab, call).map(|call| call.partner);
        match partner.ok_or_else(no_call)? {
            Partner::Echo => Ok(()),
            Partner::House(party) => match hall.tell_house(party, event) {
                true => Ok(()),
                false => Err(Trouble::new("busy", "/kind", "Try again in a moment.")),
            },
        }
    }

    fn leg_of(&self, speaker: &Speaker, call: &str) -> Result<LegId, Trouble> {
        let hall = self.hall();
        let found = hall.call(&speaker.tab, call);
        found.map(|call| call.leg).ok_or_else(no_call)
    }
}

/// What a test call offers: sound and a picture, from nowhere as yet.
pub(super) const TEST_OFFER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
m=audio 9 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
a=rtpmap:101 telephone-event/48000\r\n\
m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\n";

fn no_call() -> Trouble {
    Trouble::new("no_call", "/call", "It is over, or was never of this page.")
}

fn refused(error: &LegError, place: &'static str) -> Trouble {
    let code = match error {
        LegError::Full | LegError::Busy => "busy",
        LegError::Unknown => "no_call",
        LegError::TooLong
        | LegError::Browser(_)
        | LegError::Far(_)
        | LegError::NoSound
        | LegError::NoOffer
        | LegError::Candidate
        | LegError::Socket(_) => "not_possible",
    };
    Trouble::new(code, place, format!("{error}."))
}

/// A number of one's company, or a person in it.
fn dialled(text: &str) -> Result<Address, Trouble> {
    if let Ok(number) = CallNumber::parse(text) {
        return Ok(Address::Local(number));
    }
    if let Ok(user) = UserId::from_str(text) {
        return Ok(Address::CloudUser(CloudUserId::new(user.bits())));
    }
    Err(Trouble::new(
        "no_number",
        "/to",
        "Write a number of one to eight digits, the id of a person, or echo.",
    ))
}
