//! The mail server, and what its answers mean.

use std::time::Duration;

use cloud_logic::language::Language;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error, PoolConfig};
use lettre::{AsyncTransport, Message, Tokio1Executor};

use super::compose::{self, ComposeError, Sender};
use super::texts;
use crate::config::{Mail as Settings, MailEncryption};
use crate::core::Core;

/// How long each step of a conversation may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// So much of what a server says is kept.
const LONGEST_REASON: usize = 300;

/// Why a letter has not left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// No letter leaves at the moment.
    #[error("the mail server cannot be used: {0}")]
    Server(String),
    /// The server does not take this one now.
    #[error("the mail server puts it off: {0}")]
    Later(String),
    /// The server will never take this one.
    #[error("the mail server refuses it: {0}")]
    Never(String),
}

/// The way to the server, with one connection that is kept while it is of use.
pub(super) struct Transport {
    inner: AsyncSmtpTransport<Tokio1Executor>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl Transport {
    /// Needs a runtime: idle connections are looked after.
    pub(super) fn new(settings: &Settings, own_host: &str) -> Result<Self, Trouble> {
        let tls = match settings.encryption {
            MailEncryption::Off => Tls::None,
            MailEncryption::Starttls => Tls::Required(tls(settings)?),
            MailEncryption::Tls => Tls::Wrapper(tls(settings)?),
        };
        // "dangerous" is what `Tls` above is instead of.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .hello_name(ClientId::Domain(own_host.to_owned()))
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(1))
            .tls(tls);
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self {
            inner: builder.build(),
        })
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), Trouble> {
        match self.inner.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(judged(&error)),
        }
    }
}

fn tls(settings: &Settings) -> Result<TlsParameters, Trouble> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(authority) = &settings.authority {
        let certificate = Certificate::from_pem(authority.as_bytes());
        builder = builder.add_root_certificate(certificate.map_err(|error| judged(&error))?);
    }
    builder.build_rustls().map_err(|error| judged(&error))
}

/// Whose fault it is, by RFC 5321 4.2 and RFC 4954 6.
fn judged(error: &Error) -> Trouble {
    let reason = reason(error);
    match error.status().map(u16::from) {
        // Shutting down; no TLS now; no authentication, or a wrong one.
        Some(421 | 432 | 454 | 530 | 534 | 535 | 538) => Trouble::Server(reason),
        Some(code) if code < 500 => Trouble::Later(reason),
        Some(_) => Trouble::Never(reason),
        None => Trouble::Server(reason),
    }
}

/// In one line, without what a terminal or a page would take for its own.
fn reason(error: &Error) -> String {
    let text = error.to_string();
    let clean = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_REASON);
    clean.collect()
}

/// Why a test letter did not leave.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    #[error("the configuration names no mail server: add the section [mail]")]
    NoServer,
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Sends a letter that says that mail works, at once and without the store.
pub(crate) async fn send_test(core: &Core, recipient: &str) -> Result<(), TestError> {
    let settings = core.mail.settings().ok_or(TestError::NoServer)?;
    let sender = sender(core, settings);
    let transport = Transport::new(settings, &sender.host)?;
    let name = format!("test-{}", core.now().unix_ms());
    let text = texts::test(&sender.name);
    let to = (recipient, Language::En);
    let message = compose::message(&sender, to, &name, text, core.now())?;
    Ok(transport.send(message).await?)
}

/// Who sends, by the settings.
pub(super) fn sender(core: &Core, settings: &Settings) -> Sender {
    let site = core.people.site();
    let host = site.origin.split_once("://").map_or("", |(_, host)| host);
    let host = host.split(':').next().unwrap_or(host);
    Sender {
        from: settings.from.clone(),
        name: site.name.clone(),
        host: host.to_owned(),
    }
}
