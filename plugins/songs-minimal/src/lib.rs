//! Plays of songs with what is known of the songs, twice: by number, and by person and hour.

use sluice_plugin::CqlType::{Date, Float, Int, Text, Timestamp, Tinyint};
use sluice_plugin::{
    Batch, Code, Column, Description, Field, Lookup, Outcome, Plugin, Target, Wants, no_config,
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

const PLAY: &[Column] = &[
    ("id", Int),
    ("name", Text),
    ("song", Text),
    ("timestamp", Timestamp),
];
const HOUR: &[Column] = &[("hour", Timestamp)];
const PLAYS: Target = Target::upsert("plays", &[PLAY, FEATURES]);
const PLAYS_BY_HOUR: Target = Target::upsert("plays_by_hour", &[HOUR, PLAY, FEATURES]);

const ID_EXHAUSTED: Code = Code::new("id_exhausted");
const TIME_OUT_OF_RANGE: Code = Code::new("time_out_of_range");

const DESCRIPTION: Description = Description {
    fields: &[NAME, SONG, TIMESTAMP],
    lookups: &[SONGS],
    targets: &[PLAYS, PLAYS_BY_HOUR],
    codes: &[ID_EXHAUSTED, TIME_OUT_OF_RANGE],
    wants: &[Wants::POSITIONS],
    ..Description::new("songs-minimal", env!("CARGO_PKG_VERSION"))
};

/// The plugin: it has neither configuration nor state.
pub struct SongsMinimal;

impl Plugin for SongsMinimal {
    fn init(config: &str) -> Result<(Self, Description), String> {
        no_config(config)?;
        Ok((Self, DESCRIPTION))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let (names, times) = (batch.field(NAME), batch.field(TIMESTAMP));
        let songs = batch.field(SONG);
        let features = batch.find(SONGS, &songs);
        out.each(batch, |message, out| {
            let (partition, offset) = batch.position(message);
            let id = id(partition, offset).ok_or_else(|| {
                let end = "ids end with partition 255, and in each with offset 16777215";
                let reason = format!("{end}: this is offset {offset} of partition {partition}");
                ID_EXHAUSTED.rejected(reason)
            })?;
            let millis = times.at(message).bigint();
            let hour = hour(millis).ok_or_else(|| {
                let reason = format!("the hour of {millis} ms after 1970 begins before time does");
                TIME_OUT_OF_RANGE.rejected(reason)
            })?;
            let (name, song) = (names.at(message), songs.at(message));
            // A play of an unknown song is a play all the same: its features are null.
            let (time, features) = (times.at(message), features.at(message));
            out.row(PLAYS, message)
                .int(id)
                .cell(name)
                .cell(song)
                .cell(time)
                .cells(features);
            out.row(PLAYS_BY_HOUR, message)
                .timestamp(hour)
                .int(id)
                .cell(name)
                .cell(song)
                .cell(time)
                .cells(features);
            Ok(())
        });
    }
}

/// A message's number, if it has one: its partition in the upper 8 bits, its offset in the lower
/// 24. From partition 128 on it is negative.
fn id(partition: i32, offset: i64) -> Option<i32> {
    let partition = u8::try_from(partition).ok()?;
    let offset = u32::try_from(offset)
        .ok()
        .filter(|offset| offset >> 24 == 0)?;
    Some((u32::from(partition) << 24 | offset).cast_signed())
}

/// The first millisecond of a time's hour.
fn hour(time: i64) -> Option<i64> {
    time.checked_sub(time.rem_euclid(3_600_000))
}

sluice_plugin::export!(SongsMinimal);

#[cfg(test)]
mod tests;
