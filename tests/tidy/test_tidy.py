"""The house rules as code: each test below is one rule, and its message names every place that breaks it.

A rule that is not executable is a wish. Exceptions are listed here, each with its reason, and nowhere else.
"""

import ast
import functools
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import typer

from novate.apps.cli import app

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "novate"
PROTOCOL = PACKAGE / "protocol"
LAW = ROOT / "docs" / "law"
THIS = Path(__file__)

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400

# Where the law may divide or take a remainder in Python's own words, and why that is safe there.
DIVISION_ALLOWED = {
    "arithmetic.py": "it defines the named divisions that everything else calls",
    "poseidon2.py": "arithmetic of a prime field: operands are never negative, so all languages agree",
    "signing.py": "two's complement of an ABI word: the modulus is a power of two",
    "poseidon2_kernel.py": "constants of the same field, reduced once at import",
}
IMPORTS_FORBIDDEN_IN_LAW = {
    *("asyncio", "cmath", "datetime", "io", "math", "os", "pathlib", "random", "secrets", "socket", "sys"),
    *("threading", "time", "uuid"),
}
CALLS_FORBIDDEN_IN_LAW = {"float", "input", "open", "print"}

CLAUSE = re.compile(r"\[([A-Z][A-Z0-9]*(?:-[A-Z][A-Z0-9]*)*)-(\d+)\]")
CLAUSE_RANGE = re.compile(CLAUSE.pattern + r"\s+(?:to|through)\s+" + CLAUSE.pattern)
CLAUSE_DEFINITION = re.compile(r"^\s*(?:[-*]\s+)?\*\*" + CLAUSE.pattern + r"\*\*", re.MULTILINE)
STANDARDS = {"EIP", "ERC", "RFC", "ISO", "FIPS"}  # Numbered like clauses, written by others.


@functools.cache
def list_files(*suffixes: str) -> tuple[Path, ...]:
    """Every file of the repository that git tracks or would track, with one of the suffixes (all if none)."""
    # A checkout that another user owns is read too: nothing of it is run.
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    paths = (ROOT / name for name in sorted(set(names)) if name)
    return tuple(path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes))


def list_below(folder: Path, *suffixes: str) -> list[Path]:
    """Those files below one folder that people wrote."""
    return [
        path
        for path in list_files(*suffixes)
        if path.is_relative_to(folder) and "generated" not in path.parts
    ]


@functools.cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(), str(path))


def name_place(path: Path, line: int = 1) -> str:
    """A place as an editor understands it."""
    return f"{path.relative_to(ROOT)}:{line}"


def find_lines(paths: Iterator[Path] | list[Path], pattern: str, flags: int = 0) -> list[str]:
    """Each line of the files in which the pattern occurs."""
    search = re.compile(pattern, flags).search
    return [
        f"{name_place(path, number)}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if search(line)
    ]


def list_written_code() -> list[Path]:
    """Everything that people wrote and read, but for this file, which must spell out what it forbids."""
    suffixes = (".py", ".vy", ".nr", ".js", ".html", ".css", ".md", ".toml", ".sh")
    return [path for path in list_below(ROOT, *suffixes) if path != THIS]


def measure_vyper_functions(path: Path) -> Iterator[tuple[int, int]]:
    """The first line and the length of each function of a contract."""
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("def ")]
    for start in starts:
        end = start + 1
        while end < len(lines) and (not lines[end].strip() or lines[end][0] in " )-#"):
            end += 1
        while not lines[end - 1].strip() or lines[end - 1].startswith("#"):
            end -= 1
        yield start + 1, end - start


def test_modules_fit_one_room() -> None:
    """No module that people wrote is longer than 400 lines, and none is called `utils`."""
    long = [
        f"{name_place(path)} has {count} lines"
        for path in list_below(ROOT, ".py", ".vy", ".nr")
        if (count := len(path.read_text().splitlines())) > MODULE_LINES_MAX
    ]
    vague = [
        name_place(path) for path in list_files(".py", ".vy") if path.stem in {"utils", "util", "helpers"}
    ]
    assert [] == long + vague


def test_functions_fit_one_screen() -> None:
    """No function that people wrote is longer than 60 lines, in Python or in Vyper."""
    long = []
    for path in list_below(ROOT, ".py"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                count = node.end_lineno - node.lineno + 1
                if count > FUNCTION_LINES_MAX:
                    long.append(f"{name_place(path, node.lineno)} {node.name} has {count} lines")
    for path in list_below(ROOT, ".vy"):
        for line, count in measure_vyper_functions(path):
            if count > FUNCTION_LINES_MAX:
                long.append(f"{name_place(path, line)} has {count} lines")
    assert [] == long


def find_unlawful(path: Path) -> Iterator[str]:
    """Each thing in one file of the law that two machines might compute differently."""
    may_divide = path.name in DIVISION_ALLOWED
    for node in ast.walk(parse(path)):
        place = name_place(path, getattr(node, "lineno", 1))
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield f"{place}: float literal {node.value}"
        if isinstance(node, ast.BinOp | ast.AugAssign):
            if isinstance(node.op, ast.Div):
                yield f"{place}: float division"
            if isinstance(node.op, ast.FloorDiv | ast.Mod) and not may_divide:
                yield f"{place}: a division that does not name its rounding"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [each.name for each in node.names]
            )
            yield from (
                f"{place}: import of {name}"
                for name in names
                if name.split(".")[0] in IMPORTS_FORBIDDEN_IN_LAW
            )
        if isinstance(node, ast.Name) and node.id in CALLS_FORBIDDEN_IN_LAW:
            yield f"{place}: {node.id}"
        if isinstance(node, ast.Attribute) and re.fullmatch(r"float\d*|double|true_divide", node.attr):
            yield f"{place}: {node.attr}"


def test_law_is_integer_and_pure() -> None:
    """The law has no float, no unnamed rounding, no clock, no randomness, no input and no output."""
    assert [] == [found for path in list_below(PROTOCOL, ".py") for found in find_unlawful(path)]


def test_division_allowances_are_used() -> None:
    """Each file that may divide exists; an allowance without a user is removed."""
    assert [] == [name for name in DIVISION_ALLOWED if not (PROTOCOL / name).is_file()]


def test_numba_has_one_door() -> None:
    """Only kernel/ names Numba, so that its options and its cache are decided in one place."""
    paths = [path for path in list_below(PACKAGE, ".py") if path.parent != PACKAGE / "kernel"]
    assert [] == find_lines(paths, r"^\s*(import|from)\s+(numba|llvmlite)\b|\bnjit\b|\bprange\b|\bjitclass\b")


def list_citations(path: Path) -> set[str]:
    """The clauses that a file cites: `[A-1]`, `[A-1] to [A-3]`, or both bare on a `Law:` line."""
    text = re.sub(
        r"\bLaw: .*",
        lambda line: re.sub(r"(?<!\[)\b([A-Z][A-Z0-9-]*-\d+)\b(?!\])", r"[\1]", line[0]),
        path.read_text(),
    )
    cited = {f"{name}-{number}" for name, number in CLAUSE.findall(text) if name not in STANDARDS}
    for name, first, last_name, last in CLAUSE_RANGE.findall(text):
        if name == last_name:
            cited |= {f"{name}-{number}" for number in range(int(first), int(last) + 1)}
    return cited


def list_clauses() -> list[str]:
    """The clauses that docs/law defines, in order."""
    return [
        f"{name}-{number}"
        for path in sorted(LAW.glob("*.md"))
        for name, number in CLAUSE_DEFINITION.findall(path.read_text())
    ]


def test_clauses_are_defined_once() -> None:
    """No two clauses of the law share a number."""
    clauses = list_clauses()
    assert [] == sorted({clause for clause in clauses if clauses.count(clause) > 1})


def test_cited_clauses_exist() -> None:
    """Each clause that code, tests or documents cite is written in docs/law."""
    clauses = set(list_clauses())
    dangling = {
        str(path.relative_to(ROOT)): sorted(list_citations(path) - clauses) for path in list_written_code()
    }
    assert {} == {path: missing for path, missing in dangling.items() if missing}


def test_each_clause_is_cited() -> None:
    """Each clause of the law is cited by the code that obeys it or by the test that proves it."""
    cited: set[str] = set()
    for path in list_below(PACKAGE) + list_below(ROOT / "tests"):
        if path.suffix in {".py", ".vy", ".nr", ".toml"} and path != THIS:
            cited |= list_citations(path)
    assert [] == [clause for clause in list_clauses() if clause not in cited]


def test_each_code_has_a_row() -> None:
    """Each result code and each refusal at the door is expected by at least one test."""
    schema = tomllib.loads((PROTOCOL / "schema.toml").read_text())
    # The naive model names every code too, but naming is not expecting: only test modules count.
    paths = [
        path for path in list_below(ROOT / "tests", ".py") if path.name.startswith("test_") and path != THIS
    ]
    text = "\n".join(path.read_text() for path in paths)
    expected = set(re.findall(r"\bCode\.([A-Z_]+)\b", text)) | set(
        re.findall(r"[\"']([A-Z][A-Z_]+)[\"']", text)
    )
    expected |= set(re.findall(r"\bAccessCode\.([A-Z_]+)\b", text))
    assert [] == [name for name in (*schema["codes"], *schema["access_codes"]) if name not in expected]


def test_contracts_are_ascii() -> None:
    """Contracts hold nothing but ASCII, so that what a reviewer sees is what the compiler reads."""
    assert [] == [name_place(path) for path in list_files(".vy") if not path.read_bytes().isascii()]


def test_nothing_is_left_undone() -> None:
    """No file defers work, and actors have roles, not first names."""
    assert [] == find_lines(list_written_code(), r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    assert [] == find_lines(list_written_code(), r"\b(alice|bob|carol|mallory)\b", re.IGNORECASE)


def test_no_error_is_swallowed() -> None:
    """No `except` clause does nothing."""
    assert [] == [
        name_place(path, node.lineno)
        for path in list_below(ROOT, ".py")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
    ]


def test_tests_use_the_real_thing() -> None:
    """No test replaces a part of the system by a mock or expects to fail."""
    paths = [path for path in list_below(ROOT / "tests", ".py") if path != THIS]
    assert [] == find_lines(paths, r"unittest\.mock|\bMagicMock\b|\bmocker\b|\bxfail\b")


def is_code(comment: str) -> bool:
    """Whether a comment is a statement, such as an import, a return, a bare call or a block's header."""
    try:
        body = ast.parse(comment + (" pass" if comment.endswith(":") else "")).body
    except (SyntaxError, ValueError):
        return False
    if len(body) != 1:
        return False
    statement = body[0]
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Call | ast.Await)
    return not isinstance(statement, ast.Assign | ast.AnnAssign)  # A formula looks like an assignment.


def test_no_code_sleeps_in_comments() -> None:
    """Comments are sentences or formulas; code that is not run is deleted."""
    assert [] == [
        f"{name_place(path, number)}: {line.strip()}"
        for path in list_below(ROOT, ".py", ".vy")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.lstrip().startswith("# ") and is_code(line.lstrip()[2:].strip())
    ]


def test_no_machine_is_named() -> None:
    """No file names a folder of the machine on which it was written."""
    text_files = [path for path in list_files() if b"\0" not in path.read_bytes()[:4096] and path != THIS]
    assert [] == find_lines(text_files, r"(?<![\w.-])/(work|root|home|Users)/")


def list_make_targets() -> dict[str, str]:
    """Each phony target of the Makefile and the sentence that documents it."""
    text = (ROOT / "Makefile").read_text()
    phony = [name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()]
    documented = dict(re.findall(r"^([a-z]+):[^#\n]*## (.+)$", text, re.MULTILINE))
    return {name: documented.get(name, "") for name in phony}


def test_make_targets_and_documents_agree() -> None:
    """Each target is documented, and each `make` command that a document names exists."""
    targets = list_make_targets()
    assert [] == [name for name, sentence in targets.items() if not sentence]
    named = [
        (path.relative_to(ROOT), name)
        for path in list_files(".md")
        for name in re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(), re.MULTILINE)
    ]
    assert [] == [(path, name) for path, name in named if name not in targets]


def strip_code(markdown: str) -> str:
    """A document without its code, in which brackets mean something else."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL))


def test_links_resolve() -> None:
    """Each relative link of a document leads to a file, and to a heading where it names one."""
    broken = []
    for path in list_files(".md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", strip_code(path.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            slugs = []
            if anchor and target.is_file():
                headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
                slugs = [re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings]
            if not target.exists() or (anchor and anchor not in slugs):
                broken.append(f"{name_place(path)}: {link}")
    assert [] == broken


def list_commands(command: object, prefix: str) -> Iterator[str]:
    """The full name of each command below one command, as a user types it."""
    children: dict[str, object] = getattr(command, "commands", {})
    if not children:
        yield prefix
    for name, child in children.items():
        yield from list_commands(child, f"{prefix} {name}")


def test_commands_are_documented() -> None:
    """docs/guides/cli.md has a heading for each command of the program, and for no other."""
    text = (ROOT / "docs" / "guides" / "cli.md").read_text()
    documented = re.findall(r"^#+ `(novate [a-z ]+?)`", text, re.MULTILINE)
    assert sorted(list_commands(typer.main.get_command(app), "novate")) == sorted(documented)
