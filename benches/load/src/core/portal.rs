//! The core's interface over HTTPS, as far as the load needs it: sign in, add devices, enrol them,
//! order commands, hear what changes.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use contract::enrolment::{
    CHANNEL_BINDING_LABEL, CHANNEL_BINDING_OCTETS, ChannelBinding, ClaimCode, EnrolRequest,
    Enrolment, Handle, Possession, ProofKey,
};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fleet::Identity;

/// What browsers write to reach the core.
pub(super) const URL: &str = "https://localhost";

/// A connection that is kept open.
#[derive(Debug)]
pub(super) struct Portal {
    stream: BufReader<TlsStream<TcpStream>>,
    cookie: String,
}

/// Trusts whoever listens on this loopback: the core's root is told with the first certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The beginning of a client's configuration.
pub(super) fn trusting_anybody() -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = CryptoProvider::get_default().context("no provider of cryptography")?;
    Ok(ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(Arc::clone(provider)))))
}

impl Portal {
    pub(super) async fn open(address: SocketAddr, cookie: &str) -> Result<Self> {
        let config = trusting_anybody()?.with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
        Ok(Self {
            stream: BufReader::new(stream.await?),
            cookie: cookie.to_owned(),
        })
    }

    /// Signs in; the cookie of the session.
    pub(super) async fn sign_in(&mut self, mail: &str, password: &str) -> Result<String> {
        let body = json!({"mail": mail, "password": password});
        let (head, _) = self.post("/api/v1/login", "1", &body).await?;
        let cookie = head.lines().find_map(|line| {
            let value = line.strip_prefix("set-cookie: ")?;
            value.split(';').next()
        });
        cookie.context("no session").map(|cookie| {
            self.cookie = cookie.to_owned();
            cookie.to_owned()
        })
    }

    /// The head of a good answer, and its JSON.
    pub(super) async fn post(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<(String, Value)> {
        self.request("POST", path, key, &body.to_string()).await
    }

    async fn request(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> Result<(String, Value)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\norigin: {URL}\r\ncookie: {}\r\n\
             idempotency-key: {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.cookie,
            body.len(),
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.stream.read_line(&mut head).await?;
            ensure!(read > 0, "{path}: the core closed the connection");
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .context("no content-length")?;
        let mut body = vec![0; length.parse()?];
        self.stream.read_exact(&mut body).await?;
        let good = head.starts_with("HTTP/1.1 2");
        ensure!(good, "{path}: {head}{}", String::from_utf8_lossy(&body));
        Ok((head, serde_json::from_slice(&body)?))
    }

    /// The company of who is signed in.
    pub(super) async fn company(&mut self) -> Result<String> {
        let (_, me) = self.request("GET", "/api/v1/me", "1", "").await?;
        let company = me["companies"][0].as_str();
        company.map(str::to_owned).context("no company")
    }

    /// A new device of the site, with its certificate and the root above it.
    pub(super) async fn add_device(
        &mut self,
        address: SocketAddr,
        site: &str,
    ) -> Result<(Identity, CertificateDer<'static>)> {
        let path = format!("/api/v1/sites/{site}/gateways");
        let (_, made) = self.post(&path, "1", &json!({})).await?;
        let code: ClaimCode = made["code"].as_str().context("no code")?.parse()?;
        Self::open(address, "").await?.enrol(&code).await
    }

    async fn enrol(mut self, code: &ClaimCode) -> Result<(Identity, CertificateDer<'static>)> {
        let key = rcgen::KeyPair::generate()?;
        let request = rcgen::CertificateParams::default().serialize_request(&key)?;
        let signing_request = request.pem()?;
        let connection = self.stream.get_ref().get_ref().1;
        let exported = connection.export_keying_material(
            [0; CHANNEL_BINDING_OCTETS],
            CHANNEL_BINDING_LABEL,
            None,
        )?;
        let channel = ChannelBinding::new(exported);
        let proof = ProofKey::of(code).prove(&channel, &signing_request);
        let body = EnrolRequest {
            signing_request,
            model: "GATEWAY".to_owned(),
            revision: "AA".to_owned(),
            firmware: "1.0.0.0".to_owned(),
            possession: Some(Possession {
                handle: Handle::of(code).as_str().to_owned(),
                proof: proof.to_text(),
            }),
        };
        let body = serde_json::to_value(body)?;
        let (_, answer) = self.post("/v1/enroll", "1", &body).await?;
        let enrolment: Enrolment = serde_json::from_value(answer)?;
        let root = enrolment.trust.first().context("no root")?;
        let root = CertificateDer::from_pem_slice(root.as_bytes())?;
        let chain = CertificateDer::pem_slice_iter(enrolment.chain.as_bytes());
        let identity = Identity {
            name: enrolment.device,
            chain: chain.collect::<Result<_, _>>()?,
            key: PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?,
        };
        Ok((identity, root))
    }

    /// Hears what changes: each object with its kind.
    pub(super) async fn listen(mut self) -> Result<Events> {
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncookie: {}\r\n\r\n",
            self.cookie
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        let mut head = String::new();
        self.stream.read_line(&mut head).await?;
        ensure!(head.starts_with("HTTP/1.1 200"), "no events: {head}");
        Ok(Events {
            stream: self.stream,
        })
    }
}

/// A stream of what changes.
#[derive(Debug)]
pub(super) struct Events {
    stream: BufReader<TlsStream<TcpStream>>,
}

impl Events {
    /// Kind and id of the next change.
    pub(super) async fn next(&mut self) -> Result<(String, String)> {
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).await?;
            ensure!(read > 0, "the stream of events ended");
            if let Some(data) = line.strip_prefix("data:") {
                let event: Value = serde_json::from_str(data)?;
                let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                return Ok((text("kind"), text("id")));
            }
        }
    }
}
