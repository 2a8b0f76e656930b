"""Asks a keyspace's file of SQLite for its rows."""
import sqlite3

from expected import Row

WRITE_TIME, DELETED = "sluice_w", "sluice_deleted"


def table(path, table):
    """The rows of a table. SQLite keeps one write time a row, in a hidden column."""
    columns = ", ".join([*(f'"{name}"' for name, _ in table.columns), WRITE_TIME, DELETED])
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        for *stored, written, deleted in connection.execute(f'SELECT {columns} FROM "{table.name}"'):
            cells = tuple(kind.of_stored(cell) for (_, kind), cell in zip(table.columns, stored))
            if deleted:  # nothing deletes here
                cells = ("a deleted row", *cells[1:])
            yield Row(cells, tuple(None if cell is None else written for cell in cells[table.key :]))
    finally:
        connection.close()
