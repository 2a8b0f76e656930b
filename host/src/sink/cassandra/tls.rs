//! TLS as the driver speaks it, by the same OpenSSL as Kafka's.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use scylla::client::session::OpenSsl010Config;
use secrecy::{ExposeSecret as _, SecretString};

use crate::access::Told;

/// What TLS takes: PEM files.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The authorities that sign the nodes' certificates; no others are trusted.
    pub ca: &'a Path,
    /// Our certificate, with those between it and its authority, and its key.
    pub pair: Option<(&'a Path, &'a Path)>,
    /// What the key is locked with.
    pub key_password: Option<&'a SecretString>,
    /// Whether a node's certificate must be for its address. The driver finds nodes by their
    /// addresses and knows no names of theirs.
    pub verify_hostname: bool,
}

/// Certificates, read and ready.
#[derive(Clone)]
pub struct Tls {
    pub(super) context: OpenSsl010Config,
    /// Why a node's certificate was not taken: the driver only says that it was not.
    pub(super) told: Arc<Told>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// What OpenSSL says of a certificate that is for another address: `X509_V_ERR_IP_ADDRESS_MISMATCH`,
/// which its crate gives no name.
const OTHER_ADDRESS: i32 = 64;

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file is not as it must be, and why.
    pub fn new(settings: &Settings<'_>) -> Result<Self, String> {
        let mut builder =
            SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
        builder.set_cert_store(at(settings.ca, store(settings.ca))?);
        if let Some((certificate, key)) = settings.pair {
            at(
                certificate,
                builder
                    .set_certificate_chain_file(certificate)
                    .map_err(Into::into),
            )?;
            at(
                key,
                private_key(key, settings.key_password).and_then(|key| {
                    builder.set_private_key(&key)?;
                    Ok(builder.check_private_key()?)
                }),
            )?;
        }
        let told = Arc::new(Told::default());
        let (teller, verify_hostname) = (told.clone(), settings.verify_hostname);
        builder.set_verify_callback(SslVerifyMode::PEER, move |is_fine, found| {
            let error = found.error();
            if is_fine || (error.as_raw() == OTHER_ADDRESS && !verify_hostname) {
                return true;
            }
            teller.note(&format!(
                "certificate verify failed: {}",
                error.error_string()
            ));
            false
        });
        let context = OpenSsl010Config::new(builder);
        Ok(Self { context, told })
    }
}

type BoxError = Box<dyn std::error::Error>;

/// An error with the file that it is about.
fn at<T>(path: &Path, result: Result<T, BoxError>) -> Result<T, String> {
    result.map_err(|error| format!("{}: {error}", path.display()))
}

fn store(path: &Path) -> Result<X509Store, BoxError> {
    let authorities = X509::stack_from_pem(&std::fs::read(path)?)?;
    if authorities.is_empty() {
        return Err("there is no certificate in it, as PEM".into());
    }
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        store.add_cert(authority)?;
    }
    Ok(store.build())
}

fn private_key(path: &Path, password: Option<&SecretString>) -> Result<PKey<Private>, BoxError> {
    let password = password.map_or("", |password| password.expose_secret());
    // With a password at hand, OpenSSL asks nobody for one.
    Ok(PKey::private_key_from_pem_passphrase(
        &std::fs::read(path)?,
        password.as_bytes(),
    )?)
}

#[cfg(test)]
mod tests;
