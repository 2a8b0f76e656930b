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
    use Outcome::{Abandoned, Kept, RolledBack, Running};
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
    use Outcome::{Abandoned, Kept, RolledBack, Running};
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
        // Another member has gone on to `a`, and a third one runs `b`, or what no trade knows.
        (&[(Kept, "c", "a"), (Kept, "c", "b")], "Ada", true),
        (&[(Kept, "c", "a")], "Ada", false),
        (&[(RolledBack, "b", "a")], "Ada", false),
        // Tried a second time.
        (&[(Running, "b", "a"), (RolledBack, "b", "a")], "Ada", true),
        (&[(Kept, "a", "b"), (Kept, "b", "a")], "Ada", true),
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

#[test]
fn what_was_only_ever_taken_back_is_known() {
    use Outcome::{Kept, RolledBack, Running};
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
