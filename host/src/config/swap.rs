//! `[swap]`: how much another version may differ where nobody is asked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serializer, de};

use super::file::duration;
use crate::swap::Policy;

/// `[swap]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwapSection {
    /// Of the rows that the last messages make, the share that may be changed, added or removed.
    #[serde(with = "share")]
    #[schemars(with = "String", extend("x-reads" = "share"))]
    pub max_changed: f64,
    /// Of the last messages, the share that may be rejected though they are not now.
    #[serde(with = "share")]
    #[schemars(with = "String", extend("x-reads" = "share"))]
    pub max_rejected: f64,
    /// How many times as long as now a message may take.
    #[schemars(range(min = 1))]
    pub max_slowdown: u32,
    /// How many batches a new version is on probation for; 0 = it stays.
    pub probation: u32,
    /// How long it is so at most: it stays as well where fewer batches come in this time.
    #[serde(with = "duration")]
    #[schemars(with = "String", extend("x-reads" = "duration"))]
    pub probation_time: Duration,
}

impl Default for SwapSection {
    fn default() -> Self {
        let Policy {
            max_changed,
            max_rejected,
            max_slowdown,
            probation,
            probation_time,
        } = Policy::default();
        Self {
            max_changed,
            max_rejected,
            max_slowdown,
            probation,
            probation_time,
        }
    }
}

impl From<&SwapSection> for Policy {
    fn from(section: &SwapSection) -> Self {
        Self {
            max_changed: section.max_changed,
            max_rejected: section.max_rejected,
            max_slowdown: section.max_slowdown,
            probation: section.probation,
            probation_time: section.probation_time,
        }
    }
}

/// The share that a text stands for: `2 %` is 0.02.
pub(super) fn share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim();
    let is_plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: f64 = number.parse().ok().filter(|_| is_plain)?;
    (percent <= 100.0).then_some(percent / 100.0)
}

/// Shares as people write them: `2%`.
mod share {
    use super::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(share: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}%", share * 100.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = String::deserialize(from)?;
        super::share(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is no share")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        for (text, want) in [
            ("0%", Some(0.0)),
            ("2 %", Some(0.02)),
            ("0.5%", Some(0.005)),
            ("100%", Some(1.0)),
            ("101%", None),
            ("-1%", None),
            ("nan%", None),
            ("0.02", None),
            ("%", None),
        ] {
            assert_eq!(share(text), want, "{text}");
        }
    }
}
