use super::*;

/// A generation in which `new` replaced `old`, in the plugin and in one lookup.
fn entry(outcome: Outcome, old: &str, new: &str) -> Generation {
    let code = |digest: &str| Code {
        plugin: digest.to_owned(),
        lookups: [("songs".to_owned(), format!("songs of {digest}"))].into(),
    };
    let trade = Trade {
        code: code(new),
        replaced: code(old),
        ..Trade::default()
    };
    Generation {
        outcome,
        ..Generation::begun(1, &trade)
    }
}

#[test]
fn an_old_file_is_told_from_a_new_deployment() {
    use Outcome::{Abandoned, Deployed, Kept, RolledBack, Running};
    type Case = (
        &'static [(Outcome, &'static str, &'static str)],
        (&'static str, &'static str),
        bool,
    );
    // What happened, the last one first; the file and what the commits name; whether the file is old.
    let cases: &[Case] = &[
        (&[], ("a", "b"), false),
        (&[(Kept, "a", "b")], ("a", "b"), true),
        (&[(Running, "a", "b")], ("a", "b"), true),
        (&[(Abandoned, "a", "b")], ("a", "b"), false),
        (&[(Kept, "a", "b")], ("b", "b"), false),
        (&[(Kept, "a", "b")], ("c", "b"), false),
        (&[(Kept, "b", "c"), (Kept, "a", "b")], ("a", "c"), true),
        // The bad one of a trade that was rolled back.
        (&[(RolledBack, "a", "b")], ("b", "a"), true),
        (&[(RolledBack, "a", "b")], ("a", "b"), false),
        // There and back again.
        (&[(Kept, "b", "a"), (Kept, "a", "b")], ("b", "a"), true),
        // `c` was deployed by a restart after that, so that `a` now may be, too.
        (&[(Kept, "a", "b")], ("a", "c"), false),
        (&[(Kept, "c", "d"), (Kept, "a", "b")], ("a", "d"), false),
        (&[(Deployed, "a", "c")], ("a", "c"), false),
        (&[(Deployed, "b", "c"), (Kept, "a", "b")], ("a", "c"), false),
        (&[(Kept, "c", "a"), (Deployed, "a", "c")], ("c", "a"), true),
    ];
    for (history, (file, committed), expected) in cases {
        let entries: Vec<_> = history.iter().map(|(o, a, b)| entry(*o, a, b)).collect();
        let found = was_traded_away(&entries, Which::Plugin, file, committed);
        assert_eq!(found, *expected, "{history:?}: {file}, {committed}");
        let songs = [file, committed].map(|of| format!("songs of {of}"));
        let which = Which::Lookup("songs");
        let found = was_traded_away(&entries, which, &songs[0], &songs[1]);
        assert_eq!(
            found, *expected,
            "{history:?}: lookups of {file}, {committed}"
        );
        assert!(!was_traded_away(
            &entries,
            Which::Lookup("other"),
            &songs[0],
            &songs[1]
        ));
    }
}

#[test]
fn a_version_ends_what_it_has_begun_unless_it_was_thrown_out() {
    use Outcome::{Abandoned, Deployed, Kept, RolledBack, Running, Unwatched};
    type Case = (
        &'static [(Outcome, &'static str, &'static str)],
        &'static str,
        bool,
    );
    // What happened, the last one first, and by whom that was; whether `a` ends what it has begun, for `b`.
    let cases: &[Case] = &[
        (&[], "Ada", false),
        (&[(Running, "a", "b")], "Ada", true),
        (&[(Kept, "a", "b")], "Ada", true),
        (&[(Abandoned, "a", "b")], "Ada", false),
        (&[(Kept, "b", "a")], "Ada", true),
        (&[(Deployed, "a", "b")], "start", false),
        (&[(Deployed, "a", "b"), (Kept, "c", "a")], "start", false),
        // Another member has gone on to `a`, and a third one runs `b`, or what no trade knows.
        (&[(Kept, "c", "a"), (Kept, "c", "b")], "Ada", true),
        (&[(Kept, "c", "a")], "Ada", false),
        (&[(RolledBack, "b", "a")], "Ada", false),
        // Tried a second time.
        (&[(Running, "b", "a"), (RolledBack, "b", "a")], "Ada", true),
        (&[(Kept, "a", "b"), (Kept, "b", "a")], "Ada", true),
        (&[(Unwatched, "a", "b")], "Ada", true),
        // By several trades, each cut off or not, and whatever was tried in between.
        (&[(Kept, "c", "b"), (Kept, "a", "c")], "Ada", true),
        (&[(Running, "c", "b"), (Unwatched, "a", "c")], "Ada", true),
        (
            &[
                (Kept, "c", "b"),
                (Kept, "d", "c"),
                (RolledBack, "c", "d"),
                (Kept, "a", "c"),
            ],
            "Ada",
            true,
        ),
        (&[(Abandoned, "c", "b"), (Kept, "a", "c")], "Ada", false),
        // To and fro, and killed each time before the probation was over.
        (&[(Running, "a", "b"), (Running, "b", "a")], "Ada", true),
        (&[(Running, "a", "b"), (RolledBack, "b", "a")], "Ada", true),
        // On the way back from `a`, before and after it was written down.
        (&[(Running, "a", "b"), (Running, "b", "a")], WAY_BACK, false),
        (
            &[(Running, "a", "b"), (RolledBack, "b", "a")],
            WAY_BACK,
            false,
        ),
    ];
    for (history, by, expected) in cases {
        let mut entries: Vec<_> = history.iter().map(|(o, a, b)| entry(*o, a, b)).collect();
        if let Some(last) = entries.first_mut() {
            last.by = (*by).to_owned();
        }
        let [old, new] = ["a", "b"].map(|of| entry(Kept, of, of).code);
        let is_it = ends_what_it_began(&entries, &old, &new);
        assert_eq!(is_it, *expected, "{history:?} by {by}");
    }
}

/// Thrown out, then something else came: what was thrown out ends nothing, by however many trades.
#[test]
fn what_was_thrown_out_ends_nothing_later() {
    use Outcome::{Kept, RolledBack};
    let mut entries = [(Kept, "a", "c"), (Kept, "b", "a"), (RolledBack, "a", "b")]
        .map(|(outcome, old, new)| entry(outcome, old, new));
    WAY_BACK.clone_into(&mut entries[1].by);
    let [a, b, c] = ["a", "b", "c"].map(|of| entry(Kept, of, of).code);
    assert!(ends_what_it_began(&entries, &a, &c));
    assert!(!ends_what_it_began(&entries, &b, &c));
    assert!(!ends_what_it_began(&entries, &b, &a));
}

#[test]
fn a_trade_whose_end_nobody_told_is_ended_by_the_next_process() {
    use Outcome::{Abandoned, Kept, RolledBack, Running, Unwatched};
    type Case = (
        &'static [(Outcome, &'static str)],
        &'static str,
        &'static [Option<Outcome>],
    );
    // Outcomes and by whom they were, all from `a` to `b` or, on the way back, from `b` to `a`, the last one
    // first; what the process begins with; how they end.
    let cases: &[Case] = &[
        (&[], "b", &[]),
        (&[(Running, "Ada")], "b", &[Some(Unwatched)]),
        (&[(Running, "Ada")], "a", &[Some(Unwatched)]),
        (
            &[
                (Kept, "Ada"),
                (RolledBack, "Ada"),
                (Abandoned, "Ada"),
                (Unwatched, "Ada"),
            ],
            "b",
            &[None; 4],
        ),
        // It is not known how far the way back was gone, and what is not known was not taken back.
        (
            &[(Running, WAY_BACK), (Running, "Ada")],
            "a",
            &[Some(Kept), Some(Unwatched)],
        ),
        (
            &[(Running, WAY_BACK), (Running, "Ada")],
            "b",
            &[Some(Abandoned), Some(Unwatched)],
        ),
    ];
    for (history, ours, expected) in cases {
        let entries = (1..)
            .zip(history.iter())
            .map(|(generation, (outcome, by))| {
                let (old, new) = if *by == WAY_BACK {
                    ("b", "a")
                } else {
                    ("a", "b")
                };
                Generation {
                    generation,
                    by: (*by).to_owned(),
                    ..entry(*outcome, old, new)
                }
            });
        let ours = entry(Kept, ours, ours).code;
        let ends = left_open(&entries.collect::<Vec<_>>(), &ours);
        let found = ends
            .into_iter()
            .map(|(generation, end)| (generation, end.outcome));
        let expected = (1..).zip(expected.iter());
        let expected = expected.filter_map(|(at, outcome)| Some((at, (*outcome)?)));
        assert!(found.eq(expected), "{history:?}");
    }
}

#[test]
fn a_deployment_that_no_commit_names_came_to_nothing() {
    use Outcome::{Deployed, Kept};
    // Who began with generation 3, and what came of it; the greatest generation and the code of the commits,
    // and what goes on now; whether it came to nothing.
    for (brought, outcome, committed, named, ours, is_nothing) in [
        ("b", Deployed, 2, "a", "a", true),
        ("b", Deployed, 2, "a", "c", true),
        // Once more.
        ("b", Deployed, 2, "a", "b", false),
        // It was committed, and something else is to come, or came.
        ("b", Deployed, 2, "b", "a", false),
        ("b", Deployed, 3, "a", "a", false),
        ("b", Kept, 2, "a", "a", false),
    ] {
        let third = Generation {
            generation: 3,
            ..entry(outcome, "a", brought)
        };
        let [named, ours] = [named, ours].map(|of| entry(Kept, of, of).code);
        let found = never_begun(&[third], committed, [&ours, &named]);
        let expected: &[u32] = if is_nothing { &[3] } else { &[] };
        assert_eq!(found, expected, "{brought} {outcome:?}, {committed}");
    }
}

#[test]
fn what_was_thrown_out_is_no_version_to_go_back_to() {
    use Outcome::{Abandoned, Deployed, Kept, RolledBack, Running};
    type Case = (
        &'static [(Outcome, &'static str, &'static str, &'static str)],
        Option<&'static str>,
    );
    // What happened, the last one first, and by whom that was; what ran before `b`.
    let cases: &[Case] = &[
        (&[], None),
        (&[(Kept, "a", "b", "Ada")], Some("a")),
        (&[(Running, "a", "b", "Ada")], Some("a")),
        (&[(Abandoned, "a", "b", "Ada")], None),
        (&[(Deployed, "a", "b", "start")], Some("a")),
        (&[(Kept, "b", "c", "Ada")], None),
        (
            &[(Kept, "c", "b", "Ada"), (Kept, "a", "b", "Ada")],
            Some("c"),
        ),
        (
            &[(Kept, "c", "b", WAY_BACK), (RolledBack, "b", "c", "Ada")],
            None,
        ),
        (
            &[
                (Kept, "c", "b", WAY_BACK),
                (RolledBack, "b", "c", "Ada"),
                (Kept, "a", "b", "Ada"),
            ],
            Some("a"),
        ),
    ];
    for (history, expected) in cases {
        let entries = history.iter().map(|(outcome, old, new, by)| Generation {
            by: (*by).to_owned(),
            ..entry(*outcome, old, new)
        });
        let entries: Vec<_> = entries.collect();
        let found = before(&entries, &entry(Kept, "b", "b").code);
        let found = found.map(|code| code.plugin.as_str());
        assert_eq!(found, *expected, "{history:?}");
    }
}

#[test]
fn when_a_version_ran_is_known_as_far_as_trades_tell() {
    use Outcome::{Abandoned, Kept, RolledBack, Running};
    type Case = (
        &'static [(Outcome, &'static str, &'static str, &'static str)],
        [Option<i64>; 2],
    );
    // What happened, the last one first, and by whom that was; of the trade with which `a` began and of that
    // with which it ended, how many came before.
    let cases: &[Case] = &[
        (&[], [None, None]),
        (&[(Running, "a", "b", "Ada")], [None, Some(0)]),
        (&[(Kept, "b", "a", "Ada")], [Some(0), None]),
        (
            &[(Kept, "a", "b", "Ada"), (Kept, "c", "a", "Ada")],
            [Some(0), Some(1)],
        ),
        (
            &[
                (Kept, "a", "b", "Ada"),
                (Kept, "d", "a", WAY_BACK),
                (RolledBack, "a", "d", "Ada"),
                (Kept, "c", "a", "Ada"),
            ],
            [Some(0), Some(3)],
        ),
        // It was brought in once more, and what did not stay says nothing.
        (
            &[
                (Kept, "b", "a", "Ada"),
                (Abandoned, "b", "a", "Ada"),
                (Kept, "a", "b", "Ada"),
                (Kept, "d", "a", WAY_BACK),
                (RolledBack, "a", "d", "Ada"),
                (Kept, "c", "a", "Ada"),
            ],
            [Some(5), None],
        ),
    ];
    for (history, expected) in cases {
        let earlier = history.len();
        let entries = (1..).zip(history.iter());
        let entries = entries.map(|(at, (outcome, old, new, by))| Generation {
            by: (*by).to_owned(),
            taken_ms: i64::try_from(earlier - at).unwrap(),
            ..entry(*outcome, old, new)
        });
        let entries: Vec<_> = entries.collect();
        let found = ran(&entries, &entry(Kept, "a", "a").code);
        assert_eq!(found, *expected, "{history:?}");
    }
}

#[test]
fn what_was_only_ever_taken_back_is_known() {
    use Outcome::{Deployed, Kept, RolledBack, Running};
    type Case = (
        &'static [(Outcome, &'static str, &'static str)],
        &'static [&'static str],
    );
    // What happened, the last one first.
    let cases: &[Case] = &[
        (&[], &[]),
        (&[(Running, "a", "b")], &[]),
        // With its way back.
        (&[(Kept, "b", "a"), (RolledBack, "a", "b")], &["b"]),
        (&[(RolledBack, "a", "b")], &["b"]),
        (&[(Deployed, "a", "b"), (RolledBack, "a", "b")], &[]),
        // It was let in later, after all.
        (
            &[(Kept, "a", "b"), (Kept, "b", "a"), (RolledBack, "a", "b")],
            &[],
        ),
        // It ran before, and its letters of then are its own.
        (
            &[(Kept, "a", "b"), (RolledBack, "b", "a"), (Kept, "a", "b")],
            &[],
        ),
        // Only a lookup was another.
        (&[(RolledBack, "a", "a")], &[]),
    ];
    for (history, expected) in cases {
        let entries: Vec<_> = history.iter().map(|(o, a, b)| entry(*o, a, b)).collect();
        let found = taken_back(&entries);
        assert!(found.iter().eq(expected.iter()), "{history:?}: {found:?}");
    }
}

#[test]
fn an_outcome_comes_back_from_its_name() {
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::of(outcome.name()), Some(outcome));
        let json = serde_json::to_value(outcome).unwrap();
        assert_eq!(json, outcome.name());
    }
    assert_eq!(Outcome::of("unheard of"), None);
}
