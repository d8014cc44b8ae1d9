"""The world of one seed: streams of chance, the price, the true time, and all that outlives a process."""

import hashlib
import random
import tempfile
from pathlib import Path

from novate.execution.recovery import Recovered
from novate.protocol.generated.constants import NS_PER_S
from simulation.chain import Chain
from simulation.disk import Disk
from simulation.faults import choose_ends, choose_faults
from simulation.genesis import SPOT_ATOMS, START_NS, USDC, WALLETS, get_address
from simulation.loop import SimulatedLoop
from simulation.venue import SimulatedVenue
from simulation.witness import Witness

# No reorganisation is deeper than this, and a deposit is credited when so many blocks stand on it.
DEPTH_MAX = 3
CREDIT_AFTER = DEPTH_MAX
TRACE_LINES_MAX = 20_000
FOLDERS = ("journal", "snapshots", "published")


class World:
    """Everything there is in one seed. `violation` is the first broken promise."""

    venue: SimulatedVenue
    loop: SimulatedLoop

    def __init__(self, seed: int, echo: bool = False) -> None:
        self.seed = seed
        self.echo = echo
        self.trace: list[str] = []
        self.trace_hash = hashlib.sha256()
        self.violation = ""
        self.nonce = 0
        self.elapsed_s = 0.0
        self.skew_ns = 0
        self.alive = False
        self.confirmations = CREDIT_AFTER
        self.faults = choose_faults(self.make_chance("faults"))
        self.ends = choose_ends(self.make_chance("ends"), self.faults)
        self.price_atoms = SPOT_ATOMS
        self.folder = Path(tempfile.mkdtemp(prefix="novate-simulation-", dir=choose_ramdisk()))
        for name in FOLDERS:
            (self.folder / name).mkdir()
        self.disk = Disk(self.folder, self.make_chance("disk"))
        self.chain = Chain(self.make_chance("chain"), self.read_chain_s, DEPTH_MAX)
        self.witness = Witness(self.fail, self.read_now_s)

    def make_chance(self, name: str) -> random.Random:
        """A stream of chance of its own for each part, so that a change of one does not shift the others."""
        return random.Random(f"{self.seed}/{name}")

    # Time

    def read_now_s(self) -> float:
        """Seconds since the beginning."""
        return self.loop.time() if self.alive else self.elapsed_s

    def read_true_ns(self) -> int:
        """The time as it is."""
        return START_NS + int(self.read_now_s() * NS_PER_S)

    def read_clock_ns(self) -> int:
        """The time that the venue's machine believes."""
        return self.read_true_ns() + self.skew_ns

    def read_chain_s(self) -> float:
        """The time of the chain's next block."""
        return self.read_true_ns() / NS_PER_S

    # What is told

    def tell(self, text: str) -> None:
        """Add a line to the trace; the trace of a seed is always the same."""
        text = text.replace(str(self.folder), "")
        line = f"{self.read_now_s():9.4f}  {text}"
        self.trace_hash.update(line.encode() + b"\n")
        if len(self.trace) < TRACE_LINES_MAX:
            self.trace.append(line)
        if self.echo:
            print(line)

    def fail(self, text: str) -> None:
        """A promise is broken: note the first one, and end."""
        if not self.violation:
            self.violation = text.replace(str(self.folder), "")
            self.tell(f"VIOLATION: {text}")
        if self.alive:
            self.loop.end("violation")

    def on_recovered(self, recovered: Recovered) -> None:
        """A process has read its disk: compare with what was shown."""
        snapshot = recovered.snapshot.position.sequence if recovered.snapshot else 0
        self.tell(f"recovered {len(recovered.entries)} commands, from a snapshot of {snapshot}")
        for note in recovered.notes:
            self.tell(f"snapshot passed over: {note.replace(str(self.folder), '')}")
        self.witness.check_recovered(recovered)

    # What happens

    def move_price(self, chance: random.Random) -> None:
        """The true price walks, and leaps in a storm."""
        change_e4 = chance.randrange(-40, 41)
        if self.faults.storms and chance.random() < 0.06:
            change_e4 = chance.choice((-1_500, -900, -600, 600, 900))
            self.tell(f"the price leaps by {change_e4 / 100} %")
        floor, ceiling = SPOT_ATOMS // 3, SPOT_ATOMS * 2
        self.price_atoms = min(max(self.price_atoms * (10_000 + change_e4) // 10_000, floor), ceiling)

    def deposit(self, number: int, chance: random.Random) -> None:
        """A wallet pays in: the maker much, the others little."""
        amount = (10**6 if number == 0 else chance.randrange(1_000, 20_000)) * USDC + chance.randrange(USDC)
        self.chain.deposit(WALLETS[number], get_address(WALLETS[number]), amount)
        self.tell(f"wallet {number} pays {amount / USDC:.6f} USDC into the vault")

    def reorganise(self) -> None:
        """The chain changes its mind."""
        depth = self.chain.reorganise()
        self.chain.mine_waiting()
        self.tell(f"the chain forgets {depth} blocks; {len(self.chain.waiting)} transactions wait")

    def count_owed(self) -> dict[bytes, int]:
        """What each wallet should have been paid by now."""
        return {get_address(wallet): self.witness.withdrawn[get_address(wallet)] for wallet in WALLETS}

    def close(self) -> None:
        """Leave nothing behind."""
        self.disk.destroy()


def choose_ramdisk() -> str | None:
    """A folder in memory, if the machine has one: every sync is simulated, so nothing needs to last."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
