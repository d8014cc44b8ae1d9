"""`novate slice`: how large a slice of a liquidation should be, from files of one-minute prices.

Each file gives one figure, by the law of impact fitted to it; an operator signs the least of an underlying's
figures, because a calm market is harder to sell into than a wild one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from novate.analytics.impact import (
    PARTICIPATION_MAX,
    ImpactModel,
    choose_slice_atoms,
    choose_slice_notional,
    compute_impact,
    fit_impact,
    read_minute_bars,
)
from novate.analytics.impact_range import SliceRange, estimate_slice_range
from novate.apps.stress_market import find_underlying
from novate.apps.venue_config import SLICES_NAME
from novate.protocol.generated.constants import E6
from novate.settlement.files import replace_file

BP = 10_000.0
MINUTES_PER_DAY = 1_440
NOTE = (
    "vol is the deviation of a minute's return; slice is what one file allows, limited by its volume or its "
    "impact. The range is the luck of which hours a file holds; what else can happen is how files differ. "
    "Slope and R² check the data: 0.7 to 0.8 and 0.2 to 0.45 are usual. The coefficient of the law is 1, "
    "from the literature: prices without the takers' side cannot tell it."
)


@dataclass(frozen=True)
class SliceLimits:
    """What a slice may do: move the price by at most `impact` (a fraction), take at most `participation` of
    what trades in `seconds`, at a venue with `share` of the files' volume.
    """

    impact: float = 0.001
    seconds: float = 60.0
    share: float = 1.0
    participation: float = PARTICIPATION_MAX

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return the limits in the order in which the model takes them."""
        return self.impact, self.seconds, self.share, self.participation


@dataclass(frozen=True)
class FittedFile:
    """One file: its model, the slice (USD) that it allows, and how sure that is."""

    underlying: str
    name: str
    model: ImpactModel
    slice_usd: float
    range: SliceRange


@dataclass(frozen=True)
class Proposal:
    """The slice of one underlying, and the file that decided it."""

    underlying: str
    atoms: int
    deciding: FittedFile
    files: tuple[FittedFile, ...]


def fit_file(path: Path, limits: SliceLimits) -> FittedFile:
    """Return the fit of a file.

    Errors     StressError if its name tells no underlying, ImpactError if it is no file of prices.
    """
    underlying = find_underlying(path)
    bars = read_minute_bars(path)
    model = fit_impact(bars.returns, bars.volume_usd)
    notional = choose_slice_notional(model, *limits.as_tuple())
    return FittedFile(
        underlying, path.name, model, notional, estimate_slice_range(bars, model, *limits.as_tuple())
    )


def propose_slices(paths: Sequence[Path], limits: SliceLimits) -> tuple[Proposal, ...]:
    """Return a proposal for each underlying that has files; errors as `fit_file`."""
    fitted = [fit_file(path, limits) for path in paths]
    proposals = []
    for name in dict.fromkeys(each.underlying for each in fitted):
        files = tuple(each for each in fitted if each.underlying == name)
        atoms = choose_slice_atoms([each.model for each in files], *limits.as_tuple())
        proposals.append(Proposal(name, atoms, min(files, key=lambda each: each.slice_usd), files))
    return tuple(proposals)


def name_reason(file: FittedFile, limits: SliceLimits) -> str:
    """Return which of the two limits a file's slice meets."""
    by_volume = limits.participation * file.model.volume_usd_per_minute * limits.share * limits.seconds / 60.0
    return "volume" if file.slice_usd >= by_volume else "impact"


def shorten_names(names: Sequence[str]) -> dict[str, str]:
    """Return file names without their suffixes and, if there are several, what all begin with."""
    columns = zip(*(name.split("_") for name in names), strict=False)
    common = next((i for i, words in enumerate(columns) if len(set(words)) > 1), 0)
    return {
        name: "_".join(name.split("_")[common:]).removesuffix(".gz").removesuffix(".csv") for name in names
    }


def print_files(proposals: Sequence[Proposal], limits: SliceLimits, console: Console) -> None:
    """Print a row for each file; money in thousands of USD."""
    files = [file for proposal in proposals for file in proposal.files]
    names = shorten_names([file.name for file in files])
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("file", overflow="fold")
    for title in ("days", "vol, bp", "kUSD/min", "slope", "R²", "slice, k", "90 % range"):
        table.add_column(title, justify="right")
    table.add_column("limit")
    for file in files:
        model = file.model
        table.add_row(
            names[file.name],
            f"{model.minute_count / MINUTES_PER_DAY:.1f}",
            f"{model.volatility_per_minute * BP:.2f}",
            f"{model.volume_usd_per_minute / 1e3:,.0f}",
            f"{model.activity_slope:.2f}",
            f"{model.r_squared:.2f}",
            f"{file.slice_usd / 1e3:,.1f}",
            f"{file.range.low_usd / 1e3:,.0f}-{file.range.high_usd / 1e3:,.0f}",
            name_reason(file, limits),
        )
    console.print(table)


def explain(proposal: Proposal, limits: SliceLimits) -> str:
    """Return a proposal in plain words."""
    deciding, usd = proposal.deciding, proposal.atoms / E6
    moves = [float(compute_impact(each.model, usd)) * BP / limits.share**0.5 for each in proposal.files]
    if name_reason(deciding, limits) == "volume":
        why = f"{limits.participation:.0%} of what trades in {limits.seconds:g} s"
    else:
        why = f"a move of {limits.impact * BP:g} bp"
    return (
        f"{proposal.underlying}: slice_notional_atoms = {proposal.atoms}, that is {usd:,.0f} USDC: "
        f"{why} in {deciding.name}, the least of {len(proposal.files)} files, rounded down. "
        f"It is expected to move the price by {min(moves):.1f} to {max(moves):.1f} bp in these markets."
    )


def print_proposals(proposals: Sequence[Proposal], limits: SliceLimits, console: Console) -> None:
    """Print the table and what it means."""
    print_files(proposals, limits, console)
    console.print()
    for proposal in proposals:
        console.print(explain(proposal, limits), highlight=False)
    console.print(NOTE, highlight=False)


def write_slices(proposals: Sequence[Proposal], folder: Path) -> Path:
    """Write DIR/slices.toml, which `novate serve` signs at its next start."""
    names = [file.name for proposal in proposals for file in proposal.files]
    lines = [
        "# Liquidation slices, in millionths of a USDC: `novate serve` signs them with the operator's key.",
        *(f"# from {name}" for name in names),
        "[slice_notional_atoms]",
        *(f"{proposal.underlying} = {proposal.atoms}" for proposal in proposals),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SLICES_NAME
    replace_file(path, ("\n".join(lines) + "\n").encode())
    return path
