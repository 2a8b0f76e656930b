use super::*;
use crate::message::Batch;
use crate::row::{Column, Operation, push_cell};

const SCHEMA: &str =
    "CREATE TABLE m.plays (name text, at timestamp, tempo float, day date, key tinyint,
    id uuid, PRIMARY KEY ((name), at)) WITH CLUSTERING ORDER BY (at DESC)";

/// A row: its message, its write time, and its cells; `None` is null, an empty one unset.
type Row<'a> = (u32, i64, Vec<Option<&'a [u8]>>);

fn transformed(target: usize, given: &[Row<'_>]) -> Arc<Transformed> {
    let mut rows = Rows {
        target,
        ..Rows::default()
    };
    for (source, write_time, cells) in given {
        rows.bytes
            .extend_from_slice(&u16::try_from(cells.len()).unwrap().to_be_bytes());
        for cell in cells {
            match cell {
                Some([]) => rows.bytes.extend_from_slice(&(-2i32).to_be_bytes()),
                cell => push_cell(&mut rows.bytes, *cell),
            }
        }
        rows.ends.push(u32::try_from(rows.bytes.len()).unwrap());
        rows.write_times.push(*write_time);
        rows.sources.push(*source);
    }
    let batch = Batch::new("t".into());
    Arc::new(Transformed {
        batch,
        rows: vec![rows],
        written: 0,
        rejected: vec![],
        filtered: vec![],
    })
}

fn targets() -> [Target; 2] {
    let column = |(name, kind): (&str, CqlType)| Column {
        name: name.into(),
        kind,
    };
    let key = [("name", CqlType::Text), ("at", CqlType::Timestamp)];
    let all = [
        ("tempo", CqlType::Float),
        ("day", CqlType::Date),
        ("key", CqlType::Tinyint),
        ("id", CqlType::Uuid),
    ];
    let upsert = key.iter().chain(&all).copied().map(column).collect();
    let delete = key.into_iter().map(column).collect();
    [
        Target {
            table: "plays".into(),
            operation: Operation::Upsert,
            columns: upsert,
        },
        Target {
            table: "plays".into(),
            operation: Operation::Delete,
            columns: delete,
        },
    ]
}

fn config(directory: &Path, schema: &str) -> Config {
    Config {
        directory: directory.into(),
        keyspace: "m".into(),
        schema: schema.into(),
    }
}

fn sink(config: &Config) -> Sqlite {
    let mut sink = Sqlite::open(config).unwrap();
    let keys = sink.prepare(&targets()).unwrap();
    assert_eq!(
        keys[0],
        Key {
            partition: vec![0],
            clustering: vec![1]
        }
    );
    sink
}

fn write(sink: &mut Sqlite, target: usize, rows: &[Row<'_>]) -> Vec<Refused> {
    sink.start(&transformed(target, rows));
    sink.poll(Duration::ZERO).unwrap().unwrap()
}

/// Each row's values, separated by blanks; null is `-`.
fn contents(config: &Config) -> Vec<String> {
    let reader = Reader::open(config).unwrap();
    let answer = reader
        .select("SELECT name, at, tempo, day, key, id FROM m.plays", &[])
        .unwrap();
    let text = |value: &Value| {
        if *value == Value::Null {
            "-".into()
        } else {
            value.to_string()
        }
    };
    answer
        .rows
        .iter()
        .map(|row| row.iter().map(text).collect::<Vec<_>>().join(" "))
        .collect()
}

const AT: [u8; 8] = 1_000i64.to_be_bytes();
const TENTH: [u8; 4] = 0.1f32.to_be_bytes();
const DAY: [u8; 4] = (1u32 << 31).to_be_bytes();

fn full<'a>(message: u32, write_time: i64, key: &'a [u8]) -> Row<'a> {
    let cells = [&b"Ada"[..], &AT, &TENTH, &DAY, key, &[7; 16]];
    (message, write_time, cells.map(Some).to_vec())
}

#[test]
fn the_greater_write_time_wins() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), SCHEMA);
    let mut sink = sink(&config);
    let check = |sink: &mut Sqlite, target: usize, row: Row<'_>, expected: &[&str]| {
        assert_eq!(write(sink, target, &[row]), []);
        assert_eq!(contents(&config), expected);
    };
    let row = |key: &str| {
        format!(
            "Ada 1970-01-01T00:00:01.000Z 0.1 1970-01-01 {key} 07070707-0707-0707-0707-070707070707"
        )
    };
    let key: Row<'_> = (0, 0, vec![Some(b"Ada"), Some(&AT)]);
    let delete = |write_time: i64| (key.0, write_time, key.2.clone());
    check(&mut sink, 0, full(0, 10, &[1]), &[&row("1")]);
    check(&mut sink, 0, full(0, 9, &[2]), &[&row("1")]);
    check(&mut sink, 0, full(0, 11, &[3]), &[&row("3")]);
    let part = |write_time: i64, key: &'static [u8]| {
        (
            0,
            write_time,
            vec![
                Some(&b"Ada"[..]),
                Some(&AT),
                Some(&[]),
                None,
                Some(key),
                Some(&[]),
            ],
        )
    };
    let kept = "Ada 1970-01-01T00:00:01.000Z 0.1 - 4 07070707-0707-0707-0707-070707070707";
    check(&mut sink, 0, part(12, &[4]), &[kept]);
    check(&mut sink, 1, delete(11), &[kept]);
    check(&mut sink, 1, delete(13), &[]);
    check(&mut sink, 0, full(0, 12, &[5]), &[]);
    check(&mut sink, 0, full(0, 13, &[5]), &[]);
    check(
        &mut sink,
        0,
        part(14, &[6]),
        &["Ada 1970-01-01T00:00:01.000Z - - 6 -"],
    );
    check(&mut sink, 0, full(0, 15, &[255]), &[&row("-1")]);
}

#[test]
fn a_row_to_blame_is_refused_and_its_neighbours_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), SCHEMA);
    let mut sink = sink(&config);
    let mut nameless = full(4, 1, &[1]);
    nameless.2[0] = None;
    let refused = write(
        &mut sink,
        0,
        &[full(3, 1, &[1]), nameless, full(5, 2, &[2])],
    );
    let reason = "NOT NULL constraint failed: plays.name".to_owned();
    assert_eq!(refused, [Refused { message: 4, reason }]);
    assert_eq!(contents(&config).len(), 1);
}

#[test]
fn files_of_another_schema_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(sink(&config(directory.path(), SCHEMA)));
    drop(sink(&config(directory.path(), SCHEMA)));
    let other = config(directory.path(), &SCHEMA.replace("key tinyint", "key text"));
    let error = Sqlite::open(&other).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, Error::Schema(text) if text.contains("was made from another schema")),
        "{error}"
    );
    let error = Sqlite::open(&Config {
        keyspace: "../m".into(),
        ..other
    })
    .map(|_| ())
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot be the name of a keyspace"),
        "{error}"
    );
}
