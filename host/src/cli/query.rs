//! `host query`: a pipeline's named queries.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use super::tables::Place;
use crate::config;
use crate::query::{self, Format, Query};

/// What `host query` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The pipeline: a name that the binary carries, or a path: its folder, its pipeline.toml, its plugin
    pipeline: String,
    #[command(flatten)]
    options: Options,
    /// The query's name and its parameters; `--list` shows them
    #[arg(
        value_name = "NAME [--PARAMETER VALUE]..",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    asked: Vec<String>,
}

#[derive(Clone, Debug, Default, clap::Args)]
struct Options {
    /// Show what can be asked
    #[arg(long)]
    list: bool,
    /// Answer as a JSON array of objects
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Answer as CSV
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    place: Place,
}

/// The options, where they stand behind the query's name.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Behind {
    #[command(flatten)]
    options: Options,
}

/// The flags of [`Options`] that are no query's parameter, with whether a value follows.
const FLAGS: [(&str, bool); 6] = [
    ("list", false),
    ("json", false),
    ("csv", false),
    ("cassandra", true),
    ("sink", true),
    ("keyspace", true),
];

/// Asks a query and prints its answer.
///
/// # Errors
/// If it is asked wrongly, or the store does not answer.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (asked, behind) = split(&args.asked)?;
    let behind = Behind::try_parse_from(behind)
        .unwrap_or_else(|error| error.exit())
        .options;
    let place = behind.place.or(args.options.place);
    let found = place.pipeline(&args.pipeline)?;
    let text = found.queries()?;
    let queries = query::parse(&text.text).with_context(|| text.name.clone())?;
    let text = match asked {
        Some((name, given)) if !(behind.list || args.options.list) => {
            let bound =
                query::find(&queries, &name)?.bind(&given, &found.file.cassandra.keyspace)?;
            let answer = place.open(&found)?.ask(&bound)?;
            let format = match (
                behind.json || args.options.json,
                behind.csv || args.options.csv,
            ) {
                (true, _) => Format::Json,
                (false, true) => Format::Csv,
                (false, false) => Format::Table,
            };
            query::render(&answer, format)
        }
        Some(_) | None => list(&args.pipeline, &queries),
    };
    super::show(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn list(pipeline: &str, queries: &[Query]) -> String {
    let pipeline = shell_words::quote(pipeline);
    let invocation = config::invocation();
    let line = |query: &Query| {
        format!(
            "{invocation} query {pipeline} {}\n    {}\n",
            query.usage(),
            query.about
        )
    };
    queries.iter().map(line).collect()
}

/// A query's name and the values of its parameters.
pub(super) type Asked = (String, Vec<(String, String)>);

/// Parts what is asked from the options that stand behind it.
///
/// # Errors
/// If a word is neither, or a value is missing.
pub(super) fn split(words: &[String]) -> anyhow::Result<(Option<Asked>, Vec<String>)> {
    let (mut name, mut given, mut options) = (None, Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--") else {
            anyhow::ensure!(
                name.is_none(),
                "`{word}` is not expected: a parameter is `--name value`"
            );
            name = Some(word.clone());
            continue;
        };
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (flag, None),
        };
        let option = FLAGS.iter().find(|(option, _)| *option == flag);
        if let Some((_, false)) = option {
            options.push(word.clone());
            continue;
        }
        let value = value.or_else(|| words.next().cloned());
        let value = value.with_context(|| format!("--{flag} has no value"))?;
        match option {
            Some(_) => options.push(format!("--{flag}={value}")),
            None => given.push((flag.to_owned(), value)),
        }
    }
    Ok((name.map(|name| (name, given)), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn parameters_and_options_are_told_apart() {
        let check = |text: &str, name: Option<&str>, given: &[(&str, &str)], options: &str| {
            let (asked, behind) = split(&words(text)).unwrap();
            let given: Vec<_> = given
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            assert_eq!(asked, name.map(|name| (name.to_owned(), given)));
            assert_eq!(behind, words(options));
        };
        check("", None, &[], "");
        check("--list", None, &[], "--list");
        check(
            "a --name Ada --json",
            Some("a"),
            &[("name", "Ada")],
            "--json",
        );
        check(
            "a --sink sqlite:x --n=-1",
            Some("a"),
            &[("n", "-1")],
            "--sink=sqlite:x",
        );
        check("a --name --json", Some("a"), &[("name", "--json")], "");
        assert_eq!(
            split(&words("a b")).unwrap_err().to_string(),
            "`b` is not expected: a parameter is `--name value`"
        );
        assert_eq!(
            split(&words("a --name")).unwrap_err().to_string(),
            "--name has no value"
        );
    }
}
