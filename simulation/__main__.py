"""`python -m simulation`: live seeds through, print a trace, append the outcome to the ledger."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator

from simulation.ledger import LEDGER, append_campaign, read_revision
from simulation.run import Result, run_seed


def read_arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds")
    parser.add_argument("--workers", type=int, default=1, help="how many processes share them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no seed after this time")
    parser.add_argument("--twice", action="store_true", help="live each seed twice and compare the traces")
    parser.add_argument("--ledger", action="store_true", help=f"append the outcome to {LEDGER.name}")
    return parser.parse_args()


def live_once(seed: int) -> Result:
    """Live a seed through."""
    return run_seed(seed)[0]


def live_twice(seed: int) -> Result:
    """Live a seed through twice; nothing but the seed may decide."""
    result = live_once(seed)
    if live_once(seed) != result:
        return result._replace(violation="the same seed was lived in two ways")
    return result


def iterate_results(chosen: argparse.Namespace) -> Iterator[Result]:
    """The results of the seeds in their order, as far as there is time."""
    live: Callable[[int], Result] = live_twice if chosen.twice else live_once
    seeds = range(chosen.seed, chosen.seed + chosen.count)
    if chosen.count == 1:
        yield run_seed(chosen.seed, echo=True)[0] if not chosen.twice else live(chosen.seed)
    elif chosen.workers == 1:
        yield from map(live, seeds)
    else:
        with multiprocessing.get_context("spawn").Pool(chosen.workers) as pool:
            yield from pool.imap(live, seeds, chunksize=4)


def main() -> int:
    """Run the seeds that the command line asks for; the exit status is 1 if a promise was broken."""
    chosen = read_arguments()
    begun, revision = time.monotonic(), read_revision()
    results: list[Result] = []
    for result in iterate_results(chosen):
        results.append(result)
        if result.violation:
            again = f"python -m simulation --seed {result.seed}"
            print(f"seed {result.seed}: {result.violation}\n  {again}", flush=True)
        if time.monotonic() - begun > chosen.seconds:
            break
    if chosen.ledger:
        append_campaign(LEDGER, results, revision)
    broken = sum(bool(result.violation) for result in results)
    commands = sum(result.commands for result in results)
    print(f"{len(results)} seeds, {commands} commands, {broken} broken promises")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
