#!/usr/bin/env python3
"""The workload of whorl-sleepers on asyncio: tasks that sleep, one in ten under a timeout."""

import asyncio
import contextlib
import platform
import sys
from time import monotonic_ns

from workload import SAMPLE_EVERY_S, Job


async def sleep_cut_short(job, seconds):
    job.due += 1
    try:
        async with asyncio.timeout(seconds):
            await asyncio.sleep(seconds + 1)
    except TimeoutError:
        return True
    return False


async def sleeper(job, coroutine):
    loops = job.options.loops
    job.alive += 1
    for loop in range(loops):
        n = coroutine * loops + loop
        seconds = job.sleep_ns[n] / 1e9
        deadline = monotonic_ns() + job.sleep_ns[n]
        if job.cut_short(coroutine, loop):
            timed_out = await sleep_cut_short(job, seconds)
            job.caught += timed_out and monotonic_ns() >= deadline
        else:
            await asyncio.sleep(seconds)
        job.late_ns[n] = monotonic_ns() - deadline
    job.alive -= 1


async def watch(job):
    while True:
        await asyncio.sleep(SAMPLE_EVERY_S)
        job.sample_memory()


async def main(job):
    watcher = asyncio.create_task(watch(job))
    async with asyncio.TaskGroup() as group:
        for coroutine in range(job.options.coroutines):
            group.create_task(sleeper(job, coroutine))
        job.all_spawned()
        await asyncio.sleep(0)  # the others run first: now they are asleep
        job.sample_memory()
    watcher.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watcher


if __name__ == "__main__":
    job = Job("asyncio", platform.python_version())
    job.started()
    asyncio.run(main(job))
    job.ended()
    sys.exit(job.report())
