use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use super::{Settings, Tls};
use crate::sink::Error;
use crate::sink::cassandra::{Config, Reader};

fn key() -> PKey<Private> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap()
}

/// A certificate for an address, which ends `days` from now; it is its own authority.
fn certificate(key: &PKey<Private>, address: &str, days: i64) -> X509 {
    let now = jiff::Timestamp::now().as_second();
    let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "node").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&at(-9)).unwrap();
    builder.set_not_after(&at(days)).unwrap();
    let address = SubjectAlternativeName::new()
        .ip(address)
        .build(&builder.x509v3_context(None, None));
    builder.append_extension(address.unwrap()).unwrap();
    builder
        .append_extension(BasicConstraints::new().ca().build().unwrap())
        .unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// A node that shakes hands, and closes the connection; where it is.
fn node(key: &PKey<Private>, certificate: &X509) -> String {
    let mut acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(key).unwrap();
    acceptor.set_certificate(certificate).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Whether the other side likes the certificate is what the test looks at there.
            drop(acceptor.accept(stream.unwrap()));
        }
    });
    address
}

fn write(folder: &Path, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What connecting to a node says whose certificate is for `address` and ends `days` from now.
fn connect(address: &str, days: i64, is_trusted: bool, verify_hostname: bool) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let shown = certificate(&key, address, days);
    let trusted = if is_trusted {
        shown.clone()
    } else {
        certificate(&self::key(), address, days)
    };
    let ca = write(folder.path(), "ca.pem", &trusted.to_pem().unwrap());
    let settings = Settings {
        ca: &ca,
        pair: None,
        key_password: None,
        verify_hostname,
    };
    let mut config = Config::new("k".to_owned());
    config.contact_points = vec![node(&key, &shown)];
    config.tls = Some(Tls::new(&settings).unwrap());
    match Reader::open(&config) {
        Ok(_) => panic!("it is no Cassandra"),
        Err(error) => error,
    }
}

#[test]
fn a_certificate_that_is_not_taken_is_told_with_its_reason() {
    let check = |error: Error, parts: &[&str]| {
        let text = error.to_string();
        assert!(matches!(error, Error::Refused { .. }), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    check(
        connect("127.0.0.1", -1, true, true),
        &["certificate has expired", "have it renewed"],
    );
    check(
        connect("127.0.0.2", 9, true, true),
        &["IP address mismatch", "verify_hostname"],
    );
    check(
        connect("127.0.0.1", 9, false, true),
        &["self-signed certificate", "as `ca`"],
    );
    // Nothing else is forgiven with the address.
    check(
        connect("127.0.0.2", -1, true, false),
        &["certificate has expired"],
    );
    check(
        connect("127.0.0.2", 9, false, false),
        &["self-signed certificate"],
    );
    // These get through, to what is no Cassandra.
    for (address, verify_hostname) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let error = connect(address, 9, true, verify_hostname);
        assert!(error.is_transient(), "{error}");
    }
}

#[test]
fn files_that_are_no_pem_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let pem = certificate(&key, "127.0.0.1", 9).to_pem().unwrap();
    let ca = write(folder.path(), "ca.pem", &pem);
    let own = write(
        folder.path(),
        "own.key",
        &key.private_key_to_pem_pkcs8().unwrap(),
    );
    let other = write(
        folder.path(),
        "other.key",
        &self::key().private_key_to_pem_pkcs8().unwrap(),
    );
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let locked = key
        .private_key_to_pem_pkcs8_passphrase(cipher, b"word")
        .unwrap();
    let locked = write(folder.path(), "locked.key", &locked);
    let broken = write(folder.path(), "broken.pem", b"no PEM");
    let word = secrecy::SecretString::from("word");
    let new = |ca: &PathBuf, pair: Option<(&PathBuf, &PathBuf)>, key_password| {
        let pair = pair.map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        Tls::new(&Settings {
            ca,
            pair,
            key_password,
            verify_hostname: true,
        })
        .map(|_| ())
    };
    assert_eq!(new(&ca, Some((&ca, &own)), None), Ok(()));
    assert_eq!(new(&ca, Some((&ca, &locked)), Some(&word)), Ok(()));
    for (wrong, named) in [
        (new(&broken, None, None), "broken.pem"),
        (new(&ca, Some((&broken, &own)), None), "broken.pem"),
        (new(&ca, Some((&ca, &broken)), None), "broken.pem"),
        (new(&ca, Some((&ca, &other)), None), "other.key"),
        (new(&ca, Some((&ca, &locked)), None), "locked.key"),
    ] {
        assert!(
            wrong.as_ref().is_err_and(|error| error.contains(named)),
            "{wrong:?}"
        );
    }
}
