use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::config::{Error, File};
use crate::sink::cassandra;

const SMALL: &str =
    "name = 'a'\ntopic = 't'\n[plugin]\npath = 'a.wasm'\n[cassandra]\nkeyspace = 'k'\n";

/// What every test keeps secret.
const SECRET: &str = "hunter2";

fn file(text: &str) -> Result<File, Error> {
    File::parse("pipeline.toml", &format!("{SMALL}{text}"))
}

/// A folder with what the sections name: files for certificates, and a password.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ca.pem", "own.pem", "own.key"] {
        std::fs::write(folder.path().join(name), "no PEM").unwrap();
    }
    std::fs::write(folder.path().join("word"), format!("{SECRET}\n")).unwrap();
    folder
}

fn client(text: &str, folder: &Path) -> Result<Vec<(String, String)>, String> {
    let file = file(text).map_err(|error| error.to_string())?;
    let client = file.kafka.client(Some(folder));
    let client = client.map_err(|error| error.to_string())?;
    assert!(
        !format!("{client:?}").contains(SECRET),
        "Debug shows a secret"
    );
    let plain = |text: &str| text.replace(&format!("{}/", folder.display()), "");
    let each = client.iter();
    Ok(each
        .map(|(name, value)| (name.clone(), plain(value.expose_secret())))
        .collect())
}

#[test]
fn a_section_becomes_properties() {
    let folder = folder();
    let check = |text: &str, expected: &[(&str, &str)]| {
        let expected = expected
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        assert_eq!(
            client(text, folder.path()),
            Ok(expected.collect()),
            "{text}"
        );
    };
    check("", &[]);
    check("[kafka.security]\ntls = false", &[]);
    // Whatever only TLS needs asks for TLS.
    check(
        "[kafka.security]\nca = 'ca.pem'\nverify_hostname = true",
        &[("security.protocol", "ssl"), ("ssl.ca.location", "ca.pem")],
    );
    check(
        "[kafka.security]\nca = 'ca.pem'\nverify_hostname = false",
        &[
            ("security.protocol", "ssl"),
            ("ssl.ca.location", "ca.pem"),
            ("ssl.endpoint.identification.algorithm", "none"),
        ],
    );
    check(
        "[kafka.security]\ntls = false\nmechanism = 'PLAIN'\nusername = 'u'\npassword = 'file:word'",
        &[
            ("sasl.mechanism", "PLAIN"),
            ("sasl.password", SECRET),
            ("sasl.username", "u"),
            ("security.protocol", "sasl_plaintext"),
        ],
    );
    check(
        "[kafka.security]\nca = 'ca.pem'\ncertificate = 'own.pem'\nkey = 'own.key'\n\
         key_password = 'file:word'\nmechanism = 'SCRAM-SHA-512'\nusername = 'u'\n\
         password = 'file:word'",
        &[
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.password", SECRET),
            ("sasl.username", "u"),
            ("security.protocol", "sasl_ssl"),
            ("ssl.ca.location", "ca.pem"),
            ("ssl.certificate.location", "own.pem"),
            ("ssl.key.location", "own.key"),
            ("ssl.key.password", SECRET),
        ],
    );
    check(
        "[kafka.properties]\n'client.id' = 'x'\n'ssl.keystore.password' = 'file:word'",
        &[("client.id", "x"), ("ssl.keystore.password", SECRET)],
    );
}

/// Whatever is wrong is told with its place, and no secret is in it.
#[test]
fn what_cannot_be_is_told() {
    let folder = folder();
    let check = |text: &str, parts: &[&str]| {
        let error = client(text, folder.path()).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{error}\nlacks {part}");
        }
        assert!(!error.contains(SECRET), "{error}");
    };
    let login = "[kafka.security]\nmechanism = 'PLAIN'\nusername = 'u'\n";
    check(
        &format!("{login}password = '{SECRET}'"),
        &[":10:", "password", "`env:NAME`", "`file:PATH`"],
    );
    check(
        &format!("{login}password = \"{SECRET}"),
        &[":10:", "password"],
    );
    check(
        &format!("[kafka.properties]\n'sasl.password' = '{SECRET}'"),
        &["sasl.password", "env:NAME"],
    );
    check(
        &format!("{login}tls = false\npassword = 'file:none'"),
        &["[kafka.security] password = \"file:none\"", "No such file"],
    );
    check(
        &format!("{login}tls = false\npassword = 'env:SLUICE_NO_SUCH_VARIABLE'"),
        &[
            "[kafka.security] password",
            "SLUICE_NO_SUCH_VARIABLE",
            "not set",
        ],
    );
    check(login, &["`tls = true`"]);
    check(
        &format!("{login}tls = true"),
        &["`mechanism`, `username` and `password`"],
    );
    check(
        &format!("{login}tls = false\nverify_hostname = true"),
        &["`tls = false`"],
    );
    check(
        "[kafka.security]\nca = 'none.pem'",
        &["ca = ", "none.pem", "No such file"],
    );
    check(
        "[kafka.security]\nca = 'ca.pem'\nkey = 'own.key'",
        &["belong together"],
    );
    check(
        "[kafka.security]\ntls = false\nca = 'ca.pem'",
        &["tls = false"],
    );
    check(
        "[kafka.security]\nmechanism = 'GSSAPI'",
        &[":8:", "SCRAM-SHA-512"],
    );
    check(
        "[kafka.properties]\n'security.protocol' = 'ssl'\n[kafka.security]\nca = 'ca.pem'",
        &["security.protocol", "says it already"],
    );
}

#[test]
fn cassandra_gets_a_login_and_certificates() {
    let folder = folder();
    let enter = |text: &str| {
        let file = file(text).map_err(|error| error.to_string())?;
        let mut config = cassandra::Config::new("k".to_owned());
        let entered = file.cassandra.enter(Some(folder.path()), &mut config);
        entered.map_err(|error| error.to_string())?;
        assert!(!format!("{config:?}").contains(SECRET));
        Ok::<_, String>(
            config
                .login
                .map(|(name, word)| (name, word.expose_secret().to_owned())),
        )
    };
    let known = Some(("u".to_owned(), SECRET.to_owned()));
    assert_eq!(enter("username = 'u'\npassword = 'file:word'"), Ok(known));
    assert_eq!(enter(""), Ok(None));
    for (text, part) in [
        ("username = 'u'", "belong together"),
        ("password = 'hunter2'", "env:NAME"),
        ("[cassandra.tls]\nca = 'ca.pem'", "ca.pem: "),
        ("[cassandra.tls]\nca = 'none.pem'", "No such file"),
        (
            "[cassandra.tls]\nca = 'ca.pem'\ncertificate = 'own.pem'",
            "belong together",
        ),
    ] {
        let error = enter(text).unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains(SECRET), "{error}");
    }
}
