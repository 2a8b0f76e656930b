//! Ratings of movies, joined with a catalogue: one row a rating, by person, the newest first.

use sluice_plugin::CqlType::{Int, Text, Timestamp, Uuid};
use sluice_plugin::{
    Batch, Code, Column, Description, Field, Lookup, Outcome, Plugin, Target, Wants, no_config,
};

const NAME: Field = Field::new("name", Text);
const MOVIE: Field = Field::new("movie", Text);
const RATING: Field = Field::new("rating", Int);
const TIMESTAMP: Field = Field::new("timestamp", Timestamp);

/// What the catalogue knows of a movie. Its `rating` is for whom it is fit: `PG-13`.
const FACTS: &[Column] = &[
    ("country", Text),
    ("director", Text),
    ("duration", Int),
    ("rating", Text),
    ("release_year", Int),
    ("show_id", Text),
];
const MOVIES: Lookup = Lookup::new("movies", ("title", Text), FACTS);

/// What the message says. Its own rating is called otherwise than the catalogue's.
const RATED: &[Column] = &[
    ("name", Text),
    ("timestamp", Timestamp),
    ("id", Uuid),
    ("movie", Text),
    ("rating_movie", Int),
];
const MOVIE_RATINGS: Target = Target::upsert("movie_ratings", &[RATED, FACTS]);

const UNKNOWN_TITLE: Code = Code::new("unknown_title");
const RATING_OUT_OF_RANGE: Code = Code::new("rating_out_of_range");

const DESCRIPTION: Description = Description {
    fields: &[NAME, MOVIE, RATING, TIMESTAMP],
    lookups: &[MOVIES],
    targets: &[MOVIE_RATINGS],
    codes: &[UNKNOWN_TITLE, RATING_OUT_OF_RANGE],
    wants: &[Wants::POSITIONS],
    ..Description::new("netflix", env!("CARGO_PKG_VERSION"))
};

/// The plugin: it has neither configuration nor state.
pub struct Netflix;

impl Plugin for Netflix {
    fn init(config: &str) -> Result<(Self, Description), String> {
        no_config(config)?;
        Ok((Self, DESCRIPTION))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        let (names, times) = (batch.field(NAME), batch.field(TIMESTAMP));
        let (movies, ratings) = (batch.field(MOVIE), batch.field(RATING));
        let facts = batch.find(MOVIES, &movies);
        out.each(batch, |message, out| {
            let (movie, rating) = (movies.at(message), ratings.at(message).int());
            if !(1..=10).contains(&rating) {
                return Err(RATING_OUT_OF_RANGE.rejected(format!("{rating} is not from 1 to 10")));
            }
            let facts = facts.at(message);
            if !facts.is_known() {
                let reason = format!("no movie is called {:?}", movie.text());
                return Err(UNKNOWN_TITLE.rejected(reason));
            }
            out.row(MOVIE_RATINGS, message)
                .cell(names.at(message))
                .cell(times.at(message))
                .uuid(batch.id(message, 0))
                .cell(movie)
                .int(rating)
                .cells(facts);
            Ok(())
        });
    }
}

sluice_plugin::export!(Netflix);

#[cfg(test)]
mod tests;
