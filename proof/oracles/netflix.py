"""`netflix`: an inner join of ratings with movies, by person; the newest first, each with an id made of its
position."""
import uuid

import cql
import reading
import reference
from expected import Table

DETAILS = [
    ("country", cql.TEXT), ("director", cql.TEXT), ("duration", cql.INT), ("rating", cql.TEXT),
    ("release_year", cql.INT), ("show_id", cql.TEXT),
]
COLUMNS = [
    ("name", cql.TEXT), ("timestamp", cql.TIMESTAMP), ("id", cql.UUID), ("movie", cql.TEXT),
    ("rating_movie", cql.INT), *DETAILS,
]
POSITIONS = uuid.uuid5(uuid.NAMESPACE_URL, "sluice:position")


def id_of(position, row):
    """The id of a message's row."""
    return uuid.uuid5(POSITIONS, f"{position.topic}/{position.partition}/{position.offset}/{row}")


class Oracle:
    fields = {"name": "text", "movie": "text", "rating": "int", "timestamp": "timestamp"}
    tables = [Table("movie_ratings", COLUMNS, 1, 3)]
    filtered = {"tombstone", "unknown_title"}

    def __init__(self, files):
        self.movies = reference.encoded(files["netflix"], "title", DETAILS)
        self.titles = list(self.movies)

    def rows(self, position, event):
        name, movie, rating, timestamp = event
        if not 1 <= rating <= 10:
            raise reading.Refused("rating_out_of_range")
        if movie not in self.movies:
            raise reading.Refused("unknown_title")
        cells = (
            name.encode(), cql.TIMESTAMP.of_value(timestamp), cql.UUID.of_value(id_of(position, 0)), movie.encode(),
            cql.INT.of_value(rating), *self.movies[movie],
        )
        return [("movie_ratings", cells)]
