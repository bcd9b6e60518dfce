"""What the log of a start says: whether it was the content of the files, or what else, and what to do then."""

import os
import re

from .quarantine import DATA, STATE, say

CRASH = re.compile(rb"BUG REPORT|crashed by signal|ASSERTION FAILED|Guru Meditation")
ALLOCATION = re.compile(rb"(?:[Aa]llocating|dictTryExpand) (\d+)|Cannot allocate memory|[Oo]ut of memory")
DISK = re.compile(
    rb"No space left on device|Disk quota exceeded|Input/output error|Read-only file system|File too large|"
    rb"Too many open files|Structure needs cleaning|Stale file handle"
)
RIGHTS = re.compile(rb"Permission denied|Operation not permitted")
CONTENT = re.compile(
    rb"append.only file|append log file|AOF|RDB|[Rr]db|loading (?:the )?DB|signature|Unknown command|"
    rb"Data file was created|truncated file is not the last"
)
NEWER = re.compile(rb"Can't handle RDB format version \d+")
POINT = re.compile(rb"Unknown command|Bad file format|Unexpected end")
TELLING = (NEWER, DISK, RIGHTS, ALLOCATION, POINT, CRASH, CONTENT)
# Said at every start, and about something else.
NOISE = re.compile(rb"WARNING|oom_score_adj|overcommit|Transparent Huge|TCP backlog")

AGAIN = "It is tried again at most 10 s apart, no restart is needed"
USERS = "Its files stay as they are, users are served from memory and samovar.db"
REMEDY = {
    "disk": f"Free space on the disk of {DATA}, or repair it",
    "rights": f"Give user {os.getuid()} the right to read and write all that is below {STATE}",
    "memory": "Give the container more memory",
    "newer": f"Run the newer image again, or move {STATE} away to go on with what samovar.db has",
    "program": "Look at the image: redis-server cannot be run",
    "killed": "If nobody killed it, the kernel did for want of memory: give the container more",
    "other": "Look at the lines of redis-server above",
}


def words_of(log):
    return b"\n".join(line for line in log.splitlines() if line.strip() and not NOISE.search(line))


def cause_in(log):
    """Redis' own words, from the line that says most."""
    lines = words_of(log).splitlines()
    line = next((line for rule in TELLING for line in lines if rule.search(line)), lines[-1] if lines else b"")
    text = re.sub(rb"^\d+:\w .*? [#*] ", b"", line).decode(errors="replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text).split(": make a backup")[0][:200]


def version(text):
    found = re.search(rb"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else None


def is_newer(path):
    """Whether a newer Redis has written this. A damaged number of the format looks the same, but the version of the
    server that wrote it stands beside it."""
    import subprocess

    with open(path, "rb") as file:
        head = file.read(256)
    wrote = version(head.partition(b"redis-ver")[2][:20])
    ours = version(subprocess.run(["redis-server", "--version"], capture_output=True).stdout)
    return wrote is None or ours is None or wrote > ours


def reason(code, log, base):
    """content, or which of those that are no fault of the files."""
    words = words_of(log)
    allocation = ALLOCATION.search(words)
    if code in (126, 127):
        return "program"
    if NEWER.search(words):
        return "newer" if is_newer(base) else "content"
    if allocation:
        # More than any content of these files can need is a length that is damaged.
        return "memory" if int(allocation[1] or 0) <= 100 * max(os.path.getsize(base), 2**20) else "content"
    if DISK.search(words):
        return "disk"
    if RIGHTS.search(words):
        return "rights"
    if b"CONFIG FILE ERROR" in words:
        return "other"
    if code in (-9, 137):
        return "killed"  # whatever it has said: it did not give up by itself
    if CONTENT.search(words) or CRASH.search(words) or code in (134, 135, 136, 139):
        return "content"
    return "other"


def stays(kind, cause):
    say(f"ALERT redis-state does not start ({cause}). {USERS}. {REMEDY[kind]}. {AGAIN}.")
