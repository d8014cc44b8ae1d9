"""The commands that deploy contracts and check them: their options, and how to use them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

contracts_app = typer.Typer(help="The contracts that a venue settles by.", no_args_is_help=True)
DAY_S = 86_400
CLAIM_WINDOW_S, UNBONDING_S = 14 * DAY_S, 30 * DAY_S
REFUSED = 2
NO_ADDRESS = "0x" + "00" * 20

KeyFile = Annotated[
    Path,
    typer.Option(
        exists=True, dir_okay=False, help="File with the deployer's key, mode 0600; it pays the gas."
    ),
]
Rpc = Annotated[
    str, typer.Option(metavar="URL", help="Node of the chain; a running venue serves its own at /chain.")
]
Usdc = Annotated[float, typer.Option(min=0, max=1e12, help="USDC; 0 leaves it out.")]
NewFolder = Annotated[
    Path, typer.Option(file_okay=False, help="New directory for keys, genesis and manifest.")
]
TokenAddress = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Cash; without it a worthless test token is deployed."),
]
FinalityDelay = Annotated[
    int, typer.Option(min=0, max=30 * DAY_S, help="Seconds from a batch's posting to its finality.")
]
Guardian = Annotated[str | None, typer.Option(metavar="ADDRESS", help="May pause claims for 72 hours.")]
Governor = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="May announce other validators or another verifier.")
]
Members = Annotated[
    list[str] | None, typer.Option(metavar="ADDRESS", help="Member of the first quorum. May be repeated.")
]
Quorum = Annotated[int, typer.Option(min=0, max=32, help="How many of them must sign; 0 is the least.")]
Stake = Annotated[float, typer.Option(min=0.000001, max=1e12, help="Least stake of each, USDC.")]
ForcedDeadline = Annotated[
    int, typer.Option(min=0, max=14, help="Days to serve a forced withdrawal; 0 deploys no escape.")
]


def fail(message: object) -> typer.Exit:
    """Print one line on standard error and return the exit with status 2."""
    typer.secho(f"novate: {message}", err=True, fg="red")
    return typer.Exit(REFUSED)


def read_address(text: str | None) -> str:
    """Return a checksummed address, or zero for none; typer.BadParameter for anything else."""
    from eth_utils.address import is_address, to_checksum_address

    if text is None:
        return NO_ADDRESS
    if not is_address(text):
        raise typer.BadParameter(f"{text!r} must be 0x and 40 hexadecimal digits")
    return str(to_checksum_address(text))


def to_atoms(usdc: float) -> int:
    """Return atoms of USDC, rounded to the nearest."""
    return round(usdc * 1_000_000)


def deploy(
    rpc: Rpc,
    key: KeyFile,
    data: NewFolder,
    token: TokenAddress = None,
    finality_delay: FinalityDelay = 3_600,
    day_limit: Usdc = 0,
    guardian: Guardian = None,
    governor: Governor = None,
    bond: Usdc = 0,
    validator: Members = None,
    quorum: Quorum = 0,
    stake: Stake = 1_000,
    forced_deadline: ForcedDeadline = 7,
) -> None:
    """Deploy a venue's contracts to any chain, and write its keys, genesis file and manifest.

    The manifest holds each contract's address, the hash of its code, and what its constructor was given.
    Operator and oracles get new keys; the deployer's key is used once and has no power afterwards.

    [bold]Examples[/]

      novate deploy --rpc http://127.0.0.1:8545 --key deployer.key --data venue

      novate deploy --rpc http://127.0.0.1:8545 --key deployer.key --data venue --bond 50000
    """
    from novate.apps.contracts import DeployError, DeployTarget, run_deploy
    from novate.protocol.genesis import GenesisError
    from novate.settlement.client import SettlementError
    from novate.settlement.deployment import DeploymentOptions
    from novate.settlement.keys import KeyFileError

    members = tuple(read_address(each) for each in validator or ())
    options = DeploymentOptions(
        token=read_address(token) if token else None,
        day_limits=(to_atoms(day_limit),),
        guardian=read_address(guardian),
        governor=read_address(governor),
        bond_min=to_atoms(bond),
        validators=members,
        quorum=quorum or (2 * len(members)) // 3 + 1,
        stake_min=to_atoms(stake),
        forced_deadline_s=forced_deadline * DAY_S,
        stall_deadline_s=2 * forced_deadline * DAY_S + finality_delay,
        claim_window_s=CLAIM_WINDOW_S,
        exit_window_s=forced_deadline * DAY_S + CLAIM_WINDOW_S,
        unbonding_delay_s=finality_delay + UNBONDING_S,
    )
    target = DeployTarget(rpc, key, data, finality_delay_s=finality_delay)
    try:
        run_deploy(target, options, Console(soft_wrap=True))
    except (DeployError, KeyFileError, SettlementError, GenesisError) as error:
        raise fail(error) from error


@contracts_app.command()
def check(
    target: Annotated[Path, typer.Argument(exists=True, help="Manifest, or the directory that holds it.")],
    rpc: Rpc,
) -> None:
    """Compile the contracts again and compare every byte with what is on the chain.

    Also compares each code hash with the manifest's, and which contracts name each other. Exit status 0 means
    that all agree, 1 that one does not, 2 that nothing could be compared.

    [bold]Examples[/]

      novate contracts check venue --rpc http://127.0.0.1:8545

      novate contracts check manifest.json --rpc http://127.0.0.1:8080/chain
    """
    from novate.apps.contracts import DeployError, run_check

    try:
        raise typer.Exit(run_check(target, rpc, Console()))
    except DeployError as error:
        raise fail(error) from error
