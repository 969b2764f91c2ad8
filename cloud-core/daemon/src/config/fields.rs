//! The settings of the core, section by section, each documented where it is declared.
//!
//! Pure declaration: these comments are the reference that `config-reference` prints, and the
//! defaults are the text that it shows. What may stand together is judged in `check`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use settings::section::Located;
use settings::values::{PortRange, Secret, Whole};
use settings::{section, words};

use crate::listener::Network;

section! {
    /// The whole file.
    pub(crate) struct CoreFile {
        /// Name of this installation, shown in mails, logs and on pages.
        name: Defaulted<String> = r#""Antiphon""#,
        /// Folder for everything that must survive: the database, keys, uploads. Made by `init`.
        folder: Required<PathBuf> = r#""/var/lib/antiphon-cloud""#,
        /// Where browsers and devices find the core, as they write it. Passkeys and certificates
        /// are bound to the host in it, so choose it once.
        url: Required<String> = r#""https://core.example.com""#,
        /// Where the core listens.
        listen: Nested<ListenSection>,
        /// The database.
        store: Nested<StoreSection>,
        /// Uploads, pictures and exports.
        blobs: Nested<BlobsSection>,
        /// A broker of your own, with devices behind it, beside the core's own listener for them.
        broker: Perhaps<BrokerSection>,
        /// The way mails leave. Left out, letters wait sealed in the store until they are worth
        /// nothing any more.
        mail: Perhaps<MailSection>,
        /// How much may be asked for.
        limits: Nested<LimitsSection>,
        /// Subscriptions of companies.
        subscriptions: Nested<SubscriptionsSection>,
        /// Calls over the core: between gateways, and to people. Left out, there are none.
        calls: Perhaps<CallsSection>,
        /// The log.
        log: Nested<LogSection>,
    }
}

section! {
    /// Calls over the core.
    pub(crate) struct CallsSection {
        /// Gateways, by SIP over TLS with a certificate on both sides.
        listen: Defaulted<SocketAddr> = r#""0.0.0.0:5061""#,
        /// Addresses of this machine that gateways reach for sound and pictures, which are encrypted
        /// on their way. At most one of each family is offered.
        media_addresses: Required<Vec<Located<IpAddr>>> = r#"["192.0.2.10"]"#,
        /// UDP ports for them, first and last.
        media_ports: Defaulted<PortRange> = r#""20000-39999""#,
        /// So many threads share the work with sound.
        media_threads: Defaulted<Whole<1, 64>> = "2",
    }
}

section! {
    /// Where the core listens. Ports are those of the firewall list, other ones are for tests and
    /// for machines where something stands in front.
    pub(crate) struct ListenSection {
        /// The interface: pages, API, devices that ask for certificates and send their logs.
        api: Defaulted<SocketAddr> = r#""0.0.0.0:443""#,
        /// Whether this listener speaks TLS itself. "off" is for loopback, or behind a proxy on
        /// the same machine, only.
        api_tls: Defaulted<Switch> = r#""on""#,
        /// Devices, by MQTT over TLS with a certificate on both sides.
        devices: Defaulted<SocketAddr> = r#""0.0.0.0:8883""#,
        /// Revocation lists over plain HTTP, as the devices need them before they trust anybody.
        revocation: Defaulted<SocketAddr> = r#""0.0.0.0:80""#,
        /// MQTT without TLS and without certificates, for tests on this machine: the client
        /// identifier is the device. Only an address of the loopback is taken.
        devices_plain: Optional<SocketAddr> = r#""127.0.0.1:1883""#,
        /// Figures for Prometheus, and whether the core lives and is ready. Without TLS and without
        /// sign-in: leave it on the loopback, or let nobody else reach it. Left out, there is none.
        metrics: Optional<SocketAddr> = r#""127.0.0.1:9465""#,
        /// Calls in browsers: one port, by UDP and by TCP for networks that let no UDP through. Left
        /// out, there are none.
        web_calls: Optional<SocketAddr> = r#""192.0.2.10:10000""#,
        /// The address that browsers are told for it, where it is another one: behind a router that
        /// translates, which has to keep the port.
        web_calls_told: Optional<IpAddr> = r#""203.0.113.7""#,
        /// Tells browsers their own address (STUN), beside the port for calls.
        stun: Optional<SocketAddr> = r#""0.0.0.0:3478""#,
        /// Proxies that are believed when they say whom they speak for: addresses or blocks of them.
        trusted_proxies: Defaulted<Vec<Located<Network>>> = "[]",
        /// Where they say it: "x-forwarded-for" or "forwarded" (RFC 7239). The proxy has to set this
        /// header itself, or add to it.
        proxy_header: Defaulted<ProxyWord> = r#""x-forwarded-for""#,
    }
}

section! {
    /// The database: one file in the folder, or a PostgreSQL server.
    pub(crate) struct StoreSection {
        /// Address of a PostgreSQL server, "postgres://user@host/database"; left out, the core keeps
        /// one file of SQLite in its folder and needs no server. Several cores may share a server.
        postgres: Optional<Secret> = r#""postgres://antiphon@db.example.com/antiphon""#,
        /// A file with the password for it, readable by the core only.
        password_file: Optional<PathBuf> = r#""/etc/antiphon-cloud/database-password""#,
    }
}

section! {
    /// Uploads, pictures and exports: in the folder "blobs" of the core's folder, or in a bucket.
    pub(crate) struct BlobsSection {
        /// What those of one company may take together, in MiB.
        most_of_a_company: Defaulted<Whole<1, 1048576>> = r#"5120"#,
        /// A bucket of a store that speaks S3; left out, they lie in the folder. Several cores that
        /// share a database need it, or a folder that they share.
        s3: Perhaps<S3Section>,
    }
}

section! {
    /// A bucket of a store that speaks S3.
    pub(crate) struct S3Section {
        /// Where the store answers. "http://" is for one on this machine only.
        endpoint: Required<String> = r#""https://s3.example.com""#,
        /// As the store names it; most that run by themselves take any.
        region: Defaulted<String> = r#""us-east-1""#,
        /// The bucket. The core makes none.
        bucket: Required<String> = r#""antiphon""#,
        /// Whose key it is.
        access_key: Required<String> = r#""antiphon""#,
        /// A file with the key, readable by the core only.
        secret_key_file: Required<PathBuf> = r#""/etc/antiphon-cloud/s3-key""#,
    }
}

section! {
    /// A broker of MQTT 5 that knows the devices by their certificates and confines each to its
    /// topics, "d/NAME/1/up/#" to write and "d/NAME/1/down/#" to read. docs/core.md says what else
    /// it has to do.
    pub(crate) struct BrokerSection {
        /// Its host, as its certificate names it.
        host: Required<String> = r#""broker.example.com""#,
        /// Its port, with TLS.
        port: Defaulted<Whole<1, 65535>> = r#"8883"#,
        /// What the core calls itself there: the same on all its nodes, and always the same, since
        /// the broker keeps under it what came while the core was away.
        name: Defaulted<String> = r#""antiphon-core""#,
        /// The authority that signed the broker's certificate, in PEM.
        authority_file: Required<PathBuf> = r#""/etc/antiphon-cloud/broker-authority.pem""#,
        /// The core's certificate for the broker, in PEM. It may write "d/+/1/down/#" and read
        /// "d/+/+/up/#" there.
        certificate_file: Required<PathBuf> = r#""/etc/antiphon-cloud/broker-certificate.pem""#,
        /// The key of that certificate, in PEM, readable by the core only.
        key_file: Required<PathBuf> = r#""/etc/antiphon-cloud/broker-key.pem""#,
    }
}

section! {
    /// The way mails leave.
    pub(crate) struct MailSection {
        /// Host of the mail server.
        host: Required<String> = r#""mail.example.com""#,
        /// Its port: 465 for "tls", 587 for "starttls", 25 for "off".
        port: Defaulted<Whole<1, 65535>> = r#"587"#,
        /// "tls" from the first octet, "starttls" that is insisted on, or "off" (loopback only).
        encryption: Defaulted<MailEncryption> = r#""starttls""#,
        /// Who signs in there.
        user: Optional<String> = r#""antiphon""#,
        /// A file with the password for it, readable by the core only.
        password_file: Optional<PathBuf> = r#""/etc/antiphon-cloud/mail-password""#,
        /// A file with the certificate, in PEM, of the authority that signed the server's, where
        /// this machine does not know it.
        authority_file: Optional<PathBuf> = r#""/etc/antiphon-cloud/mail-authority.pem""#,
        /// Who the mails are from.
        from: Required<String> = r#""Antiphon <no-reply@example.com>""#,
    }
}

section! {
    /// How much may be asked for, at one node. Ten seconds' worth may come at once.
    pub(crate) struct LimitsSection {
        /// Requests per second of one person or integration.
        requests_per_caller: Defaulted<Whole<1, 1000000>> = "30",
        /// Requests per second from one address (of IPv6: one network of 64 bits).
        requests_per_address: Defaulted<Whole<1, 1000000>> = "150",
    }
}

section! {
    /// Subscriptions of companies.
    pub(crate) struct SubscriptionsSection {
        /// Whether claims, reboots, logs and settings ask for them. "off" is for whoever runs a core
        /// for devices of their own; nothing that runs is cut off in either case.
        mode: Defaulted<SubscriptionMode> = r#""off""#,
    }
}

section! {
    /// The log, on standard error.
    pub(crate) struct LogSection {
        /// What is written: error, warn, info, debug or trace; parts may have their own,
        /// "info,front_door=debug".
        level: Defaulted<String> = r#""info""#,
        /// As lines for people, or as JSON for machines.
        format: Defaulted<LogFormat> = r#""plain""#,
    }
}

words! {
    /// On or off.
    pub(crate) enum Switch {
        /// It is done.
        On = "on",
        /// It is not.
        Off = "off",
    }
}

words! {
    /// Where a proxy says whom it speaks for.
    pub(crate) enum ProxyWord {
        /// `X-Forwarded-For`.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded`, RFC 7239.
        Forwarded = "forwarded",
    }
}

words! {
    /// How a mail server is spoken to.
    pub(crate) enum MailEncryption {
        /// TLS from the first octet.
        Tls = "tls",
        /// Plain words until TLS is agreed on, and nothing without it.
        Starttls = "starttls",
        /// None.
        Off = "off",
    }
}

words! {
    /// Whether subscriptions are asked for.
    pub(crate) enum SubscriptionMode {
        /// Nothing asks.
        Off = "off",
        /// What is begun anew asks; `antiphon-cloud admin subscriptions` writes them down.
        Checked = "checked",
    }
}

words! {
    /// How the log looks.
    pub(crate) enum LogFormat {
        /// Lines for people.
        Plain = "plain",
        /// A JSON object a line.
        Json = "json",
    }
}
