"""Where things are, how a loss is told, and the quarantine: nothing is touched before its copy or move is whole."""

import errno
import os
import re
import time

DATA = os.environ["DATA_DIR"]
RUN = os.environ.get("SAMOVAR_REDIS_DIR") or os.environ["SAMOVAR_RUN_DIR"]
STATE = f"{DATA}/state"
DUMP = f"{STATE}/dump.rdb"
CONVERTING = f"{STATE}/converting"
AOF = f"{STATE}/appendonlydir"
MANIFEST = f"{AOF}/appendonly.aof.manifest"

KEPT_PLACES = 3

said = []
used = ""  # the directory of this run in the quarantine


def say(sentence):
    said.append(sentence)


def lost(what, where=None):
    """How a loss is told: what happened, what it means for users, what can be done."""
    say(f"ALERT {what}. The app writes again what memory and samovar.db have of it.")
    if where:
        say(f"What was there is set aside in {where}: delete it when nothing is missed (the last {KEPT_PLACES} stay).")


def place():
    """The directory of this run in the quarantine, made when the first thing goes there."""
    global used
    if not used:
        name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        os.makedirs(f"{DATA}/quarantine", exist_ok=True)
        taken = sum(other.startswith(name) for other in os.listdir(f"{DATA}/quarantine"))
        used = f"{DATA}/quarantine/{name}" + (f"-{taken + 1}" if taken else "")
        os.mkdir(used)
    return used


def is_folder(path):
    return os.path.isdir(path) and not os.path.islink(path)


def remove(path):
    if is_folder(path):
        import shutil

        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def copy(path, target):
    """Complete and on the disk, or not there at all."""
    import shutil

    try:
        if is_folder(path):
            shutil.copytree(path, target, symlinks=True)
            os.sync()
        else:
            shutil.copy2(path, target)
            with open(target, "rb") as file:
                os.fsync(file.fileno())
    except OSError:
        remove(target)
        raise


def set_aside(path, folder=""):
    """Moves it to the quarantine; where it is then. A move needs no space, and is there as a whole or not at all."""
    os.makedirs(f"{place()}/{folder}", exist_ok=True)
    target = os.path.normpath(f"{place()}/{folder}/{os.path.basename(path)}")
    try:
        os.rename(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(path, target)
        remove(path)
    return target


def tidy_quarantine():
    """Files may be as large as the state: they must not fill the disk that the others need."""
    if not used:
        return
    for folder in (f"{used}/appendonlydir", used):
        try:
            os.rmdir(folder)  # empty where the disk had no space for a copy
        except OSError:
            pass
    if not os.path.isdir(used):
        return
    root = f"{DATA}/quarantine"
    ours = [name for name in os.listdir(root) if re.fullmatch(r"\d{8}T\d{6}Z(-\d+)?", name)]
    ours.sort(key=lambda name: (name[:16], int(name[17:] or 1)))
    for name in ours[:-KEPT_PLACES]:
        remove(f"{root}/{name}")


def remove_temporary(folder):
    """What a rewrite that was killed has left: no one else removes it."""
    for name in os.listdir(folder):
        if re.fullmatch(r"temp-\S+\.(rdb|aof)", name):
            os.unlink(f"{folder}/{name}")
