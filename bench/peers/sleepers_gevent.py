#!/usr/bin/env python3
"""The workload of whorl-sleepers on gevent: greenlets that sleep, one in ten under a timeout."""

import sys
from time import monotonic_ns

import gevent

from workload import SAMPLE_EVERY_S, Job


def sleep_cut_short(job, seconds):
    job.due += 1
    timeout = gevent.Timeout(seconds)
    try:
        with timeout:
            gevent.sleep(seconds + 1)
    except gevent.Timeout as expired:
        if expired is not timeout:
            raise
        return True
    return False


def sleeper(job, coroutine):
    loops = job.options.loops
    job.alive += 1
    for loop in range(loops):
        n = coroutine * loops + loop
        seconds = job.sleep_ns[n] / 1e9
        deadline = monotonic_ns() + job.sleep_ns[n]
        if job.cut_short(coroutine, loop):
            timed_out = sleep_cut_short(job, seconds)
            job.caught += timed_out and monotonic_ns() >= deadline
        else:
            gevent.sleep(seconds)
        job.late_ns[n] = monotonic_ns() - deadline
    job.alive -= 1


def watch(job):
    while True:
        gevent.sleep(SAMPLE_EVERY_S)
        job.sample_memory()


def main(job):
    watcher = gevent.spawn(watch, job)
    sleepers = [gevent.spawn(sleeper, job, n) for n in range(job.options.coroutines)]
    job.all_spawned()
    gevent.sleep(0)  # the others run first: now they are asleep
    job.sample_memory()
    gevent.joinall(sleepers, raise_error=True)
    watcher.kill()


if __name__ == "__main__":
    job = Job("gevent", gevent.__version__)
    job.started()
    main(job)
    job.ended()
    sys.exit(job.report())
