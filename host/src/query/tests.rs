use expect_test::expect;

use super::*;
use crate::sink::value::Value;

const QUERIES: &str = "
-- Queries of plays.

-- plays: everything of one person
-- :name text
SELECT *
FROM m.plays WHERE name = :name ORDER BY at;

-- average: of one hour
-- :name text
-- :hour hour -> :from, :to
SELECT avg(tempo) AS tempo, count(*) AS plays FROM m.plays
WHERE name = :name AND at >= :from AND at < :to;
-- samples: some
SELECT * FROM m.plays LIMIT 5;
";

fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn queries_are_read() {
    let queries = parse(QUERIES).unwrap();
    let usages: Vec<_> = queries
        .iter()
        .map(|query| format!("{}: {}", query.usage(), query.about))
        .collect();
    let expected = [
        "plays --name TEXT: everything of one person",
        "average --name TEXT --hour HOUR: of one hour",
        "samples: some",
    ];
    assert_eq!(usages, expected);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let check = |text: &str, expected: &str| {
        assert_eq!(
            parse(text).unwrap_err().to_string(),
            format!("queries.cql, line {expected}")
        );
    };
    check(
        "SELECT 1;",
        "1: a query is headed by `-- name: what it answers`",
    );
    check(
        "-- a: b\n\nSELECT 1;",
        "3: a query is headed by `-- name: what it answers`",
    );
    check(
        "-- a: b\n-- :x thing\nSELECT :x;",
        "3: `:x thing` is not `:name type` or `:name hour -> :from, :to`",
    );
    check(
        "-- a: b\n-- :x hour\nSELECT :x;",
        "3: `:x hour` is not `:name type` or `:name hour -> :from, :to`",
    );
    check(
        "-- a: b\n-- :x hour -> :y, :z, :zz\nSELECT :y, :z, :zz;",
        "3: `:x hour -> :y, :z, :zz` is not `:name type` or `:name hour -> :from, :to`",
    );
    check(
        "-- a: b\n-- :x text 0..23\nSELECT :x;",
        "3: `:x text 0..23` is not `:name type` or `:name hour -> :from, :to`",
    );
    check(
        "-- a: b\n-- :x int 0..day\nSELECT :x;",
        "3: `:x int 0..day` is not `:name type` or `:name hour -> :from, :to`",
    );
    check("-- a: b\nSELECT :x;", "2: `:x` is not declared");
    check("-- a: b\nDROP TABLE t;", "2: a query begins with SELECT");
    check(
        "-- a: b\n/* SELECT */ TRUNCATE t;",
        "2: a query begins with SELECT",
    );
    check("-- a: b\n-- :x int\nSELECT 1;", "3: `:x` is not used");
    check("-- a: b\nSELECT 1", "2: the last statement has no `;`");
    check(
        "-- a: b\nSELECT 1;\n-- a: b\nSELECT 1;",
        "4: there are two queries `a`",
    );
}

#[test]
fn values_take_the_places_of_parameters() {
    let queries = parse(QUERIES).unwrap();
    let average = find(&queries, "average").unwrap();
    let bound = average
        .bind(
            &given(&[("hour", "2026-03-02T16:59"), ("name", "Ada")]),
            "other",
        )
        .unwrap();
    expect![[r#"
        SELECT count(*), count(tempo), avg(tempo) AS tempo, count(*) AS plays FROM "other".plays
        WHERE name = ? AND at >= ? AND at < ?"#]]
    .assert_eq(&bound.text);
    let values: Vec<_> = bound
        .parameters
        .iter()
        .map(|parameter| Value::of_cell(parameter.kind, &parameter.cell).to_string())
        .collect();
    assert_eq!(
        values,
        [
            "Ada",
            "2026-03-02T16:00:00.000Z",
            "2026-03-02T17:00:00.000Z"
        ]
    );
}

#[test]
fn a_stretch_may_stand_for_its_start_alone() {
    let queries = parse("-- a: b\n-- :day day -> :start\nSELECT x FROM t WHERE day = :start;");
    let bound = queries.unwrap()[0].bind(&given(&[("day", "2026-03-02T16:05")]), "m");
    let bound = bound.unwrap();
    assert_eq!(bound.text, "SELECT x FROM t WHERE day = ?");
    let [start] = &bound.parameters[..] else {
        panic!("{bound:?}");
    };
    assert_eq!(
        Value::of_cell(start.kind, &start.cell).to_string(),
        "2026-03-02T00:00:00.000Z"
    );
}

#[test]
fn parameters_are_checked() {
    let queries = parse(QUERIES).unwrap();
    let average = find(&queries, "average").unwrap();
    let check = |pairs: &[(&str, &str)], expected: &str| {
        let error = average.bind(&given(pairs), "m").unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{expected}; usage: average --name TEXT --hour HOUR")
        );
    };
    check(&[], "--name is missing");
    check(&[("name", "a")], "--hour is missing");
    check(
        &[("nane", "a")],
        "--nane is not a parameter; did you mean `--name`?",
    );
    check(
        &[("zz", "a")],
        "--zz is not a parameter; there are --name, --hour",
    );
    check(&[("name", "a"), ("name", "b")], "--name is given twice");
    check(
        &[("name", "a"), ("hour", "noon")],
        "--hour: `noon` is not a time like 2026-03-02T16:05",
    );
    let error = find(&queries, "avarage").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no query `avarage`; did you mean `average`?"
    );
}

/// A declaration, a value, and what the query is asked with: or why it is not asked.
const VALUES: &[(&str, &str, Result<&str, &str>)] = &[
    ("text", "O'Neill, \"Mae\" --", Ok("O'Neill, \"Mae\" --")),
    ("text", "", Ok("")),
    ("int", "-7", Ok("-7")),
    ("int", "7.5", Err("`7.5` is not a whole number of 32 bits")),
    (
        "int",
        "2147483648",
        Err("`2147483648` is not a whole number of 32 bits"),
    ),
    ("int 0..23", "0", Ok("0")),
    ("int 0..23", "23", Ok("23")),
    ("int 0..23", "24", Err("`24` is not from 0 to 23")),
    ("int 0..23", "-1", Err("`-1` is not from 0 to 23")),
    (
        "int 0..23",
        "4pm",
        Err("`4pm` is not a whole number of 32 bits"),
    ),
    ("date", "2024-02-29", Ok("2024-02-29")),
    (
        "date",
        "2026-02-29",
        Err("`2026-02-29` is not a date like 2026-03-02"),
    ),
    ("date as text", "0000-01-01", Ok("0000-01-01")),
    ("date as text", "20260302", Ok("2026-03-02")),
    (
        "date as text",
        "2.3.2026",
        Err("`2.3.2026` is not a date like 2026-03-02"),
    ),
    (
        "timestamp",
        "2026-03-02 16:05",
        Ok("2026-03-02T16:05:00.000Z"),
    ),
    (
        "timestamp",
        "2026-03-02T16:05:00.0019+01:00",
        Ok("2026-03-02T15:05:00.001Z"),
    ),
    ("timestamp", "1772467200000", Ok("2026-03-02T16:00:00.000Z")),
    (
        "timestamp",
        "yesterday",
        Err("`yesterday` is not a time like 2026-03-02T16:00:00Z, or milliseconds since 1970"),
    ),
    (
        "hour -> :x",
        "2026-03-02T16:59:59.999",
        Ok("2026-03-02T16:00:00.000Z"),
    ),
    (
        "hour -> :x",
        "25",
        Err("`25` is not a time like 2026-03-02T16:05"),
    ),
    (
        "hour -> :x",
        "2026-03-02T25",
        Err("`2026-03-02T25` is not a time like 2026-03-02T16:05"),
    ),
    (
        "hour -> :x",
        "",
        Err("`` is not a time like 2026-03-02T16:05"),
    ),
    (
        "minute -> :x",
        "1969-12-31T23:59:59.999",
        Ok("1969-12-31T23:59:00.000Z"),
    ),
    ("boolean", "yes", Err("`yes` is not true or false")),
    ("uuid", "7", Err("`7` is not a UUID")),
];

#[test]
fn values_are_of_their_type() {
    for (declared, text, expected) in VALUES {
        let query = format!("-- a: b\n-- :x {declared}\nSELECT * FROM t WHERE x = :x;");
        let query = &parse(&query).unwrap()[0];
        let answer = match query.bind(&given(&[("x", text)]), "m") {
            Ok(Bound { parameters, .. }) => {
                let [Parameter { kind, cell }] = &parameters[..] else {
                    panic!("{declared} gives {parameters:?}");
                };
                Ok(Value::of_cell(*kind, cell).to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let usage = format!("; usage: {}", query.usage());
        let expected = expected
            .map(str::to_owned)
            .map_err(|reason| format!("--x: {reason}{usage}"));
        assert_eq!(answer, expected, "{declared}: {text}");
    }
    let usage = |declared: &str| {
        let query = format!("-- a: b\n-- :x {declared}\nSELECT :x;");
        parse(&query).unwrap()[0].usage()
    };
    assert_eq!(usage("int 0..23"), "a --x 0..23");
    assert_eq!(usage("date as text"), "a --x DATE");
    assert_eq!(usage("day -> :x"), "a --x DAY");
}

#[test]
fn the_documented_query_is_one() {
    let page = include_str!("../../../docs/writing-a-plugin.md");
    let (_, rest) = page.split_once("```sql\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    assert_eq!(
        parse(text).unwrap()[0].usage(),
        "average --name TEXT --hour HOUR"
    );
}

#[test]
fn an_average_of_nothing_is_no_row() {
    let queries = parse(QUERIES).unwrap();
    let bound = find(&queries, "average")
        .unwrap()
        .bind(&given(&[("name", "a"), ("hour", "2026-03-02")]), "m")
        .unwrap();
    let check = |rows: i64, values: i64, expected: &[Vec<Value>]| {
        let columns = ["count", "count", "tempo", "plays"]
            .map(str::to_owned)
            .to_vec();
        let row = vec![
            Value::Integer(rows),
            Value::Integer(values),
            Value::Float(0.0),
            Value::Integer(rows),
        ];
        let answer = bound.shown(sink::Answer {
            columns,
            rows: vec![row],
        });
        assert_eq!(answer.columns, ["tempo", "plays"]);
        assert_eq!(answer.rows, expected);
    };
    check(0, 0, &[]);
    check(2, 0, &[vec![Value::Null, Value::Integer(2)]]);
    check(2, 1, &[vec![Value::Float(0.0), Value::Integer(2)]]);
}

#[test]
fn a_keyspace_may_be_called_as_a_word_is() {
    let text =
        "-- a: b\nSELECT avg(x) FROM group.t;\n-- b: c\nSELECT avg(x) FROM m.t GROUP BY y;\n";
    let asked: Vec<_> = parse(text).unwrap();
    let asked = asked
        .iter()
        .map(|query| query.bind(&[], "group").unwrap().text);
    let counts: Vec<_> = asked.map(|text| text.contains("count(x)")).collect();
    assert_eq!(counts, [true, false]);
}

#[test]
fn stretches_of_time_lie_around_a_moment() {
    let moment = time_of_text("2026-03-02T16:05:59.999").unwrap();
    let check = |stretch: Stretch, expected: [&str; 2]| {
        assert_eq!(
            stretch.around(moment).unwrap().map(|time| time.to_string()),
            expected
        );
    };
    check(
        Stretch::Minute,
        ["2026-03-02T16:05:00Z", "2026-03-02T16:06:00Z"],
    );
    check(
        Stretch::Hour,
        ["2026-03-02T16:00:00Z", "2026-03-02T17:00:00Z"],
    );
    check(
        Stretch::Day,
        ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"],
    );
}

#[test]
fn answers_are_rendered() {
    let answer = sink::Answer {
        columns: vec!["name".into(), "tempo".into()],
        rows: vec![
            vec![Value::Text("Ada, \"A\"".into()), Value::Float(0.1)],
            vec![Value::Text(String::new()), Value::Null],
            vec![Value::Text("\u{1b}[2J".into()), Value::Null],
        ],
    };
    expect![[r#"
        ┌──────────┬───────┐
        │ name     ┆ tempo │
        ╞══════════╪═══════╡
        │ Ada, "A" ┆   0.1 │
        │          ┆  null │
        │  [2J     ┆  null │
        └──────────┴───────┘
        3 rows
    "#]]
    .assert_eq(&render(&answer, Format::Table));
    expect![[r#"
        [
          {"name": "Ada, \"A\"", "tempo": 0.1},
          {"name": "", "tempo": null},
          {"name": "\u001b[2J", "tempo": null}
        ]
    "#]]
    .assert_eq(&render(&answer, Format::Json));
    assert_eq!(
        render(&answer, Format::Csv),
        "name,tempo\n\"Ada, \"\"A\"\"\",0.1\n,\n\u{1b}[2J,\n"
    );
    let nothing = sink::Answer {
        columns: answer.columns,
        rows: vec![],
    };
    assert_eq!(render(&nothing, Format::Table), "no rows\n");
    assert_eq!(render(&nothing, Format::Json), "[]\n");
}
