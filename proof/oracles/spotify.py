"""`spotify`: a left outer join of plays with songs; one row a play, by person and time."""
import cql
import reference
from expected import Table

DETAILS = [
    ("artists", cql.TEXT), ("duration_ms", cql.TEXT), ("album_name", cql.TEXT),
    ("album_release_date", cql.DATE), ("danceability", cql.FLOAT), ("energy", cql.FLOAT),
    ("key", cql.TINYINT), ("loudness", cql.FLOAT), ("mode", cql.TINYINT),
    *[(name, cql.FLOAT) for name in
      ("speechiness", "acousticness", "instrumentalness", "liveness", "valence", "tempo")],
]
UNKNOWN = (None,) * len(DETAILS)


class Oracle:
    fields = {"name": "text", "song": "text", "timestamp": "timestamp"}
    tables = [Table("records", [("name", cql.TEXT), ("timestamp", cql.TIMESTAMP), ("song", cql.TEXT), *DETAILS], 1, 2)]
    filtered = {"tombstone"}

    def __init__(self, files):
        self.songs = reference.encoded(files["songs"], "name", DETAILS)
        self.titles = list(self.songs)

    def rows(self, _position, event):
        name, song, timestamp = event
        cells = name.encode(), cql.TIMESTAMP.of_value(timestamp), song.encode(), *self.songs.get(song, UNKNOWN)
        return [("records", cells)]
