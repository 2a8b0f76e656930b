//! Every query of the carried pipelines, asked of both stores.
#![cfg(feature = "servers")]

use std::time::Duration;

use expect_test::{Expect, expect};
use host::query::{self, Query, Store};
use host::row::{Column, CqlType, Operation, Target};
use host::sink::cassandra::Reader;
use host::sink::schema::Schema;
use host::sink::{Sink, sqlite};

use crate::cassandra::{Keyspace, Row, transformed, write};

/// The values that parameters of a query are asked with.
fn asked(query: &Query) -> Vec<(String, String)> {
    let value = |name: &str| match name {
        "name" => "Ada",
        "minute" => "2026-03-02T16:05",
        _ => "2026-03-02T16",
    };
    let parameters = query.parameters.iter();
    parameters
        .map(|parameter| (parameter.name.clone(), value(&parameter.name).to_owned()))
        .collect()
}

/// Plays of Ada's in one hour, two of them in one minute, one just after it, and one of another
/// person's; some have no figures.
fn plays(target: &Target) -> Vec<Row> {
    let hour = 1_772_467_200_000; // 2026-03-02T16:00:00Z
    let play = |(index, name, after): (i64, &str, i64)| {
        let cell = |column: &Column| match (column.name.as_str(), column.kind) {
            ("name", _) => Some(name.into()),
            ("timestamp", _) => Some((hour + after).to_be_bytes().to_vec()),
            _ if index == 3 => None,
            ("danceability", _) => Some(
                f32::from(u8::try_from(index).unwrap())
                    .sqrt()
                    .to_be_bytes()
                    .to_vec(),
            ),
            (_, CqlType::Text) => Some(format!("text {index}, \"quoted\" \u{fc}").into()),
            (_, kind) => Some(vec![0x41; kind.width().unwrap()]),
        };
        (1_000, target.columns.iter().map(cell).collect())
    };
    let given = [
        (0, "Ada", 0),
        (1, "Ada", 301_007),
        (2, "Ada", 359_999),
        (3, "Ada", 1_200_000),
        (4, "Ada", 3_600_000),
        (5, "Eve", 301_007),
    ];
    given.into_iter().map(play).collect()
}

const SCHEMA: &str = include_str!("../../../cql/spotify/schema.cql");
const QUERIES: &str = include_str!("../../../cql/spotify/queries.cql");

/// Both stores with the same rows in them, and what they must not outlive.
struct Stores {
    both: [Store; 2],
    keyspace: Keyspace,
    _directory: tempfile::TempDir,
}

fn stores() -> Stores {
    let keyspace = Keyspace::of("queries", SCHEMA);
    let parsed = Schema::parse(SCHEMA).unwrap();
    let columns = parsed.tables[0].columns.iter();
    let columns = columns.map(|column| Column {
        name: column.name.clone(),
        kind: column.known().unwrap(),
    });
    let target = Target {
        table: "records".into(),
        operation: Operation::Upsert,
        columns: columns.collect(),
    };
    let batch = transformed(0, &plays(&target));
    let directory = tempfile::tempdir().unwrap();
    let config = sqlite::Config {
        directory: directory.path().into(),
        keyspace: keyspace.config.keyspace.clone(),
        schema: SCHEMA.into(),
    };
    let mut cassandra = keyspace.sink();
    cassandra.prepare(std::slice::from_ref(&target)).unwrap();
    assert_eq!(write(&mut cassandra, &batch).unwrap(), []);
    let mut sqlite = sqlite::Sqlite::open(&config).unwrap();
    sqlite.prepare(std::slice::from_ref(&target)).unwrap();
    sqlite.start(&batch);
    assert_eq!(sqlite.poll(Duration::ZERO).unwrap().unwrap(), []);
    let both = [
        Store::Cassandra(Reader::open(&keyspace.config).unwrap()),
        Store::Sqlite(sqlite::Reader::open(&config).unwrap()),
    ];
    Stores {
        both,
        keyspace,
        _directory: directory,
    }
}

#[test]
fn every_query_is_answered_alike_by_both_stores() {
    let stores = stores();
    let mut told = String::new();
    for query in query::parse(QUERIES).unwrap() {
        let bound = query
            .bind(&asked(&query), &stores.keyspace.config.keyspace)
            .unwrap();
        let [cassandra, sqlite] = stores.both.each_ref().map(|store| {
            let mut answer = store.ask(&bound).unwrap();
            if query.name == "sample" {
                // Nobody promises its order.
                answer.rows.sort_by_key(|row| format!("{row:?}"));
            }
            answer
        });
        assert_eq!(cassandra, sqlite, "{}", query.name);
        told += &format!(
            "{}\n{}\n",
            query.name,
            query::render(&cassandra, query::Format::Table)
        );
    }
    answers().assert_eq(&told);
    // The whole row, and an average of nothing.
    for text in [
        "-- a: b\nSELECT * FROM t.records WHERE name = 'Ada' ORDER BY timestamp;",
        "-- a: b\nSELECT avg(key), avg(tempo) FROM t.records WHERE name = 'Ada';",
        "-- a: b\nSELECT avg(tempo) FROM t.records WHERE name = 'nobody';",
    ] {
        let bound = query::parse(text).unwrap()[0]
            .bind(&[], &stores.keyspace.config.keyspace)
            .unwrap();
        let [cassandra, sqlite] = stores
            .both
            .each_ref()
            .map(|store| store.ask(&bound).unwrap());
        assert_eq!(cassandra, sqlite, "{text}");
    }
}

fn answers() -> Expect {
    expect![[r#"
        plays
        ┌──────────────────────────┬────────────────────┬────────────────────┬──────────────┬───────────┬───────────┐
        │ timestamp                ┆ song               ┆ artists            ┆ danceability ┆    energy ┆     tempo │
        ╞══════════════════════════╪════════════════════╪════════════════════╪══════════════╪═══════════╪═══════════╡
        │ 2026-03-02T16:00:00.000Z ┆ text 0, "quoted" ü ┆ text 0, "quoted" ü ┆            0 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:05:01.007Z ┆ text 1, "quoted" ü ┆ text 1, "quoted" ü ┆            1 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:05:59.999Z ┆ text 2, "quoted" ü ┆ text 2, "quoted" ü ┆    1.4142135 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:20:00.000Z ┆ null               ┆ null               ┆         null ┆      null ┆      null │
        │ 2026-03-02T17:00:00.000Z ┆ text 4, "quoted" ü ┆ text 4, "quoted" ü ┆            2 ┆ 12.078431 ┆ 12.078431 │
        └──────────────────────────┴────────────────────┴────────────────────┴──────────────┴───────────┴───────────┘
        5 rows

        plays-in-minute
        ┌──────────────────────────┬────────────────────┬────────────────────┬──────────────┬───────────┬───────────┐
        │ timestamp                ┆ song               ┆ artists            ┆ danceability ┆    energy ┆     tempo │
        ╞══════════════════════════╪════════════════════╪════════════════════╪══════════════╪═══════════╪═══════════╡
        │ 2026-03-02T16:05:01.007Z ┆ text 1, "quoted" ü ┆ text 1, "quoted" ü ┆            1 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:05:59.999Z ┆ text 2, "quoted" ü ┆ text 2, "quoted" ü ┆    1.4142135 ┆ 12.078431 ┆ 12.078431 │
        └──────────────────────────┴────────────────────┴────────────────────┴──────────────┴───────────┴───────────┘
        2 rows

        plays-in-hour
        ┌──────────────────────────┬────────────────────┬────────────────────┬──────────────┬───────────┬───────────┐
        │ timestamp                ┆ song               ┆ artists            ┆ danceability ┆    energy ┆     tempo │
        ╞══════════════════════════╪════════════════════╪════════════════════╪══════════════╪═══════════╪═══════════╡
        │ 2026-03-02T16:00:00.000Z ┆ text 0, "quoted" ü ┆ text 0, "quoted" ü ┆            0 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:05:01.007Z ┆ text 1, "quoted" ü ┆ text 1, "quoted" ü ┆            1 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:05:59.999Z ┆ text 2, "quoted" ü ┆ text 2, "quoted" ü ┆    1.4142135 ┆ 12.078431 ┆ 12.078431 │
        │ 2026-03-02T16:20:00.000Z ┆ null               ┆ null               ┆         null ┆      null ┆      null │
        └──────────────────────────┴────────────────────┴────────────────────┴──────────────┴───────────┴───────────┘
        4 rows

        average-danceability
        ┌──────────────────────┐
        │ average_danceability │
        ╞══════════════════════╡
        │           0.80473787 │
        └──────────────────────┘
        1 row

        average-danceability-in-minute
        ┌──────────────────────┐
        │ average_danceability │
        ╞══════════════════════╡
        │            1.2071068 │
        └──────────────────────┘
        1 row

        sample
        ┌──────┬──────────────────────────┬────────────────────┬────────────────────┬──────────────┬───────────┬───────────┐
        │ name ┆ timestamp                ┆ song               ┆ artists            ┆ danceability ┆    energy ┆     tempo │
        ╞══════╪══════════════════════════╪════════════════════╪════════════════════╪══════════════╪═══════════╪═══════════╡
        │ Ada  ┆ 2026-03-02T16:00:00.000Z ┆ text 0, "quoted" ü ┆ text 0, "quoted" ü ┆            0 ┆ 12.078431 ┆ 12.078431 │
        │ Ada  ┆ 2026-03-02T16:05:01.007Z ┆ text 1, "quoted" ü ┆ text 1, "quoted" ü ┆            1 ┆ 12.078431 ┆ 12.078431 │
        │ Ada  ┆ 2026-03-02T16:05:59.999Z ┆ text 2, "quoted" ü ┆ text 2, "quoted" ü ┆    1.4142135 ┆ 12.078431 ┆ 12.078431 │
        │ Ada  ┆ 2026-03-02T16:20:00.000Z ┆ null               ┆ null               ┆         null ┆      null ┆      null │
        │ Ada  ┆ 2026-03-02T17:00:00.000Z ┆ text 4, "quoted" ü ┆ text 4, "quoted" ü ┆            2 ┆ 12.078431 ┆ 12.078431 │
        │ Eve  ┆ 2026-03-02T16:05:01.007Z ┆ text 5, "quoted" ü ┆ text 5, "quoted" ü ┆     2.236068 ┆ 12.078431 ┆ 12.078431 │
        └──────┴──────────────────────────┴────────────────────┴────────────────────┴──────────────┴───────────┴───────────┘
        6 rows

    "#]]
}
