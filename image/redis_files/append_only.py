"""The append-only directory: a base, increments, and a manifest that names them in their order."""

import os
import re

from . import quarantine
from .quarantine import AOF, MANIFEST, copy, lost, place, remove, remove_temporary, say, set_aside
from .verdict import CRASH, cause_in

LINE = re.compile(
    r"file (?P<name>appendonly\.aof(?:\.(?P<number>\d+)\.(?:(?P<base>base)\.(?:rdb|aof)|incr\.aof))?)"
    r" seq (?P<seq>\d+) type (?P<type>[bhi])(?: \w+ \S+)*",
    re.ASCII,
)


def number(name):
    return int(name.split(".")[2])


def numbered(kind):
    names = [name for name in os.listdir(AOF) if re.fullmatch(rf"appendonly\.aof\.\d+\.{kind}\.\w+", name)]
    return sorted(names, key=number)


def size(name):
    """-1 for what is not there, or is no file."""
    path = f"{AOF}/{name}"
    return os.path.getsize(path) if os.path.isfile(path) else -1


def read_manifest():
    """The files it names, the base first; None when it is missing, or not one that Redis has written for these files.

    Stricter than Redis, which believes a damaged one: it would delete an increment whose type has become "history", and
    append to one that is not named any more.
    """
    if not os.path.isfile(MANIFEST):
        return None
    with open(MANIFEST, errors="replace") as file:
        *whole, rest = file.read().split("\n")
    lines = [LINE.fullmatch(line) for line in whole]
    if rest or not lines or not all(lines):
        return None
    for line in lines:
        old_style = line["number"] is None  # the one file of Redis 6 and before, taken over as a base
        if line["type"] not in ("bh" if line["base"] or old_style else "hi"):
            return None
        if not old_style and line["number"] != line["seq"]:
            return None
    bases, increments, history = ([line for line in lines if line["type"] == kind] for kind in "bih")
    numbers = [int(line["seq"]) for line in increments]
    if len(bases) != 1 or numbers != sorted(set(numbers)):
        return None
    # Base and increments become history together, when a new base takes their place.
    if history and all(line["base"] is None and line["number"] for line in history):
        return None
    last = max(numbers, default=0)
    if any(number(name) > last and size(name) > 0 for name in numbered("incr")):
        return None
    return [line["name"] for line in bases + increments]


def chain_of_names():
    """The base and the increments after it, by their numbers; None without a base."""
    bases, increments = numbered("base"), numbered("incr")
    if not bases:
        return None
    base = bases[-1]
    if len(bases) > 1:
        # A rewrite has just ended and its old files were not deleted yet: all but the last increment are in the base.
        increments = increments[-1:]
    else:
        # Each rewrite begins an increment, and ends with a base unless it fails: a live one never has the lower number.
        increments = [name for name in increments if number(name) >= number(base)]
    after_each_other = [name for at, name in enumerate(increments) if number(name) == number(increments[0]) + at]
    return [base, *after_each_other]


def write_manifest(chain):
    types = "b" + "i" * len(chain)
    with open(f"{MANIFEST}.new", "w") as file:
        for name, kind in zip(chain, types):
            seq = number(name) if name != "appendonly.aof" else 1
            file.write(f"file {name} seq {seq} type {kind}\n")
        file.flush()
        os.fsync(file.fileno())
    if os.path.isdir(MANIFEST):
        set_aside(MANIFEST)
    os.replace(f"{MANIFEST}.new", MANIFEST)


def set_aside_rest(chain):
    """Whatever else looks like a part of the chain."""
    for name in numbered("base") + numbered("incr"):
        if name not in chain:
            set_aside(f"{AOF}/{name}", "appendonlydir")


def check_append_only():
    if not os.path.isdir(AOF):
        if os.path.lexists(AOF):
            lost("appendonlydir was no directory", set_aside(AOF))
        return
    remove_temporary(AOF)
    if not os.listdir(AOF):
        return
    chain = read_manifest()
    if chain is None or size(chain[0]) < 0:
        chain = chain_of_names()
        if chain is None:
            lost("the append-only file had no base", set_aside(AOF))
            return
        left_out = [name for name in numbered("incr") if number(name) > number(chain[-1]) and size(name) > 0]
        write_manifest(chain)
        set_aside_rest(chain)
        say("the append-only file's manifest was missing or damaged: it is made again from the names of the files.")
        if left_out:
            lost(f"what stood before {left_out[0]} of the append-only file was missing: it is not used", place())
    base, *increments = chain
    if size(base) <= 0:
        # Redis would load what follows an empty base, and say nothing of what is missing.
        lost(f"{base} of the append-only file was empty", set_aside(AOF))
        return
    missing = next((at for at, name in enumerate(increments) if size(name) < 0), None)
    if missing is not None:
        # An empty one in its place keeps the numbers in step.
        name = increments[missing]
        if os.path.lexists(f"{AOF}/{name}"):
            set_aside(f"{AOF}/{name}", "appendonlydir")
        write_manifest([base, *increments[: missing + 1]])
        set_aside_rest([base, *increments[:missing]])
        open(f"{AOF}/{name}", "x").close()
        lost(f"{name} was missing in the append-only directory: what stood before it is used", quarantine.used)


def sound_part(path, unknown, crashed):
    """How many bytes of this increment Redis can apply: up to the first thing that is no command, the first command of
    this name, or a transaction without an end. A crash is blamed on the command before, too: Redis does not count the
    words of what it replays."""
    end = os.path.getsize(path)
    transaction = None
    before = at = 0
    with open(path, "rb") as file:

        def rest():
            return end - file.tell()

        while rest():
            before, at = at, file.tell()
            line = file.readline(128)
            if line.startswith(b"#"):
                continue
            words = []
            try:
                if not re.fullmatch(rb"\*[1-9]\d*\r?\n", line):
                    raise ValueError
                for _ in range(int(line[1:])):
                    length = re.fullmatch(rb"\$(\d+)\r?\n", file.readline(128))
                    if not length or int(length[1]) + 2 > rest():
                        raise ValueError
                    words.append(file.read(int(length[1])) if len(words) == 0 else file.seek(int(length[1]), 1))
                    file.seek(2, 1)
            except ValueError:
                sound = before if crashed else at
                return sound if transaction is None else min(sound, transaction)
            name = words[0].upper()
            if unknown is not None and words[0].split(b"\0")[0] == unknown:
                return at
            if name == b"MULTI":
                transaction = at
            elif name == b"EXEC":
                transaction = None
    return end if transaction is None else transaction


def cut(log):
    """Cuts the first damaged increment to its sound part; False when none is seen to be damaged."""
    chain = read_manifest()
    if not chain:
        return False
    named = re.search(rb"Unknown command '(.*?)' reading the append only file (\S+)", log, re.DOTALL)
    for at, name in enumerate(chain[1:], 1):
        unknown = named[1] if named and named[2].decode(errors="replace") == name else None
        keep = sound_part(f"{AOF}/{name}", unknown, CRASH.search(log))
        if keep == size(name):
            continue
        folder = f"{place()}/appendonlydir"
        os.mkdir(folder)
        copy(f"{AOF}/{name}", f"{folder}/{name}")
        try:
            os.truncate(f"{AOF}/{name}", size(name))  # may it be written?
            write_manifest(chain[: at + 1])
            set_aside_rest(chain[: at + 1])
            # The last step: until then the next run begins with what is there now.
            os.truncate(f"{AOF}/{name}", keep)
        except OSError:
            remove(f"{folder}/{name}")  # else there would be one more with each attempt
            raise
        sound = f"has been cut to its sound part, {keep} bytes of {name}"
        lost(f"the append-only file was damaged ({cause_in(log)}) and {sound}", folder)
        return True
    return False
