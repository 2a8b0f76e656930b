//! `query` of `[demo]`: a query as it is typed, with placeholders for what the messages had.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::super::query::split;
use crate::query::{self, Query};

/// A query that is sure to be taken.
pub(super) struct Example {
    words: Vec<String>,
    me: String,
}

/// What a placeholder stands for, of the times of the first and the last message about `me`.
type Meaning = fn(&str, (Timestamp, Timestamp)) -> String;

const PLACEHOLDERS: [(&str, Meaning); 7] = [
    ("{minute}", |_, (first, _)| shown("%Y-%m-%dT%H:%M", first)),
    ("{hour}", |_, (first, _)| shown("%Y-%m-%dT%H", first)),
    ("{hour_of_day}", |_, (first, _)| shown("%-H", first)),
    ("{date}", |_, (first, _)| shown("%Y-%m-%d", first)),
    ("{from}", |_, (first, _)| shown("%Y-%m-%dT%H:%M:%SZ", first)),
    ("{to}", |_, (_, last)| {
        shown("%Y-%m-%dT%H:%M:%SZ", last + SignedDuration::from_secs(1))
    }),
    // The last, because what it stands for may look like anything.
    ("{me}", |me, _| me.to_owned()),
];

fn shown(format: &str, time: Timestamp) -> String {
    time.strftime(format).to_string()
}

impl Example {
    /// Reads a line such as `plays-in-hour --name {me} --hour {hour}`.
    ///
    /// # Errors
    /// If it has an unknown placeholder, or no query takes it.
    pub(super) fn new(
        line: &str,
        me: &str,
        queries: &[Query],
        keyspace: &str,
    ) -> anyhow::Result<Self> {
        let words = shell_words::split(line)?;
        let example = Self {
            words,
            me: me.to_owned(),
        };
        let known = PLACEHOLDERS.map(|(name, _)| name);
        let is_known = |word: &&String| {
            let left = known
                .iter()
                .fold((*word).clone(), |left, name| left.replace(name, ""));
            !left.contains(['{', '}'])
        };
        if let Some(word) = example.words.iter().find(|word| !is_known(word)) {
            anyhow::bail!("`{word}` is no placeholder: there are {}", known.join(", "));
        }
        let now = Timestamp::now();
        let (asked, options) = split(&example.words((now, now)))?;
        let (name, given) = asked.context("it names no query")?;
        anyhow::ensure!(options.is_empty(), "it takes no options: {options:?}");
        query::find(queries, &name)?.bind(&given, keyspace)?;
        Ok(example)
    }

    /// The line as a shell takes it.
    pub(super) fn line(&self, times: (Timestamp, Timestamp)) -> String {
        shell_words::join(self.words(times))
    }

    fn words(&self, times: (Timestamp, Timestamp)) -> Vec<String> {
        let word = |word: &String| {
            let replace = |word: String, (name, meaning): (&str, Meaning)| {
                if word.contains(name) {
                    word.replace(name, &meaning(&self.me, times))
                } else {
                    word
                }
            };
            PLACEHOLDERS.into_iter().fold(word.clone(), replace)
        };
        self.words.iter().map(word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERIES: &str = "-- average: of an hour\n-- :name text\n-- :hour hour -> :a, :b\n\
        SELECT avg(x) FROM k.t WHERE name = :name AND time >= :a AND time < :b;\n\
        -- on: a date\n-- :name text\n-- :date text\n-- :hour int\n\
        SELECT x FROM k.t WHERE name = :name AND date = :date AND hour = :hour;\n\
        -- between: two times\n-- :from timestamp\n-- :to timestamp\n\
        SELECT x FROM k.t WHERE time >= :from AND time < :to;\n\
        -- at: a minute\n-- :at minute -> :a, :b\n\
        SELECT x FROM k.t WHERE time >= :a AND time < :b;\n";

    fn example(line: &str, me: &str) -> anyhow::Result<Example> {
        Example::new(line, me, &query::parse(QUERIES).unwrap(), "k")
    }

    /// Two messages in two hours: what is asked is the first one's hour, or all of the time.
    fn times() -> (Timestamp, Timestamp) {
        let time = |text: &str| text.parse().unwrap();
        (
            time("2026-03-02T03:59:59.123Z"),
            time("2026-03-02T04:00:00Z"),
        )
    }

    #[test]
    fn placeholders_stand_for_what_the_messages_had() {
        for (line, me, expected) in [
            (
                "average --name {me} --hour {hour}",
                "Ada Lovelace",
                "average --name 'Ada Lovelace' --hour 2026-03-02T03",
            ),
            (
                "average --name={me} --hour {hour}",
                "Sinéad O'Connor",
                "average '--name=Sinéad O'\\''Connor' --hour 2026-03-02T03",
            ),
            (
                "on --name 'Ada Lovelace' --date {date} --hour {hour_of_day}",
                "",
                "on --name 'Ada Lovelace' --date 2026-03-02 --hour 3",
            ),
            (
                "between --from {from} --to {to}",
                "",
                "between --from 2026-03-02T03:59:59Z --to 2026-03-02T04:00:01Z",
            ),
            ("at --at {minute}", "", "at --at 2026-03-02T03:59"),
        ] {
            let shown = example(line, me).unwrap().line(times());
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn what_would_not_run_is_refused() {
        for (line, expected) in [
            ("", "names no query"),
            ("avrage --name {me}", "did you mean `average`?"),
            ("average --name {me}", "hour"),
            ("average --name {me} --hour soon", "soon"),
            (
                "average --name {me} --hour {now}",
                "`{now}` is no placeholder",
            ),
            ("average --name {me} --hour {hour} --json", "no options"),
            ("average --name 'Ada", "quote"),
        ] {
            let refused = format!("{:#}", example(line, "Ada").err().unwrap());
            assert!(refused.contains(expected), "{line}: {refused}");
        }
    }
}
