"""`reviews`: ratings by person and hour. The list of movies matters only where it is asked for."""
import cql
import reading
import reference
from expected import Table

COLUMNS = [
    ("name", cql.TEXT), ("hour", cql.TIMESTAMP), ("time", cql.TIMESTAMP), ("movie", cql.TEXT),
    ("rating", cql.INT),
]


class Oracle:
    fields = {"name": "text", "movie": "text", "rating": "int", "timestamp": "timestamp"}
    tables = [Table("records", COLUMNS, 2, 3)]
    filtered = {"tombstone"}
    known_titles_only = False

    def __init__(self, files):
        self.titles = reference.first_column(files["movies"])
        self.known = set(self.titles)

    def rows(self, _position, event):
        name, movie, rating, timestamp = event
        if not 1 <= rating <= 10:
            raise reading.Refused("rating_out_of_range")
        hour = reading.hour(timestamp)
        if hour is None:
            raise reading.Refused("time_out_of_range")
        if self.known_titles_only and movie not in self.known:
            raise reading.Refused("unknown_title")
        cells = (
            name.encode(), cql.TIMESTAMP.of_value(hour), cql.TIMESTAMP.of_value(timestamp), movie.encode(),
            cql.INT.of_value(rating),
        )
        return [("records", cells)]


class KnownOnly(Oracle):
    """Set up with `known_titles_only`: an unknown title is refused."""

    known_titles_only = True
