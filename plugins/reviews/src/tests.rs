//! The plugin's own logic, without WebAssembly.

use sluice_plugin::testing::Rig;

use super::*;

const KNOWN_ONLY: &str = r#"{"known_titles_only": true}"#;

/// A message, and what becomes of it.
type Case = (&'static str, &'static str, &'static str, &'static str);

#[track_caller]
fn check(rig: &Rig<Reviews>, cases: &[Case]) {
    let messages: Vec<_> = (cases.iter())
        .map(|&(movie, rating, time, _)| ["Bj\u{f6}rk", movie, rating, time])
        .collect();
    let expected: String = (cases.iter().enumerate())
        .map(|(at, (movie, rating, time, outcome))| match outcome.strip_prefix("hour ") {
            Some(hour) => format!(
                "{at} records: name=\"Bj\u{f6}rk\" hour={hour} time={time} movie={movie:?} rating={rating}\n"
            ),
            None => format!("{at} rejected {outcome}\n"),
        })
        .collect();
    let messages: Vec<&[&str]> = messages.iter().map(|cells| &cells[..]).collect();
    assert_eq!(rig.run(&messages), expected);
}

#[test]
fn times_are_cut_to_the_hour() {
    check(
        &Rig::new("{}").unwrap(),
        &[
            ("A", "1", "0", "hour 0"),
            ("A", "2", "3599999", "hour 0"),
            ("A", "3", "3600000", "hour 3600000"),
            ("A", "4", "1772467501007", "hour 1772467200000"),
            ("A", "5", "-1", "hour -3600000"),
            ("A", "6", "-3600000", "hour -3600000"),
            ("A", "7", "-3600001", "hour -7200000"),
            ("A", "8", "9223372036854775807", "hour 9223372036854000000"),
            (
                "A",
                "9",
                "-9223372036854775808",
                "time_out_of_range: the hour of -9223372036854775808 ms after 1970 begins before time \
                 does",
            ),
        ],
    );
}

#[test]
fn titles_are_held_against_the_list_when_asked_to() {
    let cases: [Case; 6] = [
        ("Lantern Season", "10", "0", "hour 0"),
        (
            "lantern season",
            "1",
            "0",
            "unknown_title: no movie is called \"lantern season\"",
        ),
        ("", "5", "0", "unknown_title: no movie is called \"\""),
        (
            "Lantern Season",
            "0",
            "0",
            "rating_out_of_range: 0 is not from 1 to 10",
        ),
        (
            "Lantern Season",
            "11",
            "0",
            "rating_out_of_range: 11 is not from 1 to 10",
        ),
        (
            "?",
            "-1",
            "0",
            "rating_out_of_range: -1 is not from 1 to 10",
        ),
    ];
    let mut rig = Rig::new(KNOWN_ONLY).unwrap();
    rig.know(MOVIES, "Lantern Season", &[]);
    check(&rig, &cases);
    let taken = cases.map(|(movie, rating, time, outcome)| {
        let is_unknown = outcome.starts_with("unknown_title");
        (
            movie,
            rating,
            time,
            if is_unknown { "hour 0" } else { outcome },
        )
    });
    for config in ["{}", r#"{"known_titles_only": false}"#] {
        check(&Rig::new(config).unwrap(), &taken);
    }
}

#[test]
fn what_is_no_setting_is_refused_by_its_name() {
    for (config, expected) in [
        (
            r#"{"known_title_only": true}"#,
            "unknown field `known_title_only`, expected `known_titles_only`",
        ),
        (
            r#"{"known_titles_only": 1}"#,
            "invalid type: integer `1`, expected a boolean",
        ),
        (
            r#"{"known_titles_only": true, "known_titles_only": true}"#,
            "duplicate field `known_titles_only`",
        ),
    ] {
        let refused = Rig::<Reviews>::new(config).err().unwrap();
        assert!(refused.starts_with(expected), "{config}: {refused}");
    }
}
