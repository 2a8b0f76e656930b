use expect_test::expect;

use super::*;
use crate::row;

const SCHEMA: &str = r#"
-- Plays.
CREATE KEYSPACE IF NOT EXISTS music WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE IF NOT EXISTS music.plays (
    name text, hour timestamp, "At" timestamp, tags frozen<list<text>>, owner varchar STATIC, tempo float,
    PRIMARY KEY ((name, hour), "At", tempo)
) WITH CLUSTERING ORDER BY ("At" DESC, tempo ASC) AND comment = 'it''s; fine';
CREATE TABLE music.people (name text PRIMARY KEY, age int)
"#;

fn target(table: &str, operation: Operation, columns: &[(&str, CqlType)]) -> Target {
    let column = |&(name, kind): &(&str, CqlType)| row::Column {
        name: name.into(),
        kind,
    };
    Target {
        table: table.into(),
        operation,
        columns: columns.iter().map(column).collect(),
    }
}

#[test]
fn schemas_are_read() {
    let schema = Schema::parse(SCHEMA).unwrap();
    assert_eq!(schema.keyspace, "music");
    let [plays, people] = &schema.tables[..] else {
        panic!("two tables")
    };
    let columns: Vec<_> = plays
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.kind.as_str()))
        .collect();
    let expected = [
        ("name", "text"),
        ("hour", "timestamp"),
        ("At", "timestamp"),
        ("tags", "frozen<list<text>>"),
        ("owner", "text"),
        ("tempo", "float"),
    ];
    assert_eq!(columns, expected);
    assert!(plays.column("owner").unwrap().is_static);
    assert_eq!(plays.partition, ["name", "hour"]);
    let clustering = [
        ("At".to_owned(), Order::Descending),
        ("tempo".to_owned(), Order::Ascending),
    ];
    assert_eq!(plays.clustering, clustering);
    assert_eq!(people.partition, ["name"]);
}

#[test]
fn statements_are_kept_for_any_keyspace() {
    let statements = Schema::parse(SCHEMA).unwrap().statements("other");
    assert!(statements[0].starts_with("CREATE KEYSPACE IF NOT EXISTS \"other\" WITH"));
    assert!(statements[1].ends_with("AND comment = 'it''s; fine'"));
    assert_eq!(
        statements[2],
        "CREATE TABLE \"other\".people (name text PRIMARY KEY, age int)"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let check = |text: &str, expected: &str| {
        assert_eq!(
            Schema::parse(text).unwrap_err().to_string(),
            format!("schema.cql, line {expected}")
        );
    };
    check("", "1: there is no table");
    check("\nDROP TABLE a.b", "2: `CREATE` is expected before `DROP`");
    check(
        "CREATE INDEX a",
        "1: CREATE KEYSPACE or CREATE TABLE is expected before `INDEX`",
    );
    check("CREATE TABLE a (b int)", "1: `.` is expected before `(`");
    check(
        "CREATE TABLE a.b (c int",
        "1: `,` is expected before the end of the statement",
    );
    check(
        "CREATE TABLE a.b (c int)",
        "1: a PRIMARY KEY of `b` is expected before the end of the statement",
    );
    check(
        "CREATE TABLE a.b (c int,\nPRIMARY KEY (d))",
        "2: a column `d`, which the primary key names, is expected before the end of the statement",
    );
    check(
        "CREATE TABLE a.b (c int PRIMARY KEY);\nCREATE TABLE x.y (c int PRIMARY KEY)",
        "2: `x` is not the keyspace `a` of the others",
    );
    check(
        "CREATE TABLE a.b (c 'int')",
        "1: a name is expected before `'int'`",
    );
    check("\n'", "2: a quote or comment does not end");
}

#[test]
fn keys_are_indices_into_the_target() {
    let tables = Schema::parse(SCHEMA).unwrap().tables;
    let columns = [
        ("tempo", CqlType::Float),
        ("At", CqlType::Timestamp),
        ("name", CqlType::Text),
        ("hour", CqlType::Timestamp),
    ];
    let targets = [
        target("plays", Operation::Upsert, &columns),
        target("people", Operation::Delete, &[("name", CqlType::Text)]),
    ];
    let keys = keys(&targets, &tables).unwrap();
    assert_eq!(
        keys[0],
        Key {
            partition: vec![2, 3],
            clustering: vec![1, 0]
        }
    );
    assert_eq!(
        keys[1],
        Key {
            partition: vec![0],
            clustering: vec![]
        }
    );
}

#[test]
fn every_difference_is_told() {
    let tables = Schema::parse(SCHEMA).unwrap().tables;
    let plays = [
        ("name", CqlType::Blob),
        ("hour", CqlType::Timestamp),
        ("owner", CqlType::Text),
        ("tags", CqlType::Text),
        ("tempo", CqlType::Float),
        ("mood", CqlType::Int),
    ];
    let targets = [
        target("plays", Operation::Upsert, &plays),
        target("nothing", Operation::Upsert, &[]),
        target(
            "people",
            Operation::Delete,
            &[("name", CqlType::Text), ("age", CqlType::Int)],
        ),
    ];
    expect![[r#"
        Differences:
          plays.name: is text; it should be blob
          plays.owner: is static: rows would overwrite each other's
          plays.tags: is frozen<list<text>>; it should be text
          plays.mood: is missing; it should be int
          plays.At: is in the primary key, but is not written
          nothing: there is no such table
          people.age: is not in the primary key, by which the plugin deletes rows
    "#]]
    .assert_eq(&format!(
        "Differences:\n{}",
        keys(&targets, &tables).unwrap_err()
    ));
}

#[test]
fn what_a_store_lacks_is_told_and_added() {
    let schema = Schema::parse(SCHEMA).unwrap();
    assert_eq!(schema.differences(&schema.tables), [""; 0]);
    let live = "CREATE TABLE x.plays (name text, hour text, \"At\" timestamp, extra int,
        PRIMARY KEY ((name, hour), \"At\"))";
    let live = Schema::parse(live).unwrap().tables;
    let expected = [
        "plays.hour: is text; it should be timestamp",
        "plays.tags: is missing; it should be frozen<list<text>>",
        "plays.owner: is missing; it should be text",
        "plays.tempo: is missing; it should be float",
        "plays: the primary key is another one, or its order is",
        "people: there is no such table",
    ];
    assert_eq!(schema.differences(&live), expected);
    let expected = [
        r#"ALTER TABLE "x"."plays" ADD "tags" frozen<list<text>>"#,
        r#"ALTER TABLE "x"."plays" ADD "owner" text STATIC"#,
        r#"ALTER TABLE "x"."plays" ADD "tempo" float"#,
    ];
    assert_eq!(schema.additions("x", &live), expected);
}
