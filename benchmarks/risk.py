"""Measure risk: renewing every mark and scenario row, and every account's margin at new marks.

    marks       a TICK after a new index, no account holds anything: each instrument's mark, 32 scenarios, two
                moves of the basis and vega by the integer law, beside Black-76 in float64 by numpy and scipy
    re-margin   from position records in no order to equity, initial and maintenance margin of every account,
                beside numpy and scipy, which get the positions sorted by account and find P and its least

Medians of CPU time of the thread, engine and peers in turns. The rows must agree with float64 to a few atoms,
P with numpy exactly, and what the accounts come to with the digest below.
"""

import hashlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import ndtr

from figures import record
from novate.execution.exposure import measure_accounts
from novate.execution.remargining import add_portfolios
from novate.execution.warmup import warm_up
from novate.kernel import kernel
from novate.protocol.generated.codes import Code, EventKind, InstrumentKind
from novate.protocol.generated.constants import E6
from novate.protocol.generated.tables import DAMPING_E6, LN_MOVE_X48, MOVE_E6, VOLATILITY_MODE
from novate.protocol.scenarios import compute_floor_volatility_x48, compute_volatility_factors_x48
from risk_venue import make_venue
from stream import Stream

INSTRUMENTS = (500, 1000, 2000, 4000)
# Accounts and what each holds; the law lets a venue have 2**22 positions.
SIZES = ((1_000, 50), (10_000, 50), (30_000, 50), (100_000, 40))
ROUNDS = 7
DIGESTED = 10_000
DIGEST = "6813f3d8963aba332c935c490ae7c2f8"
X48 = float(1 << 48)
Rows = list[tuple[str, Any]]


@kernel
def remargin(w: Any, figures: Any) -> None:
    """Add up every account's sums at the marks that there are, and what it has and needs."""
    add_portfolios(w, 0)
    measure_accounts(w, figures)


def time_ms(work: Callable[[], object]) -> float:
    begun = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - begun) / 1e6


def renew_marks(stream: Stream, step: int) -> float:
    """Milliseconds of a TICK after an index a little above the last."""
    events = stream.engine.apply([stream.index(80_000_000_000 + 1_000_000 * step)])
    assert (events["code"] == Code.OK).all()
    tick = stream.tick()
    begun = time.thread_time_ns()
    events = stream.engine.apply([tick])
    took = (time.thread_time_ns() - begun) / 1e6
    assert int((events["kind"] == EventKind.MARKED).sum()) == 1
    return took


def shock_volatilities(options: Any, now_ns: int) -> Any:
    """Total volatilities of the 32 scenarios and the mark, as floats."""
    volatility = options["total_volatility_x48"] / X48
    lasting = (options["expiry_ns"] - now_ns).tolist()
    up, down = np.array([compute_volatility_factors_x48(each) for each in lasting]).T / X48
    floor = np.array([compute_floor_volatility_x48(each) for each in lasting]) / X48
    choices = np.stack([volatility, np.maximum(volatility * up, floor), volatility * down])
    return np.vstack([choices[np.array(VOLATILITY_MODE)], volatility])


def reprice(options: Any, volatilities: Any) -> Any:
    """Scenario rows of options in float64, unrounded: Black-76 as numpy and scipy have it."""
    forward, strike = options["forward_atoms"].astype(float), options["strike_atoms"].astype(float)
    moves = np.append(np.array(MOVE_E6) / E6, 0.0)[:, None]
    logs = np.append(np.array(LN_MOVE_X48) / X48, 0.0)[:, None]
    moved = forward * (1 + moves)
    upper = (np.log(forward / strike) + logs) / volatilities + volatilities / 2
    sign = np.where(options["kind"] == InstrumentKind.CALL, 1.0, -1.0)
    value = sign * (moved * ndtr(sign * upper) - strike * ndtr(sign * (upper - volatilities)))
    value /= options["lots_per_unit"]
    return ((value[:-1] - value[-1]) * (np.array(DAMPING_E6) / E6)[:, None]).T


def measure_marks() -> Rows:
    """The growth of a mark update with the instruments, and the float64 peer's."""
    table: Rows = []
    for instruments in INSTRUMENTS:
        stream = make_venue(2, instruments, 0)
        world = stream.engine.world
        ours, peers, worst = [], [], 0.0
        for step in range(ROUNDS):
            ours.append(renew_marks(stream, step))
            options = world.instruments[1:instruments].copy()
            volatilities = shock_volatilities(options, stream.now_ns)
            begun = time.thread_time_ns()
            rows = reprice(options, volatilities)
            peers.append((time.thread_time_ns() - begun) / 1e6)
            worst = max(worst, float(abs(rows - world.rows[1:instruments]).max()))
        assert worst < 4, f"a row is {worst} atoms from Black-76 in float64"
        table.append((f"ms per mark update, {instruments} instruments x 34 values", statistics.median(ours)))
        table.append((f"ms, numpy and scipy in float64, {instruments} x 33 values", statistics.median(peers)))
        table.append((f"largest difference in atoms, {instruments} instruments", worst))
    return table


def sort_positions(world: Any, accounts: int) -> Any:
    """The positions as a sparse matrix of accounts by instruments, what the peers begin with."""
    held = world.positions[world.positions["lots"] != 0]
    shape = (accounts, len(world.rows))
    matrix = csr_matrix((held["lots"], (held["account"], held["instrument"])), shape=shape)
    matrix.sort_indices()
    return matrix


def sweep_numpy(matrix: Any, rows: Any) -> Any:
    """P of every account, and the scan of what it holds."""
    pnl = np.add.reduceat(matrix.data[:, None] * rows[matrix.indices], matrix.indptr[:-1], axis=0)
    return pnl, np.maximum(0, -pnl.min(axis=1))


def sweep_scipy(matrix: Any, rows: Any) -> Any:
    """The same by a sparse product."""
    pnl = matrix @ rows
    return pnl, np.maximum(0, -pnl.min(axis=1))


def measure_accounts_of(accounts: int, held: int) -> Rows:
    """One venue, re-margined by the engine and swept by the peers, in turns."""
    stream = make_venue(accounts, 1000, held)
    world, figures = stream.engine.world, np.zeros((accounts, 3), np.int64)
    before = world.pnl.tobytes(), world.portfolios.tobytes(), world.basis_held.tobytes()
    matrix, rows = sort_positions(world, accounts), np.ascontiguousarray(world.rows)
    assert matrix.nnz == accounts * held
    columns: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS):
        columns[0].append(time_ms(lambda: remargin(world, figures)))
        columns[1].append(time_ms(lambda: sweep_numpy(matrix, rows)))
        columns[2].append(time_ms(lambda: sweep_scipy(matrix, rows)))
    for sweep in (sweep_numpy, sweep_scipy):
        assert (sweep(matrix, rows)[0] == world.pnl[:accounts, 0]).all()
    # Every sum was kept trade by trade: adding up from nothing must change none.
    assert before == (world.pnl.tobytes(), world.portfolios.tobytes(), world.basis_held.tobytes())
    digest = hashlib.blake2b(figures.tobytes(), digest_size=16).hexdigest()
    assert accounts != DIGESTED or digest == DIGEST, f"the accounts come to something else: {digest}"
    ours, numpy_ms, scipy_ms = (statistics.median(column) for column in columns)
    tick_ms = statistics.median(renew_marks(stream, step) for step in range(5))
    name = f"{accounts} accounts x {held}"
    return [
        (f"ms per re-margin, {name}", ours),
        (f"ns per position, {name}", ours * 1e6 / (accounts * held)),
        (f"ms, numpy int64, sorted before, {name}", numpy_ms),
        (f"ms, scipy sparse int64, sorted before, {name}", scipy_ms),
        (f"numpy / ours, {name}", numpy_ms / ours),
        (f"scipy / ours, {name}", scipy_ms / ours),
        (f"ms per TICK with marks and liquidation, 1000 instruments, {name}", tick_ms),
    ]


def main() -> None:
    print(f"kernels ready in {warm_up():.1f} s")
    tables: dict[str, Rows] = {"mark update": measure_marks()}
    for accounts, held in SIZES:
        tables[f"re-margin, {accounts} accounts"] = measure_accounts_of(accounts, held)
    record("risk", tables)


if __name__ == "__main__":
    sys.exit(main())
