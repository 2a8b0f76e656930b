"""Readings of sensors, in Celsius and in Fahrenheit."""
from sluice import plugin, rejected

ABSOLUTE_ZERO = -273.15
"""Nothing is colder, in degrees Celsius."""


def transform(reading):
    celsius = reading["celsius"]
    if celsius < ABSOLUTE_ZERO:
        return rejected("impossible", "colder than absolute zero")
    return {"readings": {"fahrenheit": celsius * 1.8 + 32}}


Transform = plugin(
    "my-plugin",
    fields={"sensor": "text", "time": "timestamp", "celsius": "double"},
    tables={"readings": ["sensor", "time", "celsius", {"fahrenheit": "double"}]},
    codes=["impossible"],
    transform=transform,
)
