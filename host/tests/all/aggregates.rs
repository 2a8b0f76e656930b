//! Aggregates, the same on both stores: what an average is, and what becomes of a sum that leaves
//! its type, is what Cassandra says.

use host::query::{self, Format};
use host::row::{Column, CqlType, Operation, Target};
use host::sink::value::cell_of_text;

use crate::stores::{self, Row, transformed, write};

const KINDS: [(&str, CqlType); 6] = [
    ("tinyint", CqlType::Tinyint),
    ("smallint", CqlType::Smallint),
    ("int", CqlType::Int),
    ("bigint", CqlType::Bigint),
    ("float", CqlType::Float),
    ("double", CqlType::Double),
];

const SCHEMA: &str = "
CREATE KEYSPACE t WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE t.numbers (list int, place int, tinyint tinyint, smallint smallint, int int,
    bigint bigint, float float, double double, PRIMARY KEY ((list), place));
";

/// A type, numbers of it, and their average, sum, least and greatest: as a query answers with CSV.
#[rustfmt::skip]
const LISTS: &[(&str, &str, &str)] = &[
    ("tinyint", "1 2", "1,3,1,2"),
    ("tinyint", "-1 -2", "-1,-3,-2,-1"),
    ("tinyint", "127 127 126", "126,124,126,127"),
    ("tinyint", "-128 -128 -128 -128 -128", "-128,-128,-128,-128"),
    ("smallint", "-1 0", "0,-1,-1,0"),
    ("smallint", "32767 32767 32767", "32767,32765,32767,32767"),
    ("int", "3 null 4", "3,7,3,4"),
    ("int", "-3 -4", "-3,-7,-4,-3"),
    ("int", "2147483647 2147483647", "2147483647,-2,2147483647,2147483647"),
    ("int", "null null", ",,,"),
    ("int", "", ""),
    ("bigint", "-5 -6", "-5,-11,-6,-5"),
    ("bigint", "9223372036854775807 9223372036854775806",
        "9223372036854775806,-3,9223372036854775806,9223372036854775807"),
    ("float", "0.1 0.2 0.3", "0.2,0.6,0.1,0.3"),
    ("float", "16777216 1 1", "5592406,16777218,1,16777216"),
    ("float", "null 0.5", "0.5,0.5,0.5,0.5"),
    ("float", "NaN 1", "NaN,NaN,1,NaN"),
    ("float", "inf 1", "inf,inf,1,inf"),
    ("float", "inf inf", "inf,inf,inf,inf"),
    ("float", "inf -inf", "NaN,NaN,-inf,inf"),
    ("float", "", ""),
    ("double", "0.1 0.2 0.3", "0.19999999999999998,0.6,0.1,0.3"),
    ("double", "0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1", "0.1,1,0.1,0.1"),
    // The compensation, added once more: a half less than a half.
    ("double", "1 0.00000000000000011102230246251565",
        "0.49999999999999994,0.9999999999999999,0.00000000000000011102230246251565,1"),
    ("double", "-0.5 null NaN", "NaN,NaN,-0.5,NaN"),
    ("double", "null", ",,,"),
];

/// How many lists of many numbers there are beside those, and the most numbers of one.
const MANY: usize = 100;
const NUMBERS_MAX: usize = 40;

/// Numbers of all sizes and signs, none of them round: what is added first makes a difference.
fn many(list: usize) -> (&'static str, String) {
    let figure = |place: usize| {
        let spread = f64::from(u32::try_from(list * NUMBERS_MAX + place).unwrap()).sin();
        let size = i32::try_from((list + place * 5) % (list % 12 + 1)).unwrap();
        (spread * 10f64.powi(size - 3)).to_string()
    };
    let figures = (0..2 + list % NUMBERS_MAX).map(figure);
    let kind = if list.is_multiple_of(2) {
        "float"
    } else {
        "double"
    };
    (kind, figures.collect::<Vec<_>>().join(" "))
}

fn target() -> Target {
    let key = [("list", CqlType::Int), ("place", CqlType::Int)];
    let column = |(name, kind): &(&str, CqlType)| Column {
        name: (*name).into(),
        kind: *kind,
    };
    Target {
        table: "numbers".into(),
        operation: Operation::Upsert,
        columns: key.iter().chain(&KINDS).map(column).collect(),
    }
}

fn row(list: usize, place: usize, kind: &str, number: &str) -> Row {
    let key = [list, place].map(|number| i32::try_from(number).unwrap().to_be_bytes().to_vec());
    let numbers = KINDS.iter().map(|(name, cql_type)| {
        let is_set = *name == kind && number != "null";
        is_set.then(|| cell_of_text(*cql_type, number).unwrap())
    });
    (1, key.into_iter().map(Some).chain(numbers).collect())
}

#[test]
fn both_stores_compute_alike() {
    let given = LISTS
        .iter()
        .map(|(kind, list, _)| (*kind, (*list).to_owned()));
    let lists: Vec<_> = given.chain((0..MANY).map(many)).collect();
    let rows = (0..).zip(&lists).flat_map(|(list, (kind, numbers))| {
        let numbers = numbers.split_whitespace().enumerate();
        numbers.map(move |(place, number)| row(list, place, kind, number))
    });
    let batch = transformed(0, &rows.collect::<Vec<_>>());
    let stores = stores::filled(SCHEMA, |sink| {
        sink.prepare(&[target()]).unwrap();
        assert_eq!(write(sink, &batch).unwrap(), []);
    });
    for (list, (kind, numbers)) in lists.iter().enumerate() {
        let text = format!(
            "-- a: b\n-- :list int\nSELECT avg({kind}) AS average, sum({kind}) AS sum, \
             min({kind}) AS least, max({kind}) AS greatest FROM t.numbers WHERE list = :list;"
        );
        let query = &query::parse(&text).unwrap()[0];
        let answers = stores.iter().map(|tables| {
            let asked = [("list".to_owned(), list.to_string())];
            let bound = query.bind(&asked, &tables.keyspace).unwrap();
            let answer = tables.store.ask(&bound).unwrap();
            let answer = query::render(&answer, Format::Csv);
            let (_, row) = answer.split_once('\n').unwrap();
            row.trim_end().to_owned()
        });
        let answers: Vec<_> = answers.collect();
        let known = LISTS.get(list).map(|(_, _, answer)| *answer);
        let expected = known.unwrap_or(answers.last().unwrap());
        assert!(
            answers.iter().all(|answer| answer == expected),
            "{kind} {numbers}: {answers:?} instead of {expected}"
        );
    }
}
