"""`songs-minimal`: a left outer join of plays with songs; each play is a row of two tables, by an id made
of the play's position, and by person and hour."""
import cql
import reading
import reference
from expected import Table
from oracles.spotify import DETAILS, UNKNOWN

PLAYS = [("id", cql.INT), ("name", cql.TEXT), ("song", cql.TEXT), ("timestamp", cql.TIMESTAMP), *DETAILS]
BY_HOUR = [
    ("name", cql.TEXT), ("hour", cql.TIMESTAMP), ("timestamp", cql.TIMESTAMP), ("id", cql.INT),
    ("song", cql.TEXT), *DETAILS,
]


class Oracle:
    fields = {"name": "text", "song": "text", "timestamp": "timestamp"}
    tables = [Table("plays", PLAYS, 1, 1), Table("plays_by_hour", BY_HOUR, 2, 3)]
    filtered = {"tombstone"}

    def __init__(self, files):
        self.songs = reference.encoded(files["songs"], "name", DETAILS)
        self.titles = list(self.songs)

    def rows(self, position, event):
        name, song, timestamp = event
        if position.partition > 255 or position.offset >= 1 << 24:
            raise reading.Refused("id_exhausted")
        hour = reading.hour(timestamp)
        if hour is None:
            raise reading.Refused("time_out_of_range")
        id = position.partition << 24 | position.offset
        id = cql.INT.of_value(id - (1 << 32) if id >= 1 << 31 else id)
        name, song, details = name.encode(), song.encode(), self.songs.get(song, UNKNOWN)
        timestamp, hour = cql.TIMESTAMP.of_value(timestamp), cql.TIMESTAMP.of_value(hour)
        return [
            ("plays", (id, name, song, timestamp, *details)),
            ("plays_by_hour", (name, hour, timestamp, id, song, *details)),
        ]
