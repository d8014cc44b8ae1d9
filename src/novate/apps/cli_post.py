"""The command line of `novate post`."""

import logging
from pathlib import Path
from typing import Annotated

import typer


def post(
    folder: Annotated[Path, typer.Argument(help="Published folder, or a data directory that holds one.")],
    rpc: Annotated[list[str], typer.Option(help="A node of the chain; name two, they must agree.")],
    manifest: Annotated[Path, typer.Option(exists=True, help="Which contracts on which chain.")],
    key: Annotated[Path, typer.Option(exists=True, help="File with the posting key, mode 0600.")],
    state: Annotated[Path, typer.Option(help="Where to keep what was signed, and blobs.")] = Path("posting"),
    mode: Annotated[str, typer.Option(help="Data goes to: blobs, calldata or off-chain.")] = "blobs",
    confirmations: Annotated[int, typer.Option(min=0, help="Blocks after which a batch is safe.")] = 12,
    fee_cap_gwei: Annotated[int, typer.Option(min=1, help="Never pay more per gas or blob gas.")] = 150,
    once: Annotated[bool, typer.Option(help="Stop when all that is published is confirmed.")] = False,
) -> None:
    """Post what a venue publishes to a chain, through reorganisations, gas spikes and restarts.

    Nothing is sent while two nodes disagree, or above the cap; what it waits for is logged once.

    [bold]Examples[/]

      novate post venue --manifest manifest.json --key operator.key --rpc https://a --rpc https://b
    """
    from novate.apps.post import post_folder
    from novate.settlement.batch_source import DataMode
    from novate.settlement.client import SettlementError
    from novate.settlement.fees import GWEI, FeePolicy
    from novate.settlement.keys import KeyFileError
    from novate.settlement.manifest import ManifestError
    from novate.settlement.posting_record import PostingRecordError

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    published = folder / "published" if (folder / "published").is_dir() else folder
    policy = FeePolicy(fee_cap_wei=fee_cap_gwei * GWEI, blob_fee_cap_wei=fee_cap_gwei * GWEI)
    try:
        where = DataMode(mode)
        post_folder(published, manifest, key, rpc, state, where, confirmations, policy, once)
    except (SettlementError, KeyFileError, ManifestError, PostingRecordError, ValueError) as error:
        typer.secho(f"novate: {error}", err=True, fg="red")
        raise typer.Exit(2) from error
