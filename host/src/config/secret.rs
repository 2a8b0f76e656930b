//! Secrets: said by reference, resolved at the start, shown nowhere.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::Error;

/// Where a secret is. The text itself stands in no configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum Reference {
    /// `env:NAME`, a variable of the environment.
    Variable(String),
    /// `file:PATH`, a file's content without the line end at its end.
    File(PathBuf),
}

/// What is said to whoever wrote the secret itself. It does not repeat what they wrote.
const PLAIN: &str = "a secret does not stand in a configuration: write env:NAME for a variable of \
                     the environment, or file:PATH for a file";

impl TryFrom<serde_json::Value> for Reference {
    type Error = &'static str;

    fn try_from(value: serde_json::Value) -> Result<Self, &'static str> {
        let text = value.as_str().unwrap_or_default();
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(_) | None => Err(PLAIN),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Reference {
    /// The secret. `place` is where the reference stands, for the error; a path starts from `folder`.
    ///
    /// # Errors
    /// [`Error::Setting`], if the variable or the file is missing, empty, or no text.
    pub(super) fn resolve(&self, place: &str, folder: &Path) -> Result<SecretString, Error> {
        let found = match self {
            Self::Variable(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => "the variable is not set".to_owned(),
                std::env::VarError::NotUnicode(_) => "the variable is no text".to_owned(),
            }),
            Self::File(path) => std::fs::read_to_string(folder.join(path))
                .map(|text| without_line_end(&text).to_owned())
                .map_err(|error| error.to_string()),
        };
        let found = found.and_then(|text| match text.is_empty() {
            true => Err("there is nothing in it".to_owned()),
            false => Ok(text),
        });
        let secret = found.map_err(|reason| format!("{place} = \"{self}\": {reason}"));
        secret.map(SecretString::from).map_err(Error::Setting)
    }
}

/// A text without one line end at its end, which editors and `echo` leave there.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn reference(text: &str) -> Result<Reference, &'static str> {
        Reference::try_from(serde_json::Value::from(text))
    }

    #[test]
    fn a_reference_is_a_variable_or_a_file() {
        for text in ["env:NAME", "file:/run/secrets/kafka", "file:beside:it"] {
            assert_eq!(reference(text).unwrap().to_string(), text);
        }
        for text in ["hunter2", "env:", "file:", "", "ENV:NAME", "env", "vault:x"] {
            assert_eq!(reference(text), Err(PLAIN), "{text}");
        }
        assert_eq!(
            Reference::try_from(serde_json::Value::from(1234)),
            Err(PLAIN)
        );
    }

    #[test]
    fn references_are_resolved_or_say_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("plain", "a b"),
            ("line", "hunter2\n"),
            ("crlf", "x\r\n"),
            ("two", "x\n\n"),
        ];
        for (name, text) in files.iter().chain(&[("empty", "\n")]) {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let resolve = |text: &str| reference(text).unwrap().resolve("[a] b", folder.path());
        for (name, expected) in [
            ("plain", "a b"),
            ("line", "hunter2"),
            ("crlf", "x"),
            ("two", "x\n"),
        ] {
            let secret = resolve(&format!("file:{name}")).unwrap();
            assert_eq!(secret.expose_secret(), expected);
            assert!(!format!("{secret:?}").contains("hunter2"));
        }
        let home = resolve("env:PATH").unwrap();
        assert_eq!(home.expose_secret(), std::env::var("PATH").unwrap());
        for (text, reason) in [
            ("file:empty", "nothing in it"),
            ("file:missing", "No such file"),
            ("env:SLUICE_NO_SUCH_VARIABLE", "not set"),
        ] {
            let error = resolve(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("[a] b = \"{text}\": ")),
                "{error}"
            );
            assert!(error.contains(reason), "{error}");
        }
    }
}
