//! The plugin's own logic, without WebAssembly.

use sluice_plugin::testing::Rig;

use super::*;

/// A rig that knows a song, and what it knows of it as the rows show it.
fn rig() -> (Rig<SongsMinimal>, String) {
    let mut rig = Rig::<SongsMinimal>::new("{}").unwrap();
    let cells =
        "The Quiet Machines,172264,Looms,19691,0.5,0.25,11,-4.5,0,0.0625,0.125,0,0.375,0.75,120";
    let cells: Vec<_> = cells.split(',').collect();
    rig.know(SONGS, "Looms", &cells);
    let known = "artists=\"The Quiet Machines\" duration_ms=\"172264\" album_name=\"Looms\" \
        album_release_date=19691 danceability=0.5 energy=0.25 key=11 loudness=-4.5 mode=0 \
        speechiness=0.0625 acousticness=0.125 instrumentalness=0 liveness=0.375 valence=0.75 \
        tempo=120";
    (rig, known.into())
}

#[test]
fn a_play_is_a_row_in_two_tables() {
    let (rig, known) = rig();
    let unknown: Vec<_> = FEATURES
        .iter()
        .map(|(name, _)| format!("{name}=null"))
        .collect();
    let unknown = unknown.join(" ");
    let hour = "1772467200000";
    let messages = [
        ("Ada", "Looms", "1772467200000", hour, &known),
        ("Ada", "Looms", "1772470799999", hour, &known),
        ("Ada", "Looms", "1772470800000", "1772470800000", &known),
        ("Ada", "looms", "0", "0", &unknown),
        ("", "", "-1", "-3600000", &unknown),
        ("Björk 🎵", "Looms ", "-3600001", "-7200000", &unknown),
        (
            "Ada",
            "Looms",
            "9223372036854775807",
            "9223372036854000000",
            &known,
        ),
        (
            "Ada",
            "Looms",
            "-9223372036854000000",
            "-9223372036854000000",
            &known,
        ),
    ];
    let expected: String = (messages.iter().enumerate())
        .map(|(at, (name, song, time, hour, features))| {
            let play = format!("id={at} name={name:?} song={song:?} timestamp={time} {features}");
            format!("{at} plays: {play}\n{at} plays_by_hour: hour={hour} {play}\n")
        })
        .collect();
    let cells = messages.map(|(name, song, time, ..)| [name, song, time]);
    assert_eq!(rig.run(&cells.each_ref().map(|cells| &cells[..])), expected);
}

#[test]
fn an_hour_begins_within_time() {
    let (rig, _) = rig();
    for time in ["-9223372036854000001", "-9223372036854775808"] {
        let expected = format!(
            "0 rejected time_out_of_range: the hour of {time} ms after 1970 begins before time does\n"
        );
        assert_eq!(rig.run(&[&["Ada", "Looms", time]]), expected);
    }
}

#[test]
fn ids_come_from_positions_and_end() {
    let offset_max = (1 << 24) - 1;
    for (partition, offset, expected) in [
        (0, 0, Some(0)),
        (0, offset_max, Some(0x00ff_ffff)),
        (0, offset_max + 1, None),
        (1, 0, Some(1 << 24)),
        (127, offset_max, Some(i32::MAX)),
        (128, 0, Some(i32::MIN)),
        (255, 0, Some(-1 << 24)),
        (255, offset_max, Some(-1)),
        (255, offset_max + 1, None),
        (256, 0, None),
        (i32::MAX, i64::MAX, None),
        (0, 1 << 32, None),
    ] {
        assert_eq!(id(partition, offset), expected, "{partition} {offset}");
    }
}

#[test]
fn a_message_without_an_id_is_rejected_alone() {
    let (rig, _) = rig();
    let mut messages = rig.messages(&[&["Ada", "Looms", "0"][..]; 3]);
    (messages.partitions, messages.offsets) = (vec![255, 256, 255], vec![7, 7, 1 << 24]);
    let outcome = rig.transform(&messages);
    assert!(outcome.rows.iter().all(|rows| rows.sources == [0]));
    let rejected = outcome.rejected.iter();
    let rejected: Vec<_> = rejected
        .map(|it| (it.message, it.code, it.reason.as_str()))
        .collect();
    let expected = [
        (1, "offset 7 of partition 256"),
        (2, "offset 16777216 of partition 255"),
    ]
    .map(|(message, at)| {
        let end = "ids end with partition 255, and in each with offset 16777215";
        (message, format!("{end}: this is {at}"))
    });
    let expected: Vec<_> = expected
        .iter()
        .map(|(message, reason)| (*message, 0, reason.as_str()))
        .collect();
    assert_eq!(rejected, expected);
}

#[test]
fn only_an_empty_configuration_is_taken() {
    for (config, is_taken) in [("{}", true), ("", true), (r#"{"a":1}"#, false)] {
        assert_eq!(
            Rig::<SongsMinimal>::new(config).is_ok(),
            is_taken,
            "{config}"
        );
    }
}
