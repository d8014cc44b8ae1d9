"""The commands `novate stress` and `novate slice`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from novate.apps.cli_run import fail


def parse_time(text: str | None) -> int | None:
    """Return ns UTC of `2022-05-11` or `2022-05-11T20:00`; typer.BadParameter for anything else."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} must be a time such as 2022-05-11T20:00, UTC") from error
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000


CrashFiles = Annotated[
    list[Path],
    typer.Option(
        exists=True,
        dir_okay=False,
        help="One-minute prices (CSV, may be gzipped) of BTC or ETH, by their names. May be repeated.",
    ),
]
PortfolioFile = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Accounts of a CSV file in their place.")
]
StressHours = Annotated[
    float | None,
    typer.Option(min=0.1, max=8_784, help="Length; alone, the hours (24) in which prices fell most."),
]
TickSeconds = Annotated[
    int, typer.Option(min=1, max=86_400, help="Seconds between marks; many of them make gaps.")
]
InsuranceUsdc = Annotated[float, typer.Option(min=0, max=1e9, help="Insurance fund, USDC.")]
BackstopUsdc = Annotated[float, typer.Option(min=0, max=1e9, help="Capital of bidders in auctions, USDC.")]


def stress(
    prices: CrashFiles,
    accounts: Annotated[int, typer.Option(min=1, max=20_000, help="Accounts drawn from the seed.")] = 1_000,
    portfolio: PortfolioFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the same accounts again.")] = 1,
    begin: Annotated[str | None, typer.Option("--from", help="Beginning, UTC: 2022-05-11T20:00.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="End, UTC.")] = None,
    hours: StressHours = None,
    tick_seconds: TickSeconds = 60,
    insurance: InsuranceUsdc = 250_000,
    backstop: BackstopUsdc = 500_000,
    plot: Annotated[Path | None, typer.Option(dir_okay=False, help="Draw the run as SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Replay a crash over a venue full of leveraged accounts, and show who was liquidated and who paid.

    Every account opens its positions by orders within its margin. Then the oracle follows the files, tick
    after tick, and the law liquidates: slices, auctions, insurance fund, deleveraging. Exit status 0 means
    that money and lots were conserved after every tick, 1 that they were not.

    [bold]Examples[/]

      novate stress --prices BTC_luna.csv.gz --prices ETH_luna.csv.gz --plot luna.svg

      novate stress --prices BTC_ftx.csv.gz --from 2022-11-08 --hours 36 --backstop 0

      novate stress --prices BTC_luna.csv.gz --portfolio mine.csv --json
    """
    from novate.apps.stress import StressOptions
    from novate.apps.stress_console import show_stress
    from novate.apps.stress_market import StressError

    window = parse_time(begin), parse_time(until), hours
    money = round(insurance * 1_000_000), round(backstop * 1_000_000)
    options = StressOptions(tuple(prices), accounts, portfolio, seed, *window, tick_seconds, *money)
    try:
        raise typer.Exit(0 if show_stress(options, plot, as_json) else 1)
    except (StressError, OSError) as error:
        raise fail(error) from error


def propose_slice(
    prices: CrashFiles,
    impact_bp: Annotated[float, typer.Option(min=0.1, max=1_000, help="Greatest expected move, bp.")] = 10,
    seconds: Annotated[float, typer.Option(min=0.1, max=3_600, help="Time between two slices.")] = 60,
    share: Annotated[float, typer.Option(min=1e-6, max=1, help="The venue's share of the volume.")] = 1,
    write: Annotated[
        Path | None, typer.Option(file_okay=False, help="Data directory whose operator shall sign them.")
    ] = None,
) -> None:
    """Fit the law of impact to past prices, and propose how large a slice of a liquidation should be.

    With --write the figures go to DIR/slices.toml; at its next start `novate serve --data DIR` signs those
    that the venue does not have yet.

    [bold]Examples[/]

      novate slice --prices BTC_calm.csv.gz --prices BTC_luna.csv.gz --prices ETH_ftx.csv.gz

      novate slice --prices BTC_calm.csv.gz --share 0.05 --write venue && novate serve --data venue
    """
    from novate.analytics.impact import ImpactError
    from novate.apps.slice_report import SliceLimits, print_proposals, propose_slices, write_slices
    from novate.apps.stress_market import StressError

    limits = SliceLimits(impact_bp / 10_000, seconds, share)
    try:
        proposals = propose_slices(prices, limits)
        print_proposals(proposals, limits, Console())
        if write is not None:
            typer.echo(f"written to {write_slices(proposals, write)}")
    except (ImpactError, StressError, OSError) as error:
        raise fail(error) from error
