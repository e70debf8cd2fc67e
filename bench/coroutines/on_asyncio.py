#!/usr/bin/python3 -B
"""asyncio, on its own event loop: tasks, queues, asyncio.timeout. It has no rendezvous."""

import asyncio
import platform
import time

from peer import (
    NEVER_S, SLEEPS, Sleepers, Yielders, added, long_s, main, memory_now, own, rate, require
)


async def yielder(y):
    y.one_begun()
    while y.begun < y.n:
        await asyncio.sleep(0)
    for _ in range(y.rounds):
        await asyncio.sleep(0)
    y.one_done()
    while y.done < y.n:
        y.extra += 1
        await asyncio.sleep(0)


async def yields(r):
    y = Yielders(r)
    await asyncio.gather(*[yielder(y) for _ in range(r.n)])
    y.result(r)


async def nothing(ran):
    ran[0] += 1


async def spawns(r):
    ran = [0]
    rounds = r.ops // r.n + 1
    begin = time.process_time_ns()
    for _ in range(rounds):
        for task in [asyncio.create_task(nothing(ran)) for _ in range(r.n)]:
            await task
    r.ns = time.process_time_ns() - begin
    r.ops = rounds * r.n
    require(ran[0] == r.ops, "all have run")


# ------------------------------------------------------------------------------------------ sleep

dormant = []
begun = 0


async def sleep_long():
    global begun
    begun += 1
    await asyncio.sleep(long_s(begun))
    require(False, "all sleep")


async def sleep_beside(n):
    while len(dormant) < n:
        dormant.append(asyncio.create_task(sleep_long()))
    while begun < n:
        await asyncio.sleep(0.001)


async def memory(r):
    before = memory_now()
    await sleep_beside(r.n)
    r.answer(bytes=round((memory_now() - before) / r.n, 1))


async def sleeper(s, me):
    for i in range(me * SLEEPS, me * SLEEPS + SLEEPS):
        ns = s.sleep_ns[i]
        deadline = time.monotonic_ns() + ns
        await asyncio.sleep(ns / 1e9)
        s.woken(deadline)


async def sleeps(r):
    s = Sleepers(r)
    async with asyncio.TaskGroup() as group:
        for me in range(r.n):
            group.create_task(sleeper(s, me))
        s.all_spawned()
    s.answer(r)


# --------------------------------------------------------------------------------------- messages


async def get_in_time(queue):
    async with asyncio.timeout(NEVER_S):
        return await queue.get()


async def echo(there, back, rounds):
    for _ in range(rounds):
        await back.put(await there.get() + 1)


async def ping_pong(r, rounds):
    there, back = asyncio.Queue(1), asyncio.Queue(1)
    other = asyncio.create_task(echo(there, back, rounds))
    begin = time.process_time_ns()
    if r.deadline:
        for i in range(rounds):
            await there.put(i)
            require(await get_in_time(back) == i + 1, "the echo is right")
    else:
        for i in range(rounds):
            await there.put(i)
            require(await back.get() == i + 1, "the echo is right")
    r.ns = time.process_time_ns() - begin
    await other


async def messages(r):
    rounds = r.ops // 2 + 1
    await ping_pong(r, rounds)
    r.ops = 2 * rounds


async def parked(r):
    await sleep_beside(r.n)
    await ping_pong(r, r.ops)  # in each round, one receive has a deadline


async def ready(r):
    await sleep_beside(r.n)
    queue = asyncio.Queue(1)
    begin = time.process_time_ns()
    if r.deadline:
        for i in range(r.ops):
            await queue.put(i)
            require(await get_in_time(queue) == i, "it is what was sent")
    else:
        for i in range(r.ops):
            await queue.put(i)
            require(await queue.get() == i, "it is what was sent")
    r.ns = time.process_time_ns() - begin


if __name__ == "__main__":
    main(
        "asyncio",
        platform.python_version(),
        "the event loop that comes with it",
        {
            "yield": (rate, yields),
            "C2": (rate, spawns),
            "C3": (own, memory),
            "C4": (own, sleeps),
            "C5-ready": (added, ready),
            "C5-parked": (added, parked),
            "C7": (rate, messages),
        },
        asyncio.run,
    )
