"""A machine in user-mode Linux with two ext4 disks, and what a power cut does to it."""

import ctypes
import json
import os
import select
import signal
import struct
import subprocess
import time

SECTOR = 512


class Broken(Exception):
    """The harness or a node does not work; nothing can be said about losses."""


class Disk:
    """A disk's file, and the journal that disk_cache.c keeps of what its cache holds."""

    def __init__(self, path, megabytes):
        self.path, self.journal, self.megabytes = path, path + ".undo", megabytes

    def make(self):
        with open(self.path, "wb") as file:
            file.truncate(self.megabytes << 20)
        with open(self.journal, "wb"):
            pass
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.path], check=True)

    def is_writing(self):
        """Whether its cache holds what was not flushed yet."""
        return os.stat(self.journal).st_size > 0

    def lose_cache(self, fate, random):
        """The cache's fate: `kept`, `gone`, or `some` of its writes, a few of them torn, in whatever order. Answers how
        many writes there were and how many of them were not kept whole."""
        with open(self.journal, "r+b") as journal:
            records = journal.read()
            journal.truncate(0)
        writes, sectors, at, undone = 0, {}, 0, 0
        while at + 16 <= len(records):
            offset, count = struct.unpack_from("<QQ", records, at)
            old = records[at + 16:at + 16 + count]
            if len(old) < count:
                # The machine died while it noted this; the write itself was never begun.
                break
            at, writes = at + 16 + count, writes + 1
            parts = (count + SECTOR - 1) // SECTOR
            kept = {"kept": parts, "gone": 0}.get(fate)
            if kept is None:
                kept = random.choice([0, parts])
                if random.random() < 0.1:
                    kept = random.randrange(parts + 1)
            undone += kept < parts
            for part in range(parts):
                place = offset + part * SECTOR
                sectors.setdefault(place, []).append((old[part * SECTOR:(part + 1) * SECTOR], part < kept))
        with open(self.path, "r+b") as file:
            for place, versions in sectors.items():
                # The newest write that was kept stands: what was there before the next one.
                newest = max((index for index, version in enumerate(versions) if version[1]), default=-1)
                if newest + 1 < len(versions):
                    file.seek(place)
                    file.write(versions[newest + 1][0])
        return writes, undone


PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans():
    """A machine is several processes, and all of them have to be waited for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


class Machine:
    """One boot, from power on to the cut."""

    def __init__(self, folder, tests, python, disks, flush_us):
        self.lines, self.rest, self.closed = [], b"", False
        self.output, theirs = os.pipe()
        silent, self.input = os.pipe()
        surroundings = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": folder, "TMPDIR": folder,
                        "LD_PRELOAD": f"{folder}/disk_cache.so", "POWERCUT_FLUSH_US": str(flush_us),
                        "POWERCUT_DISKS": ":".join(disk.path for disk in disks)}
        with open(f"{folder}/console.log", "wb") as console:
            self.process = subprocess.Popen(
                ["linux.uml", "umid=powercut", f"uml_dir={folder}/uml", "mem=512M"]
                + [f"ubd{number}={disk.path}" for number, disk in enumerate(disks)]
                + ["rootfstype=hostfs", "root=none", "rootflags=/", "ro", "quiet", f"init={tests}/guest_init",
                   "con=null", "con0=null,fd:1", f"ssl0=fd:{silent},fd:{theirs}", f"POWERCUT_HOST={folder}",
                   f"POWERCUT_PYTHON={python}", f"POWERCUT_TESTS={tests}"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=surroundings,
                pass_fds=(silent, theirs), start_new_session=True, preexec_fn=die_with_parent)
        os.close(theirs)
        os.close(silent)

    def read(self, until):
        """The next message of the guest with its time of arrival, or None when it is `until`, or none will come."""
        while not self.lines:
            left = until - time.time()
            if self.closed or left <= 0 or not select.select([self.output], [], [], left)[0]:
                return None
            data, now = os.read(self.output, 1 << 16), time.time()
            self.closed = data == b""
            *whole, self.rest = (self.rest + data).split(b"\n")
            self.lines += [(now, line) for line in whole if line.strip()]
        arrived, line = self.lines.pop(0)
        try:
            return arrived, json.loads(line)
        except ValueError:
            raise Broken(f"the guest says: {line.decode(errors='replace')}") from None

    def cut(self):
        """Answers when the power went. Nothing writes to the disks any more when this returns."""
        os.killpg(self.process.pid, signal.SIGKILL)
        now = time.time()
        self.process.wait()
        try:
            while True:
                os.waitpid(-self.process.pid, 0)
        except ChildProcessError:
            pass
        os.close(self.input)
        return now

    def close(self):
        os.close(self.output)
