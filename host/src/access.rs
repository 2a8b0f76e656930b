//! What TLS and logins fail with, and the way out.
//!
//! Kafka's library and Cassandra's driver both pass on what OpenSSL and the servers say, which names
//! the fault and seldom the remedy. Here each such text gets the words of somebody who has to mend it.

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
        &["certificate verify failed", "self-signed certificate", "unable to get local issuer"],
        FINAL,
        "nobody whom we trust has signed the server's certificate: say the file of its authority as \
         `ca`",
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
        &["wrong version number", "PLAINTEXT broker listener", "packet length too long"],
        FINAL,
        "no TLS is spoken at this port: take the server's TLS port, or leave TLS out",
    ),
    (
        &["Unsupported SASL mechanism", "mechanism handshake failed"],
        FINAL,
        "the server does not know this way to log in: say another `mechanism`",
    ),
    (
        &["SASL authentication error", "Authentication failed", "AuthenticationError", "Provided username"],
        FINAL,
        "compare `username` and `password` with those that the server knows",
    ),
    (
        &["MissingAuthentication", "authentication is required"],
        FINAL,
        "the server wants a login: say `username` and `password`",
    ),
    (
        &["connecting to a SSL listener"],
        PASSING,
        "or TLS is spoken at this port: say `tls = true` in [kafka.security]",
    ),
    (
        &["might require SASL authentication"],
        PASSING,
        "or the server wants a login: say `mechanism`, `username` and `password` in [kafka.security]",
    ),
];

/// What an error's text says about TLS or a login, if it does.
pub fn refusal(text: &str) -> Option<Refusal> {
    let known = REFUSALS
        .iter()
        .find(|(parts, _, _)| parts.iter().any(|part| text.contains(part)));
    known.map(|&(_, is_final, way_out)| Refusal { way_out, is_final })
}
