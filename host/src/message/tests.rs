//! What a batch keeps of its messages.

use super::*;

fn message<'a>(partition: i32, offset: i64, value: Option<&'a [u8]>) -> Message<'a> {
    Message {
        partition,
        offset,
        timestamp: 7,
        key: Some(b"k"),
        value,
        headers: b"\0\0",
    }
}

#[test]
fn parts_come_back_as_they_went_in() {
    let mut batch = Batch::new("plays".into());
    let given = [
        message(0, 3, Some(b"one")),
        message(1, 0, None),
        message(0, 5, Some(b"")),
    ];
    given.iter().for_each(|message| batch.push(message));
    assert!(batch.messages().eq(given));
    assert_eq!(batch.counts(), [(0, 2), (1, 1)].into());
    let spans = [
        Span {
            partition: 0,
            start: 3,
            end: 6,
        },
        Span {
            partition: 1,
            start: 0,
            end: 1,
        },
    ];
    assert_eq!(batch.spans(), spans);
}

#[test]
fn headers_are_unpacked() {
    let packed = b"\0\x02\0\0\0\x01a\0\0\0\x02hi\0\0\0\x01b\xff\xff\xff\xff";
    let unpacked = [("a".into(), Some(&b"hi"[..])), ("b".into(), None)];
    assert_eq!(headers(packed), unpacked);
    assert_eq!(headers(b""), []);
    assert_eq!(headers(b"\0\x01\0\0\0\x09a"), []);
}

#[test]
fn a_write_time_from_before_is_kept() {
    let mut batch = Batch::new("plays".into());
    batch.push(&message(0, 0, None));
    batch.push_again(&message(0, 1, None), Some(3));
    batch.stamp(|_, timestamp| Some(timestamp * 1_000));
    assert_eq!(
        [0, 1].map(|index| batch.write_time(index)),
        [Some(7_000), Some(3)]
    );
}

#[test]
fn what_is_given_up_is_not_covered() {
    let mut batch = Batch::new("plays".into());
    batch.push(&message(0, 3, Some(b"one")));
    batch.push(&message(1, 0, Some(b"two")));
    batch.cover(0, 4, 6);
    batch.push(&message(0, 7, Some(b"three")));
    batch.push(&message(2, 5, Some(b"four")));
    batch.push(&message(0, 8, None));
    batch.cover(1, 1, 9);
    let check = |messages: usize, expected: &[(i32, i64, i64)], bytes: usize| {
        let mut batch = batch.clone();
        let kept: Vec<_> = given(&batch).into_iter().take(messages).collect();
        batch.truncate(messages);
        let spans = batch.spans().iter();
        let spans: Vec<_> = spans
            .map(|span| (span.partition, span.start, span.end))
            .collect();
        assert_eq!((&spans[..], batch.bytes_len()), (expected, bytes));
        assert_eq!(given(&batch), kept);
    };
    check(9, &[(0, 3, 9), (1, 0, 9), (2, 5, 6)], 30);
    check(4, &[(0, 3, 8), (1, 0, 9), (2, 5, 6)], 27);
    // Offsets without a message before one that is given up may be covered; those behind may not.
    check(3, &[(0, 3, 8), (1, 0, 9)], 20);
    check(2, &[(0, 3, 7), (1, 0, 9)], 12);
    check(1, &[(0, 3, 7)], 6);
    check(0, &[], 0);
}

fn given(batch: &Batch) -> Vec<(i32, i64, Option<Vec<u8>>)> {
    let messages = batch.messages();
    let given = |message: Message<'_>| {
        let value = message.value.map(<[u8]>::to_vec);
        (message.partition, message.offset, value)
    };
    messages.map(given).collect()
}

#[test]
fn released_partitions_are_not_covered() {
    let mut batch = Batch::new("plays".into());
    batch.push(&message(0, 0, None));
    batch.push(&message(1, 0, None));
    batch.cover(1, 1, 4);
    batch.release(|partition| partition == 0);
    assert_eq!(
        batch.spans(),
        [Span {
            partition: 1,
            start: 0,
            end: 4
        }]
    );
    assert_eq!(batch.len(), 2);
}
