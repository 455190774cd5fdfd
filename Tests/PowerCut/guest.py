"""Runs in the machine whose power is cut: a vehicle, a topside that pulls from it, their sensor, the control, and those
who watch them. What was acknowledged goes to the host at once, over the serial line, one JSON object per line; whatever
is in here dies with the power."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import judge  # noqa: E402

SENSOR_PORT = 7001
PORTS = {"vehicle": 7002, "topside": 7003}
DATA = "/run/data"
CONTROL = "/run/control"
HOST = "/run/host"

# The rows' padding makes them as long as those of a chatty instrument.
PADDING = "." * 40


class Wire:
    """The serial line to the host."""

    def __init__(self):
        self.descriptor = os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY)
        self.lock = threading.Lock()

    def tell(self, what, **fields):
        line = (json.dumps({"is": what, **fields}, separators=(",", ":")) + "\n").encode()
        with self.lock:
            while line:
                line = line[os.write(self.descriptor, line):]


def node(order, role):
    arguments = [order["qnode"], "--role", role, "--name", role, "--data", f"{DATA}/{role}", "--mdns", "off", "--cap", "off",
                 "--listen", f"127.0.0.1:{PORTS[role]}", "--commit-interval", f"{order['commit_ms']}ms"]
    if role == "vehicle":
        arguments += ["--lines-from", f"tcp://127.0.0.1:{SENSOR_PORT}", "--mission", "powercut",
                      "--chunk-interval", "1s"]
    else:
        arguments += ["--peer", f"127.0.0.1:{PORTS['vehicle']}"]
    surroundings = {"PATH": "/usr/bin:/bin", "HOME": "/run"}
    if order["no_sync"]:
        surroundings["LD_PRELOAD"] = f"{HOST}/no_sync.so"
    return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=open(f"/run/{role}.log", "w"), env=surroundings)


def wait_until_answers(role, process):
    while True:
        code = process.poll()
        if code is not None:
            raise RuntimeError(f"the {role} ended with code {code}")
        try:
            socket.create_connection(("127.0.0.1", PORTS[role]), timeout=5).close()
            return
        except OSError:
            time.sleep(0.01)


def follow_events(wire, role, opened):
    """Every fact that a node tells its followers of is durable by then, and a chunk fact's chunk with it."""
    connection = http.client.HTTPConnection("127.0.0.1", PORTS[role], timeout=60)
    connection.request("GET", "/v1/events")
    answer = connection.getresponse()
    opened.release()
    kind = None
    while True:
        line = answer.readline()
        if not line:
            raise RuntimeError(f"the {role} ended its events")
        if line.startswith(b"event:"):
            kind = line[6:].strip().decode()
        elif line.startswith(b"data:") and kind != "hello":
            fact = json.loads(line[5:])
            if "incarnation" in fact:
                wire.tell("fact", node=role, kind=kind, sha256=fact.get("sha256"),
                          name=[fact["author"], fact["incarnation"], fact["n"]])


def ask_for_rows(wire, stop):
    """A row that status counts is durable."""
    connection = http.client.HTTPConnection("127.0.0.1", PORTS["vehicle"], timeout=60)
    told = None
    while not stop.is_set():
        connection.request("GET", "/v1/status")
        recording = json.loads(connection.getresponse().read())["recording"]
        state, trouble = (recording.get("session"), recording["rows"]), recording.get("trouble")
        if state[0] and state != told:
            wire.tell("rows", session=state[0], rows=state[1])
            told = state
        if trouble or recording["rows_lost"]:
            wire.tell("broken", why=f"status: {trouble}, {recording['rows_lost']} rows lost")
        time.sleep(0.03)


class Control:
    """Writes the same rows at the same pace, and renames, and never syncs. It believes what the page cache says."""

    def __init__(self, wire, order):
        self.wire, self.commit = wire, order["commit_ms"] / 1000
        self.folder = f"{CONTROL}/{order['run']}"
        os.mkdir(self.folder)
        self.bytes, self.file, self.due, self.seal_due, self.last = b"", None, 0, 0, None

    def take(self, row, line, now):
        if self.file is None:
            self.file = open(f"{self.folder}/open", "wb", buffering=0)
            self.seal_due, self.bytes = now + 1, b""
        self.file.write(line)
        self.bytes, self.last = self.bytes + line, row
        if now >= self.due:
            self.due = now + self.commit
            self.wire.tell("control-rows", last=row)
        if now >= self.seal_due:
            name = judge.digest(self.bytes)
            self.file.close()
            os.rename(f"{self.folder}/open", f"{self.folder}/{name}")
            self.file = None
            self.wire.tell("control-chunk", sha256=name)


def sense(wire, order, listener, stop):
    """Numbered rows. The host hears of each before the vehicle can, so that none is thought younger than it is."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    control = Control(wire, order)
    row, next_at = order["first_row"], time.monotonic()
    while not stop.is_set():
        line = f"{row:09} {PADDING}\n".encode()
        wire.tell("row", row=row, at=time.time_ns())
        connection.sendall(line)
        control.take(row, line, time.monotonic())
        row += 1
        next_at = max(next_at + order["row_ms"] / 1000, time.monotonic() - 0.1)
        time.sleep(max(0, next_at - time.monotonic()))


def outlive(process):
    raise RuntimeError(f"ended with code {process.wait()}")


def last_words():
    """What the nodes' logs end with."""
    words = {}
    for role in PORTS:
        if os.path.exists(f"/run/{role}.log"):
            with open(f"/run/{role}.log", encoding="utf-8", errors="replace") as file:
                words[role] = file.read()[-2000:]
    return words


def watch(name, wire, stop, work, *arguments):
    def run():
        try:
            work(*arguments)
        except BaseException as error:
            if not stop.is_set():
                wire.tell("broken", why=f"{name}: {error!r}", logs=last_words())
    threading.Thread(target=run, daemon=True).start()


def verify(order, role):
    """What `qnode verify` finds, but what it calls harmless."""
    done = subprocess.run([order["qnode"], "verify", "--json", "--data", f"{DATA}/{role}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        return [f"verify of the {role}: {done.stderr.strip()}"]
    return [f"verify of the {role}: {found['kind']} {found['subject']}: {found['detail']}"
            for found in json.loads(done.stdout)["findings"] if not found["harmless"]]


def end(wire, order, nodes, stop):
    """The last run: the topside has everything, both end in order, and verify has nothing to say."""
    deadline = time.monotonic() + 60
    while judge.held(f"{DATA}/vehicle") - judge.held(f"{DATA}/topside") and time.monotonic() < deadline:
        time.sleep(0.2)
    findings = []
    stop.set()
    for role in ("topside", "vehicle"):
        nodes[role].terminate()
        code = nodes[role].wait(timeout=30)
        if code != 0:
            findings.append(f"the {role} ended with code {code}")
    if missing := judge.held(f"{DATA}/vehicle") - judge.held(f"{DATA}/topside"):
        findings.append(f"{len(missing)} chunks of the vehicle never came to the topside")
    for role in PORTS:
        findings += verify(order, role)
    wire.tell("end", findings=findings)


def main():
    wire = Wire()
    stop = threading.Event()
    try:
        with open(f"{HOST}/order.json", encoding="utf-8") as file:
            order = json.load(file)
        listener = socket.create_server(("127.0.0.1", SENSOR_PORT))
        wire.tell("starting")
        nodes = {role: node(order, role) for role in PORTS}
        opened = threading.Semaphore(0)
        for role, process in nodes.items():
            wait_until_answers(role, process)
            watch(f"events of the {role}", wire, stop, follow_events, wire, role, opened)
        for _ in nodes:
            opened.acquire()
        wire.tell("judged", **judge.judge(DATA, CONTROL, order["acknowledged"]),
                  verified=[found for role in PORTS for found in verify(order, role)] if order["verify"] else [])
        if order["last"]:
            end(wire, order, nodes, stop)
        else:
            watch("rows", wire, stop, ask_for_rows, wire, stop)
            watch("sensor", wire, stop, sense, wire, order, listener, stop)
            wire.tell("running")
            for role, process in nodes.items():
                watch(role, wire, stop, outlive, process)
    except BaseException:
        wire.tell("broken", why=traceback.format_exc(), logs=last_words())
    while True:
        time.sleep(3600)


main()
