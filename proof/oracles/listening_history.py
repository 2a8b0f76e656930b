"""`listening-history`: an inner join of plays with songs, by person, date and hour; the latest first."""
import cql
import reading
import reference
from expected import Table

# The CSV's column, the table's, and its type there.
DETAILS = [
    ("artists", "artists", cql.TEXT), ("duration_ms", "duration_ms", cql.INT),
    ("album_name", "album_name", cql.TEXT), ("album_release_date", "album_release_date", cql.TEXT),
    ("danceability", "danceability", cql.FLOAT), ("energy", "energy", cql.FLOAT),
    ("key", "musical_key", cql.INT),
    *[(name, name, cql.FLOAT) for name in
      ("loudness", "mode", "speechiness", "acousticness", "instrumentalness", "liveness", "valence", "tempo")],
]
COLUMNS = [
    ("name", cql.TEXT), ("date", cql.TEXT), ("hour", cql.INT), ("time", cql.TEXT), ("id", cql.INT),
    ("song", cql.TEXT), *[(name, kind) for _, name, kind in DETAILS],
]


class Oracle:
    fields = {"id": "int", "name": "text", "song": "text", "time": "timestamp"}
    tables = [Table("listening_history", COLUMNS, 3, 4)]
    filtered = {"tombstone", "unknown_song"}

    def __init__(self, files):
        self.songs = reference.encoded(files["songs"], "name", [(name, kind) for name, _, kind in DETAILS])
        self.titles = list(self.songs)

    def rows(self, _position, event):
        id, name, song, ms = event
        time = reading.minute(ms)
        if time is None:
            raise reading.Refused("time_out_of_range")
        if song not in self.songs:
            raise reading.Refused("unknown_song")
        date, clock = time.split(" ")
        cells = (
            name.encode(), date.encode(), cql.INT.of_value(int(clock[:2])), time.encode(),
            cql.INT.of_value(id), song.encode(), *self.songs[song],
        )
        return [("listening_history", cells)]
