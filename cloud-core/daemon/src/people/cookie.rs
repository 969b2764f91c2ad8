//! The cookie that carries a session's secret.
//!
//! `__Host-sid` where the portal is reached by HTTPS: a browser takes it from this host only,
//! for every path, over TLS (RFC 6265bis 4.1.3.2). On a machine of one's own without TLS the
//! browser would refuse that name, so it is `sid` there.

use axum::http::{HeaderMap, HeaderValue, header};

use super::Site;
use super::secret::Secret;

/// The longest header that is looked through.
const LONGEST: usize = 8 * 1024;

fn name(site: &Site) -> &'static str {
    if site.is_encrypted() {
        "__Host-sid"
    } else {
        "sid"
    }
}

impl Site {
    pub(super) fn is_encrypted(&self) -> bool {
        self.origin.starts_with("https://")
    }
}

/// The secret that a request carries. Two cookies of the name are none: one was planted.
pub(super) fn read(site: &Site, headers: &HeaderMap) -> Option<Secret> {
    let name = name(site);
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| value.len() <= LONGEST)
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let only = found.next()?;
    if found.next().is_some() {
        return None;
    }
    Secret::shown(only)
}

/// Gives the browser the secret. It goes with the browser session; the store says when it ends.
pub(super) fn give(site: &Site, secret: &Secret) -> HeaderValue {
    let secure = if site.is_encrypted() { "; Secure" } else { "" };
    let cookie = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Lax{secure}",
        name(site),
        secret.text()
    );
    let mut value = HeaderValue::from_str(&cookie).expect("base 64 fits into a header");
    value.set_sensitive(true);
    value
}

/// Takes it away.
pub(super) fn take_away(site: &Site) -> HeaderValue {
    HeaderValue::from_static(if site.is_encrypted() {
        "__Host-sid=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
    } else {
        "sid=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(origin: &str) -> Site {
        Site {
            origin: origin.to_owned(),
            name: "Antiphon".to_owned(),
        }
    }

    fn sent(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_comes_back_among_others() {
        let site = site("https://core.example.com");
        let secret = Secret::new();
        let given = give(&site, &secret);
        let given = given.to_str().unwrap();
        for needed in [
            "__Host-sid=",
            "; Secure",
            "; HttpOnly",
            "; SameSite=Lax",
            "; Path=/",
        ] {
            assert!(given.contains(needed), "{given}");
        }
        assert!(!given.contains("Domain"), "{given}");
        let pair = given.split(';').next().unwrap();
        let read = read(&site, &sent(&["theme=dark", &format!("a=b; {pair} ; c=d")]));
        assert_eq!(read.unwrap().hash(), secret.hash());
    }

    #[test]
    fn a_planted_second_cookie_or_one_of_another_name_counts_as_none() {
        let site = site("https://core.example.com");
        let (mine, planted) = (Secret::new(), Secret::new());
        let both = format!("__Host-sid={}; __Host-sid={}", mine.text(), planted.text());
        assert!(read(&site, &sent(&[&both])).is_none());
        let weak = format!("sid={}", planted.text());
        assert!(read(&site, &sent(&[&weak])).is_none());
        assert!(read(&site, &sent(&["__Host-sid=short"])).is_none());
    }

    #[test]
    fn without_tls_the_cookie_has_the_name_that_browsers_take_there() {
        let given = give(&site("http://localhost:8080"), &Secret::new());
        let given = given.to_str().unwrap();
        assert!(
            given.starts_with("sid=") && !given.contains("Secure"),
            "{given}"
        );
    }
}
