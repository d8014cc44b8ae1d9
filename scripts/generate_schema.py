"""Generate the law's constants, enumerations, codes and record layouts from schema.toml.

    python scripts/generate_schema.py [--check]

`--check` writes nothing and exits with 1 if a generated file is not what the schema says.
"""

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

PROTOCOL = Path(__file__).parent.parent / "src" / "novate" / "protocol"
NOTICE = '"""Generated from schema.toml by scripts/generate_schema.py; do not edit."""\n\n'


def render_constants(schema: dict[str, Any]) -> str:
    """Scales and limits as module constants."""
    lines = [NOTICE, f"SCHEMA_VERSION = {schema['version']}\n"]
    for section in ("scales", "limits"):
        lines += [f"{name} = {value}\n" for name, value in schema[section].items()]
    return "".join(lines)


def render_codes(schema: dict[str, Any]) -> str:
    """Result codes, enumerations, and the texts and JSON-RPC numbers that go with codes."""
    lines = [NOTICE, "from enum import IntEnum\n"]
    lines += [
        "\n\nclass Code(IntEnum):\n",
        '    """The result of a command, in order of precedence; zero is success."""\n\n',
    ]
    lines += [f"    {name} = {value[0]}\n" for name, value in schema["codes"].items()]
    lines += [
        "\n\nclass AccessCode(IntEnum):\n",
        '    """A refusal at the door: the message never becomes a command."""\n\n',
    ]
    lines += [f"    {name} = {value[0]}\n" for name, value in schema["access_codes"].items()]
    for enum, members in schema["enums"].items():
        lines += [f"\n\nclass {enum}(IntEnum):\n", f'    """The values of `{enum}` in schema.toml."""\n\n']
        lines += [f"    {name} = {value}\n" for name, value in members.items()]
    lines += ["\n\nclass CommandKind(IntEnum):\n", '    """The commands of the law."""\n\n']
    lines += [f"    {name} = {command['number']}\n" for name, command in schema["commands"].items()]
    lines += ["\n\nEXPECTED: dict[int, str] = {\n"]
    lines += [f'    {value[0]}: "{value[1]}",\n' for value in schema["codes"].values()]
    lines += [f'    {value[0]}: "{value[2]}",\n' for value in schema["access_codes"].values()]
    lines += ["}\n\nJSONRPC_NUMBER: dict[int, int] = {\n"]
    lines += [
        f"    {value[0]}: {schema['jsonrpc'].get(name, 11100 + value[0])},\n"
        for name, value in schema["codes"].items()
    ]
    lines += [f"    {value[0]}: {value[1]},\n" for value in schema["access_codes"].values()]
    return "".join([*lines, "}\n"])


def render_records(schema: dict[str, Any]) -> str:
    """Record layouts, the payload layout of each command, and the EIP-712 types."""
    lines = [NOTICE, "import numpy as np\n\nfrom novate.protocol.generated.codes import CommandKind\n"]
    for record, body in schema["records"].items():
        lines += [f"\n{record.upper()} = np.dtype(\n    [\n"]
        lines += [f'        ("{field}", np.int64),\n' for field in body["fields"]]
        lines += ["    ]\n)\n"]
    lines += ["\nCOMMAND_FIELDS: dict[CommandKind, tuple[str, ...]] = {\n"]
    for name, command in schema["commands"].items():
        fields = "".join(f'"{field}", ' for field in command["fields"]).rstrip()
        lines += [f"    CommandKind.{name}: ({fields}),\n"]
    lines += ["}\n\nSIGNED_BY: dict[CommandKind, str] = {\n"]
    lines += [
        f'    CommandKind.{name}: "{command["signed_by"]}",\n' for name, command in schema["commands"].items()
    ]
    lines += ["}\n\n"]
    for flag in ("has_subject", "cosigned"):
        kinds = [name for name, command in schema["commands"].items() if command.get(flag)]
        members = ", ".join(f"CommandKind.{name}" for name in kinds)
        lines += [f"{flag.upper()}: frozenset[CommandKind] = frozenset({{{members}}})\n"]
    lines += ["\nSTRUCT_TYPE: dict[CommandKind, str] = {\n"]
    for name, command in schema["commands"].items():
        if "struct" in command:
            lines += [f'    CommandKind.{name}: "{command["struct"]}",\n']
    lines += ["}\n\nITEM_FIELDS: dict[CommandKind, tuple[str, ...]] = {\n"]
    with_items = {name: command for name, command in schema["commands"].items() if "items" in command}
    for name, command in with_items.items():
        fields = "".join(f'"{field}", ' for field in command["items"]).rstrip()
        lines += [f"    CommandKind.{name}: ({fields}),\n"]
    lines += ["}\n\nITEMS_MAX: dict[CommandKind, int] = {\n"]
    lines += [f"    CommandKind.{name}: {command['items_max']},\n" for name, command in with_items.items()]
    lines += ["}\n\nITEM_STRUCT_TYPE: dict[CommandKind, str] = {\n"]
    lines += [
        f'    CommandKind.{name}: "{command["item_struct"]}",\n'
        for name, command in with_items.items()
        if "item_struct" in command
    ]
    optional = "".join(f'"{field}", ' for field in schema["optional"]["fields"]).rstrip()
    lines += [f"}}\n\nOPTIONAL_FIELDS = ({optional})\n"]
    return "".join(lines)


def main() -> int:
    """Write or check the generated files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a file is out of date")
    check = parser.parse_args().check
    schema = tomllib.loads((PROTOCOL / "schema.toml").read_text())
    stale = []
    for name, render in (
        ("constants", render_constants),
        ("codes", render_codes),
        ("records", render_records),
    ):
        path = PROTOCOL / "generated" / f"{name}.py"
        text = render(schema)
        if check and (not path.exists() or path.read_text() != text):
            stale.append(path.name)
        elif not check:
            path.write_text(text)
    if stale:
        print(f"out of date: {', '.join(stale)}; run python scripts/generate_schema.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
