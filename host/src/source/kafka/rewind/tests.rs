//! Where a group goes back to, and up to where, from what its log and its commits say.

use super::*;

/// Where one partition goes, by its log, its commit, and the first offset of the time.
fn go(log: [i64; 2], next: i64, since: Option<i64>, again: &Again) -> Result<Step, String> {
    let stand = stand(log, next, since);
    steps(vec![stand], again, &Until::Now)
        .map(|mut steps| steps.remove(0))
        .map_err(|faults| faults.join("\n"))
}

fn stand(log: [i64; 2], next: i64, since: Option<i64>) -> Stand {
    Stand {
        partition: 3,
        low: log[0],
        end: log[1],
        next,
        since,
        before: None,
        is_made_anew: false,
        knows_write_time: true,
        committed: next,
        past: Past::default(),
    }
}

#[test]
fn a_group_reads_again_up_to_a_place_and_goes_on_where_it_was() {
    let to = |offset| Until::Offsets([(3, offset)].into());
    let skip = |from| Some(Skip { from, to: 30 });
    // Up to where, the first offset of that time: then from, to, and what is left out.
    let cases = [
        (to(20), None, 10, 20, skip(20)),
        (to(30), None, 10, 30, None),
        (to(45), None, 10, 30, None),
        (to(11), None, 10, 11, skip(11)),
        (to(10), None, 30, 30, None),
        (to(0), None, 30, 30, None),
        (Until::Offsets(BTreeMap::new()), None, 10, 30, None),
        (Until::Time(1), Some(25), 10, 25, skip(25)),
        (Until::Time(1), Some(40), 10, 30, None),
        (Until::Time(1), Some(5), 30, 30, None),
        // Nothing is of that time or later.
        (Until::Time(1), None, 10, 30, None),
    ];
    for (until, before, from, to, skip) in cases {
        let mut stand = stand([0, 50], 30, None);
        stand.before = before;
        let again = Again::From([(3, 10)].into());
        let steps = steps(vec![stand], &again, &until).unwrap();
        let step = &steps[0];
        let found = (step.from, step.to, step.messages, step.past.skip);
        assert_eq!(found, (from, to, to - from, skip), "{until:?} {before:?}");
    }
    let missing = Until::Offsets([(4, 0)].into());
    let refused = steps(vec![stand([0, 50], 30, None)], &Again::Beginning, &missing);
    assert!(refused.unwrap_err()[0].contains("no partition 4"));
}

#[test]
fn a_group_goes_back_and_never_ahead() {
    let offset = |offset| Again::From([(3, offset)].into());
    // The log, the commit, the first offset of the time: then the place, and how many messages.
    let cases = [
        ([0, 50], 30, None, Again::Beginning, 0, 30),
        ([12, 50], 30, None, Again::Beginning, 12, 18),
        ([0, 0], 0, None, Again::Beginning, 0, 0),
        // What was never read is gone: the log's first offset is the nearest there is.
        ([12, 50], 5, None, Again::Beginning, 12, 0),
        // The topic was made anew.
        ([0, 10], 30, None, Again::Beginning, 0, 10),
        ([0, 50], 30, Some(20), Again::Since(1), 20, 10),
        ([0, 50], 30, Some(30), Again::Since(1), 30, 0),
        // Later than what was read: nothing is left out for that.
        ([0, 50], 30, Some(40), Again::Since(1), 30, 0),
        ([0, 50], 30, None, Again::Since(1), 30, 0),
        ([0, 50], 30, None, offset(0), 0, 30),
        ([12, 50], 30, None, offset(12), 12, 18),
        ([0, 50], 30, None, offset(30), 30, 0),
        ([12, 50], 5, None, offset(12), 12, 0),
        // Of another partition.
        ([12, 50], 5, None, Again::From(BTreeMap::new()), 5, 0),
    ];
    for (log, next, since, again, from, messages) in cases {
        let step = go(log, next, since, &again).unwrap();
        let expected = (from, messages);
        assert_eq!(
            (step.from, step.messages),
            expected,
            "{log:?} {next} {again:?}"
        );
    }
}

#[test]
fn what_cannot_be_read_again_is_refused_with_the_numbers() {
    let offset = |offset| Again::From([(3, offset)].into());
    let cases: [([i64; 2], i64, Again, &[&str]); 6] = [
        (
            [12, 50],
            30,
            offset(11),
            &["11 is not in the log", "12 to 50", "3=12"],
        ),
        (
            [12, 50],
            30,
            offset(51),
            &["51 is not in the log", "12 to 50"],
        ),
        ([12, 50], 30, offset(31), &["31 is ahead", "goes on at 30"]),
        (
            [12, 50],
            5,
            Again::Since(1),
            &["go on at 5", "12 to 50", "3=12"],
        ),
        ([0, 10], 30, Again::Since(1), &["go on at 30", "0 to 10"]),
        (
            [0, 50],
            30,
            Again::From([(4, 0)].into()),
            &["no partition 4"],
        ),
    ];
    for (log, next, again, words) in cases {
        let fault = go(log, next, Some(20), &again).unwrap_err();
        for word in words {
            assert!(fault.contains(word), "{word:?} is not said: {fault}");
        }
    }
}
