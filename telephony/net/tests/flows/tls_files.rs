//! Loading of certificates and keys: what is taken, and what is said about the rest.

use std::time::{Duration, SystemTime};

use net::tls::{
    CertificateFiles, ClientCertificates, ServerTls, ServerTlsFiles, TlsError, TlsNotice,
    TlsVersion, TrustFiles,
};
use rcgen::{KeyPair, date_time_ymd};

use crate::authority::{Authority, Issued};
use crate::tls::server_files;

#[test]
fn errors_name_the_file_and_the_remedy() {
    let mut authority = Authority::new("authority");
    let good = authority.issue("gateway.test");
    let other = authority.issue("gateway.test");
    let load = |chain: &std::path::Path, key: &std::path::Path| {
        let files = ServerTlsFiles {
            certificates: vec![CertificateFiles {
                chain: chain.to_owned(),
                key: key.to_owned(),
            }],
            clients: ClientCertificates::Ignored,
            oldest: TlsVersion::Tls12,
        };
        ServerTls::load(&files).unwrap_err()
    };
    let says = |error: &TlsError, words: &[&str]| {
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{text:?} lacks {word:?}");
        }
    };

    let error = load(&good.files.chain, &other.files.key);
    assert!(matches!(error, TlsError::Mismatch { .. }));
    says(&error, &["1.crt", "2.key", "does not belong", "openssl"]);

    let error = load("/nowhere/gateway.crt".as_ref(), &good.files.key);
    assert!(matches!(error, TlsError::Read { .. }));
    says(&error, &["/nowhere/gateway.crt"]);

    let error = load(&good.files.key, &good.files.key);
    says(
        &error,
        &["1.key", "holds no certificate", "-----BEGIN CERTIFICATE"],
    );
    let error = load(&good.files.chain, &good.files.chain);
    says(
        &error,
        &["1.crt", "holds no private key", "-----BEGIN PRIVATE KEY"],
    );

    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let locked = authority.write("locked.key", locked);
    let error = load(&good.files.chain, &locked);
    says(&error, &["locked.key", "encrypted", "openssl pkey -in"]);

    let torn = authority.write("torn.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    says(
        &load(&torn, &good.files.key),
        &["torn.crt", "not a valid PEM"],
    );
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let nonsense = authority.write("nonsense.crt", nonsense);
    says(
        &load(&nonsense, &good.files.key),
        &["nonsense.crt", "cannot be used"],
    );
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let nonsense = authority.write("nonsense.key", nonsense);
    says(
        &load(&good.files.chain, &nonsense),
        &["nonsense.key", "ECDSA"],
    );

    let nobody = TrustFiles::default();
    let files = server_files(&[&good], ClientCertificates::Required(nobody));
    says(
        &ServerTls::load(&files).unwrap_err(),
        &["no root certificate"],
    );
    let files = server_files(&[], ClientCertificates::Ignored);
    says(
        &ServerTls::load(&files).unwrap_err(),
        &["no certificate is configured"],
    );
}

/// What `openssl ecparam -genkey` writes.
#[test]
fn a_key_in_the_older_form_is_taken() {
    let mut authority = Authority::new("authority");
    let issued = authority.issue("gateway.test");
    // The SEC1 structure lies at the end of the PKCS#8 one: 109 bytes for P-256 (RFC 5915).
    let pkcs8 = issued.key.serialize_der();
    let sec1 = base64(&pkcs8[pkcs8.len() - 109..]);
    let text = format!("-----BEGIN EC PRIVATE KEY-----\n{sec1}\n-----END EC PRIVATE KEY-----\n");
    let mut files = server_files(&[&issued], ClientCertificates::Ignored);
    files.certificates[0].key = authority.write("sec1.key", &text);
    ServerTls::load(&files).unwrap();
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let letter = if digit <= group.len() {
                char::from(DIGITS[value as usize])
            } else {
                '='
            };
            text.push(letter);
        }
    }
    text
}

#[test]
fn a_certificate_out_of_date_is_used_and_reported() {
    let mut authority = Authority::new("authority");
    let key = KeyPair::generate().unwrap();
    let expired = authority.issue_with("gateway.test", &key, |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let early = authority.issue_with("gateway.test", &key, |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
    });
    let good = authority.issue("gateway.test");
    let files = server_files(&[&expired, &early, &good], ClientCertificates::Ignored);
    let tls = ServerTls::load(&files).unwrap();
    let chain = |issued: &Issued| issued.files.chain.clone();
    let expected = [
        TlsNotice::Expired {
            chain: chain(&expired),
        },
        TlsNotice::NotYetValid {
            chain: chain(&early),
        },
    ];
    assert_eq!(tls.notices(), expected);
    assert!(tls.notices()[0].to_string().contains("renew"));
    let in_2002 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_009_843_200);
    assert_eq!(tls.valid_until(), Some(in_2002));
}
