//! A difference as a person reads it, on 80 columns.

use std::collections::BTreeMap;
use std::fmt;

use super::{Change, Diff, Example, Rows};

/// How many columns of an example are shown.
const COLUMNS_MAX: usize = 4;

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, rows) in &self.tables {
            writeln!(f, "  {table}: {rows}")?;
            if !rows.columns.is_empty() {
                let columns = counts(&rows.columns);
                writeln!(f, "    changed in {columns}")?;
            }
            for example in &rows.examples {
                write!(f, "{example}")?;
            }
        }
        let (newly, no_longer) = (self.newly_rejected(), self.no_longer_rejected);
        let otherwise = self.rejected_otherwise;
        write!(f, "  rejected: {newly} newly, {no_longer} no longer")?;
        if otherwise > 0 {
            write!(f, ", {otherwise} with another code")?;
        }
        writeln!(f)?;
        for (code, rejections) in &self.newly_rejected {
            let failure = if rejections.is_failure {
                " (the plugin fails)"
            } else {
                ""
            };
            writeln!(f, "    {code}: {}{failure}", rejections.messages)?;
            for example in &rejections.examples {
                writeln!(f, "      {}", example.lines().next().unwrap_or_default())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            same,
            changed,
            added,
            removed,
            ..
        } = self;
        write!(
            f,
            "{same} rows same, {changed} changed, {added} added, {removed} removed"
        )
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    {} {}", self.what, self.key)?;
        writeln!(f, "      by message {}", self.message)?;
        for change in self.columns.iter().take(COLUMNS_MAX) {
            writeln!(f, "      {change}")?;
        }
        match self.columns.len().saturating_sub(COLUMNS_MAX) {
            0 => Ok(()),
            more => writeln!(f, "      and {more} columns more"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
        write!(
            f,
            "{}: {} -> {}",
            self.column,
            text(&self.old),
            text(&self.new)
        )
    }
}

/// `a 3, b 1`
fn counts(all: &BTreeMap<String, usize>) -> String {
    let each = all.iter().map(|(name, count)| format!("{name} {count}"));
    each.collect::<Vec<_>>().join(", ")
}
