"""`novate exit` from end to end on the embedded chain: a wallet, the published folder and a node."""

from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from rich.console import Console
from typer.testing import CliRunner
from web3 import Web3

from novate.apps.cli import app
from novate.apps.exit import KEY_VARIABLE, Exit, ExitError, open_wallet, parse_address, read_published
from novate.protocol.generated.codes import CommandKind
from novate.protocol.signing import compute_address
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient, SettlementError
from novate.settlement.deployment import DeploymentOptions, deploy_contracts
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.exit_client import ExitClient
from novate.verification.findings import CheckFailed
from novate.verification.replay import Replayer
from novate.verification.risk import compute_equity
from tests.verification.small_genesis import CHAIN_ID, OPERATOR_SECRET, START_S, TRADERS, make_genesis
from tests.verification.small_venue import Lies, frame_commands, make_batches, publish, write_script

DAY_S = 86_400
LATE_ATOMS = 7_000_000
OPTIONS = DeploymentOptions(forced_deadline_s=7 * DAY_S)


class DeadVenue:
    """A venue that published and posted three batches, took one more deposit, and fell silent."""

    def __init__(self, folder: Path, options: DeploymentOptions = OPTIONS) -> None:
        self.now_s = START_S
        genesis, commands = make_genesis(), write_script()
        chain = EmbeddedChain(None, CHAIN_ID, lambda: self.now_s)
        self.web3 = Web3(EmbeddedProvider(chain))
        operator: LocalAccount = Account.from_key(OPERATOR_SECRET)
        _, hashes = frame_commands(genesis, commands)
        root, batches = make_batches(genesis, commands, hashes, Lies())
        manifest = deploy_contracts(
            self.web3,
            operator,
            operator=operator.address,
            genesis_hash=genesis.hash,
            genesis_state_root=root,
            finality_delay_s=60,
            options=options,
        )
        self.client = SettlementClient(self.web3, operator, manifest)
        self.client.mint(operator.address, 10**15)
        for command in commands:
            if command.kind == CommandKind.DEPOSIT:
                account = Web3.to_checksum_address(command.signer)
                self.client.deposit(account, command.get("amount_atoms"))
        self.now_s = batches[-1][0].time_ns // 10**9
        for header, _ in batches:
            self.client.post_header(header)
        self.now_s += 61
        self.client.deposit(Web3.to_checksum_address(compute_address(TRADERS[0].public_key)), LATE_ATOMS)
        self.owed = sum(amount for _, rows in batches for _, amount in rows)
        self.folder = folder / "published"
        self.folder.mkdir()
        for name, data in publish(commands).items():
            (self.folder / name).write_bytes(data)
        replayer = Replayer(genesis)
        for command in commands:
            replayer.apply(command)
        self.values = {
            account.address: max(0, compute_equity(replayer.state, account))
            for account in replayer.state.accounts
        }

    def wait(self, seconds: int) -> None:
        """Let time pass; on a chain with nobody left a block shows it."""
        self.now_s += seconds
        self.client.mint(self.client.address, 1)

    def open(self, wallet: LocalAccount) -> tuple[Exit, Console]:
        """A new program run by a wallet."""
        console = Console(record=True, width=160)
        files = read_published(self.folder)
        client = ExitClient(self.web3, wallet, "0x" + files.genesis.settlement.hex())
        return Exit(files, client, wallet, bytes.fromhex(wallet.address[2:]), console), console

    def do(self, wallet: LocalAccount, step: str) -> tuple[int, str]:
        """One step in a program of its own: its status and what it printed."""
        session, console = self.open(wallet)
        status = getattr(session, step)()
        return status, console.export_text()


@pytest.fixture(scope="module")
def wallets() -> list[LocalAccount]:
    """The traders' wallets."""
    return [Account.from_key(key.secret) for key in TRADERS]


def test_everybody_walks_out(tmp_path: Path, wallets: list[LocalAccount]) -> None:
    """[SETTLE-41] to [SETTLE-52]: show, request, freeze, claim and collect, by steps and by `run`."""
    venue = DeadVenue(tmp_path)
    first, *others = wallets
    status, text = venue.do(first, "show")
    assert (0, True) == (status, "by batch 3, final" in text)
    assert "waits: if no batch takes it, freeze in 7 d 0 h" in text
    with pytest.raises(ExitError, match="too early"):
        venue.do(first, "freeze")
    with pytest.raises(ExitError, match="not frozen"):
        venue.do(first, "claim")
    _, text = venue.do(first, "run")
    assert "freeze in" in text
    session, _ = venue.open(others[0])
    session.request(12_500_000)
    venue.wait(7 * DAY_S)
    assert "was ignored" in venue.do(others[0], "show")[1]
    status, text = venue.do(first, "run")
    assert 1 == status
    assert "the last word is batch 3" in text
    assert "7.000000 USDC given back" in text
    assert "claims are collected for another 14 d 0 h" in text
    assert LATE_ATOMS == venue.client.token_balance(first.address)
    for wallet in others:
        assert "posted now" in venue.do(wallet, "post_marks")[1]
        assert "claimed" in venue.do(wallet, "claim")[1]
        assert "0 of" in venue.do(wallet, "claim")[1], "Every step may be repeated."
    assert "all is claimed" in venue.do(first, "show")[1]
    venue.wait(14 * DAY_S)
    for wallet in wallets:
        assert "to be paid" in venue.do(wallet, "show")[1]
        assert 0 == venue.do(wallet, "collect")[0]
        assert "nothing is left" in venue.do(wallet, "show")[1]
    late = {wallets[0].address: LATE_ATOMS}
    found = [venue.client.token_balance(w.address) - late.get(w.address, 0) for w in wallets]
    assert [venue.values[bytes.fromhex(wallet.address[2:])] for wallet in wallets] == found
    assert venue.client.vault_balance() >= venue.owed


def test_changed_files_lead_nowhere(tmp_path: Path, wallets: list[LocalAccount]) -> None:
    """[SETTLE-43]: books that do not lead to the root on the chain are refused before anything is sent."""
    venue = DeadVenue(tmp_path)
    log = bytearray((venue.folder / "commands.log").read_bytes())
    log[len(log) // 2] ^= 1
    (venue.folder / "commands.log").write_bytes(bytes(log))
    with pytest.raises(CheckFailed):
        venue.do(wallets[0], "show")


def test_a_venue_without_an_exit_says_so(tmp_path: Path, wallets: list[LocalAccount]) -> None:
    """Nobody is left guessing: the first step names what is missing."""
    venue = DeadVenue(tmp_path, DeploymentOptions())
    with pytest.raises(SettlementError, match="without an exit"):
        venue.do(wallets[0], "show")


def test_wallets_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """A key is read from a file with mode 0600 or from the environment, and no message holds it."""
    secret = "0x" + "5a" * 32
    expected = Account.from_key(secret).address
    wallet = open_wallet(None, {KEY_VARIABLE: secret})
    assert wallet is not None
    assert expected == wallet.address
    assert open_wallet(None, {}) is None
    with pytest.raises(ExitError, match="64 hexadecimal digits") as caught:
        open_wallet(None, {KEY_VARIABLE: "0x" + "5a" * 31})
    assert "5a5a" not in str(caught.value)
    for text in ("0x12", "zz" * 20):
        with pytest.raises(ExitError, match="40 hexadecimal digits"):
            parse_address(text)
    assert b"\x12" * 20 == parse_address("0x" + "12" * 20)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "nowhere"], "NOVATE_WALLET_KEY"),
        (["show", "nowhere", "--address", "0x12"], "40 hexadecimal digits"),
        (["show", "nowhere", "--address", "0x" + "12" * 20], "not a directory"),
        (["request", "nowhere", "--amount", "0"], "should be positive"),
        (["request", "nowhere", "--amount", "much"], "such as 12.5"),
    ],
)
def test_mistakes_are_named(arguments: list[str], text: str) -> None:
    """The program ends with status 2 and one line that says what is wrong."""
    result = CliRunner().invoke(app, ["exit", *arguments], env={KEY_VARIABLE: ""})
    assert 2 == result.exit_code
    assert text in " ".join(result.output.split())
