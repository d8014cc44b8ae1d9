"""The program `novate`: its commands, their options, and how to use them. Each command imports only what it
needs.
"""

import json
from importlib.metadata import version as read_version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from novate.apps.cli_contracts import contracts_app, deploy
from novate.apps.cli_doctor import doctor
from novate.apps.cli_exit import exit_app
from novate.apps.cli_gateway import gateway, keys
from novate.apps.cli_post import post
from novate.apps.cli_run import AdminPort, ServeHost, ServePort, fail, run_loop
from novate.apps.cli_standby import standby
from novate.apps.cli_stress import propose_slice, stress

app = typer.Typer(
    help="A self-custodial options exchange whose rules are one published integer program.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
SPEED_MAX = 3_600
SECONDS_MAX = 86_400

ChainFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Option chain (CSV, may be gzipped) to list and to fit."),
]
PricesFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="One-minute prices (CSV) that the index follows."),
]
Speed = Annotated[int, typer.Option(min=1, max=SPEED_MAX, help="Seconds of venue time per second of yours.")]
Seconds = Annotated[
    float, typer.Option(min=1, max=SECONDS_MAX, help="How long to trade, in seconds of yours.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="Keep everything here: journal, keys, and what is published."),
]
ReportFile = Annotated[Path | None, typer.Option(dir_okay=False, help="Write the report as JSON.")]
Makers = Annotated[int, typer.Option(min=1, max=100, help="Market makers.")]
Takers = Annotated[int, typer.Option(min=1, max=400, help="Takers.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")]


@app.command()
def demo(
    chain: ChainFile = None,
    prices: PricesFile = None,
    speed: Speed = 60,
    seconds: Seconds = 20,
    data: DataFolder = None,
    report: ReportFile = None,
    makers: Makers = 10,
    takers: Takers = 40,
    seed: Annotated[int, typer.Option(min=0, help="Makes prices and traders behave alike again.")] = 1,
    port: Port = 0,
) -> None:
    """Run a whole venue on this machine, with traders, and verify what it did.

    Contracts are deployed on a chain in this process; every trader deposits, signs orders and trades over
    the network API; oracles sign prices; batches are posted; some traders withdraw and are paid; a verifier
    replays everything. Exit status 0 means that every check held, 1 that one did not.

    [bold]Examples[/]

      novate demo

      novate demo --seconds 60 --report report.json

      novate demo --chain chain.csv.gz --prices minutes.csv.gz --speed 600 --data kept && novate verify kept
    """
    from novate.apps.demo import DemoError, DemoOptions, run_demo
    from novate.apps.market import MarketError
    from novate.apps.report import OK, print_report
    from novate.apps.venue import VenueError

    console = Console()
    options = DemoOptions(chain, prices, speed, seconds, data, makers, takers, seed, port)
    try:
        result = run_loop(run_demo(options, console))
    except (DemoError, MarketError, VenueError, OSError) as error:
        raise fail(error) from error
    print_report(result, console)
    if report is not None:
        report.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    raise typer.Exit(0 if result.verdict == OK else 1)


def parse_fund(text: str) -> tuple[str, int]:
    """Return (address, atoms) of ADDRESS=AMOUNT; typer.BadParameter otherwise."""
    from eth_utils.address import is_address

    from novate.access.errors import ApiError
    from novate.access.quantities import read_usdc_atoms

    address, _, amount = text.partition("=")
    try:
        atoms = read_usdc_atoms(amount)
    except ApiError as error:
        raise typer.BadParameter(f"{amount!r} must be a positive number of USDC: {error}") from error
    if not is_address(address):
        raise typer.BadParameter(f"{address!r} must be 0x and 40 hexadecimal digits")
    return address, atoms


@app.command()
def serve(
    data: Annotated[Path, typer.Option(file_okay=False, help="Data directory; a new venue if it is empty.")],
    host: ServeHost = None,
    port: ServePort = None,
    admin_port: AdminPort = None,
    feed: Annotated[bool, typer.Option(help="Let three oracles report built-in prices.")] = True,
    listing: Annotated[
        bool, typer.Option("--list/--no-list", help="List by the rule of DIR/listing.toml, or the default.")
    ] = True,
    fund: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS=AMOUNT", help="Mint test USDC and deposit it for an address. May be repeated."
        ),
    ] = None,
    accounts: Annotated[
        int, typer.Option(min=2, max=65_536, help="Room for accounts, when created.")
    ] = 1_024,
    batch_interval: Annotated[
        float, typer.Option(min=0.2, help="Seconds between batches, when created.")
    ] = 2.0,
    release_standby: Annotated[
        bool, typer.Option("--release-standby", help="Serve without a standby that is known to be off.")
    ] = False,
) -> None:
    """Run a venue alone, on a data directory.

    An empty directory becomes a new venue of BTC and ETH options, futures and perpetuals, which are listed by
    rule as time and prices go on. Otherwise the venue recovers from its journal: killing it loses nothing
    that it acknowledged. It prints one line that begins with "ready" when it takes orders, and ends in order
    on Ctrl-C or SIGTERM.

    [bold]Examples[/]

      novate serve --data venue

      novate serve --data venue --admin-port 9464   # then: curl http://127.0.0.1:9464/metrics

      novate serve --data venue --port 9000 --fund 0x70997970C51812dc3A010C7d01b50e0d17dc79C8=10000

      curl http://127.0.0.1:8080/api/v2/public/get_instruments?currency=BTC
    """
    from novate.apps.serve import ServeOptions, run_serve
    from novate.apps.venue import VenueError
    from novate.execution.journal import JournalError
    from novate.protocol.genesis import GenesisError
    from novate.settlement.chain_log import ChainLogError
    from novate.standby.fence import FenceError

    funds = tuple(parse_fund(each) for each in fund or ())
    ports, sizes = (host, port, admin_port), (accounts, batch_interval)
    options = ServeOptions(data, *ports, feed, listing, *sizes, funds, release_standby)
    try:
        run_loop(run_serve(options, Console()))
    except (VenueError, JournalError, GenesisError, ChainLogError, FenceError, OSError) as error:
        raise fail(error) from error


@app.command()
def verify(
    target: Annotated[
        str, typer.Argument(help="Data directory, published folder, or http(s) address of one.")
    ],
    rpc: Annotated[
        str | None, typer.Option(help="Node whose contracts are read, not the published chain.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    from_chain: Annotated[
        bool, typer.Option(help="Rebuild everything from the node's chain; TARGET is the genesis file.")
    ] = False,
    blobs: Annotated[
        str | None, typer.Option(help="Blobs: a folder, or a server of the beacon API.", show_default=False)
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Anybody's copy of the folder, where data is kept off chain.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Write the rebuilt folder here.")] = None,
) -> None:
    """Compute again everything that a venue decided, from what it published.

    Checks frames, signatures, every result of every command, every state root, and what the contracts on
    the chain hold. Exit status 0 means that everything holds, 1 that something does not; the first
    difference is named.

    [bold]Examples[/]

      novate verify venue

      novate verify http://127.0.0.1:8080/published

      novate verify venue/published --json

      novate verify genesis.json --from-chain --rpc http://127.0.0.1:8545 --blobs blobs
    """
    from novate.verification.console import run_verification
    from novate.verification.rebuild import ChainSource

    if from_chain:
        if rpc is None:
            raise typer.BadParameter("--from-chain needs --rpc")
        raise typer.Exit(run_verification(ChainSource(Path(target), rpc, blobs, data, keep), as_json=as_json))
    if blobs or data or keep:
        raise typer.BadParameter("--blobs, --data and --keep go with --from-chain")
    published = Path(target) / "published"
    raise typer.Exit(run_verification(published if published.is_dir() else target, rpc, as_json))


@app.command()
def claim(
    target: Annotated[
        str, typer.Argument(help="Data directory, published folder, or http(s) address of a venue.")
    ],
    key: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="File with your wallet's key, mode 0600.")
    ],
    rpc: Annotated[
        str | None, typer.Option(help="Node of the venue's chain; a venue's own address serves its chain.")
    ] = None,
) -> None:
    """Claim your withdrawals from the vault, with proofs made from what the venue published.

    Needs nothing from the venue but the published files: each withdrawal of a final batch is proven against
    the root on the chain and paid to your wallet. Exit status 0 if none is left waiting, 1 if one is.

    [bold]Examples[/]

      novate claim http://127.0.0.1:8080 --key wallet.key

      novate claim venue --key wallet.key --rpc http://127.0.0.1:8545
    """
    from novate.apps.claim import ClaimError, run_claim
    from novate.settlement.client import SettlementError
    from novate.settlement.keys import KeyFileError
    from novate.verification.findings import CheckFailed

    try:
        raise typer.Exit(run_claim(target, key, rpc, Console()))
    except (ClaimError, SettlementError, KeyFileError, CheckFailed) as error:
        raise fail(error) from error


app.command()(stress)
app.command()(deploy)
app.command()(post)
app.add_typer(contracts_app, name="contracts")
app.add_typer(exit_app, name="exit")
app.command("slice")(propose_slice)
app.command()(doctor)
app.command()(standby)
app.command()(gateway)
app.add_typer(keys, name="keys")


@app.command()
def version() -> None:
    """Print the version of this program."""
    typer.echo(f"novate {read_version('novate')}")


def main() -> None:
    """Run the program."""
    app()
