//! How much one address and one caller may ask for.
//!
//! An address is counted before anything is read, a caller as soon as it is known who it is, over all
//! its sessions and tokens. With several nodes each counts for itself. What is left stands in each
//! answer (`RateLimit`, draft-ietf-httpapi-ratelimit-headers-10). Requests from this machine are not
//! counted by address: that is a proxy, which is believed only if it is named (`trusted_proxies`).
//! Guessing of secrets is slowed down elsewhere (`people::logins`, `claims::attempts`).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cloud_logic::rates::{Left, Rate, Rates, TooFast};
use model::Timestamp;

use super::problem::{Code, Problem};
use crate::core::Core;
use crate::people::Peer;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A purse holds what comes into it in so many seconds.
const BURST_SECONDS: u32 = 10;
/// Some megabytes when all are in use.
const PURSES: usize = 50_000;

/// Requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PerSecond {
    pub(crate) address: u32,
    pub(crate) caller: u32,
}

/// A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    addresses: Purses<IpAddr>,
    callers: Purses<String>,
}

/// One kind of purse.
#[derive(Debug)]
struct Purses<K> {
    /// As it is called in headers.
    name: &'static str,
    rate: Rate,
    rates: Mutex<Rates<K>>,
    refused: AtomicU64,
}

/// What became of a request, for the headers of its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<OnceLock<Left>>);

impl Limits {
    pub(crate) fn new(per_second: PerSecond) -> Self {
        Self {
            inner: Arc::new(Inner {
                addresses: Purses::new("address", per_second.address),
                callers: Purses::new("caller", per_second.caller),
            }),
        }
    }

    /// Counts a request of a caller, who is known now.
    pub(crate) fn of_caller(
        &self,
        name: &str,
        standing: Option<&Standing>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let taken = self.inner.callers.take(&name.to_owned(), now);
        let left = match taken {
            Ok(left) => left,
            Err(TooFast(wait)) => Left {
                requests: 0,
                full_in: wait,
            },
        };
        if let Some(standing) = standing {
            // Known twice in one request, she is the same.
            let _ = standing.0.set(left);
        }
        taken.map(drop).map_err(refusal)
    }

    /// Requests refused since the start, by address and by caller.
    pub(crate) fn refused(&self) -> [u64; 2] {
        let Inner { addresses, callers } = &*self.inner;
        [&addresses.refused, &callers.refused].map(|refused| refused.load(Ordering::Relaxed))
    }
}

impl<K: Ord + Clone> Purses<K> {
    fn new(name: &'static str, per_second: u32) -> Self {
        let rate = Rate {
            per_second,
            burst: per_second.saturating_mul(BURST_SECONDS),
            capacity: PURSES,
        };
        Self {
            name,
            rate,
            rates: Mutex::new(Rates::new(rate)),
            refused: AtomicU64::new(0),
        }
    }

    fn take(&self, key: &K, now: Timestamp) -> Result<Left, TooFast> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = rates.take(key, now);
        if taken.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn write(&self, left: Left, limit: &mut String, policy: &mut String) {
        let Self { name, rate, .. } = self;
        let comma = if limit.is_empty() { "" } else { ", " };
        let seconds = left.full_in.as_millis().div_ceil(1000);
        // Writing to a string does not fail.
        let _ = write!(limit, "{comma}\"{name}\";r={};t={seconds}", left.requests);
        let _ = write!(
            policy,
            "{comma}\"{name}\";q={};w={BURST_SECONDS}",
            rate.burst
        );
    }
}

/// Around all routes.
pub(super) async fn limited(
    State(core): State<Core>,
    peer: Peer,
    mut request: Request,
    next: Next,
) -> Response {
    let inner = &*core.tally.limits.inner;
    let address = peer
        .neighbourhood()
        .filter(|address| !address.is_loopback());
    let of_address = address.map(|address| inner.addresses.take(&address, core.now()));
    if let Some(Err(TooFast(wait))) = of_address {
        let mut response = refusal(TooFast(wait)).into_response();
        let left = Left {
            requests: 0,
            full_in: wait,
        };
        inner.tell(Some(left), None, response.headers_mut());
        return response;
    }
    let standing = Standing::default();
    request.extensions_mut().insert(standing.clone());
    let mut response = next.run(request).await;
    let of_address = of_address.and_then(Result::ok);
    let of_caller = standing.0.get().copied();
    inner.tell(of_address, of_caller, response.headers_mut());
    response
}

impl Inner {
    fn tell(&self, of_address: Option<Left>, of_caller: Option<Left>, headers: &mut HeaderMap) {
        let (mut limit, mut policy) = (String::new(), String::new());
        if let Some(left) = of_caller {
            self.callers.write(left, &mut limit, &mut policy);
        }
        if let Some(left) = of_address {
            self.addresses.write(left, &mut limit, &mut policy);
        }
        for (name, text) in [(LIMIT, limit), (POLICY, policy)] {
            if let (false, Ok(value)) = (text.is_empty(), HeaderValue::from_str(&text)) {
                headers.insert(name, value);
            }
        }
    }
}

fn refusal(TooFast(wait): TooFast) -> Problem {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let detail = format!("Wait {seconds} s; the header RateLimit says what is left.");
    Problem::new(Code::TooMany, detail).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloud_logic::rights::{Role, Scope};

    use super::*;
    use crate::people::testing::{Answer, Browser, World};
    use crate::store::testing::on_both;

    const WIDE: u32 = 100_000;

    fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
        answer
            .headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn g6_a_caller_has_her_measure_over_all_her_sessions_and_others_have_theirs() {
        on_both(async |store| {
            let per_second = PerSecond {
                address: WIDE,
                caller: 1,
            };
            let world = World::limited(store, per_second).await;
            let scope = Scope::Company(world.company("a").await.company);
            let (_, anna) = world.somebody(Role::Owner, scope, "anna@a.example").await;
            let (_, berta) = world.somebody(Role::Owner, scope, "berta@a.example").await;
            for left in (0..10).rev() {
                let answer = world.get(&anna, "/api/v1/me").await;
                let limit = header(answer.is(200), "ratelimit").to_owned();
                let expected = format!("\"caller\";r={left};t={}, \"address\";r=", 10 - left);
                assert!(limit.starts_with(&expected), "{limit}");
                let policy = header(&answer, "ratelimit-policy");
                assert!(policy.starts_with("\"caller\";q=10;w=10, "), "{policy}");
            }
            let again = world.sign_in("anna@a.example").await;
            for of_hers in [&anna, &again] {
                let refused = world.get(of_hers, "/api/v1/me").await;
                assert_eq!(refused.is(429).code(), "too_many");
                assert_eq!(header(&refused, "retry-after"), "1");
                assert!(header(&refused, "ratelimit").starts_with("\"caller\";r=0;t=1"));
            }
            world.get(&berta, "/api/v1/me").await.is(200);
            world.core.clock.advance(Duration::from_secs(2));
            world.get(&anna, "/api/v1/me").await.is(200);
            assert_eq!(world.core.tally.limits.refused(), [0, 2]);
        })
        .await;
    }

    #[tokio::test]
    async fn g6_an_address_has_its_measure_before_anything_is_read() {
        on_both(async |store| {
            let per_second = PerSecond {
                address: 1,
                caller: WIDE,
            };
            let world = World::limited(store, per_second).await;
            let nobody = Browser::default();
            for _ in 0..10 {
                let answer = world.get(&nobody, "/api/v1/me").await;
                assert!(header(answer.is(401), "ratelimit").starts_with("\"address\";r="));
            }
            let refused = world.get(&nobody, "/nowhere/at/all").await;
            assert_eq!(refused.is(429).code(), "too_many");
            assert_eq!(header(&refused, "ratelimit"), "\"address\";r=0;t=1");
            assert_eq!(world.core.tally.limits.refused(), [1, 0]);
        })
        .await;
    }
}
