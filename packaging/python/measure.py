"""Measures `ensure`: run it with the Python of an environment that has the package."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Callable

import tatmig

USERS = 200
CALLS = 20_000
#: Longer than the time stamps of any file system are coarse: the document is an old one then.
SETTLED_SECONDS = 2.1

DOCUMENTS = Path(__file__).parent.parent / "documents"
BASELINE = (DOCUMENTS / "baseline.md").read_text(encoding="utf-8")
PINNED = (DOCUMENTS / "pinned.md").read_text(encoding="utf-8")


def median_us(calls: int, call: Callable[[int], object]) -> float:
    times = []
    for number in range(calls):
        start = time.perf_counter_ns()
        call(number)
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


async def awaited_us(fleet: tatmig.AsyncFleet, name: str) -> float:
    await fleet.ensure(name)
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        await fleet.ensure(name)
    return (time.perf_counter_ns() - start) / CALLS / 1000


def main() -> None:
    names = [f"user{number}" for number in range(USERS)]
    with tempfile.TemporaryDirectory() as directory:
        document = Path(directory) / "MIGRATIONS.md"
        document.write_text(BASELINE, encoding="utf-8")
        fleet = tatmig.Fleet(document, cwd=directory)
        fleet.init(names)
        time.sleep(SETTLED_SECONDS)
        first = median_us(USERS, lambda number: fleet.ensure(names[number]))
        later = median_us(CALLS, lambda number: fleet.ensure(names[number % USERS]))
        document.write_text(BASELINE + PINNED, encoding="utf-8")
        time.sleep(SETTLED_SECONDS)
        migrating = median_us(USERS, lambda number: fleet.ensure(names[number]))
        awaited = asyncio.run(awaited_us(tatmig.AsyncFleet(document, cwd=directory), names[0]))
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print(f"first call, at head:    {first / 1000:.2f} ms (median of {USERS} users)")
        print(f"first call, migrating:  {migrating / 1000:.2f} ms (median of {USERS} users)")
        print(f"later call:             {later:.1f} µs (median of {CALLS} calls)")
        print(f"later call, awaited:    {awaited:.1f} µs (mean of {CALLS} calls)")


main()
