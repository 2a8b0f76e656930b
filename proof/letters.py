"""Dead letters as the host keeps them: in a topic beside Cassandra, in a file beside SQLite."""
import base64
import json

from expected import Letter

OWN = ("__connect.errors.", "sluice.")


def of_topic(messages):
    """The letters of a topic's messages; those headers that are not the host's are the message's own."""
    for message in messages:
        own = {name: value.decode() for name, value in message.headers if name.startswith(OWN)}
        headers = tuple(header for header in message.headers if not header[0].startswith(OWN))
        yield Letter(
            int(own["__connect.errors.partition"]), int(own["__connect.errors.offset"]),
            own["__connect.errors.exception.class.name"], int(own["sluice.write_time"]),
            message.timestamp, message.key, message.value, headers,
        )


def of_file(path):
    """The letters of a file, one JSON object a line."""
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in map(json.loads, lines):
            headers = tuple((header["name"], _octets(header, "value")) for header in line["headers"])
            yield Letter(
                line["partition"], line["offset"], line["code"], line["write_time"], line["timestamp"],
                _octets(line, "key"), _octets(line, "value"), headers,
            )


def _octets(line, name):
    """What is not text is base64 under a name of its own."""
    if f"{name}_base64" in line:
        return base64.b64decode(line[f"{name}_base64"], validate=True)
    return None if line[name] is None else line[name].encode()
