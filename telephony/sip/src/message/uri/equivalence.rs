//! When two URIs mean the same: RFC 3261 19.1.4, and RFC 3966 4 for `tel`.
//!
//! Hosts are compared as written or by address; nothing is resolved, so a name never equals the
//! address it stands for.

use super::escape::{same_caseless, same_escaped};
use super::{Scheme, Uri};
use crate::message::host::Host;

impl Uri {
    /// Whether both name the same resource. Use `==` to compare texts.
    pub fn equivalent(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => self.same_sip(other),
            Scheme::Tel => self.same_tel(other),
            Scheme::Other => {
                self.scheme_str().eq_ignore_ascii_case(other.scheme_str())
                    && self.slice(self.user) == other.slice(other.user)
            }
        }
    }

    fn same_sip(&self, other: &Self) -> bool {
        let hosts = self.host.as_ref().zip(other.host.as_ref());
        self.port == other.port
            && hosts.is_some_and(|(a, b)| Host::equivalent(a, b))
            && same_escaped(self.slice(self.user), other.slice(other.user))
            && self.params_agree(other)
            && other.params_agree(self)
            && self.headers_within(other)
            && other.headers_within(self)
    }

    fn same_tel(&self, other: &Self) -> bool {
        let mut digits = self.digits();
        let within = |a: &Self, b: &Self| {
            a.params()
                .all(|(name, _)| b.has_param(name) && a.same_param(b, name))
        };
        digits.by_ref().eq(other.digits()) && within(self, other) && within(other, self)
    }

    /// The number without visual separators.
    fn digits(&self) -> impl Iterator<Item = char> {
        let number = self.slice(self.user).chars();
        number
            .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
            .map(|c| c.to_ascii_lowercase())
    }

    /// Each parameter of ours is equal in `other`, or absent there and of a kind that may be.
    fn params_agree(&self, other: &Self) -> bool {
        // The last is not in the RFC's text but among its examples.
        const NEVER_ALONE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
        self.params().all(|(name, _)| match other.has_param(name) {
            true => self.same_param(other, name),
            false => !NEVER_ALONE.iter().any(|n| n.eq_ignore_ascii_case(name)),
        })
    }

    /// Where a name is given twice, its first value counts.
    fn same_param(&self, other: &Self, name: &str) -> bool {
        let value = |uri: &Self| uri.param(name).unwrap_or_default().to_owned();
        same_caseless(&value(self), &value(other))
    }

    fn headers_within(&self, other: &Self) -> bool {
        self.headers().all(|(name, value)| {
            other
                .headers()
                .any(|(n, v)| n.eq_ignore_ascii_case(&name) && v == value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equivalent(a: &str, b: &str) -> bool {
        let (a, b): (Uri, Uri) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a.equivalent(&b), b.equivalent(&a), "{a} {b}");
        assert!(a.equivalent(&a) && b.equivalent(&b), "{a} {b}");
        a.equivalent(&b)
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        // RFC 3261 19.1.4
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;newparam=5",
            ),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(equivalent(a, b), "{a} {b}");
        }
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
        ] {
            assert!(!equivalent(a, b), "{a} {b}");
        }
    }

    #[test]
    fn an_escaped_reserved_character_is_another_one() {
        assert!(!equivalent("sip:a%3bb@h", "sip:a;b@h"));
        assert!(equivalent("sip:a%3bb@h", "sip:a%3Bb@h"));
        assert!(!equivalent("sip:a:b@h", "sip:a%3ab@h"));
    }

    #[test]
    fn addresses_compare_by_value_and_zone() {
        assert!(equivalent("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]"));
        assert!(equivalent("sip:a@[fe80::1%25eth0]", "sip:a@[fe80::1%eth0]"));
        assert!(!equivalent("sip:a@[fe80::1%eth0]", "sip:a@[fe80::1%eth1]"));
    }

    #[test]
    fn a_parameter_given_twice_means_its_first() {
        assert!(equivalent(
            "sip:h;transport=tls;transport=tcp",
            "sip:h;transport=tls"
        ));
        assert!(equivalent("sip:h;x;x=1", "sip:h;x"));
    }

    #[test]
    fn telephone_numbers_compare_without_separators() {
        assert!(equivalent("tel:+1-201-555-0123", "tel:+1.201.555.0123"));
        assert!(!equivalent(
            "tel:7042;phone-context=example.com",
            "tel:7042"
        ));
        assert!(!equivalent("tel:7042", "sip:7042@h"));
        assert!(equivalent("urn:service:sos", "URN:service:sos"));
    }
}
