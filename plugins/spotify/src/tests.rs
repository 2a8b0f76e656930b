//! The plugin's own logic, without WebAssembly.

use sluice_plugin::testing::Rig;

use super::*;

#[test]
fn plays_are_joined_with_their_songs() {
    let mut rig = Rig::<Spotify>::new("{}").unwrap();
    let features =
        "The Quiet Machines,172264,Looms,19691,0.5,0.25,11,-4.5,0,0.0625,0.125,0,0.375,0.75,120";
    let features: Vec<_> = features.split(',').collect();
    rig.know(SONGS, "Looms", &features);
    rig.know(SONGS, "Known by name only", &["null"; 15]);

    let known = "artists=\"The Quiet Machines\" duration_ms=\"172264\" album_name=\"Looms\" \
        album_release_date=19691 danceability=0.5 energy=0.25 key=11 loudness=-4.5 mode=0 \
        speechiness=0.0625 acousticness=0.125 instrumentalness=0 liveness=0.375 valence=0.75 tempo=120";
    let unknown = "artists=null duration_ms=null album_name=null album_release_date=null \
        danceability=null energy=null key=null loudness=null mode=null speechiness=null \
        acousticness=null instrumentalness=null liveness=null valence=null tempo=null";
    let messages = [
        ("Ada", "Looms", "1767225600000", known),
        ("Ada", "looms", "1767225600001", unknown),
        ("Grace", "Looms ", "-1", unknown),
        ("", "", "0", unknown),
        ("Grace", "Known by name only", "0", unknown),
        (
            "Bj\u{f6}rk \u{1f3b5}",
            "Looms",
            "9223372036854775807",
            known,
        ),
    ];
    let expected: String = (messages.iter().enumerate())
        .map(|(at, (name, song, time, features))| {
            format!("{at} records: name={name:?} timestamp={time} song={song:?} {features}\n")
        })
        .collect();
    let cells = messages.map(|(name, song, time, _)| [name, song, time]);
    assert_eq!(rig.run(&cells.each_ref().map(|cells| &cells[..])), expected);
}

#[test]
fn only_an_empty_configuration_is_taken() {
    for (config, is_taken) in [
        ("{}", true),
        ("{ }", true),
        ("", true),
        (r#"{"a":1}"#, false),
    ] {
        assert_eq!(Rig::<Spotify>::new(config).is_ok(), is_taken, "{config}");
    }
}
