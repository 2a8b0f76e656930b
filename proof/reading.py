"""Messages as the pipelines must read them: strict JSON, and times in the forms that are told.

Written from the rules alone. A message that cannot be read is refused with a code; where it has several
faults, each of their codes is right.
"""
import datetime
import json
import re

DEPTH_MAX = 128
I64 = range(-(1 << 63), 1 << 63)
I32 = range(-(1 << 31), 1 << 31)
MINUTE_MS, DAY_MS = 60_000, 86_400_000
EPOCH = datetime.date(1970, 1, 1)
# In 400 years the calendar repeats itself: what Python's dates cannot hold is moved by as many.
ERA_YEARS, ERA_DAYS = 400, 146_097
TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
# Brackets outside of texts; a text that does not end is left to the parser.
BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class Refused(Exception):
    """A message that makes no rows; `codes` are those that may be told."""

    def __init__(self, *codes):
        super().__init__(*codes)
        self.codes = frozenset(codes)


def _no(text):
    raise ValueError(f"{text} is not JSON")


def _float(text):
    number = float(text)
    return number if abs(number) != float("inf") else _no(text)


def _int(text):
    _float(text)
    return int(text)


class _Members(list):
    """An object as it is written, with all members of one name."""


def _parse(text):
    depth, brackets = 0, text.count("[") + text.count("{")
    for found in BRACKET.finditer(text) if brackets > DEPTH_MAX else ():
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEPTH_MAX:
            _no("deep nesting")
    parsed = json.loads(
        text, parse_constant=_no, parse_float=_float, parse_int=_int, object_pairs_hook=_Members
    )
    # Half a surrogate pair is no text, also where nobody looks at it.
    json.dumps(parsed, ensure_ascii=False).encode()
    return parsed


def _object(value):
    if not value:
        raise Refused("bad_json")
    if value[0] == 0:
        raise Refused("registry_framing")
    text = value.decode("utf-8", "replace")
    try:
        parsed = _parse(text)
    except ValueError:
        raise Refused("bad_json") from None
    if text.encode() != value:
        raise Refused("bad_utf8")
    if not isinstance(parsed, _Members):
        raise Refused("wrong_type")
    return dict(parsed)  # the last of a name counts


def event(value, fields):
    """The members of a message that a pipeline reads, in the order of its fields (name: kind)."""
    members, found, faults = _object(value), [], set()
    for name, kind in fields.items():
        member = members.get(name)
        if member is None:
            faults.add("missing_field")
        else:
            member = KINDS[kind](member)
            if member is None:
                faults.add("wrong_type")
        found.append(member)
    if faults:
        raise Refused(*faults)
    return found


def _text(member):
    return member if isinstance(member, str) and not isinstance(member, _Members) else None


def _whole(bounds):
    return lambda member: member if type(member) is int and member in bounds else None


def _timestamp(member):
    return instant(member) if type(member) is str else _whole(I64)(member)


KINDS = {"text": _text, "int": _whole(I32), "timestamp": _timestamp}


def instant(text):
    """Milliseconds since 1970 of a time as people write it; None if it is none. Without a zone it is
    UTC; what is finer than a millisecond is cut off."""
    found = TIME.fullmatch(text)
    if not found:
        return None
    if found[4] is None:
        return None  # a date alone is no moment
    year, month, day = map(int, found.group(1, 2, 3))
    try:
        date = datetime.date(year + ERA_YEARS, month, day) if year < ERA_YEARS else datetime.date(year, month, day)
    except ValueError:
        return None
    days = (date - EPOCH).days - (ERA_DAYS if year < ERA_YEARS else 0)
    hour, minute, second = (int(part or 0) for part in found.group(4, 5, 6))
    fraction = int((found[7] or "").ljust(3, "0")[:3])
    east = _minutes_east(found[8] or "Z")
    if hour > 23 or minute > 59 or second > 59 or east is None:
        return None
    return days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + fraction - east * MINUTE_MS


def _minutes_east(zone):
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].strip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)


def minute(ms):
    """`YYYY-MM-DD HH:MM` in UTC; None outside of the years 0000 to 9999."""
    days, rest = divmod(ms, DAY_MS)
    if not -719_528 <= days <= 2_932_896:
        return None
    shift = ERA_DAYS if days < 0 else 0
    date = EPOCH + datetime.timedelta(days=days + 5 * shift)
    year = date.year - (5 * ERA_YEARS if shift else 0)
    return f"{year:04}-{date.month:02}-{date.day:02} {rest // 3_600_000:02}:{rest // MINUTE_MS % 60:02}"


def hour(ms):
    """The time cut to the hour; None if that is before all times."""
    cut = ms // 3_600_000 * 3_600_000
    return cut if cut in I64 else None
