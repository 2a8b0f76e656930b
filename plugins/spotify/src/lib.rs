//! Plays of songs, joined with what is known of the songs: one row a play, by person and time.

use sluice_plugin::CqlType::{Date, Float, Text, Timestamp, Tinyint};
use sluice_plugin::{
    Batch, Column, Description, Field, Lookup, Outcome, Plugin, Target, no_config,
};

const NAME: Field = Field::new("name", Text);
const SONG: Field = Field::new("song", Text);
const TIMESTAMP: Field = Field::new("timestamp", Timestamp);

/// What is known of a song.
const FEATURES: &[Column] = &[
    ("artists", Text),
    ("duration_ms", Text),
    ("album_name", Text),
    ("album_release_date", Date),
    ("danceability", Float),
    ("energy", Float),
    ("key", Tinyint),
    ("loudness", Float),
    ("mode", Tinyint),
    ("speechiness", Float),
    ("acousticness", Float),
    ("instrumentalness", Float),
    ("liveness", Float),
    ("valence", Float),
    ("tempo", Float),
];
const SONGS: Lookup = Lookup::new("songs", ("name", Text), FEATURES);

const PLAY: &[Column] = &[("name", Text), ("timestamp", Timestamp), ("song", Text)];
const RECORDS: Target = Target::upsert("records", &[PLAY, FEATURES]);

const DESCRIPTION: Description = Description {
    fields: &[NAME, SONG, TIMESTAMP],
    lookups: &[SONGS],
    targets: &[RECORDS],
    ..Description::new("spotify", env!("CARGO_PKG_VERSION"))
};

/// The plugin: it has neither configuration nor state.
pub struct Spotify;

impl Plugin for Spotify {
    fn init(config: &str) -> Result<(Self, Description), String> {
        no_config(config)?;
        Ok((Self, DESCRIPTION))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let (names, times) = (batch.field(NAME), batch.field(TIMESTAMP));
        let songs = batch.field(SONG);
        let features = batch.find(SONGS, &songs);
        for message in batch {
            // A play of an unknown song is a play all the same: its features are null.
            out.row(RECORDS, message)
                .cell(names.at(message))
                .cell(times.at(message))
                .cell(songs.at(message))
                .cells(features.at(message));
        }
    }
}

sluice_plugin::export!(Spotify);

#[cfg(test)]
mod tests;
