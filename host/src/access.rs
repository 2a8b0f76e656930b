//! What TLS and logins fail with, and the way out.
//!
//! Kafka's library and Cassandra's driver both pass on what OpenSSL and the servers say, which names
//! the fault and seldom the remedy. Here each such text gets the words of somebody who has to mend it.

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use rdkafka::error::KafkaError;

/// Why librdkafka refuses its settings, without their values: one may be a secret.
pub fn refused_setting(error: &KafkaError) -> String {
    if let KafkaError::ClientConfig(_, reason, name, _) = error {
        return format!("`{name}`: {reason}");
    }
    error.to_string()
}

/// An error with its causes, in one line.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        // Some libraries repeat a cause in the text of what it caused.
        if !text.contains(&own) {
            text = format!("{text}: {own}");
        }
        cause = error.source();
    }
    text
}

/// A refusal that was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to do about it.
    pub way_out: &'static str,
    /// Whether trying again gives the same answer until a person mends it. If not, a server that is
    /// just starting says the same.
    pub is_final: bool,
}

const FINAL: bool = true;
const PASSING: bool = false;

/// What the texts contain, in the order in which they are looked for: the telling ones first.
const REFUSALS: &[(&[&str], bool, &str)] = &[
    (
        &["certificate has expired"],
        FINAL,
        "the server's certificate is out of date: have it renewed",
    ),
    (
        &["certificate is not yet valid"],
        FINAL,
        "the server's certificate is not valid yet: compare the clocks",
    ),
    (
        &["hostname mismatch", "IP address mismatch"],
        FINAL,
        "the server's certificate is for another name or address: reach the server by one that it \
         carries, have it made for this one, or say `verify_hostname = false`",
    ),
    (
        &["self-signed certificate", "unable to get local issuer"],
        FINAL,
        "nobody whom we trust has signed the server's certificate: say the file of its authority as \
         `ca`",
    ),
    (
        // Kafka's library does not say which of them it is.
        &["certificate verify failed"],
        FINAL,
        "no authority of `ca` has signed the server's certificate, or it is out of date, or for \
         another name than the one we reach the server by (`verify_hostname`); `openssl s_client \
         -connect HOST:PORT -CAfile CA -verify_hostname HOST` tells which",
    ),
    (
        &[
            "certificate required",
            "bad certificate",
            "unknown ca",
            "certificate unknown",
            "handshake failure",
            "client SSL authentication might be required",
        ],
        FINAL,
        "the server wants a certificate of ours that its authority has signed: say `certificate` and \
         `key`",
    ),
    (
        &[
            "wrong version number",
            "PLAINTEXT broker listener",
            "packet length too long",
        ],
        FINAL,
        "no TLS is spoken at this port: take the server's TLS port, or leave TLS out",
    ),
    (
        &["Unsupported SASL mechanism", "mechanism handshake failed"],
        FINAL,
        "the server does not know this way to log in: say another `mechanism`",
    ),
    (
        &["SASL authentication error", "Authentication failed"],
        FINAL,
        "compare `username` and `password` with those that the server knows",
    ),
    (
        &["Authentication is required"],
        FINAL,
        "the server wants a login: say `username` and `password`",
    ),
    (
        // Before a broker has said anything; behind TLS it would have failed before.
        &[
            "Disconnected: connection closed by peer: receive 0 after POLLIN (in state APIVERSION_QUERY)",
        ],
        PASSING,
        "if the server is up, it speaks TLS at this port: say `ca`, or `tls = true`",
    ),
    (
        &["(in state UP)"],
        PASSING,
        "if the server is up, it wants a login: say `mechanism`, `username` and `password`",
    ),
    (
        // The driver's first request, before any login.
        &["Request: OPTIONS, reason: Connection broken"],
        PASSING,
        "if the server is up, it speaks TLS at this port (say `ca` in [cassandra.tls]) or wants a \
         certificate of ours (say `certificate` and `key`)",
    ),
];

/// What an error's text says about TLS or a login, if it does.
pub fn refusal(text: &str) -> Option<Refusal> {
    let known = REFUSALS
        .iter()
        .find(|(parts, _, _)| parts.iter().any(|part| text.contains(part)));
    known.map(|&(_, is_final, way_out)| Refusal { way_out, is_final })
}

/// Whether an error's text says what trying again does not mend.
pub fn is_final(text: &str) -> bool {
    refusal(text).is_some_and(|refusal| refusal.is_final)
}

/// The text, and behind it the way out, if one is known.
pub fn explain(text: &str) -> String {
    match refusal(text) {
        Some(refusal) => format!("{text}; {}", refusal.way_out),
        None => text.to_owned(),
    }
}

/// Why no server lets us in, as a library tells it in passing: its answer to a question often is only
/// that there is no connection.
#[derive(Debug, Default)]
pub struct Told(Mutex<Option<String>>);

impl Told {
    /// Notes a text, if it is about TLS or a login. What trying again mends does not displace what
    /// it does not.
    pub fn note(&self, text: &str) {
        let text = plain(text);
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal(&text).is_some() && !told.as_deref().is_some_and(is_final) {
            *told = Some(text);
        }
    }

    /// What was noted since the last time.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A text of librdkafka without its thread, and without how long it took and how often it came: these
/// differ each time.
fn plain(text: &str) -> String {
    let text = match text
        .strip_prefix("[thrd:")
        .and_then(|text| text.split_once("]: "))
    {
        Some((_, text)) => text,
        None => text,
    };
    let Some((text, behind)) = text.rsplit_once(" (after ") else {
        return text.to_owned();
    };
    let state = behind
        .split_once("in state ")
        .map_or("", |(_, state)| state);
    let state = state.split([',', ')']).next().unwrap_or_default();
    format!("{text} (in state {state})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_libraries_are_recognised() {
        let check = |text: &str, is_final: bool, part: &str| {
            let found = refusal(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.is_final, is_final, "{text}");
            assert!(found.way_out.contains(part), "{}", found.way_out);
        };
        check(
            "x: SASL authentication error: Authentication failed: Invalid username",
            true,
            "password",
        );
        check(
            "Database returned an error: Authentication failed - bad credentials",
            true,
            "password",
        );
        check(
            "error:0A000086:SSL routines::certificate verify failed: broker cert",
            true,
            "s_client",
        );
        check(
            "certificate verify failed: certificate has expired",
            true,
            "renewed",
        );
        check(
            "certificate verify failed: IP address mismatch",
            true,
            "verify_hostname",
        );
        check(
            "certificate verify failed: self-signed certificate in chain",
            true,
            "`ca`",
        );
        check(
            "tlsv13 alert certificate required:ssl/record",
            true,
            "`certificate`",
        );
        check("SSL routines:wrong version number:ssl", true, "no TLS");
        check(
            "Disconnected: connecting to a PLAINTEXT broker listener?",
            true,
            "no TLS",
        );
        assert_eq!(refusal("Connection refused (os error 111)"), None);
        assert_eq!(explain("Connection refused"), "Connection refused");
    }

    #[test]
    fn a_refused_setting_is_told_without_its_value() {
        let mut settings = rdkafka::config::ClientConfig::new();
        for name in [
            "no.such.setting",
            "ssl.keystore.password",
            "message.max.bytes",
        ] {
            settings.set(name, "hunter2");
        }
        let error = settings.create_native_config().map(drop).unwrap_err();
        assert!(error.to_string().contains("hunter2"), "{error}");
        let told = refused_setting(&error);
        assert!(!told.contains("hunter2") && told.contains('`'), "{told}");
    }

    #[test]
    fn what_was_told_is_the_telling_part() {
        let told = Told::default();
        told.note("2/2 brokers are down");
        assert_eq!(told.take(), None);
        let closed = "[thrd:x/bootstrap]: x/bootstrap: Disconnected: connection closed by peer: receive 0 \
                      after POLLIN (after 6ms in state APIVERSION_QUERY, 1 identical error(s) suppressed)";
        told.note(closed);
        let reason = told.take().unwrap();
        assert!(
            reason.ends_with("(in state APIVERSION_QUERY)") && reason.starts_with("x/bootstrap: D")
        );
        assert!(
            !is_final(&reason) && explain(&reason).contains("`tls = true`"),
            "{reason}"
        );
        told.note("Authentication failed (after 3ms in state AUTH_REQ)");
        told.note(closed);
        assert_eq!(
            told.take().as_deref(),
            Some("Authentication failed (in state AUTH_REQ)")
        );
        assert_eq!(told.take(), None);
    }
}
