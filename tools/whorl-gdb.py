"""Whorl's coroutines in gdb 11 or later, in a process and in a core file: docs/debugging.md.

    info coroutines             all of all runtimes, a line each
    coroutine N                 what there is to know of one, and selects it: bt, up, info locals and
                                print are then about its stack
    coroutine N COMMAND...      a command of gdb's, bt perhaps, in that one
    coroutine all COMMAND...    in each
    coroutine bt EXPR           a backtrace of what EXPR points to: a struct co_raw, co_gen, co
    coroutine off               back to the thread's own stack

Numbers are those that Whorl's reports give; with several runtimes RUNTIME.N.

A coroutine that does not run has left its registers in a frame on its stack (src/arch), and to see it
no register is written: an unwinder claims the thread's frame 0 and says that it was called with those
registers. So the frames of a selected coroutine begin at 1, above whatever the thread does; a filter
leaves frame 0 out of backtraces. All else is read from the library's own structures, for which it
needs its debug information."""

import contextlib
import functools
import re

import gdb
import gdb.unwinder

NEVER = 2 ** 64 - 1             # TICK_NEVER
FOREVER = 2 ** 63 - 1           # CO_FOREVER
MISSING = "Its stack is not in this core file: docs/debugging.md says which ones have it."
SCANNED = 64 << 20              # of a stack, at most, to find how much of it was used

# By gdb's name of the CPU: where a frame has the address to go on at, and the stack pointer; what gdb
# calls members of the frame that have other names, or the first of an array whose first is not 0.
PLACES = {
    "armv7": ("lr", "sp", {}),
    "i386": ("eip", "esp", {}),
    "i386:x86-64": ("rip", "rsp", {}),
    # d8 is the lower half of v8, which is what gdb unwinds.
    "aarch64": ("x30", "sp", {f"d{n}": f"v{n}" for n in range(8, 16)}),
    "mips:isa64r2": ("ra", "sp", {"fp": "s8", "f": "f24"}),
    "powerpc:common64": ("lr", "r1", {"v": "vr20", "r": "r14", "f": "f14"}),
    "riscv:rv64": ("ra", "sp", {"s0": "fp"}),
    "s390:64-bit": ("r14", "r15", {"r": "r6", "f": "f8"}),
}


# ------------------------------------------------------------------------------- the library's data

def need_types():
    try:
        gdb.lookup_type("struct co_loop")
        gdb.lookup_type("struct whorl__fiber")
    except gdb.error:
        raise gdb.GdbError("There is no debug information of libwhorl here: it is not loaded yet, or "
                           "it was stripped. Build it with -g, or install what was stripped off.")


@functools.lru_cache(maxsize=None)
def enum(name):
    """The enumerators of an enum, by value."""
    return {f.enumval: f.name for f in gdb.lookup_type("enum " + name).fields()}


def follow(first, link):
    while first:
        yield first
        first = first[link]


def loops():
    """All that are open, the oldest first, and those in which a coroutine got stuck for good."""
    need_types()
    found = []
    for name in ("loops", "stuck_loops"):
        for symbol in gdb.lookup_static_symbols(name):
            if str(symbol.type.strip_typedefs()) == "struct co_loop *":
                found += follow(symbol.value(), "next")
    return sorted(found, key=lambda loop: int(loop["serial"]))


def coroutines(loop):
    """Its control blocks in use."""
    chunk_size = int(gdb.parse_and_eval("(int)CHUNK"))
    for i in range(int(loop["chunk_count"])):
        chunk = loop["chunks"][i]["at"]
        for j in range(chunk_size if chunk else 0):
            if state_of(chunk[j]) != "FREE":
                yield chunk[j].address


def state_of(co):
    return enum("co_state")[int(co["state"])][len("STATE_"):]


def name_of(co):
    return co["home"]["name"].string(errors="replace") if co["home"] else ""


def duration(ns):
    for unit, size in ("s", 10 ** 9), ("ms", 10 ** 6), ("us", 10 ** 3):
        if abs(ns) >= size:
            return f"{ns / size:.4g} {unit}"
    return f"{ns} ns"


def instant(co, ns):
    """As seen from the loop's last look at its clock."""
    left = ns - int(co["loop"]["latest"])
    return f"in {duration(left)}" if left >= 0 else f"{duration(-left)} ago"


def deadline(co):
    """Of its call or of its scopes, whichever comes first."""
    call = int(co["wait"]["tick"]) if state_of(co) == "PARKED" else NEVER
    scope = int(co["nearest"])
    if min(call, scope) == NEVER:
        return "-"
    return instant(co, min(call, scope) >> 1) + (", by a scope" if scope < call else "")


def place(address):
    """A return address: symbol and offset, and the line of the call."""
    text = address.cast(gdb.lookup_type("void").pointer()).format_string(format="a")
    symbol = text[text.find("<") + 1:-1] if "<" in text else text
    line = gdb.find_pc_line(int(address) - 1)
    return f"{symbol} at {line.symtab.filename}:{line.line}" if line.symtab else symbol


# ----------------------------------------------------------------------- stacks that nobody runs on

class Unwinder(gdb.unwinder.Unwinder):
    """Puts the stack of a stopped fiber above the frame 0 of the thread that it was selected on."""

    def __init__(self):
        super().__init__("whorl")
        self.enabled = False

    def select(self, fiber):
        self.fiber = fiber
        thread = gdb.newest_frame()
        self.place = thread.pc(), int(thread.read_register("sp"))
        self.registers, self.sp = registers(fiber, thread.architecture().name())
        self.enabled = True

    def __call__(self, pending):
        if (int(pending.read_register("pc")), int(pending.read_register("sp"))) != self.place:
            return None
        # Not the thread's own sp: gdb takes a caller that lies below its callee for a broken stack.
        self.pc = pending.read_register("pc")
        info = pending.create_unwind_info(self)
        known = {r.name for r in pending.architecture().registers()}
        for name, value in self.registers.items():
            if name in known:
                info.add_saved_register(name, as_register(pending.read_register(name), value))
        return info


class Filter:
    """Leaves out what is not the coroutine's: up to the frame that was claimed."""

    def __init__(self):
        self.name, self.priority, self.enabled = "whorl", 1000, False

    def filter(self, frames):
        ours = False
        for frame in frames:
            if ours:
                yield frame
            ours = ours or frame.inferior_frame().type() == gdb.NORMAL_FRAME


def registers(fiber, cpu):
    """What a stopped fiber goes on with, and where its frame is. The members of the frame are called
    what the registers are, or are arrays of them."""
    frame_type = gdb.lookup_type("struct whorl__frame")
    frame = fiber["sp"].cast(frame_type.pointer()).dereference()
    go_on, sp, names = PLACES.get(cpu, ("", "", {}))
    found = {}
    end = frame_type.sizeof
    for field in frame_type.fields():
        value = frame[field.name]
        if value.type.code == gdb.TYPE_CODE_ARRAY:
            name, first = re.fullmatch("(.*?)([0-9]+)", names.get(field.name, field.name + "0")).groups()
            for i in range(value.type.range()[1] + 1):
                numbered = f"{name}{int(first) + i}"
                found[names.get(numbered, numbered)] = integer(value[i])
        else:
            found[names.get(field.name, field.name)] = integer(value)
        if field.name == "back_chain":      # of the caller's frame
            end = field.bitpos // 8
    if go_on not in found:
        raise gdb.GdbError(f"Stacks of coroutines that do not run cannot be seen on this CPU ({cpu}).")
    found["pc"] = found[go_on]
    if found["pc"] == 0:
        raise gdb.GdbError(MISSING)
    found[sp] = int(fiber["sp"]) + end
    return found, fiber["sp"]


def byte_order():
    return "big" if "big endian" in gdb.execute("show endian", to_string=True) else "little"


def integer(value):
    """Of as many bits as it has."""
    content = gdb.selected_inferior().read_memory(int(value.address), value.type.sizeof)
    return int.from_bytes(bytes(content), byte_order())


def as_register(like, value):
    size = like.type.sizeof
    return gdb.Value((value % 256 ** size).to_bytes(size, byte_order()), like.type)


UNWINDER, FILTER = Unwinder(), Filter()
selected = None                 # what is: a struct co or a fiber


def let_go(_event=None):
    global selected
    selected = None
    if UNWINDER.enabled:
        UNWINDER.enabled = FILTER.enabled = False
        gdb.invalidate_cached_frames()


def go_to(fiber):
    """The innermost frame of a fiber that does not run is selected."""
    let_go()
    UNWINDER.select(fiber)
    UNWINDER.enabled = FILTER.enabled = True
    gdb.invalidate_cached_frames()
    frame = gdb.newest_frame()
    while frame.type() != gdb.NORMAL_FRAME:
        frame = frame.older()
    frame.older().select()


@contextlib.contextmanager
def coming_back():
    """To the thread, the stack and the frame that are selected."""
    global selected
    thread, level = gdb.selected_thread(), gdb.selected_frame().level()
    before, fiber = selected, UNWINDER.fiber if UNWINDER.enabled else None
    try:
        yield
    finally:
        let_go()
        thread.switch()
        if fiber is not None:
            go_to(fiber)
        frame = gdb.newest_frame()
        for _ in range(level):
            frame = frame.older()
        frame.select()
        selected = before


def thread_inside(loop):
    """The thread that is inside this loop: its whorl__loop is, or where that cannot be read, it stands
    on the stack of the coroutine that runs."""
    with coming_back():
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            try:
                inside = int(gdb.parse_and_eval("whorl__loop")) == int(loop)
            except gdb.error:
                inside = any(on_stack(co) for co in coroutines(loop) if is_running(co))
            if inside:
                return thread
    return None


def on_stack(co):
    sp = int(gdb.newest_frame().read_register("sp"))
    return int(co["fiber"]["stack"]["low"]) <= sp < int(co["home"])


def on_loops_stack(loop):
    try:
        return int(gdb.parse_and_eval("whorl__fiber_current")) == int(loop["on"])
    except gdb.error:           # a thread's variables cannot be read
        return False


def is_running(co):
    return state_of(co) == "RUNNING"


def stacks(co):
    """The fibers that a stopped coroutine is on, the innermost first: its own, and in a generator that
    one's before it."""
    fiber = co["on"].dereference()
    while int(fiber.address) != int(co["fiber"].address):
        yield fiber
        if not fiber["resumer"]:
            raise gdb.GdbError(MISSING)
        fiber = fiber["resumer"].dereference()
    yield fiber


def enter(co, fiber=None):
    """Selects a coroutine where it is innermost, or on that stack of its; on the thread of its loop, if
    one is inside."""
    global selected
    let_go()
    if state_of(co) == "DONE":
        raise gdb.GdbError(f"Coroutine {number(co)} has ended: it has no stack any more.")
    thread = thread_inside(co["loop"])
    if thread is not None:
        thread.switch()
    if not is_running(co):
        go_to(fiber or co["on"].dereference())
    elif thread is None:
        raise gdb.GdbError(f"No thread is found that runs coroutine {number(co)}.")
    elif on_loops_stack(co["loop"]):    # a hook that is called for it
        go_to(co["fiber"])
    selected = co


# ------------------------------------------------------------------------------------ one coroutine

several = False                 # loops: then numbers have two parts


def number(co):
    loop = f"{int(co['loop']['serial'])}." if several else ""
    return f"{loop}{int(co['index'])}"


def all_loops():
    global several
    found = loops()
    several = len(found) > 1
    return found


def find(text):
    """The coroutine of a number; None: that is none."""
    parts = text.split(".")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        return None
    candidates = all_loops()
    if len(parts) == 2:
        candidates = [loop for loop in candidates if int(loop["serial"]) == int(parts[0])]
    found = [co for loop in candidates for co in coroutines(loop) if int(co["index"]) == int(parts[-1])]
    if not found:
        raise gdb.GdbError(f"There is no coroutine {text}.")
    if len(found) > 1:
        raise gdb.GdbError("Which? " + ", ".join(number(co) for co in found))
    return found[0]


def state_line(co):
    if is_running(co):
        return "running"
    if state_of(co) in ("READY", "YIELDED"):
        return "ready to run"
    if state_of(co) == "DONE":
        return f"done with {int(co['exit'])}, not joined yet"
    since = duration(int(co["loop"]["latest"]) - int(co["wait"]["since"]))
    return f"for {since} waiting for {co['wait']['what'].string()}"


def stack_line(co):
    low, size = int(co["fiber"]["stack"]["low"]), int(co["fiber"]["stack"]["size"])
    base = int(co["home"])
    in_use = 0 if is_running(co) else base - int(co["fiber"]["sp"])
    parts = [f"{size} bytes at {low:#x}"]
    if in_use:
        parts.append(f"{in_use} in use")
    if size <= SCANNED:
        parts.append(f"at most {max(in_use, most_used(low, base))} so far")
    return ", ".join(parts)


def most_used(low, base):
    """From the lowest word that is not zero, as co_stack_used has it. What a core file lacks is."""
    inferior = gdb.selected_inferior()
    for at in range(low, base, 4096):
        try:
            rest = bytes(inferior.read_memory(at, min(4096, base - at))).lstrip(b"\0")
        except gdb.MemoryError:
            continue
        if rest:
            return (base - max(at, (min(at + 4096, base) - len(rest)))) + 7 & ~7
    return 0


def scopes(co):
    """From the innermost outward, a line each."""
    for node in follow(co["scope"], "parent"):
        what = "group" if node["group"] else "shield" if node["shield"] else "scope"
        if int(node["user"].cast(gdb.lookup_type("long"))) == -1:   # ROOT
            what = f"coroutine {number(node['owner'])}" if node["owner"] else "the runtime"
        parts = [what]
        if node["group"]:
            parts.append(f"{int(node['group']['running'])} live in it")
        if int(node["deadline"]) != FOREVER:
            parts.append("expires " + instant(co, int(node["deadline"])))
        if int(node["cause"]):
            cause = enum("co_cause_kind")[int(node["cause"])][len("CO_CAUSE_"):].lower()
            parts.append(f"cancelled ({cause})")
        elif node["effective"]:
            parts.append("cancelled from outside")
        if node["site"]:
            parts.append("begun in " + place(node["site"]))
        yield ", ".join(parts)


def describe(co):
    print(f"Coroutine {number(co)} '{name_of(co)}', {state_line(co)}")
    if deadline(co) != "-":
        print(f"  deadline {deadline(co)}")
    print(f"  spawned in {place(co['fiber']['site'])}")
    if state_of(co) == "DONE":
        return
    fn = co["home"]["fn"].dereference()
    print(f"  runs {fn.address.format_string(format='a').split('<')[-1][:-1]}({int(co['home']['arg']):#x})")
    print(f"  stack: {stack_line(co)}")
    print("  scopes, from the innermost outward:")
    for line in scopes(co):
        print(f"    {line}")


# ----------------------------------------------------------------------------------------- commands

def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[-1]]).rstrip())


class InfoCoroutines(gdb.Command):
    """All coroutines of all runtimes, a line each.
Times are as of the runtime's last look at its clock."""

    def __init__(self):
        super().__init__("info coroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        found = all_loops()
        if not found:
            print("No runtime is open.")
        for loop in found:
            self.show(loop)

    def show(self, loop):
        thread = thread_inside(loop)
        name = loop["name"].string()
        print(f"Runtime {int(loop['serial'])}" + (f" '{name}'" if name else "") +
              f", {int(loop['stats']['live'])} live, clock at {duration(int(loop['latest']))}")
        rows = [("", "Num", "Name", "State", "Waits for", "Since", "Until", "Spawned in")]
        for co in coroutines(loop):
            rows.append(self.row(co, thread))
        table(rows)

    def row(self, co, thread):
        state = state_of(co).lower().replace("yielded", "ready")
        what, since = "-", "-"
        if is_running(co):
            state = f"running, thread {thread.num}" if thread else "running"
        elif state == "done":
            what = "to be joined"
        elif state == "parked":
            what = co["wait"]["what"].string()
            since = instant(co, int(co["wait"]["since"])).replace("in 0 ns", "now")
        mark = "*" if selected is not None and int(selected) == int(co) else ""
        until = deadline(co) if state != "done" else "-"
        return (mark, number(co), name_of(co), state, what, since, until, place(co["fiber"]["site"]))


class Coroutine(gdb.Command):
    """One coroutine: coroutine N, coroutine N COMMAND, coroutine all COMMAND, coroutine bt EXPR.

coroutine N             says what there is to know of it, and selects it: bt, up, info locals and print
                        are then about its stack, whose frames begin at 1.
coroutine N COMMAND     runs a command of gdb's, bt perhaps, in it.
coroutine all COMMAND   in each.
coroutine bt EXPR       a backtrace of what EXPR points to: a raw coroutine (struct co_raw), a
                        generator (co_gen).
coroutine EXPR          selects that.
coroutine off           goes back to the thread's own stack; so does whatever lets the program run.
coroutine               says which one is selected."""

    def __init__(self):
        super().__init__("coroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if gdb.selected_thread() is None:
            raise gdb.GdbError("There is no program to look at: run it, or give a core file.")
        need_types()
        first, _, rest = argument.strip().partition(" ")
        if first == "off":
            let_go()
            gdb.execute("frame")
        elif not first:
            self.which()
        elif first == "all":
            self.each(rest or "bt")
        elif first in ("bt", "backtrace"):
            self.within([lambda: enter_expression(rest)], first)
        else:
            self.one(first, rest, argument)

    def which(self):
        if selected is None:
            print("No coroutine is selected.")
        elif selected.type.target().name == "co":
            describe(selected)
        else:
            print(f"Selected: {selected}")

    def one(self, first, rest, argument):
        co = find(first)
        if rest and co is not None:
            self.in_each_stack(co, rest)
            return
        if co is None:
            enter_expression(argument)
        else:
            describe(co)
            if state_of(co) == "DONE":
                return
            enter(co)
        gdb.execute("frame")

    def each(self, command):
        found = all_loops()
        for co in (co for loop in found for co in coroutines(loop)):
            print(f"\nCoroutine {number(co)} '{name_of(co)}', {state_line(co)}")
            try:
                if state_of(co) != "DONE":
                    self.in_each_stack(co, command)
            except gdb.GdbError as why:
                print(why)

    def in_each_stack(self, co, command):
        fibers = [None] if is_running(co) or state_of(co) == "DONE" else stacks(co)
        self.within([lambda fiber=fiber: enter(co, fiber) for fiber in fibers], command)

    def within(self, ways, command):
        """Runs a command in each of some stacks, and comes back."""
        with coming_back():
            for i, way in enumerate(ways):
                way()
                if i > 0:
                    print("and on the stack below, which called it:")
                gdb.execute(command)


def enter_expression(text):
    """What a pointer points to."""
    global selected
    value = gdb.parse_and_eval(text)
    kind = value.type.strip_typedefs()
    kind = kind.target().strip_typedefs().name if kind.code == gdb.TYPE_CODE_PTR else None
    if kind == "co":
        enter(value)
        return
    fibers = {"co_gen": lambda: value["raw"]["fiber"], "co_raw": lambda: value["fiber"],
              "whorl__fiber": value.dereference}
    if kind not in fibers:
        raise gdb.GdbError("That points to no coroutine: a struct co_raw, a co_gen or a struct co.")
    fiber = fibers[kind]()
    go_to(fiber)
    selected = fiber.address


InfoCoroutines()
Coroutine()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
gdb.frame_filters[FILTER.name] = FILTER
gdb.events.cont.connect(let_go)
