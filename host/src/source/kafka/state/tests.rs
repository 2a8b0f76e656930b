use super::*;

fn code(plugin: &str) -> Arc<Code> {
    Arc::new(Code {
        plugin: plugin.to_owned(),
        ..Code::default()
    })
}

fn place(partition: i32, offset: i64, generation: u32) -> Place {
    Place {
        partition,
        offset,
        past: Past {
            generation,
            code: code("theirs"),
            ..Past::default()
        },
    }
}

fn span(partition: i32, start: i64, end: i64) -> Span {
    Span {
        partition,
        start,
        end,
    }
}

/// What is due of each partition: its offset, its generation, and whose rows are before it.
fn due(state: &State) -> Vec<(i32, i64, u32, String)> {
    let due = state.due().into_iter();
    due.map(|at| {
        (
            at.partition,
            at.offset,
            at.past.generation,
            at.past.code.plugin.clone(),
        )
    })
    .collect()
}

#[test]
fn a_tail_is_committed_as_what_it_is_and_then_is_pending_again() {
    let mut state = State::of(&code("ours"));
    state.pending = [1, 2].into();
    state.own(place(0, 10, 7));
    state.generation = 7;
    let first = state.begin_tail([place(1, 20, 4)].iter());
    let second = state.begin_tail([place(2, 30, 5)].iter());
    assert!(state.pending.is_empty() && due(&state).is_empty());
    // Our own code changes meanwhile; theirs stays what it is.
    state.trade(&code("newer"), 8);
    let tailed = state.tails.get_mut(&1).unwrap();
    tailed.progress.record(span(1, 20, 25), Some(9));
    let theirs =
        |partition, offset, generation| (partition, offset, generation, "theirs".to_owned());
    assert_eq!(
        due(&state),
        [(0, 10, 8, "newer".to_owned()), theirs(1, 25, 4)]
    );
    state.acknowledge(state.due());
    assert!(due(&state).is_empty());

    // One is taken from us and given back: who reads it from before has no say any more.
    state.release(2);
    assert_eq!(
        state.changes.last(),
        Some(&Change::Released { partition: 2 })
    );
    let third = state.begin_tail([place(2, 31, 5)].iter());
    state.end_tail(second);
    assert!(state.pending.is_empty() && state.ended.is_empty());

    state.end_tail(first);
    state.end_tail(third);
    assert!(state.tails.is_empty());
    assert_eq!(state.pending, [1, 2].into());
    let ended = &state.ended[&1];
    let past = &ended.past;
    assert_eq!(
        (ended.offset, past.generation, past.write_time),
        (25, 4, Some(9))
    );
}

#[test]
fn what_is_written_no_further_than_it_is_committed_leaves_whole() {
    let mut state = State::of(&code("ours"));
    for partition in 0..3 {
        state.own(place(partition, 10, 1));
    }
    state.begin_tail([place(3, 10, 1)].iter());
    let leaving = |state: &State, whole: &[i32], due: &[i32]| {
        let leaving = state.leaving(&[0, 1, 2, 3].into()).into_iter();
        let (found, rest): (Vec<_>, Vec<_>) = leaving.partition(|(_, is_whole)| *is_whole);
        let partitions = |of: Vec<(Place, bool)>| -> Vec<i32> {
            of.into_iter().map(|(place, _)| place.partition).collect()
        };
        assert_eq!(
            (&partitions(found)[..], &partitions(rest)[..]),
            (whole, due)
        );
    };
    // The first has nothing taken; the second is taken further than written, the third is stopped.
    state.note_taken(&[(0, 10), (1, 30)].into());
    leaving(&state, &[0], &[]);
    state
        .owned
        .get_mut(&1)
        .unwrap()
        .record(span(1, 10, 20), None);
    leaving(&state, &[0], &[1]);
    state
        .owned
        .get_mut(&1)
        .unwrap()
        .record(span(1, 20, 30), None);
    state.note_taken(&[(0, 10), (1, 30), (2, 10)].into());
    leaving(&state, &[0, 1, 2], &[]);
    // Rows of what is taken back are there until others are made.
    state.rewind(&[(1, 15)].into(), 2, &BTreeMap::new());
    state.note_taken(&[(0, 10), (1, 15), (2, 10)].into());
    leaving(&state, &[], &[1]);
    state.trade(&code("before"), 3);
    leaving(&state, &[0, 1, 2], &[]);
}

#[test]
fn who_gets_a_partition_late_goes_back_for_the_version_that_was_taken_back() {
    let mut state = State::of(&code("bad"));
    state.rewind(&BTreeMap::new(), 5, &[(0, 30), (1, 7)].into());
    // As long as it runs, it makes its rows again itself.
    assert_eq!(state.start(0, 50, &code("bad")), 50);
    state.trade(&code("before"), 6);
    for (partition, offset, named, expected) in [
        (0, 50, "bad", 30),
        (0, 20, "bad", 20),
        (1, 50, "bad", 7),
        // It never had that one.
        (2, 50, "bad", 50),
        // Somebody else has gone back in it already.
        (0, 50, "before", 50),
        (0, 50, "other", 50),
    ] {
        let start = state.start(partition, offset, &code(named));
        assert_eq!(start, expected, "{partition}, {offset}, {named}");
    }
}
