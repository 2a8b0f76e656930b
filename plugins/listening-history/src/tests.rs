//! The plugin's own logic, without WebAssembly.

use jiff::ToSpan;
use jiff::civil::Date;
use sluice_plugin::testing::Rig;

use super::*;

#[test]
fn plays_of_known_songs_are_kept_by_day_and_hour() {
    let mut rig = Rig::<ListeningHistory>::new("{}").unwrap();
    let features = "The Quiet Machines,172264,Looms,2023-11-30,0.5,0.25,11,-4.5,0,0.0625,0.125,0,0.375,0.75,120";
    let features: Vec<_> = features.split(',').collect();
    rig.know(SONGS, "Looms", &features);
    rig.know(SONGS, "Known by name only", &["null"; 15]);

    let known = "artists=\"The Quiet Machines\" duration_ms=172264 album_name=\"Looms\" \
        album_release_date=\"2023-11-30\" danceability=0.5 energy=0.25 musical_key=11 loudness=-4.5 \
        mode=0 speechiness=0.0625 acousticness=0.125 instrumentalness=0 liveness=0.375 \
        valence=0.75 tempo=120";
    let nothing = "artists=null duration_ms=null album_name=null album_release_date=null \
        danceability=null energy=null musical_key=null loudness=null mode=null speechiness=null \
        acousticness=null instrumentalness=null liveness=null valence=null tempo=null";
    let row = |id: &str, name: &str, song: &str, time: &str, hour: i32, features: &str| {
        let (date, _) = time.split_once(' ').unwrap();
        format!(
            "listening_history: id={id} name={name:?} song={song:?} time={time:?} date={date:?} \
             hour={hour} {features}"
        )
    };
    let unknown = |song: &str| format!("rejected unknown_song: no song is called `{song}`");
    let no_year = |millis: &str| {
        format!("rejected time_out_of_range: {millis} ms after 1970 is in no year from 0 to 9999")
    };
    let ada = |time: &str, hour| row("7", "Ada", "Looms", time, hour, known);
    #[rustfmt::skip]
    let messages = [
        (["7", "Ada", "Looms", "1772467200000"], ada("2026-03-02 16:00", 16)),
        (["7", "Ada", "Looms", "1772467259999"], ada("2026-03-02 16:00", 16)),
        (["7", "Ada", "Looms", "1772495999999"], ada("2026-03-02 23:59", 23)),
        (["7", "Ada", "Looms", "1709164800000"], ada("2024-02-29 00:00", 0)),
        (["7", "Ada", "Looms", "-1"], ada("1969-12-31 23:59", 23)),
        (["7", "Ada", "Looms", "-62167219200000"], ada("0000-01-01 00:00", 0)),
        (["7", "Ada", "Looms", "-62167219200001"], no_year("-62167219200001")),
        (["7", "Ada", "Looms", "253402300799999"], ada("9999-12-31 23:59", 23)),
        (["7", "Ada", "Looms", "253402300800000"], no_year("253402300800000")),
        (["7", "Ada", "Looms", "9223372036854775807"], no_year("9223372036854775807")),
        (["7", "Ada", "Looms", "-9223372036854775808"], no_year("-9223372036854775808")),
        (["7", "Ada", "looms", "0"], unknown("looms")),
        (["7", "Ada", "Looms ", "0"], unknown("Looms ")),
        (["7", "Ada", "", "0"], unknown("")),
        (["7", "Ada", "looms", "9223372036854775807"], no_year("9223372036854775807")),
        (["-2147483648", "", "Looms", "0"], row("-2147483648", "", "Looms", "1970-01-01 00:00", 0, known)),
        (["99999", "Björk 🎵", "Known by name only", "0"],
            row("99999", "Björk 🎵", "Known by name only", "1970-01-01 00:00", 0, nothing)),
    ];
    let expected: String = (messages.iter().enumerate())
        .map(|(at, (_, outcome))| format!("{at} {outcome}\n"))
        .collect();
    let cells = messages.each_ref().map(|(cells, _)| &cells[..]);
    assert_eq!(rig.run(&cells), expected);
}

#[test]
fn every_day_has_its_date() {
    let (first, last) = (-719_528, 2_932_896);
    let mut expected = Date::new(0, 1, 1).unwrap();
    for days in first..=last {
        let (year, month, day) = (expected.year(), expected.month(), expected.day());
        assert_eq!(
            date(days),
            (year.into(), month.into(), day.into()),
            "{days}"
        );
        expected = expected.saturating_add(1.day());
    }
    assert_eq!((expected, date(last)), (Date::MAX, (9999, 12, 31)));
}

#[test]
fn only_an_empty_configuration_is_taken() {
    for (config, is_taken) in [("{}", true), ("", true), (r#"{"a":1}"#, false)] {
        assert_eq!(
            Rig::<ListeningHistory>::new(config).is_ok(),
            is_taken,
            "{config}"
        );
    }
}
