//! Session timers (RFC 4028): the terms two ends agree on, and when a session is refreshed or lost.
//!
//! It reads and writes the headers and counts time; which request refreshes is the session's
//! choice. Invariant: a session with terms always has an end ahead, which only a refresh moves.

use std::time::{Duration, Instant};

use crate::endpoint::SessionTimerSettings;
use crate::message::{HeaderName, Headers, Refresher, SessionExpires};

/// RFC 4028 5: nobody may ask for less.
const LEAST: u32 = 90;

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) seconds: u32,
    /// In the roles of the transaction that made them.
    pub(super) refresher: Refresher,
}

/// The interval of the peer is below our minimum: 422.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSmall {
    pub(super) min: u32,
}

/// What an INVITE or UPDATE of ours asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) seconds: u32,
    pub(super) min: u32,
    pub(super) refresher: Option<Refresher>,
}

impl Wish {
    /// For a first INVITE: the peer chooses who refreshes.
    pub(super) fn of(settings: &SessionTimerSettings) -> Option<Self> {
        let min = least(settings);
        let seconds = seconds(settings.interval?).max(min);
        Some(Self {
            seconds,
            min,
            refresher: None,
        })
    }

    /// RFC 4028 7.3: what a 422 asks for.
    pub(super) fn raised(self, min: u32) -> Self {
        Self {
            seconds: self.seconds.max(min),
            min: self.min.max(min),
            ..self
        }
    }

    pub(super) fn write(&self, headers: &mut Headers) {
        let expires = SessionExpires {
            seconds: self.seconds,
            refresher: self.refresher,
        };
        headers.push(HeaderName::SessionExpires, expires.to_string());
        if self.min > LEAST {
            headers.push(HeaderName::MinSe, self.min.to_string());
        }
    }
}

impl Terms {
    /// What we answer to the INVITE or UPDATE of a peer (RFC 4028 9, table 2).
    pub(super) fn for_request(
        headers: &Headers,
        settings: &SessionTimerSettings,
    ) -> Result<Option<Self>, TooSmall> {
        let min = least(settings);
        let peer_knows = headers.supports("timer");
        let peer_min = headers.min_se().ok().flatten().unwrap_or(LEAST).max(LEAST);
        let ours = settings.interval.map(|interval| seconds(interval).max(min));
        let Ok(Some(asked)) = headers.session_expires() else {
            let wanted = ours.filter(|_| peer_knows);
            return Ok(wanted.map(|ours| Self {
                seconds: ours.max(peer_min),
                refresher: Refresher::Uac,
            }));
        };
        if asked.seconds < min {
            // A peer that does not know the extension cannot read a 422 (RFC 4028 9).
            return if peer_knows {
                Err(TooSmall { min })
            } else {
                Ok(None)
            };
        }
        let ceiling = ours
            .unwrap_or(seconds(SessionTimerSettings::DEFAULT_INTERVAL))
            .max(peer_min)
            .max(min);
        let refresher = match asked.refresher {
            Some(refresher) if peer_knows => refresher,
            None if peer_knows => Refresher::Uac,
            Some(_) | None => Refresher::Uas,
        };
        Ok(Some(Self {
            seconds: asked.seconds.min(ceiling),
            refresher,
        }))
    }

    /// What the 2xx to our INVITE or UPDATE says (RFC 4028 7.2).
    pub(super) fn of_response(headers: &Headers) -> Option<Self> {
        let said = headers.session_expires().ok()??;
        let seconds = said.seconds.max(LEAST);
        Some(Self {
            seconds,
            refresher: said.refresher.unwrap_or(Refresher::Uac),
        })
    }

    /// Into our 2xx.
    pub(super) fn write(&self, headers: &mut Headers) {
        let expires = SessionExpires {
            seconds: self.seconds,
            refresher: Some(self.refresher),
        };
        headers.push(HeaderName::SessionExpires, expires.to_string());
        if self.refresher == Refresher::Uac {
            headers.push(HeaderName::Require, "timer");
        }
    }
}

/// The running timer of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    seconds: u32,
    /// When we refresh; the peer does it when absent.
    refresh_at: Option<Instant>,
    expires_at: Instant,
}

impl Timer {
    /// `our_role` is ours in the transaction that made the terms.
    pub(super) fn start(terms: Terms, our_role: Refresher, now: Instant) -> Self {
        let interval = Duration::from_secs(terms.seconds.into());
        // RFC 4028 10: the smaller of 32 s and a third ahead of the end.
        let margin = (interval / 3).min(Duration::from_secs(32));
        Self {
            seconds: terms.seconds,
            refresh_at: (terms.refresher == our_role).then(|| now + interval / 2),
            expires_at: now + interval - margin,
        }
    }

    /// What a refresh of ours says: the same interval, the same refresher.
    pub(super) fn wish(&self, settings: &SessionTimerSettings) -> Wish {
        let refresher = if self.refresh_at.is_some() {
            Refresher::Uac
        } else {
            Refresher::Uas
        };
        Wish {
            seconds: self.seconds,
            min: least(settings),
            refresher: Some(refresher),
        }
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at <= now
    }

    pub(super) fn is_refresh_due(&self, now: Instant) -> bool {
        self.refresh_at.is_some_and(|at| at <= now)
    }

    /// A refresh is under way or cannot be sent now.
    pub(super) fn postpone(&mut self, now: Instant) {
        if self.refresh_at.is_some() {
            self.refresh_at = Some(now + Duration::from_secs(5));
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.refresh_at
            .map_or(self.expires_at, |at| at.min(self.expires_at))
    }
}

fn least(settings: &SessionTimerSettings) -> u32 {
    seconds(settings.min).max(LEAST)
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(name.clone(), value);
        }
        headers
    }

    fn check(lines: &[(HeaderName, &str)], wanted: Result<Option<(u32, Refresher)>, u32>) {
        let terms = Terms::for_request(&headers(lines), &SessionTimerSettings::default());
        let got = terms
            .map(|terms| terms.map(|t| (t.seconds, t.refresher)))
            .map_err(|e| e.min);
        assert_eq!(got, wanted, "{lines:?}");
    }

    #[test]
    fn the_terms_follow_table_2_of_rfc_4028() {
        use HeaderName::{MinSe, SessionExpires, Supported};
        use Refresher::{Uac, Uas};
        let timer = (Supported, "timer");
        check(&[], Ok(None));
        check(std::slice::from_ref(&timer), Ok(Some((1800, Uac))));
        check(
            &[timer.clone(), (SessionExpires, "600")],
            Ok(Some((600, Uac))),
        );
        check(
            &[timer.clone(), (SessionExpires, "600;refresher=uas")],
            Ok(Some((600, Uas))),
        );
        check(
            &[(SessionExpires, "600;refresher=uac")],
            Ok(Some((600, Uas))),
        );
        check(&[timer.clone(), (SessionExpires, "60")], Err(90));
        check(&[(SessionExpires, "60")], Ok(None));
        check(
            &[timer.clone(), (SessionExpires, "4294967295")],
            Ok(Some((1800, Uac))),
        );
        check(
            &[timer, (SessionExpires, "7200"), (MinSe, "3600")],
            Ok(Some((3600, Uac))),
        );
    }

    #[test]
    fn the_refresher_acts_at_half_time_and_the_other_waits_for_the_end() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let ours = Timer::start(
            Terms {
                seconds: 600,
                refresher: Refresher::Uac,
            },
            Refresher::Uac,
            now,
        );
        assert!(!ours.is_refresh_due(at(299)) && ours.is_refresh_due(at(300)));
        let theirs = Timer::start(
            Terms {
                seconds: 600,
                refresher: Refresher::Uas,
            },
            Refresher::Uac,
            now,
        );
        assert_eq!(theirs.deadline(), at(600 - 32));
        let short = Timer::start(
            Terms {
                seconds: 90,
                refresher: Refresher::Uas,
            },
            Refresher::Uac,
            now,
        );
        assert_eq!(short.deadline(), at(60));
    }
}
