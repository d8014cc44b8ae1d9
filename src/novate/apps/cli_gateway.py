"""The commands `novate gateway` and `novate keys`."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from novate.apps.cli_run import fail, run_loop

Home = Annotated[Path, typer.Option(file_okay=False, help="The gateway's own directory, on your machine.")]
Wallet = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, help="File with your wallet's key, mode 0600.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="File with the session key's password; or NOVATE_KEY_PASSWORD, or asked."
    ),
]
keys = typer.Typer(
    help="Session keys: let a gateway sign for your account, within limits.", no_args_is_help=True
)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a command's work and turn its refusals into one line and exit status 2."""
    from novate.access.gateway.audit import AuditError
    from novate.access.gateway.keystore import KeystoreError
    from novate.apps.gateway_config import GatewayError

    try:
        run_loop(work())
    except (GatewayError, KeystoreError, AuditError, OSError) as error:
        raise fail(error) from error


def gateway(home: Home, password_file: PasswordFile = None) -> None:
    """Serve bots that speak plain Deribit, and sign what they ask for with your session key.

    Runs on your machine. Bots log in with the client_id and client_secret of HOME/gateway.toml, over HTTP or
    WebSocket, unmodified; what they read comes from the venue as it is, what they write is checked against
    your limits, signed, and recorded in HOME/audit.jsonl. The key cannot withdraw, by the venue's law.

    [bold]Examples[/]

      novate keys create --home gw --venue ws://127.0.0.1:8080/ws/api/v2 --account 0x7099...

      novate keys authorize --home gw --wallet wallet.key --max-notional 100000

      novate gateway --home gw
    """
    from novate.apps.gateway import run_gateway

    run(lambda: run_gateway(home, password_file, Console()))


@keys.command("create")
def create(
    home: Home,
    venue: Annotated[str, typer.Option(help="The venue's WebSocket, such as ws://HOST:PORT/ws/api/v2.")],
    account: Annotated[str, typer.Option(help="Address of the account that the key shall sign for.")],
    password_file: PasswordFile = None,
) -> None:
    """Create a session key, encrypted, with a gateway.toml and a bot's secret beside it.

    [bold]Example[/]

      novate keys create --home gw --venue ws://127.0.0.1:8080/ws/api/v2 --account 0x7099...
    """
    from novate.apps.gateway import ask_password
    from novate.apps.keys import create_key

    async def work() -> None:
        create_key(home, venue, account, ask_password(password_file, again=True), Console())

    run(work)


@keys.command("authorize")
def authorize(
    home: Home,
    wallet: Wallet,
    scope: Annotated[str, typer.Option(help="Of: trade cancel quote block transfer.")] = "trade cancel quote",
    days: Annotated[float, typer.Option(min=0.001, max=3_650, help="Until when, from now.")] = 7,
    max_notional: Annotated[float, typer.Option(min=0, help="USDC per underlying; 0: no limit.")] = 0,
    max_delta: Annotated[float, typer.Option(min=0, help="USDC; 0: no limit.")] = 0,
    max_vega: Annotated[float, typer.Option(min=0, help="USDC; 0: no limit.")] = 0,
    rate_per_minute: Annotated[int, typer.Option(min=0, help="Commands; 0: no limit.")] = 0,
) -> None:
    """Let the session key sign for your account; a second time gives it new limits.

    [bold]Example[/]

      novate keys authorize --home gw --wallet wallet.key --days 30 --max-notional 100000
    """
    from novate.apps.keys import KeyLimits, authorize_key

    limits = KeyLimits(scope, days, max_notional, max_delta, max_vega, rate_per_minute)
    run(lambda: authorize_key(home, wallet, limits, Console()))


@keys.command("list")
def show(home: Home, wallet: Wallet) -> None:
    """Show the account's active keys and their limits.

    [bold]Example[/]

      novate keys list --home gw --wallet wallet.key
    """
    from novate.apps.keys import list_keys

    run(lambda: list_keys(home, wallet, Console()))


@keys.command("revoke")
def revoke(
    home: Home,
    wallet: Wallet,
    address: Annotated[str, typer.Argument(help="The key's address; HOME's own if left out.")] = "",
) -> None:
    """End a session key: from the next command on the venue takes nothing that it signed.

    [bold]Example[/]

      novate keys revoke --home gw --wallet wallet.key
    """
    from novate.apps.keys import revoke_key

    run(lambda: revoke_key(home, wallet, address, Console()))
