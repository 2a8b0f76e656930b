//! Plays of songs, joined with what is known of the songs: one row a play, by person, day and hour.

use sluice_plugin::CqlType::{Float, Int, Text, Timestamp};
use sluice_plugin::{
    Batch, Code, Column, Description, Field, Lookup, Outcome, Plugin, Refusal, Target, no_config,
};

const ID: Field = Field::new("id", Int);
const NAME: Field = Field::new("name", Text);
const SONG: Field = Field::new("song", Text);
const TIME: Field = Field::new("time", Timestamp);

/// What is known of a song.
const FEATURES: [Column; 15] = [
    ("artists", Text),
    ("duration_ms", Int),
    ("album_name", Text),
    ("album_release_date", Text),
    ("danceability", Float),
    ("energy", Float),
    ("key", Int),
    ("loudness", Float),
    ("mode", Float),
    ("speechiness", Float),
    ("acousticness", Float),
    ("instrumentalness", Float),
    ("liveness", Float),
    ("valence", Float),
    ("tempo", Float),
];
const SONGS: Lookup = Lookup::new("songs", ("name", Text), &FEATURES);

/// The same, as the table calls it.
const STORED: [Column; 15] = {
    let mut columns = FEATURES;
    let key = &mut columns[6].0;
    assert!(matches!(key.as_bytes(), b"key"));
    *key = "musical_key";
    columns
};
const PLAY: &[Column] = &[
    ("id", Int),
    ("name", Text),
    ("song", Text),
    ("time", Text),
    ("date", Text),
    ("hour", Int),
];
const HISTORY: Target = Target::upsert("listening_history", &[PLAY, &STORED]);

const UNKNOWN_SONG: Code = Code::new("unknown_song");
const TIME_OUT_OF_RANGE: Code = Code::new("time_out_of_range");

const DESCRIPTION: Description = Description {
    fields: &[ID, NAME, SONG, TIME],
    lookups: &[SONGS],
    targets: &[HISTORY],
    codes: &[UNKNOWN_SONG, TIME_OUT_OF_RANGE],
    ..Description::new("listening-history", env!("CARGO_PKG_VERSION"))
};

/// The plugin: it has neither configuration nor state.
pub struct ListeningHistory;

impl Plugin for ListeningHistory {
    fn init(config: &str) -> Result<(Self, Description), String> {
        no_config(config)?;
        Ok((Self, DESCRIPTION))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let (ids, names) = (batch.field(ID), batch.field(NAME));
        let (songs, times) = (batch.field(SONG), batch.field(TIME));
        let features = batch.find(SONGS, &songs);
        out.each(batch, |message, out| {
            // What is wrong with the message itself is told before what the songs lack.
            let clock = Clock::at(times.at(message).bigint())?;
            let (song, features) = (songs.at(message), features.at(message));
            if !features.is_known() {
                return Err(UNKNOWN_SONG.rejected(format!("no song is called `{}`", song.text())));
            }
            out.row(HISTORY, message)
                .cell(ids.at(message))
                .cell(names.at(message))
                .cell(song)
                .text(&clock.time)
                .text(&clock.date)
                .int(clock.hour)
                .cells(features);
            Ok(())
        });
    }
}

/// What the calendar and the clock on the wall say, in UTC.
struct Clock {
    /// `YYYY-MM-DD HH:MM`
    time: String,
    /// `YYYY-MM-DD`
    date: String,
    /// 0 to 23
    hour: i32,
}

impl Clock {
    /// So many milliseconds after 1970 began.
    fn at(millis: i64) -> Result<Self, Refusal> {
        let (year, month, day) = date(millis.div_euclid(DAY));
        if !(0..=9999).contains(&year) {
            let reason = format!("{millis} ms after 1970 is in no year from 0 to 9999");
            return Err(TIME_OUT_OF_RANGE.rejected(reason));
        }
        let minutes = i32::try_from(millis.rem_euclid(DAY) / 60_000).expect("a day is short");
        let (hour, minute) = (minutes / 60, minutes % 60);
        let date = format!("{year:04}-{month:02}-{day:02}");
        let time = format!("{date} {hour:02}:{minute:02}");
        Ok(Self { time, date, hour })
    }
}

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// Year, month and day, so many days after 1970 began. A calendar library would be four times the
/// size of this whole plugin; the tests hold this against one.
fn date(days: i64) -> (i64, i64, i64) {
    // Years that begin in March have their leap day at the end; 400 of them are an era.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

sluice_plugin::export!(ListeningHistory);

#[cfg(test)]
mod tests;
