//! Header field names, their spelling and their compact forms.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::grammar;

macro_rules! header_names {
    ($($variant:ident $text:literal $($compact:literal)?),* $(,)?) => {
        /// The name of a header field: a known one whatever its case or compact form, or another.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum HeaderName {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// A header this core has no typed view for.
            Other(OtherName),
        }

        impl HeaderName {
            /// The spelling used on the wire; the long form for known names.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(name) => &name.0,
                }
            }

            /// All known names in the order of [`SPELLINGS`].
            const ALL: [Self; SPELLINGS.len()] = [$(Self::$variant),*];

            const fn compact(letter: u8) -> Option<Self> {
                match letter {
                    $($($compact => Some(Self::$variant),)?)*
                    _ => None,
                }
            }

        }

        const SPELLINGS: [&str; [$($text),*].len()] = [$($text),*];

        #[cfg(test)]
        const COMPACT: &[(u8, HeaderName)] = &[$($(($compact, HeaderName::$variant),)?)*];
    };
}

header_names! {
    Via "Via" b'v',
    From "From" b'f',
    To "To" b't',
    CallId "Call-ID" b'i',
    CSeq "CSeq",
    MaxForwards "Max-Forwards",
    Contact "Contact" b'm',
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    Route "Route",
    RecordRoute "Record-Route",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" b'u',
    AnswerMode "Answer-Mode",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallInfo "Call-Info",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" b'e',
    Date "Date",
    Diversion "Diversion",
    Event "Event" b'o',
    Expires "Expires",
    FlowTimer "Flow-Timer",
    HistoryInfo "History-Info",
    InfoPackage "Info-Package",
    InReplyTo "In-Reply-To",
    Join "Join",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    MimeVersion "MIME-Version",
    Organization "Organization",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    PrivAnswerMode "Priv-Answer-Mode",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    Reason "Reason",
    RecvInfo "Recv-Info",
    ReferredBy "Referred-By" b'b',
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" b'r',
    Replaces "Replaces",
    ReplyTo "Reply-To",
    Require "Require",
    ResourcePriority "Resource-Priority",
    RetryAfter "Retry-After",
    RSeq "RSeq",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" b'x',
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" b's',
    SubscriptionState "Subscription-State",
    Supported "Supported" b'k',
    TargetDialog "Target-Dialog",
    Timestamp "Timestamp",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

/// A header name outside the known set: a token, compared without regard to case.
#[derive(Clone, Debug)]
pub struct OtherName(Box<str>);

impl HeaderName {
    /// Any token names a header; anything else is `None`.
    pub fn parse(name: &[u8]) -> Option<Self> {
        if let [letter] = name
            && let Some(known) = Self::compact(letter.to_ascii_lowercase())
        {
            return Some(known);
        }
        if let Some(known) = position(name) {
            return Some(Self::ALL[known].clone());
        }
        if !grammar::is_token(name) {
            return None;
        }
        Some(Self::Other(OtherName(str::from_utf8(name).ok()?.into())))
    }
}

/// Where `name` stands among [`SPELLINGS`], in any case.
fn position(name: &[u8]) -> Option<usize> {
    let mut at = INDEX.first[bucket(name)];
    while at != NONE {
        let position = usize::from(at);
        let known = SPELLINGS[position].as_bytes();
        // Nearly all names come in their usual case.
        if known == name || known.eq_ignore_ascii_case(name) {
            return Some(position);
        }
        at = INDEX.next[position];
    }
    None
}

/// The known names by length, first and last letter, as chains in buckets.
struct Index {
    first: [u8; BUCKETS],
    next: [u8; SPELLINGS.len()],
}

const BUCKETS: usize = 128;
const NONE: u8 = u8::MAX;

static INDEX: Index = {
    let mut index = Index {
        first: [NONE; BUCKETS],
        next: [NONE; SPELLINGS.len()],
    };
    let mut at = SPELLINGS.len();
    while at > 0 {
        at -= 1;
        let bucket = bucket(SPELLINGS[at].as_bytes());
        index.next[at] = index.first[bucket];
        index.first[bucket] = at as u8;
    }
    index
};

const fn bucket(name: &[u8]) -> usize {
    match name {
        [] => 0,
        [first, ..] => {
            let last = name[name.len() - 1] | 0x20;
            (name.len() * 5 + (*first | 0x20) as usize * 7 + last as usize) % BUCKETS
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for OtherName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for OtherName {}

impl Hash for OtherName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for b in self.0.bytes() {
            state.write_u8(b.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl PartialOrd for OtherName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OtherName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |name: &Self| name.0.to_ascii_lowercase();
        lower(self).cmp(&lower(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_in_its_compact_form() {
        for name in HeaderName::ALL {
            let text = name.as_str();
            for spelling in [text.to_owned(), text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(HeaderName::parse(spelling.as_bytes()).as_ref(), Some(&name));
            }
        }
        for (letter, name) in COMPACT {
            for spelling in [*letter, letter.to_ascii_uppercase()] {
                assert_eq!(HeaderName::parse(&[spelling]).as_ref(), Some(name));
            }
        }
        assert_eq!(HeaderName::parse(b"z").unwrap().as_str(), "z");
    }

    #[test]
    fn chains_of_the_index_are_short() {
        let longest = INDEX.first.iter().map(|first| {
            let chain =
                std::iter::successors(Some(*first), |at| INDEX.next.get(usize::from(*at)).copied());
            chain.take_while(|at| *at != NONE).count()
        });
        assert!(longest.max().unwrap() <= 4);
    }

    #[test]
    fn another_name_keeps_its_spelling_and_compares_without_case() {
        let name = HeaderName::parse(b"X-Door-Panel").unwrap();
        assert_eq!(name.as_str(), "X-Door-Panel");
        assert_eq!(Some(name), HeaderName::parse(b"x-door-panel"));
        assert_eq!(HeaderName::parse(b"X Door"), None);
        assert_eq!(HeaderName::parse(b""), None);
    }
}
