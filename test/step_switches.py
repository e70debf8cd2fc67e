"""For gdb, from check_backtrace.sh: goes through the first switches of a program instruction by
instruction, and looks after each one whether the whole stack is found.

Up to the instruction that changes stacks it is the stack of the one that leaves, from there on that
of the one that arrives; both are known, from when each of them came to a switch: functions, places,
stack pointers, and the registers that a function preserves. One that never ran has nothing but
whorl__fiber_start. The last line says how much was looked at, or what was wrong."""

import gdb

SWITCHES = 40


def numbered(register, first, last):
    return "".join(register.format(n) + " " for n in range(first, last + 1))


# Of each CPU, as gdb's expressions: at the first instruction of the switch its first two arguments;
# the registers that are preserved; of these, what may be frame pointers.
CPUS = {
    "armv7": ("$r0", "$r1",
              numbered("$r{}", 4, 11) + numbered("$d{}.u64", 8, 15), "$r7 $r11"),
    "i386": ("*(long *)($esp + 4)", "*(long *)($esp + 8)", "$ebx $esi $edi $ebp", "$ebp"),
    "i386:x86-64": ("$rdi", "$rsi", "$rbx $rbp $r12 $r13 $r14 $r15", "$rbp"),
    "aarch64": ("$x0", "$x1",
                numbered("$x{}", 19, 29) + numbered("$v{}.d.u[0]", 8, 15), "$x29"),
    "mips:isa64r2": ("$a0", "$a1",
                     numbered("$s{}", 0, 8) + "$gp " + numbered("$f{}", 24, 31), "$s8"),
    "powerpc:common64": ("$r3", "$r4",
                         "$r2 " + numbered("$r{}", 14, 31) + numbered("$f{}", 14, 31) +
                         numbered("$vr{}.v4_int32[0]", 20, 31), "$r31"),
    "riscv:rv64": ("$a0", "$a1",
                   "$fp " + numbered("$s{}", 1, 11) + numbered("$fs{}.double", 0, 11), "$fp"),
    # Not f8-f15, of which gdb loses sight in the frames of callers.
    "s390:64-bit": ("$r2", "$r3", numbered("$r{}", 6, 13), "$r11"),
}


class Wrong(Exception):
    pass


def register(frame, expression):
    frame.select()
    return int(gdb.parse_and_eval(expression))


def preserved(frame):
    return [register(frame, name) for name in PRESERVED]


def name_of(frame):
    """clang's assembler gives labels a dot in place of the underscores."""
    return (frame.name() or "").replace(".", "__")


def stack():
    """(function, place, stack pointer) of each frame, without those that gdb makes up for calls
    that were inlined or became jumps; it has to end as a stack does."""
    frames, last = [], None
    frame = gdb.newest_frame()
    while frame is not None:
        if frame.type() == gdb.NORMAL_FRAME:
            frames.append((name_of(frame), frame.pc(), register(frame, "$sp")))
        last, frame = frame, frame.older()
    reason = last.unwind_stop_reason()
    if name_of(last) == "whorl__fiber_start":
        clean = reason == gdb.FRAME_UNWIND_OUTERMOST
    else:
        clean = last.name() == "main" and reason == gdb.FRAME_UNWIND_NO_REASON
    if not clean:
        raise Wrong(f"ends in {last.name()}: {gdb.frame_stop_reason_string(reason)}")
    return frames


def expect(what, found, expected):
    if found != expected:
        raise Wrong(f"{what}: found {found}, expected {expected}")


def in_function(name):
    # The second name of the switch is the same code.
    return name_of(gdb.newest_frame()).startswith(name)


def step():
    gdb.execute("stepi", to_string=True)


def first_entry(counts):
    """Through whorl__fiber_start, into what it calls."""
    while in_function("whorl__fiber_start"):
        expect("at the start of a fiber", [f[0] for f in stack()], ["whorl__fiber_start"])
        counts["instructions"] += 1
        step()
    names = [f[0] for f in stack()]
    expect("in the entry function", (len(names), names[-1]), (2, "whorl__fiber_start"))
    # It has to preserve them for nobody: so that those of one are not those of another.
    for i, name in enumerate(PRESERVED):
        if name not in FRAME_POINTERS:
            gdb.execute(f"set {name} = {100 * counts['first entries'] + i}")


def through_switch(stopped, counts):
    frame = gdb.newest_frame()
    whose = register(frame, FROM)
    to = register(frame, TO)
    leaving = stack()[1:], preserved(frame.older())
    arriving = stopped.get(to)
    arrived = False
    while in_function("whorl__switch"):
        arrived = arrived or register(gdb.newest_frame(), "$sp") == to
        frames = stack()[1:]
        if arrived and arriving is None:
            expect("before a first entry", [f[0] for f in frames], ["whorl__fiber_start"])
        else:
            expect("in the switch", (frames, preserved(gdb.newest_frame().older())),
                   arriving if arrived else leaving)
        counts["instructions"] += 1
        step()
    stopped[int(gdb.Value(whose).cast(POINTER.pointer()).dereference())] = leaving
    if arriving is None:
        counts["first entries"] += 1
        first_entry(counts)
    else:
        expect("behind the switch", (stack(), preserved(gdb.newest_frame())), arriving)


def main():
    stopped, counts = {}, {"switches": 0, "first entries": 0, "instructions": 0}
    try:
        while counts["switches"] < SWITCHES:
            gdb.execute("continue", to_string=True)
            if not gdb.selected_inferior().pid:
                break
            through_switch(stopped, counts)
            counts["switches"] += 1
        print("all right: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    except (Wrong, gdb.error) as wrong:
        print(f"{gdb.execute('x/i $pc', to_string=True)}wrong: {wrong}")


gdb.execute("break main", to_string=True)
# A program behind a stub for remote debugging has begun already.
gdb.execute("continue" if gdb.selected_inferior().pid else "run", to_string=True)
gdb.execute("break *whorl__switch", to_string=True)
POINTER = gdb.lookup_type("unsigned long")
FROM, TO, PRESERVED, FRAME_POINTERS = (
    CPUS[gdb.newest_frame().architecture().name()])
PRESERVED = PRESERVED.split()
FRAME_POINTERS = FRAME_POINTERS.split()
main()
