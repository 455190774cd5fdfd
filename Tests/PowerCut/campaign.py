"""Cuts the power of a machine that records and mirrors, again and again, and counts what had been acknowledged and is
gone: Docs/Testing.md, "Power cuts". Started by Deploy/powercut, which makes what it needs."""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import report
from machine import Broken, Disk, Machine, adopt_orphans

TESTS = os.path.dirname(os.path.abspath(__file__))
ROLES = ("vehicle", "topside")


class Run:
    """One boot that ended by a cut: what was acknowledged in it and when, and, once judged, what became of that."""

    def __init__(self, number, kind, fate, flush_ms):
        self.number, self.kind, self.fate, self.flush_ms = number, kind, fate, flush_ms
        self.rows, self.offset = {}, float("inf")
        self.sessions, self.chunks, self.cached = {}, dict.fromkeys(ROLES, 0), (0, 0)
        self.control_chunks, self.control_last = [], 0
        self.started = self.running = self.cut_at = None

    def take(self, arrived, message):
        what = message["is"]
        if what == "row":
            self.offset = min(self.offset, arrived - message["at"] / 1e9)
            self.rows[message["row"]] = (arrived, message["at"] / 1e9)
        elif what == "rows":
            self.sessions[message["session"]] = max(message["rows"], self.sessions.get(message["session"], 0))
        elif what == "control-chunk":
            self.control_chunks.append(message["sha256"])
        elif what == "control-rows":
            self.control_last = message["last"]

    def time_of(self, row):
        """By the guest's stamp, on the host's clock, or by its arrival if that is earlier."""
        arrived, stamped = self.rows[row]
        return min(arrived, stamped + self.offset)

    def oldest_lost(self, kept):
        """The age that the oldest row that is gone had when the power went."""
        lost = [row for row in self.rows if row not in kept]
        return self.cut_at - self.time_of(min(lost)) if lost else 0.0

    def stall(self):
        """For how long the sensor itself printed nothing, in the last second: the guest was busy, or the machine that
        it runs on."""
        times = sorted(at for at in map(self.time_of, self.rows) if at > self.cut_at - 1) + [self.cut_at]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)

    def judge(self, sessions, kept, control_kept, control):
        self.lost_rows = 0
        for session, rows in self.sessions.items():
            self.lost_rows += max(0, rows - min(sessions[session]["rows"], sessions[session]["raw"]))
        self.oldest, self.control_oldest = self.oldest_lost(kept), self.oldest_lost(control_kept)
        self.control_lost, self.control_torn = control["lost"], control["torn"]
        self.control_lost_rows = sum(row <= self.control_last for row in set(self.rows) - control_kept)
        self.lost_chunks = self.torn = dict.fromkeys(ROLES, 0)
        self.lost_facts = 0


class Campaign:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)
        self.disks = [Disk(f"{folder}/data.img", options.disk_mb), Disk(f"{folder}/control.img", 128)]
        self.next_row, self.start_up, self.free, self.refusals = 1, 1.0, options.disk_mb << 20, 0
        self.judged, self.pending, self.findings = [], [], []
        self.forget()

    def forget(self):
        """New disks, of which nothing is known."""
        for disk in self.disks:
            disk.make()
        self.chunks = {role: [] for role in ROLES}
        self.facts = {role: [] for role in ROLES}
        self.judged_sessions, self.pending = [], []

    # One boot

    def write_order(self, number, last):
        """What the guest is told at its start."""
        acknowledged = {role: {"chunks": self.chunks[role], "facts": self.facts[role]} for role in ROLES}
        acknowledged |= {
            "sessions": [session for run in self.pending for session in run.sessions],
            "judged": self.judged_sessions,
            "control": [{"run": run.number, "chunks": run.control_chunks} for run in self.pending],
        }
        options = self.options
        with open(f"{self.folder}/order.json", "w", encoding="utf-8") as file:
            json.dump({"run": number, "qnode": options.qnode, "commit_ms": options.commit_ms, "row_ms": options.row_ms,
                       "no_sync": options.no_sync, "first_row": self.next_row, "last": last,
                       "verify": last or number % 10 == 0, "acknowledged": acknowledged}, file)

    def boot(self, number, last=False):
        """Everything is drawn before anything happens, so that a seed draws the same whatever happens."""
        draw = self.random
        kind = draw.choices(["start", "any", "seal", "write"], [15, 30, 25, 30])[0]
        moments = {"start": draw.uniform(0, 1), "any": draw.uniform(0.1, 4), "seal": draw.uniform(0, 2),
                   "write": draw.uniform(0.1, 3)}
        run = Run(number, "end" if last else kind, draw.choice(["kept", "gone", "some"]),
                  draw.choice(self.options.flush_ms))
        aim, fates = draw.uniform(0, 0.04), random.Random(draw.random())
        self.write_order(number, last)
        machine = Machine(self.folder, TESTS, self.options.python, self.disks, int(run.flush_ms * 1000))
        try:
            self.live(machine, run, moments.get(kind), aim)
            run.cut_at = machine.cut()
            while received := machine.read(time.time() + 10):
                self.take(run, *received)
        finally:
            if machine.process.poll() is None:
                machine.cut()
            machine.close()
        if run.rows:
            self.next_row = max(run.rows) + 1
        run.cached, _ = [disk.lose_cache(run.fate, fates) for disk in self.disks]
        if not last:
            self.pending.append(run)

    def live(self, machine, run, moment, aim):
        """Listens until the moment of the cut."""
        cut_at, patience = None, time.time() + 180
        while True:
            received = machine.read(cut_at or patience)
            if received is None:
                if cut_at is None or machine.closed:
                    raise Broken(f"cut {run.number}: the machine is silent; its console says: {self.console()}")
                if run.kind == "write":
                    self.await_write(machine, run)
                return
            arrived, message = received
            self.take(run, arrived, message)
            what = message["is"]
            if what == "starting":
                run.started = arrived
                if run.kind == "start":
                    cut_at = arrived + moment * self.start_up
            elif what == "running":
                run.running, self.start_up = arrived, arrived - run.started
                if run.kind in ("any", "write"):
                    cut_at = arrived + moment
            elif what == "end":
                self.findings += message["findings"]
                return
            elif what == "fact" and message["kind"] == "chunk" and message["node"] == "vehicle":
                if run.kind == "seal" and cut_at is None and run.running and arrived >= run.running + moment:
                    cut_at = arrived + aim

    def await_write(self, machine, run):
        """Until the nodes' disk has something in its cache."""
        deadline = time.time() + 1
        while not self.disks[0].is_writing() and time.time() < deadline:
            while received := machine.read(time.time() + 0.00005):
                self.take(run, *received)

    def take(self, run, arrived, message):
        what = message["is"]
        run.take(arrived, message)
        if what == "broken":
            logs = "".join(f"\n--- {role}\n{text}" for role, text in message.get("logs", {}).items())
            raise Broken(f"cut {run.number}: {message['why']}{logs}")
        if what == "fact":
            self.facts[message["node"]].append(message["name"])
            if message["kind"] == "chunk":
                self.chunks[message["node"]].append(message["sha256"])
                run.chunks[message["node"]] += 1
        elif what == "judged":
            self.take_judgement(message)

    def console(self):
        with open(f"{self.folder}/console.log", encoding="utf-8", errors="replace") as file:
            return file.read()[-1000:]

    # The judgement

    def take_judgement(self, said):
        """The last boots' cuts, judged after the recovery in this one."""
        sessions = {session["session"]: session for session in said["sessions"]}
        kept = {row for session in sessions.values() if session["rows"]
                for row in range(session["first"], session["last"] + 1)}
        for run in self.pending:
            run.judge(sessions, kept, set(said["control"]["rows"]), said["control"]["runs"][str(run.number)])
        if self.pending:
            # What had been announced before is gone since the newest of them.
            newest = self.pending[-1]
            newest.lost_chunks = {role: len(said["lost"][role]) for role in ROLES}
            newest.torn = {role: len(said["torn"][role]) for role in ROLES}
            newest.lost_facts = sum(len(said["lost_facts"][role]) for role in ROLES)
        for run in self.pending:
            report.show(run)
        for role in ROLES:
            # What was found missing is counted once.
            self.chunks[role] = [name for name in self.chunks[role] if name not in said["lost"][role]]
            self.facts[role] = [name for name in self.facts[role] if name not in said["lost_facts"][role]]
        for finding in said["findings"] + said["verified"]:
            print(f"     {finding}", flush=True)
            self.findings.append(finding)
        self.judged_sessions += list(sessions)
        self.judged, self.pending, self.free, self.said = self.judged + self.pending, [], said["free"], said

    # All of them

    def go(self):
        report.head()
        for number in range(1, self.options.cuts + 1):
            try:
                self.boot(number)
                if number == self.options.cuts or self.free < self.options.disk_mb << 18:
                    # Nothing more is to come, or three quarters of the disk are full and the next will begin anew.
                    self.boot(number, last=True)
                    if number < self.options.cuts:
                        self.forget()
                        self.free = self.options.disk_mb << 20
            except Broken as error:
                if not self.options.no_sync:
                    raise
                # A node that cannot start again has lost what it had.
                print(f"     {str(error).splitlines()[0]}", flush=True)
                self.refusals += 1
                self.forget()
        return report.result(self)


class Interrupted(Exception):
    """Somebody ends the campaign: what was judged until then is told."""


def interrupted(number, _):
    # Once: what follows is the tidying.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


def milliseconds(text):
    return [float(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(prog="Deploy/powercut", allow_abbrev=False)
    parser.add_argument("--cuts", type=int, default=200, help="how many (200)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="draws the same moments again")
    parser.add_argument("--no-sync", action="store_true",
                        help="the nodes' syncs do nothing, to see that the judge finds it; exit code 0 where it does")
    parser.add_argument("--commit-ms", type=int, default=200, help="the nodes' commit interval (200)")
    parser.add_argument("--row-ms", type=int, default=10, help="the sensor prints a row each so many ms (10)")
    parser.add_argument("--flush-ms", type=milliseconds, default=[0.0, 1.0, 3.0], metavar="MS,…",
                        help="how long a flush of the disk takes; each boot draws one of these (0,1,3)")
    parser.add_argument("--disk-mb", type=int, default=512, help="the size of the nodes' disk (512)")
    parser.add_argument("--qnode", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--libraries", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cuts < 1:
        parser.error("--cuts begins at 1")
    options.python = os.path.realpath(sys.executable)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    adopt_orphans()
    # In memory, where the host's own disk does not slow the guest's: what the host would lose is not the question.
    place = os.environ.get("TMPDIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    folder, campaign = tempfile.mkdtemp(prefix="qnode-powercut-", dir=place), None
    try:
        for library in ("disk_cache.so", "no_sync.so"):
            shutil.copy(f"{options.libraries}/{library}", folder)
        campaign = Campaign(options, folder)
        return campaign.go()
    except Interrupted as signalled:
        if campaign:
            report.result(campaign)
        return 128 + signalled.args[0]
    except Broken as error:
        print(f"powercut: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


sys.exit(main())
