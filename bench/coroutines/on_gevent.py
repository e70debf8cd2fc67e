#!/usr/bin/python3 -B
"""gevent: greenlets, its queues and gevent.Timeout. Raw coroutines are those of greenlet."""

import time

import gevent
import greenlet
from gevent.queue import Channel, Queue

from peer import (
    NEVER_S, SLEEPS, Sleepers, Yielders, added, long_s, main, memory_now, own, rate, require
)


async def pairs(r):
    """C1. An operation is a switch there and one back."""
    seen = 0

    def hand_back():
        nonlocal seen
        while True:
            seen += 1
            here.switch()

    here = greenlet.getcurrent()
    there = greenlet.greenlet(hand_back)
    begin = time.process_time_ns()
    for _ in range(r.ops):
        there.switch()
    r.ns = time.process_time_ns() - begin
    require(seen == r.ops, "all switches came")


async def lives(r):
    """C2raw: make, run to its end, free."""
    ran = [0]

    def once():
        ran[0] += 1

    begin = time.process_time_ns()
    for _ in range(r.ops):
        greenlet.greenlet(once).switch()
    r.ns = time.process_time_ns() - begin
    require(ran[0] == r.ops, "all have run")


def yielder(y):
    y.one_begun()
    while y.begun < y.n:
        gevent.sleep(0)
    for _ in range(y.rounds):
        gevent.sleep(0)
    y.one_done()
    while y.done < y.n:
        y.extra += 1
        gevent.sleep(0)


async def yields(r):
    y = Yielders(r)
    gevent.joinall([gevent.spawn(yielder, y) for _ in range(r.n)], raise_error=True)
    y.result(r)


def nothing(ran):
    ran[0] += 1


async def spawns(r):
    ran = [0]
    rounds = r.ops // r.n + 1
    begin = time.process_time_ns()
    for _ in range(rounds):
        for spawned in [gevent.spawn(nothing, ran) for _ in range(r.n)]:
            spawned.join()
    r.ns = time.process_time_ns() - begin
    r.ops = rounds * r.n
    require(ran[0] == r.ops, "all have run")


# ------------------------------------------------------------------------------------------ sleep

dormant = []
begun = 0


def sleep_long():
    global begun
    begun += 1
    gevent.sleep(long_s(begun))
    require(False, "all sleep")


def sleep_beside(n):
    while len(dormant) < n:
        dormant.append(gevent.spawn(sleep_long))
    while begun < n:
        gevent.sleep(0.001)


async def memory(r):
    before = memory_now()
    sleep_beside(r.n)
    r.answer(bytes=round((memory_now() - before) / r.n, 1))


def sleeper(s, me):
    for i in range(me * SLEEPS, me * SLEEPS + SLEEPS):
        ns = s.sleep_ns[i]
        deadline = time.monotonic_ns() + ns
        gevent.sleep(ns / 1e9)
        s.woken(deadline)


async def sleeps(r):
    s = Sleepers(r)
    spawned = [gevent.spawn(sleeper, s, me) for me in range(r.n)]
    s.all_spawned()
    gevent.joinall(spawned, raise_error=True)
    s.answer(r)


# --------------------------------------------------------------------------------------- messages


def get_in_time(queue):
    with gevent.Timeout(NEVER_S):
        return queue.get()


def line():
    return Queue(1)


def echo(there, back, rounds):
    for _ in range(rounds):
        back.put(there.get() + 1)


def ping_pong(r, rounds, channel):
    there, back = channel(), channel()
    other = gevent.spawn(echo, there, back, rounds)
    begin = time.process_time_ns()
    if r.deadline:
        for i in range(rounds):
            there.put(i)
            require(get_in_time(back) == i + 1, "the echo is right")
    else:
        for i in range(rounds):
            there.put(i)
            require(back.get() == i + 1, "the echo is right")
    r.ns = time.process_time_ns() - begin
    other.join()


async def messages(r, channel=line):
    rounds = r.ops // 2 + 1
    ping_pong(r, rounds, channel)
    r.ops = 2 * rounds


async def rendezvous(r):
    await messages(r, Channel)


async def parked(r):
    sleep_beside(r.n)
    ping_pong(r, r.ops, line)  # in each round, one receive has a deadline


async def ready(r):
    sleep_beside(r.n)
    queue = line()
    begin = time.process_time_ns()
    if r.deadline:
        for i in range(r.ops):
            queue.put(i)
            require(get_in_time(queue) == i, "it is what was sent")
    else:
        for i in range(r.ops):
            queue.put(i)
            require(queue.get() == i, "it is what was sent")
    r.ns = time.process_time_ns() - begin


def start(coroutine):
    """To its end: it awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        pass


if __name__ == "__main__":
    main(
        "gevent",
        gevent.__version__,
        f"greenlet {greenlet.__version__}, its default loop ({gevent.config.loop.__module__})",
        {
            "C1": (rate, pairs),
            "yield": (rate, yields),
            "C2": (rate, spawns),
            "C2raw": (rate, lives),
            "C3": (own, memory),
            "C4": (own, sleeps),
            "C5-ready": (added, ready),
            "C5-parked": (added, parked),
            "C7": (rate, messages),
            "C7-rendezvous": (rate, rendezvous),
        },
        start,
    )
