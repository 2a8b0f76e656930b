//! The breaker: it opens when so many messages become dead letters that going on would empty the
//! topic into them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::row::Rejected;
use crate::terminal;

/// So many messages are looked back on.
const SEEN_MAX: usize = 1_000;
/// Fewer than these say nothing.
const SEEN_MIN: usize = 100;
/// The share of letters among them that is borne, in per cent. A hundred in a row are more.
const LETTERS_PERCENT_MAX: usize = 5;
/// The most codes that are told of, and of each reason the most bytes.
const CODES_MAX: usize = 3;
const REASON_BYTES_MAX: usize = 120;

/// Looks back on the last messages of a worker, and at which of them became dead letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    last: VecDeque<Option<Rejected>>,
    letters: usize,
}

impl Breaker {
    /// Counts so many messages of a batch, of which these became letters, in their order. When it
    /// opens, what lies behind is not counted.
    pub(super) fn count(&mut self, messages: usize, letters: &[Rejected]) -> Option<Opened> {
        let mut letters = letters.iter().peekable();
        (0..messages).find_map(|message| {
            let letter = letters.next_if(|letter| letter.message == message);
            self.push(letter.cloned());
            self.is_open().then(|| self.opened(message + 1))
        })
    }

    fn push(&mut self, letter: Option<Rejected>) {
        if self.last.len() == SEEN_MAX {
            let oldest = self.last.pop_front().flatten();
            self.letters -= usize::from(oldest.is_some());
        }
        self.letters += usize::from(letter.is_some());
        self.last.push_back(letter);
    }

    fn is_open(&self) -> bool {
        let seen = self.last.len();
        seen >= SEEN_MIN && self.letters * 100 > seen * LETTERS_PERCENT_MAX
    }

    fn opened(&self, messages: usize) -> Opened {
        let mut codes: BTreeMap<Arc<str>, (usize, &str)> = BTreeMap::new();
        for letter in self.last.iter().flatten() {
            let (count, reason) = codes.entry(letter.code.clone()).or_default();
            *count += 1;
            *reason = &letter.reason;
        }
        let codes = codes.into_iter();
        let mut codes: Vec<_> = codes
            .map(|(code, (count, reason))| (count, code, line(reason)))
            .collect();
        codes.sort_by_key(|(count, _, _)| std::cmp::Reverse(*count));
        codes.truncate(CODES_MAX);
        Opened {
            messages,
            letters: self.letters,
            seen: self.last.len(),
            codes,
        }
    }
}

/// Why the breaker opened, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many messages of the batch it took, with the one that opened it.
    pub messages: usize,
    letters: usize,
    seen: usize,
    /// How often, which code, and its last reason; the most frequent first.
    codes: Vec<(usize, Arc<str>, String)>,
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { letters, seen, .. } = self;
        write!(
            f,
            "the breaker opened: {letters} of the last {seen} messages became dead letters, more \
             than {LETTERS_PERCENT_MAX} %; what follows them is neither written nor committed"
        )?;
        for (count, code, reason) in &self.codes {
            write!(f, "\n  {code}: {count}, the last because: {reason}")?;
        }
        write!(
            f,
            "\nMend what sends such messages, or the plugin that refuses them. To go on as it is: \
             --no-breaker. To leave messages out instead: `[rejections] CODE = \"filter\"` for a \
             code of the plugin's, `dead_letters = \"off\"` for all"
        )
    }
}

/// What a plugin says, short enough to be shown.
fn line(reason: &str) -> String {
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    terminal::line(reason.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Stage;

    fn letter(message: usize, code: &str) -> Rejected {
        Rejected {
            message,
            stage: Stage::Decode,
            code: code.into(),
            reason: format!("{code} at {message}\n\u{1b}[2J"),
        }
    }

    /// Messages by runs, `.` fine and `x` a letter: the message that opens it, from 1. However they
    /// fall into batches, it is the same one.
    fn check(runs: &[(usize, char)], opens: Option<usize>) {
        let messages = runs
            .iter()
            .flat_map(|&(count, kind)| std::iter::repeat_n(kind, count));
        let messages: Vec<char> = messages.collect();
        for batch in [1, 7, 1_000, 16_384] {
            let mut breaker = Breaker::default();
            let found = messages
                .chunks(batch)
                .enumerate()
                .find_map(|(index, part)| {
                    let letters = part.iter().enumerate().filter(|(_, kind)| **kind == 'x');
                    let letters: Vec<_> = letters.map(|(at, _)| letter(at, "bad")).collect();
                    let opened = breaker.count(part.len(), &letters)?;
                    Some(index * batch + opened.messages)
                });
            assert_eq!(found, opens, "{runs:?} in batches of {batch}");
        }
    }

    #[test]
    fn more_than_five_of_a_hundred_open_it() {
        check(&[], None);
        check(&[(99, 'x')], None);
        // What came before the hundredth counts as soon as it has come.
        check(&[(100, 'x')], Some(100));
        check(&[(6, 'x'), (200, '.')], Some(100));
        check(&[(5, 'x'), (200, '.')], None);
        check(&[(100, '.'), (5, 'x')], None);
        check(&[(100, '.'), (6, 'x')], Some(106));
        check(&[(20, 'x'), (79, '.')], None);
    }

    #[test]
    fn a_hundred_in_a_row_always_open_it() {
        // A hundred are more than 5 % of the most it looks back on.
        check(
            &[(1_000, '.'), (50, 'x'), (1, '.'), (100, 'x')],
            Some(1_052),
        );
        for (fine, opens) in [(0, 100), (50, 100), (94, 100), (99, 105), (900, 948)] {
            check(&[(fine, '.'), (100, 'x'), (9, '.')], Some(opens));
        }
        check(&[(7_000, '.'), (100, 'x')], Some(7_051));
    }

    #[test]
    fn it_looks_back_on_a_thousand() {
        check(&[(1_000, '.'), (50, 'x'), (5_000, '.')], None);
        check(&[(5_000, '.'), (51, 'x')], Some(5_051));
        // A letter is forgotten in time, however many there were in all.
        let rare = [(19, '.'), (1, 'x')].repeat(500);
        check(&rare, None);
        let often = [(18, '.'), (1, 'x')].repeat(500);
        check(&often, Some(114));
        check(
            &[(1_000, '.'), (50, 'x'), (950, '.'), (50, 'x'), (900, '.')],
            None,
        );
    }

    #[test]
    fn it_tells_how_many_and_why() {
        let mut breaker = Breaker::default();
        let codes = ["one", "two", "two", "three", "three", "three", "four"];
        let codes = codes.iter().cycle().take(SEEN_MIN).enumerate();
        let letters: Vec<_> = codes.map(|(at, code)| letter(at, code)).collect();
        let opened = breaker.count(SEEN_MIN, &letters).unwrap();
        let told = opened.to_string();
        let codes: Vec<_> = told.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(
            codes,
            [
                "  three: 42, the last because: three at 96  [2J",
                "  two: 29, the last because: two at 99  [2J",
                "  one: 15, the last because: one at 98  [2J",
            ]
        );
        assert!(told.contains("100 of the last 100 messages"), "{told}");
        assert!(told.contains("--no-breaker"), "{told}");
    }
}
