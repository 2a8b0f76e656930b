//! Sinks and queries against the real Cassandra.
#![cfg(feature = "servers")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use expect_test::{Expect, expect};
use host::row::{Column, CqlType, Key, Operation, Target};
use host::sink::cassandra::{Cassandra, Config, Reader};
use host::sink::schema::Schema;
use host::sink::value::Value;
use host::sink::{Error, Sink};

use crate::stores::{Row, transformed, write};

const SCHEMA: &str = "
CREATE KEYSPACE t WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE t.plays (name text, at timestamp, song text, tempo float, PRIMARY KEY ((name), at));
";

/// A keyspace of its own, dropped with it.
pub(crate) struct Keyspace {
    reader: Reader,
    pub(crate) config: Config,
}

impl Keyspace {
    pub(crate) fn of(test: &str, schema: &str) -> Self {
        let address = std::env::var("SLUICE_TEST_CASSANDRA");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut config = Config::new(format!("{test}_{}", since.as_nanos()));
        config.contact_points = vec![address.unwrap_or_else(|_| "127.0.0.1:9042".into())];
        config.pipeline = Some("plays".into());
        let reader = Reader::open(&config).unwrap();
        for statement in Schema::parse(schema).unwrap().statements(&config.keyspace) {
            reader.execute(&statement).unwrap();
        }
        Self { reader, config }
    }

    pub(crate) fn sink(&self) -> Cassandra {
        Cassandra::open(&self.config).unwrap()
    }

    fn select(&self, what: &str) -> Vec<Vec<Value>> {
        let query = format!("SELECT {what} FROM {}.plays", self.config.keyspace);
        self.reader.select(&query, &[]).unwrap().rows
    }

    fn execute(&self, statement: &str) {
        self.reader
            .execute(&statement.replace("t.plays", &format!("{}.plays", self.config.keyspace)))
            .unwrap();
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        self.reader
            .execute(&format!("DROP KEYSPACE {}", self.config.keyspace))
            .ok();
    }
}

fn target(operation: Operation, columns: &[(&str, CqlType)]) -> Target {
    let column = |&(name, kind): &(&str, CqlType)| Column {
        name: name.into(),
        kind,
    };
    Target {
        table: "plays".into(),
        operation,
        columns: columns.iter().map(column).collect(),
    }
}

fn targets() -> [Target; 2] {
    let key = [("name", CqlType::Text), ("at", CqlType::Timestamp)];
    let all = [
        key[0],
        key[1],
        ("song", CqlType::Text),
        ("tempo", CqlType::Float),
    ];
    [
        target(Operation::Upsert, &all),
        target(Operation::Delete, &key),
    ]
}

fn play(write_time: i64, name: &str, at: i64, song: &str) -> Row {
    let tempo = Some(0.5f32.to_be_bytes().to_vec());
    let cells = vec![
        Some(name.into()),
        Some(at.to_be_bytes().to_vec()),
        Some(song.into()),
        tempo,
    ];
    (write_time, cells)
}

#[test]
fn what_is_written_is_there_and_a_replay_changes_nothing() {
    let keyspace = Keyspace::of("write", SCHEMA);
    let mut sink = keyspace.sink();
    let keys = sink.prepare(&targets()).unwrap();
    assert_eq!(
        keys[0],
        Key {
            partition: vec![0],
            clustering: vec![1]
        }
    );
    // A few large partitions, a few hundred that stand alone, and a key that occurs twice.
    let mut rows: Vec<Row> = (0..9_500)
        .map(|at| play(1_000, &format!("n{}", at % 7), at, "s"))
        .collect();
    rows.extend((0..500).map(|at| play(1_000, &format!("lone{at}"), at, "s")));
    rows.push(play(1_001, "n0", 0, "later"));
    let expected: BTreeMap<(String, i64), Value> = rows
        .iter()
        .map(|(_, cells)| {
            let text = |index: usize| String::from_utf8(cells[index].clone().unwrap()).unwrap();
            let at = i64::from_be_bytes(cells[1].clone().unwrap().try_into().unwrap());
            ((text(0), at), Value::Text(text(2)))
        })
        .collect();
    let batch = transformed(0, &rows);
    for _ in 0..2 {
        assert_eq!(write(&mut sink, &batch).unwrap(), []);
        let live: BTreeMap<(String, i64), Value> = keyspace
            .select("name, at, song, writetime(song)")
            .into_iter()
            .map(|row| {
                let [
                    Value::Text(name),
                    Value::Timestamp(at),
                    song,
                    Value::Integer(write_time),
                ] = &row[..]
                else {
                    panic!("{row:?}");
                };
                assert_eq!(
                    *write_time,
                    if *song == Value::Text("later".into()) {
                        1_001
                    } else {
                        1_000
                    }
                );
                ((name.clone(), *at), song.clone())
            })
            .collect();
        assert_eq!(live, expected);
    }
}

#[test]
fn the_greater_write_time_wins_and_deletes_count_too() {
    let keyspace = Keyspace::of("order", SCHEMA);
    let mut sink = keyspace.sink();
    sink.prepare(&targets()).unwrap();
    let check = |sink: &mut Cassandra, target: usize, row: Row, expected: &[&str]| {
        assert_eq!(write(sink, &transformed(target, &[row])).unwrap(), []);
        let songs: Vec<_> = keyspace
            .select("song")
            .iter()
            .map(|row| row[0].to_string())
            .collect();
        assert_eq!(songs, expected);
    };
    let delete = |write_time: i64| {
        let (_, cells) = play(0, "Ada", 1, "");
        (write_time, cells[..2].to_vec())
    };
    check(&mut sink, 0, play(10, "Ada", 1, "b"), &["b"]);
    check(&mut sink, 0, play(9, "Ada", 1, "a"), &["b"]);
    check(&mut sink, 1, delete(9), &["b"]);
    check(&mut sink, 0, play(11, "Ada", 1, "c"), &["c"]);
    check(&mut sink, 1, delete(12), &[]);
    check(&mut sink, 0, play(12, "Ada", 1, "d"), &[]);
    check(&mut sink, 0, play(13, "Ada", 1, "e"), &["e"]);
}

#[test]
fn a_row_to_blame_is_refused_and_its_neighbours_are_written() {
    let keyspace = Keyspace::of("refused", SCHEMA);
    let mut sink = keyspace.sink();
    sink.prepare(&targets()).unwrap();
    let mut rows: Vec<Row> = (0..300).map(|at| play(1, "n", at, "s")).collect();
    rows[7].1[1] = Some(vec![1, 2, 3]);
    rows.push(play(1, &"x".repeat(70_000), 1, "s"));
    let mut refused = write(&mut sink, &transformed(0, &rows)).unwrap();
    refused.sort_by_key(|row| row.message);
    let told: Vec<_> = refused
        .iter()
        .map(|row| format!("{}: {}\n", row.message, row.reason))
        .collect();
    expect![[r#"
        7: Expected 8 or 0 byte long for date (3)
        300: Key length of 70000 is longer than maximum of 65535
    "#]]
    .assert_eq(&told.concat());
    assert_eq!(keyspace.select("count(*)"), [[Value::Integer(299)]]);
    // A batch of nothing else holds nobody up either.
    let alone = transformed(0, &rows[7..8]);
    assert_eq!(write(&mut sink, &alone).unwrap().len(), 1);
}

fn difference(keyspace: &Keyspace, targets: &[Target]) -> String {
    let error = keyspace.sink().prepare(targets).unwrap_err();
    assert!(
        matches!(error, Error::Schema(_)) && !error.is_transient(),
        "{error:?}"
    );
    error
        .to_string()
        .replace(&keyspace.config.keyspace, "KEYSPACE")
        .replace(&keyspace.config.contact_points[0], "ADDRESS")
}

#[test]
fn every_difference_from_the_live_tables_is_told() {
    let check = |schema: &str, expected: Expect| {
        expected.assert_eq(&difference(
            &Keyspace::of("differ", schema),
            &targets()[..1],
        ));
    };
    let table = |columns: &str| {
        SCHEMA.split("CREATE TABLE").next().unwrap().to_owned()
            + "CREATE TABLE t.plays ("
            + columns
            + ");"
    };
    check(
        &table("name text PRIMARY KEY, at timestamp, song text, tempo double"),
        expect![[r#"
            the tables of keyspace `KEYSPACE` in Cassandra at ADDRESS are not those that the plugin writes:
              plays.tempo: is double; it should be float
            `host schema apply plays` makes what is missing; what is of another type must be dropped first"#]],
    );
    check(
        &table("name text, at timestamp, tempo float, mood text, PRIMARY KEY (name, at, mood)"),
        expect![[r#"
            the tables of keyspace `KEYSPACE` in Cassandra at ADDRESS are not those that the plugin writes:
              plays.song: is missing; it should be text
              plays.mood: is in the primary key, but is not written
            `host schema apply plays` makes what is missing; what is of another type must be dropped first"#]],
    );
    check(
        &table(
            "name text, at timestamp, song text STATIC, tempo list<float>, PRIMARY KEY (name, at)",
        ),
        expect![[r#"
            the tables of keyspace `KEYSPACE` in Cassandra at ADDRESS are not those that the plugin writes:
              plays.song: is static: rows would overwrite each other's
              plays.tempo: is list<float>; it should be float
            `host schema apply plays` makes what is missing; what is of another type must be dropped first"#]],
    );
    check(
        &SCHEMA.replace("t.plays", "t.other"),
        expect![[r#"
            the tables of keyspace `KEYSPACE` in Cassandra at ADDRESS are not those that the plugin writes:
              plays: there is no such table
            `host schema apply plays` makes what is missing; what is of another type must be dropped first"#]],
    );
    let keyspace = Keyspace::of("gone", SCHEMA);
    keyspace
        .reader
        .execute(&format!("DROP KEYSPACE {}", keyspace.config.keyspace))
        .unwrap();
    expect![[r#"
        the tables of keyspace `KEYSPACE` in Cassandra at ADDRESS are not those that the plugin writes:
          plays: there is no such table
        `host schema apply plays` makes what is missing; what is of another type must be dropped first"#]].assert_eq(&difference(&keyspace, &targets()[..1]));
}

#[test]
fn a_table_that_changes_meanwhile_holds_the_batch_until_it_is_mended() {
    let keyspace = Keyspace::of("changes", SCHEMA);
    let mut sink = keyspace.sink();
    sink.prepare(&targets()[..1]).unwrap();
    keyspace.execute("ALTER TABLE t.plays DROP song");
    let rows: Vec<Row> = (0..10)
        .map(|at| play(1, &format!("n{at}"), at, "s"))
        .collect();
    let batch = transformed(0, &rows);
    let error = write(&mut sink, &batch).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("plays.song: is missing; it should be text"),
        "{error}"
    );
    assert!(!error.is_transient());
    keyspace.execute("ALTER TABLE t.plays ADD song text");
    assert_eq!(write(&mut sink, &batch).unwrap(), []);
    assert_eq!(keyspace.select("count(*)"), [[Value::Integer(10)]]);
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    let mut config = Config::new("k".into());
    config.contact_points = vec!["127.0.0.1:1".into()];
    let error = Cassandra::open(&config)
        .unwrap()
        .prepare(&targets())
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unavailable {
                code: "no_connection",
                ..
            }
        ) && error.is_transient(),
        "{error:?}"
    );
}

#[test]
fn rows_live_as_long_as_the_configuration_says() {
    let mut keyspace = Keyspace::of("ttl", SCHEMA);
    keyspace.config.ttl = Some(Duration::from_secs(3_600));
    let mut sink = keyspace.sink();
    sink.prepare(&targets()[..1]).unwrap();
    let now = i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_micros(),
    )
    .unwrap();
    write(&mut sink, &transformed(0, &[play(now, "Ada", 1, "s")])).unwrap();
    let [row] = &keyspace.select("ttl(song)")[..] else {
        panic!("one row")
    };
    assert!(matches!(row[0], Value::Integer(3_500..=3_600)), "{row:?}");
}
