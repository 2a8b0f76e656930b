"""What an author gets wrong: each is told with its reason, and the messages beside it are not touched."""
from sluice import plugin, rejected


async def later():
    return {"things": {"number": 1}}


def transform(message):
    match message["mistake"]:
        case "no row":
            return None
        case "no rows by table":
            return [{"number": 1}]
        case "a table that is not declared":
            return {"thing": {"number": 1}}
        case "a column that is not declared":
            return {"things": {"number": 1, "nummer": 1}}
        case "a column left out":
            return {"things": {}}
        case "a value of another type":
            return {"things": {"number": "1"}}
        case "the second row":
            return {"things": [{"number": 1}, {"number": 2**31}]}
        case "a code that is not declared":
            return rejected("odd", "it is odd")
        case "asynchronous":
            return later()
        case "its own":
            return {"things": {"number": 1 // 0}}
    return {"things": {"number": 1}}


Transform = plugin(
    "mistakes",
    fields={"mistake": "text"},
    tables={"things": ["mistake", {"number": "int"}]},
    # The SDK's own, which may be declared, too.
    codes=["exception"],
    transform=transform,
)
