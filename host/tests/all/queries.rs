//! Every query of the carried pipelines, asked of their samples in every store.
//!
//! `cql/<pipeline>/answers.txt` has the questions, each a line `> query --parameter value`, and below
//! each what the query answers. `UPDATE_EXPECT=1` writes the answers anew; lines that begin with `#`
//! are for the reader.

use std::collections::BTreeMap;
use std::path::Path;

use host::query::{self, Format, Query};
use sluice_bundled::{PIPELINES, Pipeline};

use crate::golden;
use crate::stores::{self, Tables};

#[test]
fn every_query_is_answered_as_written() {
    for pipeline in PIPELINES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let file = root.join("cql").join(pipeline.name).join("answers.txt");
        let questions = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let queries = query::parse(pipeline.queries).unwrap();
        let stores = stores::filled(pipeline.schema, |sink| {
            golden::write_samples(pipeline, sink);
        });
        for tables in stores {
            let answers = answered(pipeline, &questions, &queries, &tables);
            expect_test::expect_file![&file].assert_eq(&answers);
        }
    }
}

/// The questions, each with the answer of these tables.
fn answered(pipeline: &Pipeline, questions: &str, queries: &[Query], tables: &Tables) -> String {
    let mut told = String::new();
    // How often each query was answered with rows, and without.
    let mut asked: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for line in questions.lines() {
        if line.starts_with('#') {
            told += &format!("{line}\n");
        }
        let Some(question) = line.strip_prefix("> ") else {
            continue;
        };
        let (name, given) = parted(question);
        let query = query::find(queries, name).unwrap();
        let bound = query.bind(&given, &tables.keyspace).unwrap();
        let mut answer = tables.store.ask(&bound).unwrap();
        if query.name == "sample" {
            // Nobody promises its order.
            answer.rows.sort_by_key(|row| format!("{row:?}"));
        }
        asked.entry(&query.name).or_default()[usize::from(answer.rows.is_empty())] += 1;
        told += &format!("> {question}\n{}\n", query::render(&answer, Format::Table));
    }
    for query in queries {
        let [with, without] = asked.get(&*query.name).copied().unwrap_or_default();
        assert!(
            with > 0 && (without > 0 || query.parameters.is_empty()),
            "{}: `{}` is to be asked for rows that there are, and for some that there are not",
            pipeline.name,
            query.name
        );
    }
    told
}

/// A query's name and its parameters. Nothing is quoted: a value ends where ` --` follows it.
fn parted(question: &str) -> (&str, Vec<(String, String)>) {
    let mut words = question.split(" --");
    let name = words.next().unwrap();
    let given = words.map(|word| {
        let (name, value) = word.split_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    });
    (name, given.collect())
}
