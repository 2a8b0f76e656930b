"""What the SDK can, for its test: all types, rows taken back, deletes, ids, and keys that are no field."""
from sluice import filtered, log, plugin, rejected

TYPES = {
    "tiny": "tinyint", "small": "smallint", "whole": "int", "big": "bigint", "single": "float", "twice": "double",
    "flag": "boolean", "time": "timestamp", "day": "date", "raw": "blob", "note": "text", "sent": "timestamp",
}


def transform(message):
    do, number, word = message["do"], message["number"], message["words"] or {"plain": None, "weight": None}
    if do == "panic":
        raise ValueError("asked to panic")
    if message.key is not None:
        log.info(f"a key of {len(message.key)} bytes")
    if do == "filter":
        return filtered("unwanted")
    if do == "reject":
        return rejected("odd", f"{number} is odd")
    if do == "delete":
        return {"gone": {"row": message.id()}}
    note = dict(reversed(message.headers)).get("trace") or message.key
    values = {
        name: None if number is None else times * number
        for name, times in {"tiny": 1, "small": 100, "whole": 100_000, "big": 10_000_000_000}.items()}
    values |= {
        "single": 0.1 if word["weight"] is None else 2 * word["weight"], "twice": 2 * message["real"],
        "flag": not message["flag"], "time": message["when"] + 1, "day": message["day"] + 1, "raw": message.value,
        "note": note.decode() if note else word["plain"], "sent": message.time,
    }
    rows = range(2 if do == "twice" else 1)
    return {"things": [values | {"row": message.id(row)} for row in rows]}


def described(config):
    if config != {"after": "!"}:
        raise ValueError("another configuration")
    return {
        "name": "probe",
        "fields": {
            "id": "text", "do": "text", "number": "bigint?", "real": "double", "flag": "boolean", "when": "timestamp",
            "day": "date"},
        "lookups": {"words": {
            "key": {"word": "text"}, "by": lambda message: f"<{message['id']}>",
            "columns": {"plain": "text", "weight": "float"}}},
        "tables": {
            "things": ["id", {"row": "uuid"} | TYPES],
            "gone": {"table": "things", "operation": "delete", "columns": ["id", {"row": "uuid"}]}},
        "codes": ["odd", "unwanted"],
        "wants": ["keys", "values", "timestamps", "positions", "headers"],
        "transform": transform,
    }


Transform = plugin(described)
