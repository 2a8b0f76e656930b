//! What is otherwise in what becomes of samples: whole rows, so that it shows which one has another cell.

use std::time::{Duration, Instant};

use similar::{Algorithm, DiffTag, TextDiff, capture_diff_slices_deadline};

use crate::terminal;

/// How many rows and other outcomes are shown; of more, how many there are.
const SHOWN_MAX: usize = 20;
/// How long the shortest difference is looked for, of outcomes or of two rows' lines: texts that came with a
/// plugin's file may be made to take for ever. Later, what is shown may be longer than it need be.
const TIME_MAX: Duration = Duration::from_secs(1);
/// How far ahead the row is looked for that another one has become.
const AHEAD_MAX: usize = 100;

/// What is otherwise in the new text: the rows and other outcomes that only one has with `-` or `+` before
/// each line, and those that have changed with the lines that are gone and the new ones. Empty, if nothing
/// is.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new) = (outcomes(old), outcomes(new));
    let mut shown = Vec::new();
    let until = Some(Instant::now() + TIME_MAX);
    for op in capture_diff_slices_deadline(Algorithm::Myers, &old, &new, until) {
        let (tag, old_range, new_range) = op.as_tag_tuple();
        if tag != DiffTag::Equal {
            changed(&old[old_range], &new[new_range], &mut shown);
        }
    }
    let more = shown.len().saturating_sub(SHOWN_MAX);
    let mut text: String = shown.into_iter().take(SHOWN_MAX).collect();
    if more > 0 {
        text += &format!("and {more} more\n");
    }
    text
}

/// The parts that an outcome is told by: a row with its cells, which are indented, or another line.
fn outcomes(text: &str) -> Vec<&str> {
    let mut outcomes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let ends = rest.match_indices('\n').map(|(at, _)| at + 1);
        let mut ends = ends.filter(|end| !rest[*end..].starts_with(' '));
        let (outcome, after) = rest.split_at(ends.next().unwrap_or(rest.len()));
        outcomes.push(outcome);
        rest = after;
    }
    outcomes
}

/// Outcomes that stand in each other's place: those that are nearly the same are one that has changed.
fn changed(old: &[&str], new: &[&str], shown: &mut Vec<String>) {
    let mut left = new;
    for outcome in old {
        let mut near = left.iter().take(AHEAD_MAX);
        match near.position(|other| is_same_row(outcome, other)) {
            Some(at) => {
                shown.extend(left[..at].iter().map(|new| marked("", new)));
                shown.push(marked(outcome, left[at]));
                left = &left[at + 1..];
            }
            None => shown.push(marked(outcome, "")),
        }
    }
    shown.extend(left.iter().map(|new| marked("", new)));
}

/// Whether two rows are of one table and have most of their cells in common.
fn is_same_row(old: &str, new: &str) -> bool {
    let lines = |text: &'_ str| text.lines().count();
    let both = old.lines().zip(new.lines());
    let same = both.filter(|(old, new)| old == new).count();
    old.lines().next() == new.lines().next()
        && lines(old) > 1
        && same * 2 > lines(old).max(lines(new))
}

/// All lines of an outcome, with a sign before those that only one side has.
fn marked(old: &str, new: &str) -> String {
    let diff = TextDiff::configure().timeout(TIME_MAX).diff_lines(old, new);
    let lines = diff.iter_all_changes().map(|change| {
        // What came with a plugin's file may be anything.
        let line = terminal::line(change.value().trim_end_matches('\n'));
        format!("{}{line}\n", change.tag())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str = "plays\n  name = Ada\n  hour = 1\n  count = 7\n";
    const BOB: &str = "plays\n  name = Bob\n  hour = 1\n  count = 7\n";
    const EVE: &str = "plays\n  name = Eve\n  hour = 1\n  count = 7\n";
    const REFUSED: &str =
        "line 2 rejected by transform: odd: too odd\nline 3 rejected by decode: a\n";
    const FILTERED: &str = "filtered dull: 1\n";

    #[test]
    fn whole_rows_are_shown() {
        let seven_not_eight = ADA.replace('7', "8");
        for (old, new, expected) in [
            (&[ADA, BOB][..], &[ADA, BOB][..], ""),
            (&[], &[], ""),
            (
                &[ADA, BOB, FILTERED],
                &[&seven_not_eight, BOB, FILTERED],
                " plays\n   name = Ada\n   hour = 1\n-  count = 7\n+  count = 8\n",
            ),
            (
                &[ADA, BOB, EVE],
                &[ADA, EVE],
                "-plays\n-  name = Bob\n-  hour = 1\n-  count = 7\n",
            ),
            (
                &[ADA],
                &[ADA, BOB],
                "+plays\n+  name = Bob\n+  hour = 1\n+  count = 7\n",
            ),
            (
                &[ADA, "line 2 rejected by decode: a: b\n"],
                &[ADA, REFUSED],
                "-line 2 rejected by decode: a: b\n+line 2 rejected by transform: odd: too odd\n\
                 +line 3 rejected by decode: a\n",
            ),
            (
                &[ADA, FILTERED],
                &[ADA, "filtered dull: 2\n"],
                "-filtered dull: 1\n+filtered dull: 2\n",
            ),
            (
                &[ADA],
                &[],
                "-plays\n-  name = Ada\n-  hour = 1\n-  count = 7\n",
            ),
            (&["plays\u{1b}[2J\u{202e}\n"], &[], "-plays [2J \n"),
        ] {
            let found = difference(&old.concat(), &new.concat());
            assert_eq!(found, expected, "{old:?} {new:?}");
        }
    }

    /// By the shortest way, these would take hours.
    #[test]
    fn what_is_wholly_otherwise_is_told_soon() {
        let lines = |indent: &str, letter: &str| -> String {
            let lines = (0..100_000).map(|line| format!("{indent}{letter} {line}\n"));
            lines.collect()
        };
        let row =
            |letter: &str| format!("plays\n{}{}", "  c\n".repeat(100_001), lines("  ", letter));
        for (old, new, expected) in [
            (lines("", "a"), lines("", "b"), "-a 0\n"),
            (row("a"), row("b"), "\n-  a 0\n"),
        ] {
            assert!(difference(&old, &new).contains(expected), "{expected}");
        }
    }

    #[test]
    fn not_all_of_many_are_shown() {
        let many: String = (0..25)
            .map(|line| format!("line {line} rejected\n"))
            .collect();
        let shown = difference("", &many);
        assert_eq!(shown.lines().count(), SHOWN_MAX + 1);
        assert!(
            shown.ends_with("+line 19 rejected\nand 5 more\n"),
            "{shown}"
        );
    }
}
