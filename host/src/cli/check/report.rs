//! What a check found, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it must be.
    Passed,
    /// It works, but it may not be what is wanted.
    Warning,
    /// The pipeline would not run, or not as it should.
    Failed,
    /// What it depends on failed, or nobody wants to know.
    NotAsked,
}

impl Verdict {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Passed, "✓", "passed"),
        (Self::Warning, "!", "warned"),
        (Self::Failed, "✗", "failed"),
        (Self::NotAsked, "–", "not asked"),
    ];

    fn mark(self) -> &'static str {
        let found = Self::ALL.iter().find(|(verdict, ..)| *verdict == self);
        found.map_or("?", |(_, mark, _)| mark)
    }
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) subject: String,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) result: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) way_out: Option<String>,
}

impl Finding {
    pub(super) fn passed(subject: impl Into<String>, result: impl Into<String>) -> Self {
        Self::new(subject.into(), Verdict::Passed, result.into(), "")
    }

    pub(super) fn warning(
        subject: impl Into<String>,
        result: impl Into<String>,
        way_out: &str,
    ) -> Self {
        Self::new(subject.into(), Verdict::Warning, result.into(), way_out)
    }

    pub(super) fn failed(
        subject: impl Into<String>,
        result: impl Into<String>,
        way_out: &str,
    ) -> Self {
        Self::new(subject.into(), Verdict::Failed, result.into(), way_out)
    }

    pub(super) fn not_asked(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        let result = format!("not asked: {}", reason.into());
        Self::new(subject.into(), Verdict::NotAsked, result, "")
    }

    fn new(subject: String, verdict: Verdict, result: String, way_out: &str) -> Self {
        let way_out = (!way_out.is_empty()).then(|| way_out.to_owned());
        Self {
            subject,
            verdict,
            result,
            way_out,
        }
    }
}

/// All checks of a pipeline.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The pipeline, as it was named.
    pub(super) pipeline: String,
    /// Whether no check failed.
    pub(super) is_good: bool,
    /// How long they took.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub(super) elapsed: Duration,
    pub(super) checks: Vec<Finding>,
}

impl Report {
    pub(super) fn new(pipeline: &str, checks: Vec<Finding>, elapsed: Duration) -> Self {
        let is_good = checks.iter().all(|check| check.verdict != Verdict::Failed);
        Self {
            pipeline: pipeline.to_owned(),
            is_good,
            elapsed,
            checks,
        }
    }
}

fn milliseconds<S: serde::Serializer>(elapsed: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u128(elapsed.as_millis())
}

impl fmt::Display for Report {
    /// A line a check, and what to do below each that failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self
            .checks
            .iter()
            .map(|check| check.subject.chars().count());
        let width = widths.max().unwrap_or(0);
        let indent = " ".repeat(width + 4);
        for check in &self.checks {
            let (mark, subject) = (check.verdict.mark(), &check.subject);
            let mut lines = check.result.lines();
            writeln!(f, "{mark} {subject:width$}  {}", lines.next().unwrap_or(""))?;
            for line in lines.chain(check.way_out.iter().flat_map(|way| way.lines())) {
                writeln!(f, "{indent}{}", line.trim_start())?;
            }
        }
        let counts = Verdict::ALL.map(|(verdict, _, name)| {
            let found = self.checks.iter().filter(|check| check.verdict == verdict);
            (found.count(), name)
        });
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "\n{}; {seconds:.1} s", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_report_is_read_by_people_and_by_programs() {
        let checks = vec![
            Finding::passed("plugin", "plays 1.0.0"),
            Finding::failed(
                "table `plays`",
                "a: is missing\nb: is text",
                "apply the schema",
            ),
            Finding::warning("dead letters", "off", ""),
            Finding::not_asked("topic", "the broker does not answer"),
        ];
        let report = Report::new("plays", checks, Duration::from_millis(1_234));
        expect![[r"
            ✓ plugin         plays 1.0.0
            ✗ table `plays`  a: is missing
                             b: is text
                             apply the schema
            ! dead letters   off
            – topic          not asked: the broker does not answer

            1 passed, 1 warned, 1 failed, 1 not asked; 1.2 s
        "]]
        .assert_eq(&report.to_string());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["is_good"], false);
        assert_eq!(json["elapsed_ms"], 1_234);
        assert_eq!(json["checks"][1]["verdict"], "failed");
        assert_eq!(json["checks"][1]["way_out"], "apply the schema");
        assert!(json["checks"][0].get("way_out").is_none());
    }
}
