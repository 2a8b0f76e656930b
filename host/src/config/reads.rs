//! What a text must read as, where not any text will do: `x-reads` in the schema.

use super::secret::Reference;
use super::swap;
use crate::produce;
use crate::sink;
use crate::sink::cassandra::Consistency;

/// Checks a text; says what is wrong with it.
pub(super) fn check(reads: &str, text: &str) -> Result<(), String> {
    match reads {
        "duration" => humantime::parse_duration(text)
            .map(drop)
            .map_err(|_| format!("`{text}` is no time: say `500ms`, `30s` or `1h 30m`")),
        "share" if swap::share(text).is_none() => {
            Err(format!("`{text}` is no share: say `0%`, `0.5%` or `100%`"))
        }
        "addresses" => text.split(',').try_for_each(|text| address(text, 1)),
        "address or off" if text == "off" => Ok(()),
        // Port 0 is any free one.
        "address or off" => address(text, 0),
        "consistency" => text.parse::<Consistency>().map(drop),
        "value" => produce::Value::try_from(text.to_owned()).map(drop),
        "name" | "topic" if text.trim().is_empty() => {
            Err("there is nothing in it: say a name".to_owned())
        }
        "topic" if !is_topic(text) => Err(format!(
            "`{text}` is no topic: at most {TOPIC_MAX} letters, digits, `.`, `_` and `-`"
        )),
        "keyspace" => sink::schema::check_name("keyspace", text).map_err(|error| error.to_string()),
        "path" if text.is_empty() => Err("an empty path leads nowhere".to_owned()),
        // What it says is not shown: it may be the secret itself.
        "secret" if !is_reference(text) => Err("a secret stands elsewhere: say `env:NAME` for a \
                                                variable, or `file:PATH`"
            .to_owned()),
        _ => Ok(()),
    }
}

/// Whether a text says where a secret is, and is not the secret.
pub(super) fn is_reference(text: &str) -> bool {
    Reference::try_from(serde_json::Value::from(text)).is_ok()
}

/// The longest name of a topic beside which one of dead letters, with `.dlq`, is not too long.
const TOPIC_MAX: usize = 245;

/// Whether Kafka takes it for a topic's name.
fn is_topic(text: &str) -> bool {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    text.len() <= TOPIC_MAX && !matches!(text, "." | "..") && text.chars().all(is_legal)
}

fn address(text: &str, port_min: u16) -> Result<(), String> {
    let parts = text.rsplit_once(':');
    let has_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port >= port_min);
    match parts {
        Some((host, port)) if !host.trim().is_empty() && has_port(port) => Ok(()),
        Some(_) | None => Err(format!("`{text}` is no address: say `HOST:PORT`")),
    }
}

/// Words, or what a slip of the finger leaves of them, by which a key's name tells that its value is a secret.
const SECRETS: [&str; 7] = [
    "passw",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "key.pem",
    "oauthbearer.config",
];

/// Whether what stands under a key must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    secret_in(key).is_some()
}

/// The end of the first word of a text that tells of a secret.
pub(super) fn secret_in(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    let ends = SECRETS
        .iter()
        .filter_map(|word| Some(text.find(word)? + word.len()));
    ends.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_as_what_they_must() {
        let good = [
            ("duration", "30s"),
            ("duration", "1h 30m"),
            ("share", "0.5%"),
            ("addresses", "a:1"),
            ("addresses", "a:1, b:2"),
            ("addresses", "[::1]:9042"),
            ("address or off", "0.0.0.0:0"),
            ("address or off", "off"),
            ("consistency", "LOCAL_QUORUM"),
            ("consistency", "one"),
            ("value", "1..10"),
            ("path", "a"),
            ("name", "a"),
            ("topic", "a.b_c-1"),
            ("keyspace", "a_1"),
            ("secret", "env:A"),
            ("secret", "file:a"),
        ];
        for (reads, text) in good {
            assert_eq!(check(reads, text), Ok(()), "{reads} {text}");
        }
        let bad = [
            ("name", " "),
            ("topic", "a b"),
            ("topic", ".."),
            ("keyspace", "a-b"),
            ("keyspace", ""),
            ("duration", "soon"),
            ("duration", "30"),
            ("share", "0.5"),
            ("addresses", "localhost"),
            ("addresses", "a:1,b"),
            ("addresses", ":1"),
            ("addresses", "a:0"),
            ("addresses", "a:70000"),
            ("address or off", "on"),
            ("consistency", "most"),
            ("value", "now"),
            ("path", ""),
        ];
        for (reads, text) in bad {
            let reason = check(reads, text).unwrap_err();
            assert!(
                reason.contains(text.rsplit(',').next().unwrap()),
                "{reason}"
            );
        }
        let reason = check("secret", "hunter2").unwrap_err();
        assert!(!reason.contains("hunter2"), "{reason}");
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in ["password", "sasl.password", "ssl.key.pem", "API_TOKEN"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["path", "sasl.username", "ssl.ca.location", "keyspace"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
