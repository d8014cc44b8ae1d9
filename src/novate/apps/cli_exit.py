"""The commands of `novate exit`: their options, and how to use them."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

ATOMS_PER_USDC = 1_000_000
REFUSED = 2

exit_app = typer.Typer(
    help="Leave a venue with nobody's help: from the published files and a node alone.",
    no_args_is_help=True,
)

Target = Annotated[
    str, typer.Argument(help="Data directory, published folder, or http(s) address of a venue.")
]
Key = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="File with your wallet's key, mode 0600; else NOVATE_WALLET_KEY is read."
    ),
]
Rpc = Annotated[
    str | None, typer.Option(help="Node of the venue's chain; a venue's own address serves its chain.")
]
Address = Annotated[str | None, typer.Option(help="Look at this account; no key is needed.")]
Amount = Annotated[str | None, typer.Option(help="USDC to demand, such as 12.5; all your cash if left out.")]


def do(
    step: str,
    target: str,
    rpc: str | None,
    key: Path | None,
    address: str | None = None,
    amount: int | None = None,
) -> None:
    """Run one step and end the program with its status."""
    from novate.apps.claim import ClaimError
    from novate.apps.exit import ExitError, run_exit
    from novate.settlement.client import SettlementError
    from novate.settlement.keys import KeyFileError
    from novate.verification.findings import CheckFailed

    try:
        status = run_exit(step, target, rpc, key, address, amount)
    except (ClaimError, ExitError, SettlementError, KeyFileError, CheckFailed) as error:
        typer.secho(f"novate: {error}", err=True, fg="red")
        raise typer.Exit(REFUSED) from error
    raise typer.Exit(status)


def parse_amount(text: str | None) -> int | None:
    """Return an amount in atoms; typer.BadParameter unless it is positive with at most six decimals."""
    if text is None:
        return None
    try:
        atoms = Decimal(text) * ATOMS_PER_USDC
    except InvalidOperation as error:
        raise typer.BadParameter(f"{text!r} should be an amount such as 12.5") from error
    if not atoms.is_finite() or atoms <= 0 or atoms != int(atoms):
        raise typer.BadParameter(f"{text!r} should be positive, with at most six decimals")
    return int(atoms)


@exit_app.command()
def show(target: Target, key: Key = None, rpc: Rpc = None, address: Address = None) -> None:
    """Show what an account is worth by the last final batch, where the exit stands, and what comes next."""
    do("show", target, rpc, key, address)


@exit_app.command()
def request(target: Target, key: Key = None, rpc: Rpc = None, amount: Amount = None) -> None:
    """Demand a withdrawal on the chain. If no batch carries it out before the deadline, anyone may freeze."""
    do("request", target, rpc, key, amount=parse_amount(amount))


@exit_app.command()
def freeze(target: Target, key: Key = None, rpc: Rpc = None) -> None:
    """End a venue that ignored an entry of its inbox. The last final batch is then the last word."""
    do("freeze", target, rpc, key)


@exit_app.command()
def marks(target: Target, key: Key = None, rpc: Rpc = None) -> None:
    """Open the books of the last word and post the marks that your claims need; `claim` does it by itself."""
    do("marks", target, rpc, key)


@exit_app.command()
def claim(target: Target, key: Key = None, rpc: Rpc = None) -> None:
    """Claim what your accounts are worth, and take back deposits that the last word does not know."""
    do("claim", target, rpc, key)


@exit_app.command()
def collect(target: Target, key: Key = None, rpc: Rpc = None) -> None:
    """Be paid, after the window of claims. Exit status 1 if the window is still open."""
    do("collect", target, rpc, key)


@exit_app.command()
def run(target: Target, key: Key = None, rpc: Rpc = None) -> None:
    """Do whatever can be done now, and say what to wait for. Repeat it until the exit status is 0.

    [bold]Examples[/]

        novate exit run venue --key wallet.key --rpc http://127.0.0.1:8545
    """
    do("run", target, rpc, key)
