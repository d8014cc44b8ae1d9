"""Prints figures as a table and appends them to ledger.json, with the machine and the commit."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

LEDGER = Path(__file__).with_name("ledger.json")
ROOT = Path(__file__).parents[1]


def describe_machine() -> dict[str, Any]:
    """The processor, its cores in use, and the versions that make the code."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
    }


def read_commit() -> str:
    """The commit that was measured, with a plus if the sources differ from it."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "src"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def print_table(title: str, rows: list[tuple[str, Any]]) -> None:
    """One figure a line."""
    print(f"\n{title}")
    for name, value in rows:
        text = (
            f"{value:,.3f}"
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else str(value)
        )
        print(f"  {name:<58} {text:>18}")


def record(benchmark: str, tables: dict[str, list[tuple[str, Any]]]) -> None:
    """Print every table and append them to the ledger."""
    for title, rows in tables.items():
        print_table(title, rows)
    ledger = json.loads(LEDGER.read_text()) if LEDGER.exists() else []
    figures = {title: dict(rows) for title, rows in tables.items()}
    ledger.append(
        {"benchmark": benchmark, "commit": read_commit(), "machine": describe_machine(), "figures": figures}
    )
    LEDGER.write_text(json.dumps(ledger, indent=1) + "\n")
