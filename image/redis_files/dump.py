"""A dump without an append-only file: Redis would not look at it."""

import os
import subprocess
import time

from .quarantine import AOF, CONVERTING, DUMP, RUN, lost, remove, say, set_aside
from .verdict import cause_in, reason, stays


def convert():
    """A server of its own loads the dump and writes an append-only file, which is taken when it is complete. Whether a
    server may start then."""
    remove(CONVERTING)
    os.mkdir(CONVERTING)
    os.symlink(os.path.realpath(DUMP), f"{CONVERTING}/dump.rdb")
    socket = f"{RUN}/converting.sock"
    program = ["setpriv", "--pdeathsig", "KILL", "redis-server"]
    options = f"--port 0 --unixsocket {socket} --dir {CONVERTING} --appendonly no --loglevel warning --save".split()
    with open(f"{RUN}/converting.log", "wb") as log:
        env = {"PATH": os.environ["PATH"]}
        server = subprocess.Popen([*program, *options, ""], stdout=log, stderr=log, env=env)

    def ask(*words):
        command = ["timeout", "5", "redis-cli", "-s", socket, *words]
        return subprocess.run(command, capture_output=True, env=env).stdout.decode(errors="replace").strip()

    def wait_for(condition):
        while server.poll() is None and not condition():
            time.sleep(0.1)
        return server.poll() is None

    def persistence(field):
        return f"{field}\r" in f"{ask('INFO', 'persistence')}\r"

    done = False
    loads = wait_for(lambda: ask("PING") == "PONG")
    if loads:
        keys = ask("DBSIZE")
        ask("CONFIG", "SET", "appendonly", "yes")
        wait_for(lambda: persistence("aof_rewrite_in_progress:0") and persistence("aof_rewrite_scheduled:0"))
        done = persistence("aof_enabled:1") and persistence("aof_last_bgrewrite_status:ok")
        ask("SHUTDOWN", "NOSAVE")
    code = server.wait()
    if done:
        if os.path.lexists(AOF):
            os.rmdir(AOF)
        os.rename(f"{CONVERTING}/appendonlydir", AOF)
        where = set_aside(DUMP)
        say(f"converted dump.rdb ({keys} keys) to an append-only file; the dump is in {where}.")
        remove(CONVERTING)
        return True
    with open(f"{RUN}/converting.log", "rb") as file:
        log = file.read()
    remove(CONVERTING)
    kind = reason(code, log, DUMP)
    cause = cause_in(log) or f"its server ended with code {code}"
    if kind == "content" and loads:
        kind = "other"
    if kind != "content":
        stays(kind, f"dump.rdb: {cause}")
        return False
    lost(f"dump.rdb does not load ({cause})", set_aside(DUMP))
    return True
