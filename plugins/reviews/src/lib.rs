//! Ratings of movies: one row a rating, by person and hour. Titles are taken as they come, or held
//! against a list of movies.

use serde::Deserialize;
use sluice_plugin::CqlType::{Int, Text, Timestamp};
use sluice_plugin::{
    Batch, Code, Column, Description, Field, Found, Lookup, Outcome, Plugin, Target,
};

const NAME: Field = Field::new("name", Text);
const MOVIE: Field = Field::new("movie", Text);
const RATING: Field = Field::new("rating", Int);
const TIMESTAMP: Field = Field::new("timestamp", Timestamp);

/// Nothing is looked up but whether the title is there.
const MOVIES: Lookup = Lookup::new("movies", ("title", Text), &[]);

const REVIEW: &[Column] = &[
    ("name", Text),
    ("hour", Timestamp),
    ("time", Timestamp),
    ("movie", Text),
    ("rating", Int),
];
const RECORDS: Target = Target::upsert("records", &[REVIEW]);

const UNKNOWN_TITLE: Code = Code::new("unknown_title");
const RATING_OUT_OF_RANGE: Code = Code::new("rating_out_of_range");
const TIME_OUT_OF_RANGE: Code = Code::new("time_out_of_range");

const HOUR_MS: i64 = 3_600_000;

/// The plugin, and at once its configuration: all the state that it has.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reviews {
    /// Whether a title that the list of movies lacks is refused.
    known_titles_only: bool,
}

impl Plugin for Reviews {
    fn init(config: &str) -> Result<(Self, Description), String> {
        let plugin: Self = serde_json::from_str(config).map_err(|error| error.to_string())?;
        // Without a use for the list its file need not be there.
        let lookups: &[Lookup] = if plugin.known_titles_only {
            &[MOVIES]
        } else {
            &[]
        };
        let description = Description {
            fields: &[NAME, MOVIE, RATING, TIMESTAMP],
            lookups,
            targets: &[RECORDS],
            codes: &[UNKNOWN_TITLE, RATING_OUT_OF_RANGE, TIME_OUT_OF_RANGE],
            ..Description::new("reviews", env!("CARGO_PKG_VERSION"))
        };
        Ok((plugin, description))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let (names, times) = (batch.field(NAME), batch.field(TIMESTAMP));
        let (movies, ratings) = (batch.field(MOVIE), batch.field(RATING));
        let listed = self.known_titles_only.then(|| batch.find(MOVIES, &movies));
        out.each(batch, |message, out| {
            let (movie, rating) = (movies.at(message), ratings.at(message).int());
            if !(1..=10).contains(&rating) {
                return Err(RATING_OUT_OF_RANGE.rejected(format!("{rating} is not from 1 to 10")));
            }
            let time = times.at(message);
            let hour = hour(time.bigint()).ok_or_else(|| {
                let millis = time.bigint();
                let reason = format!("the hour of {millis} ms after 1970 begins before time does");
                TIME_OUT_OF_RANGE.rejected(reason)
            })?;
            let is_unknown = |listed: &Found| !listed.at(message).is_known();
            if listed.as_ref().is_some_and(is_unknown) {
                let reason = format!("no movie is called {:?}", movie.text());
                return Err(UNKNOWN_TITLE.rejected(reason));
            }
            out.row(RECORDS, message)
                .cell(names.at(message))
                .timestamp(hour)
                .cell(time)
                .cell(movie)
                .int(rating);
            Ok(())
        });
    }
}

/// The start of a time's hour, both in milliseconds since 1970; before 1970 hours start below their
/// times too. The very first hour has no start.
fn hour(time: i64) -> Option<i64> {
    time.div_euclid(HOUR_MS).checked_mul(HOUR_MS)
}

sluice_plugin::export!(Reviews);

#[cfg(test)]
mod tests;
