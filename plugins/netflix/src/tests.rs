//! The plugin's own logic, without WebAssembly.

use sluice_plugin::testing::Rig;

use super::*;

const FACTS_OF_SEASON: [&str; 6] = ["Japan", "Hana Nakagawa", "101", "PG", "1998", "s2"];

/// The plugin, with two movies in its catalogue.
fn rig() -> Rig<Netflix> {
    let mut rig = Rig::new("{}").unwrap();
    rig.know(MOVIES, "Lantern Season", &FACTS_OF_SEASON);
    rig.know(MOVIES, "Known by title only", &["null"; 6]);
    rig
}

#[test]
fn ratings_are_joined_with_the_catalogue() {
    let known = "country=\"Japan\" director=\"Hana Nakagawa\" duration=101 rating=\"PG\" \
        release_year=1998 show_id=\"s2\"";
    let bare = "country=null director=null duration=null rating=null release_year=null \
        show_id=null";
    let (season, bare_title) = ("Lantern Season", "Known by title only");
    // Ids by Python: uuid5(uuid5(NAMESPACE_URL, "sluice:position"), "test/0/{offset}/0")
    let ids = [
        "99506b42a2265120b4ec947f1c34f97a",
        "93907ad6fa4c518c8b26a566b0a06cd5",
        "20653bed841351b1a5af210932ba31ad",
    ];
    let messages = [
        ["Bj\u{f6}rk", season, "1", "0"],
        ["Bj\u{f6}rk", season, "10", "-1"],
        ["", bare_title, "5", "9223372036854775807"],
    ];
    let expected: String = (messages.iter().zip(ids).enumerate())
        .map(|(at, ([name, movie, rating, time], id))| {
            let facts = if *movie == season { known } else { bare };
            format!(
                "{at} movie_ratings: name={name:?} timestamp={time} id={id} movie={movie:?} \
                 rating_movie={rating} {facts}\n"
            )
        })
        .collect();
    assert_eq!(
        rig().run(&messages.each_ref().map(|cells| &cells[..])),
        expected
    );
}

#[test]
fn what_cannot_be_joined_is_refused() {
    // What is wrong with the message itself comes first: no catalogue would mend it.
    let cases = [
        (
            "Lantern Season",
            "0",
            "rating_out_of_range: 0 is not from 1 to 10",
        ),
        (
            "Lantern Season",
            "11",
            "rating_out_of_range: 11 is not from 1 to 10",
        ),
        (
            "?",
            "-2147483648",
            "rating_out_of_range: -2147483648 is not from 1 to 10",
        ),
        (
            "lantern season",
            "5",
            "unknown_title: no movie is called \"lantern season\"",
        ),
        (
            "Lantern Season ",
            "5",
            "unknown_title: no movie is called \"Lantern Season \"",
        ),
        ("", "5", "unknown_title: no movie is called \"\""),
    ];
    let expected: String = (cases.iter().enumerate())
        .map(|(at, (_, _, reason))| format!("{at} rejected {reason}\n"))
        .collect();
    let messages = cases.map(|(movie, rating, _)| ["Ada", movie, rating, "0"]);
    assert_eq!(
        rig().run(&messages.each_ref().map(|cells| &cells[..])),
        expected
    );
}

#[test]
fn only_an_empty_configuration_is_taken() {
    for (config, is_taken) in [("{}", true), ("", true), (r#"{"a":1}"#, false)] {
        assert_eq!(Rig::<Netflix>::new(config).is_ok(), is_taken, "{config}");
    }
}
