//! TLS and logins: `[kafka.security]`, `[cassandra.tls]`, and secrets among `[kafka.properties]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::Error;
use super::file::{CassandraSection, KafkaSection};
use super::secret::Reference;
use crate::sink::cassandra;

/// `[kafka.security]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSecurity {
    /// Whether TLS is spoken; so it is, if anything below is given that only TLS needs.
    pub tls: Option<bool>,
    /// The authorities that sign the brokers' certificates, as PEM; the system's, if not given.
    #[schemars(extend("x-reads" = "path"))]
    pub ca: Option<PathBuf>,
    /// Our certificate, as PEM.
    #[schemars(extend("x-reads" = "path"))]
    pub certificate: Option<PathBuf>,
    /// Its key, as PEM.
    #[schemars(extend("x-reads" = "path"))]
    pub key: Option<PathBuf>,
    /// What the key is locked with.
    #[schemars(with = "Option<String>", extend("x-reads" = "secret"))]
    pub key_password: Option<Reference>,
    /// Whether a broker's certificate must be for the name that we reach it by.
    pub verify_hostname: Option<bool>,
    /// How to log in.
    pub mechanism: Option<Mechanism>,
    /// As whom.
    pub username: Option<String>,
    /// With what.
    #[schemars(with = "Option<String>", extend("x-reads" = "secret"))]
    pub password: Option<Reference>,
}

/// A way to log in to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// The password as it is: over TLS only.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Proof of the password.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with a longer digest.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// `[cassandra.tls]`: TLS is spoken if there is this section.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CassandraTls {
    /// The authorities that sign the nodes' certificates, as PEM; the system's, if not given.
    #[schemars(extend("x-reads" = "path"))]
    pub ca: Option<PathBuf>,
    /// Our certificate, as PEM.
    #[schemars(extend("x-reads" = "path"))]
    pub certificate: Option<PathBuf>,
    /// Its key, as PEM.
    #[schemars(extend("x-reads" = "path"))]
    pub key: Option<PathBuf>,
    /// What the key is locked with.
    #[schemars(with = "Option<String>", extend("x-reads" = "secret"))]
    pub key_password: Option<Reference>,
    /// Whether a node's certificate must be for the address that we reach it by.
    pub verify_hostname: Option<bool>,
}

/// `[kafka.properties]`: those of them that are secrets are references.
#[derive(Debug, Default)]
pub struct Properties(BTreeMap<String, Property>);

/// The value of a property.
#[derive(Debug, PartialEq, Eq)]
pub enum Property {
    /// As it stands.
    Plain(String),
    /// A secret.
    Secret(Reference),
}

/// librdkafka's properties that are secrets.
const SECRETS: &[&str] = &[
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
];

/// Whether a property of librdkafka is a secret.
pub(super) fn is_secret(property: &str) -> bool {
    SECRETS.contains(&property)
}

impl Properties {
    /// Each with its value, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Secret(reference) => reference.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ReadProperties)
    }
}

struct ReadProperties;

impl<'de> Visitor<'de> for ReadProperties {
    type Value = Properties;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("librdkafka's properties, each a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
        let mut properties = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let property = if is_secret(&name) {
                Property::Secret(map.next_value()?)
            } else {
                Property::Plain(map.next_value()?)
            };
            properties.insert(name, property);
        }
        Ok(Properties(properties))
    }
}

/// What speaking TLS takes, with everything found.
struct Tls {
    ca: PathBuf,
    pair: Option<(PathBuf, PathBuf)>,
    key_password: Option<SecretString>,
}

/// What a section says about TLS.
struct Said<'a> {
    section: &'static str,
    ca: &'a Option<PathBuf>,
    certificate: &'a Option<PathBuf>,
    key: &'a Option<PathBuf>,
    key_password: &'a Option<Reference>,
}

impl Said<'_> {
    fn resolve(&self, folder: &Path) -> Result<Tls, Error> {
        let section = self.section;
        let file = |name: &str, path: &PathBuf| {
            let path = folder.join(path);
            let opened = std::fs::File::open(&path).map(|_| path.clone());
            let wrong = |reason| format!("[{section}] {name} = \"{}\": {reason}", path.display());
            opened.map_err(|error| Error::Setting(wrong(error)))
        };
        let ca = match self.ca {
            Some(path) => file("ca", path)?,
            None => openssl_probe::probe().cert_file.ok_or_else(|| {
                Error::Setting(format!(
                    "[{section}]: no authorities are found on this system: say the file of the \
                     server's as `ca`"
                ))
            })?,
        };
        let pair = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => {
                Some((file("certificate", certificate)?, file("key", key)?))
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let reason = format!("[{section}]: `certificate` and `key` belong together");
                return Err(Error::Setting(reason));
            }
        };
        let place = format!("[{section}] key_password");
        let password = self.key_password.as_ref();
        let key_password = password
            .map(|said| said.resolve(&place, folder))
            .transpose()?;
        Ok(Tls {
            ca,
            pair,
            key_password,
        })
    }
}

impl KafkaSecurity {
    /// What it means to librdkafka.
    fn properties(&self, folder: &Path) -> Result<BTreeMap<&'static str, SecretString>, Error> {
        let wrong = |reason: &str| Error::Setting(format!("[kafka.security]: {reason}"));
        let mut properties = BTreeMap::new();
        let needs_tls = self.ca.is_some()
            || self.certificate.is_some()
            || self.key.is_some()
            || self.key_password.is_some()
            || self.verify_hostname.is_some();
        if self.tls == Some(false) && needs_tls {
            return Err(wrong("`tls = false`, but certificates are given"));
        }
        let is_tls = self.tls.unwrap_or(needs_tls);
        if self.mechanism == Some(Mechanism::Plain) && !is_tls && self.tls.is_none() {
            return Err(wrong(
                "`mechanism = \"PLAIN\"` sends the password as it is: say `tls = true`, or `tls = false` \
                 if that is meant",
            ));
        }
        if is_tls {
            let said = Said {
                section: "kafka.security",
                ca: &self.ca,
                certificate: &self.certificate,
                key: &self.key,
                key_password: &self.key_password,
            };
            let tls = said.resolve(folder)?;
            properties.insert("ssl.ca.location", text(&tls.ca));
            if let Some((certificate, key)) = &tls.pair {
                properties.insert("ssl.certificate.location", text(certificate));
                properties.insert("ssl.key.location", text(key));
            }
            if let Some(password) = tls.key_password {
                properties.insert("ssl.key.password", password);
            }
            if self.verify_hostname == Some(false) {
                properties.insert("ssl.endpoint.identification.algorithm", "none".into());
            }
        }
        let is_login = match (&self.mechanism, &self.username, &self.password) {
            (Some(mechanism), Some(username), Some(password)) => {
                let password = password.resolve("[kafka.security] password", folder)?;
                properties.insert("sasl.mechanism", mechanism.name().into());
                properties.insert("sasl.username", username.as_str().into());
                properties.insert("sasl.password", password);
                true
            }
            (None, None, None) => false,
            (_, _, _) => {
                return Err(wrong(
                    "a login takes `mechanism`, `username` and `password`",
                ));
            }
        };
        let protocol = match (is_tls, is_login) {
            (false, false) => return Ok(properties),
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        properties.insert("security.protocol", protocol.into());
        Ok(properties)
    }
}

impl KafkaSection {
    /// Everything that librdkafka is told beyond what the host itself says, secrets resolved. Paths
    /// start from `folder`: that of `pipeline.toml`, or the current one if there is no such file.
    ///
    /// # Errors
    /// If a secret or a file is missing, or the section contradicts itself or the properties.
    pub fn client(&self, folder: Option<&Path>) -> Result<BTreeMap<String, SecretString>, Error> {
        let folder = folder.unwrap_or(Path::new(""));
        let mut all = BTreeMap::new();
        for (name, value) in self.security.properties(folder)? {
            all.insert(name.to_owned(), value);
        }
        for (name, property) in self.properties.iter() {
            let place = format!("[kafka.properties] \"{name}\"");
            let value = match property {
                Property::Plain(text) => text.as_str().into(),
                Property::Secret(reference) => reference.resolve(&place, folder)?,
            };
            if all.insert(name.to_owned(), value).is_some() {
                let reason = format!("{place}: [kafka.security] says it already");
                return Err(Error::Setting(reason));
            }
        }
        Ok(all)
    }
}

impl CassandraSection {
    /// Tells the sink's configuration how to get in. Paths start from `folder`, as for
    /// [`KafkaSection::client`].
    ///
    /// # Errors
    /// If a secret or a file is missing or unusable, or half of a pair is given.
    pub fn enter(
        &self,
        folder: Option<&Path>,
        config: &mut cassandra::Config,
    ) -> Result<(), Error> {
        let folder = folder.unwrap_or(Path::new(""));
        config.login = match (&self.username, &self.password) {
            (Some(name), Some(password)) => {
                let password = password.resolve("[cassandra] password", folder)?;
                Some((name.clone(), password))
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let reason = "[cassandra]: `username` and `password` belong together";
                return Err(Error::Setting(reason.to_owned()));
            }
        };
        let Some(section) = &self.tls else {
            return Ok(());
        };
        let said = Said {
            section: "cassandra.tls",
            ca: &section.ca,
            certificate: &section.certificate,
            key: &section.key,
            key_password: &section.key_password,
        };
        let tls = said.resolve(folder)?;
        let settings = cassandra::TlsSettings {
            ca: &tls.ca,
            pair: tls
                .pair
                .as_ref()
                .map(|(certificate, key)| (certificate.as_path(), key.as_path())),
            key_password: tls.key_password.as_ref(),
            verify_hostname: section.verify_hostname.unwrap_or(true),
        };
        let tls = cassandra::Tls::new(&settings)
            .map_err(|reason| Error::Setting(format!("[cassandra.tls]: {reason}")))?;
        config.tls = Some(tls);
        Ok(())
    }
}

fn text(path: &Path) -> SecretString {
    path.display().to_string().into()
}

#[cfg(test)]
mod tests;
