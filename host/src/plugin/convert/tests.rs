use proptest::prelude::*;

use super::*;
use crate::message::Message;
use crate::plugin::bindings::{Cells as Packed, Filtered as FilteredMessage, Rejection};
use crate::row::{Column, CqlType, Key, Operation, Target, push_cell};

fn shapes() -> Vec<Shape> {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    let target = Target {
        table: "facts".to_owned(),
        operation: Operation::Upsert,
        columns: vec![column("id", CqlType::Text), column("number", CqlType::Int)],
    };
    let key = Key {
        partition: vec![0],
        clustering: vec![],
    };
    Shape::all(&[target.clone(), target], &[key.clone(), key]).unwrap()
}

fn batch(messages: i64) -> Batch {
    let mut batch = Batch::new("topic".into());
    for offset in 0..messages {
        let value = Some(&b"x"[..]);
        batch.push(&Message {
            partition: 0,
            offset,
            timestamp: offset,
            key: None,
            value,
            headers: b"",
        });
    }
    batch.stamp(|_, timestamp| Some(timestamp * 10));
    batch
}

fn row(id: &str, number: &[u8]) -> Vec<u8> {
    let mut row = vec![0, 2];
    push_cell(&mut row, Some(id.as_bytes()));
    push_cell(&mut row, Some(number));
    row
}

fn rows(target: u16, rows: &[(u32, Vec<u8>)]) -> bindings::Rows {
    bindings::Rows {
        target,
        rows: Packed {
            bytes: rows.iter().flat_map(|(_, row)| row).copied().collect(),
            lengths: rows
                .iter()
                .map(|(_, row)| i32::try_from(row.len()).unwrap())
                .collect(),
        },
        sources: rows.iter().map(|(source, _)| *source).collect(),
    }
}

/// What an outcome becomes, for messages 1.. of a batch.
fn take(messages: usize, outcome: Outcome) -> Result<Answer, Fault> {
    let shapes = shapes();
    let codes = [(Arc::from("odd"), false), (Arc::from("dull"), true)];
    let rules = Rules {
        shapes: &shapes,
        codes: &codes,
        rows_max: 1 << 20,
    };
    let sources: Vec<u32> = (1..).take(messages).collect();
    let mut answer = Answer::new(2);
    let batch = batch(i64::try_from(messages + 1).unwrap());
    answer
        .take(outcome, &batch, &sources, &rules)
        .map(|()| answer)
}

#[test]
fn good_rows_are_taken_over_and_bad_ones_leave_with_their_message() {
    let (good, bad) = (7_i32.to_be_bytes(), [0]);
    let outcome = Outcome {
        rows: vec![
            rows(
                0,
                &[
                    (0, row("a", &good)),
                    (1, row("b", &good)),
                    (2, row("c", &bad)),
                ],
            ),
            rows(
                1,
                &[
                    (1, row("b2", &good)),
                    (2, row("c2", &good)),
                    (2, row("c3", &good)),
                ],
            ),
            rows(
                0,
                &[
                    (3, row("d", &good)),
                    (4, row("e", &good)),
                    (4, row("e", &good)),
                ],
            ),
        ],
        rejected: vec![Rejection {
            message: 5,
            code: 0,
            reason: "why".into(),
        }],
        filtered: vec![FilteredMessage {
            message: 6,
            code: 0,
        }],
    };
    let (rows, written, rejected, filtered) = take(7, outcome).unwrap().finish();
    let sources: Vec<_> = rows.iter().map(|rows| rows.sources.clone()).collect();
    assert_eq!(sources, [vec![1, 2, 4], vec![2]]);
    assert_eq!(rows[0].row(2), row("d", &good));
    assert_eq!(rows[0].write_times, [10, 20, 40]);
    assert_eq!(written, 3);
    let codes: Vec<_> = rejected.iter().map(|it| (it.message, &*it.code)).collect();
    assert_eq!(codes, [(3, "bad_row"), (5, "duplicate_row"), (6, "odd")]);
    assert_eq!((&*filtered[0].code, filtered[0].messages), ("odd", 1));
}

#[test]
fn one_key_through_two_targets_of_a_table_is_a_duplicate() {
    let number = 7_i32.to_be_bytes();
    let groups = vec![
        rows(0, &[(0, row("a", &number))]),
        rows(1, &[(0, row("a", &number))]),
    ];
    let (rows, _, rejected, _) = take(
        1,
        Outcome {
            rows: groups,
            ..Outcome::default()
        },
    )
    .unwrap()
    .finish();
    assert!(rows.is_empty());
    assert_eq!(&*rejected[0].code, "duplicate_row");
}

fn any_rows() -> impl Strategy<Value = bindings::Rows> {
    let row = prop_oneof![
        Just(row("a", &7_i32.to_be_bytes())),
        "[a-z]{0,3}".prop_map(|id| row(&id, &7_i32.to_be_bytes())),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    let list = prop::collection::vec((0..6_u32, row), 0..6);
    (0..3_u16, list).prop_map(|(target, list)| rows(target, &list))
}

proptest! {
    /// Whatever a plugin answers: each message has one outcome, or the call has failed.
    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(
        groups in prop::collection::vec(any_rows(), 0..4),
        rejected in prop::collection::vec((0..7_u32, 0..3_u16), 0..3),
        filtered in prop::collection::vec((0..7_u32, 0..3_u16), 0..3),
        messages in 0..6_usize,
    ) {
        let rejection = |(message, code)| Rejection { message, code, reason: String::new() };
        let outcome = Outcome {
            rows: groups,
            rejected: rejected.into_iter().map(rejection).collect(),
            filtered: filtered.into_iter().map(|(message, code)| FilteredMessage { message, code }).collect(),
        };
        if let Ok(answer) = take(messages, outcome) {
            let (rows, written, rejected, filtered) = answer.finish();
            let filtered: usize = filtered.iter().map(|it| it.messages).sum();
            prop_assert_eq!(written + rejected.len() + filtered, messages);
            let sources: HashSet<_> = rows.iter().flat_map(|rows| &rows.sources).collect();
            prop_assert_eq!(sources.len(), written);
            for rows in &rows {
                prop_assert_eq!(rows.ends.last().copied().unwrap_or(0) as usize, rows.bytes.len());
                prop_assert_eq!(rows.sources.len(), rows.len());
                prop_assert_eq!(rows.write_times.len(), rows.len());
            }
        }
    }
}
