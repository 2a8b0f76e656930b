"""Reference data: CSV files as RFC 4180 has them. Nothing is trimmed; an empty cell is NULL; the first of
several rows of one key counts; rows without a key are left out."""
import csv


def encoded(path, key, columns):
    """The cells of each key's row, encoded: columns are (name, type)."""
    found = {}
    with open(path, encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file, strict=True):
            if line[key] and line[key] not in found:
                found[line[key]] = tuple(
                    kind.of_text(line[name]) if line[name] else None for name, kind in columns
                )
    return found


def first_column(path):
    """The first column of a file without a header line."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        return [line[0] for line in csv.reader(file, strict=True) if line and line[0]]
