use super::*;

fn order(state: State, turn: Option<&str>, taken: &[(&str, Outcome, &str)]) -> Order {
    let taken = taken.iter().map(|(member, outcome, reason)| Taken {
        member: (*member).to_owned(),
        outcome: *outcome,
        reason: (*reason).to_owned(),
    });
    Order {
        id: String::new(),
        wanted: Wanted::default(),
        by: String::new(),
        consent: Consent::Given,
        state,
        turn: turn.map(str::to_owned),
        taken: taken.collect(),
    }
}

#[test]
fn hosts_take_turns_until_one_fails() {
    use Outcome::{Kept, Probation, Proving, Refused, RolledBack};
    type Case<'a> = (State, Option<&'a str>, &'a [(&'a str, Outcome)], Next);
    let done = Next::End(State::Done);
    let stopped = || Next::End(State::Stopped);
    // What host `b` of `a` and `b` does.
    let cases: [Case<'_>; 13] = [
        (State::Open, None, &[], Next::Take),
        (State::Open, Some("a"), &[], Next::Wait),
        (State::Open, Some("a"), &[("a", Proving)], Next::Wait),
        (State::Open, Some("a"), &[("a", RolledBack)], Next::Wait),
        (State::Open, None, &[("a", Kept)], Next::Take),
        (State::Open, None, &[("b", Kept)], Next::Wait),
        (State::Open, None, &[("a", Kept), ("b", Kept)], done),
        // Who is gone needs no turn, and had one.
        (State::Open, None, &[("gone", Kept)], Next::Take),
        (State::Open, None, &[("a", RolledBack)], stopped()),
        (State::Open, None, &[("a", Refused)], stopped()),
        // It ended in its turn, as this host did under the same name.
        (State::Open, None, &[("gone", Probation)], stopped()),
        (State::Open, None, &[("b", Proving)], stopped()),
        (State::Stopped, None, &[("a", Refused)], Next::Wait),
    ];
    for (state, turn, taken, expected) in cases {
        let taken: Vec<_> = taken
            .iter()
            .map(|(member, it)| (*member, *it, "so"))
            .collect();
        let order = order(state, turn, &taken);
        let next = match order.is_free() {
            true => order.next("b", &["a", "b"].map(str::to_owned)),
            false => Next::Wait,
        };
        assert_eq!(next, expected, "{order:?}");
    }
}

#[test]
fn who_runs_what_is_told_where_an_order_stops() {
    let turns = [
        ("a", Outcome::Kept, ""),
        ("b", Outcome::RolledBack, "it traps"),
        ("c", Outcome::Kept, ""),
    ];
    for (taken, words) in [
        (&turns[..], "b: it traps\nit is kept by a, c; the others"),
        (&turns[1..2], "b: it traps\nno other host"),
    ] {
        let told = order(State::Stopped, None, taken).obstacle();
        assert!(told.starts_with(words), "{told}");
    }
}

#[test]
fn names_in_the_table_come_back() {
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::of(outcome.name()), Some(outcome));
    }
    for state in State::ALL {
        assert_eq!(State::of(state.name()), Some(state));
    }
    assert_eq!((Outcome::of("new"), State::of("new")), (None, None));
}
