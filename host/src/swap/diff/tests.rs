//! Differences between answers that are written down by hand.

use expect_test::expect_file;

use super::*;
use crate::message::{Batch, Message};
use crate::row::{self, Column, CqlType, Operation, Rejected, Transformed, push_cell};

/// A row of `t`, whose key is its first cell: `a=1`; or a rejection: `!code`.
type Answer<'a> = &'a [&'a [&'a str]];

fn target(columns: &[&str], operation: Operation) -> Target {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        kind: CqlType::Text,
    };
    Target {
        table: "t".to_owned(),
        operation,
        columns: columns.iter().map(column).collect(),
    }
}

fn transformed(answer: Answer<'_>) -> Transformed {
    let mut batch = Batch::new("topic".into());
    let mut rows = [row::Rows::default(), row::Rows::default()];
    let mut rejected = vec![];
    for (message, made) in answer.iter().enumerate() {
        batch.push(&Message {
            partition: 0,
            offset: i64::try_from(message).unwrap(),
            timestamp: 1,
            key: None,
            value: None,
            headers: b"",
        });
        for row in *made {
            if let Some(code) = row.strip_prefix('!') {
                let (stage, code, reason) = (Stage::Transform, code.into(), "why".to_owned());
                rejected.push(Rejected {
                    message,
                    stage,
                    code,
                    reason,
                });
                continue;
            }
            let (target, cells) = match row.strip_prefix('-') {
                Some(cells) => (1, cells),
                None => (0, *row),
            };
            let rows = &mut rows[target];
            rows.target = target;
            let cells: Vec<_> = cells.split(' ').collect();
            rows.bytes
                .extend(u16::try_from(cells.len()).unwrap().to_be_bytes());
            for cell in cells {
                push_cell(
                    &mut rows.bytes,
                    Some(cell.as_bytes()).filter(|cell| *cell != b"null"),
                );
            }
            rows.ends.push(u32::try_from(rows.bytes.len()).unwrap());
            rows.sources.push(u32::try_from(message).unwrap());
            rows.write_times.push(1);
        }
    }
    let rows: Vec<_> = rows.into_iter().filter(|rows| !rows.is_empty()).collect();
    Transformed {
        batch,
        rows,
        written: 0,
        rejected,
        filtered: vec![],
    }
}

fn diff(
    (old_columns, old): (&[&str], Answer<'_>),
    (new_columns, new): (&[&str], Answer<'_>),
) -> Diff {
    let key = Key {
        partition: vec![0],
        clustering: vec![],
    };
    let keys = [key.clone(), key];
    let codes: [Arc<str>; 1] = ["odd".into()];
    let targets = |columns| {
        [
            target(columns, Operation::Upsert),
            target(&columns[..1], Operation::Delete),
        ]
    };
    let (old_targets, new_targets) = (targets(old_columns), targets(new_columns));
    let side = |targets| Side {
        targets,
        keys: &keys,
        codes: &codes,
    };
    let mut diff = Diff::default();
    let (old, new) = (transformed(old), transformed(new));
    let old = Made::of(&old, side(&old_targets));
    diff.add(&old, &Made::of(&new, side(&new_targets)), 0);
    diff
}

/// What each version made, message by message, and what is told of it.
#[test]
fn a_difference_is_told_by_row_and_column() {
    let cases: &[(Answer<'_>, Answer<'_>)] = &[
        (&[], &[]),
        (&[&["a 1 1"], &["b 1 1"]], &[&["a 1 1"], &["b 1 1"]]),
        (&[&["a 1 1"], &["b 1 1"]], &[&["a 1 2"], &["b null 1"]]),
        // Another order of rows is no difference.
        (&[&["a 1 1", "b 1 1"]], &[&["b 1 1", "a 1 1"]]),
        (&[&["a 1 1"]], &[&["x/a 1 1", "y 1 1"]]),
        (&[&["a 1 1"]], &[&["-a"]]),
        (&[&["a 1 1"]], &[&[]]),
        (&[&["!odd"], &["!odd"]], &[&["a 1 1"], &["!trap"]]),
        (&[&["a 1 1"], &["b 1 1"]], &[&["!odd"], &["!trap"]]),
        // Three examples of each kind are enough.
        (
            &[&["a 1 1", "b 1 1", "c 1 1", "d 1 1"]],
            &[&["a 2 1", "b 2 1", "c 2 1", "d 2 1"]],
        ),
    ];
    let columns = &["k", "v", "w"][..];
    let told = cases.iter().map(|(old, new)| {
        let diff = diff((columns, old), (columns, new));
        format!("{old:?} -> {new:?}\n{diff}\n")
    });
    expect_file!["shown.txt"].assert_eq(&told.collect::<String>());
}

/// Versions that do not declare the same columns, or not in the same order.
#[test]
fn columns_are_compared_by_name() {
    let same = diff(
        (&["k", "v", "w"], &[&["a 1 2"]]),
        (&["k", "w", "v"], &[&["a 2 1"]]),
    );
    assert_eq!((same.tables["t"].same, same.changed_share()), (1, 0.0));
    let fewer = diff((&["k", "v"], &[&["a 1"]]), (&["k"], &[&["a"]]));
    let rows = &fewer.tables["t"];
    assert_eq!((rows.changed, rows.columns["v"]), (1, 1));
    assert_eq!(
        rows.examples[0].columns[0].to_string(),
        "v: 1 -> (left as it is)"
    );
}

#[test]
fn shares_are_of_what_both_take() {
    let check = |old: Answer<'_>, new: Answer<'_>, changed: f64, rejected: f64| {
        let diff = diff((&["k", "v"], old), (&["k", "v"], new));
        assert_eq!(
            (diff.changed_share(), diff.rejected_share()),
            (changed, rejected),
            "{diff}"
        );
    };
    check(&[], &[], 0.0, 0.0);
    check(&[&["a 1"], &["b 1"]], &[&["a 1"], &["b 2"]], 0.5, 0.0);
    check(&[&["a 1"], &["b 1"]], &[&["a 1"], &["!odd"]], 0.0, 0.5);
    check(&[&["a 1"], &["!odd"]], &[&["a 1"], &["b 1"]], 0.0, 0.0);
    check(&[&["a 1"]], &[&["x 1"]], 1.0, 0.0);
}
