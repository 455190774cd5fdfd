"""Compares what is on the disks after a power cut, when the nodes have recovered, with what had been acknowledged.
Knows nothing of qnode but the documented forms of its files."""

import glob
import hashlib
import json
import os
import re
import shutil


def digest(data):
    return hashlib.sha256(data).hexdigest()


def files(folder):
    return {name: os.path.join(path, name) for path, _, names in os.walk(folder) for name in names}


def facts(node):
    """The facts of a node's log, each once, in order."""
    found = {}
    for path in sorted(glob.glob(f"{node}/log/*.jsonl")):
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")[:-1]
        for line in lines:
            fact = json.loads(line[9:])
            found.setdefault((fact["author"], fact["incarnation"], fact["n"]), fact)
    return found


def held(node):
    """The digests of the chunks that a node's log tells of."""
    return {fact["sha256"] for fact in facts(node).values() if fact["kind"] == "chunk"}


class NodeJudge:
    """One node's directory."""

    def __init__(self, role, node, acknowledged):
        self.role, self.node, self.findings = role, node, []
        self.facts = facts(node)
        self.chunks = {}
        self.judge_chunks(acknowledged["chunks"])
        self.lost_facts = [name for name in acknowledged["facts"] if tuple(name) not in self.facts]
        for fact in self.facts.values():
            if fact["kind"] == "lost":
                self.findings.append(f"the {role} says that {fact.get('sha256')} is lost: {fact.get('reason')}")

    def judge_chunks(self, announced):
        """Every chunk there is, is whole; every one that the log tells of or that was announced, is there."""
        self.torn = []
        for name, path in files(f"{self.node}/chunks").items():
            with open(path, "rb") as file:
                data = file.read()
            if digest(data) == name:
                self.chunks[name] = data
            else:
                self.torn.append(name)
        told = {fact["sha256"] for fact in self.facts.values() if fact["kind"] == "chunk"}
        self.lost = [name for name in announced if name not in self.chunks or name not in told]
        for name in told - set(self.chunks) - set(announced):
            self.findings.append(f"the log of the {self.role} tells of a chunk that is not there: {name}")

    def sessions(self):
        """The chunk facts by session and stream, in order."""
        found = {}
        for fact in self.facts.values():
            if fact["kind"] == "chunk":
                found.setdefault((fact["session"], fact["stream"]), []).append(fact)
        for chunks in found.values():
            chunks.sort(key=lambda fact: fact["index"])
        return found

    def rows(self, session, stream, chunks):
        """The numbers of one stream's rows, and what is wrong with them."""
        numbers, where = [], f"session {session}, stream {stream}"
        if [fact["index"] for fact in chunks] != list(range(len(chunks))):
            self.findings.append(f"{where}: the chunks are {[fact['index'] for fact in chunks]}")
        for fact in chunks:
            data = self.chunks.get(fact["sha256"])
            if data is None:
                continue
            lines = data.decode().split("\n")
            if lines.pop() != "":
                self.findings.append(f"{where}: chunk {fact['index']} ends within a row")
            if stream == "data":
                lines = lines[1:]
            rows = [number for number in (self.number(stream, line, where) for line in lines) if number is not None]
            if fact["rows"] != len(lines) or fact["first_row"] != len(numbers) or fact["bytes"] != len(data):
                self.findings.append(f"{where}: chunk {fact['index']} is not what its fact says")
            numbers += rows
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            self.findings.append(f"{where}: the rows have holes, come twice or out of order")
        return numbers

    def number(self, stream, line, where):
        text = line.split(",", 2)[2].strip('"') if stream == "data" else json.loads(line)["line"].rstrip("\n")
        if not re.fullmatch(r"[0-9]{9} \.{40}", text):
            self.findings.append(f"{where}: not a row of the sensor: {line!r}")
            return None
        return int(text[:9])


def judge_rows(node, acknowledged):
    """Of each session that was not judged before: how many rows there are, from which to which; the raw lines agree."""
    streams, found = node.sessions(), []
    for session in sorted({session for session, _ in streams} | set(acknowledged["sessions"])):
        if session in acknowledged["judged"]:
            continue
        data = node.rows(session, "data", streams.get((session, "data"), []))
        raw = node.rows(session, "raw", streams.get((session, "raw"), []))
        if data[:len(raw)] != raw[:len(data)]:
            node.findings.append(f"session {session}: the raw lines are not those of the rows")
        found.append({"session": session, "rows": len(data), "raw": len(raw),
                      "first": data[0] if data else None, "last": data[-1] if data else None})
    return found


def judge_control(folder, acknowledged):
    """The same questions to the writer that never syncs."""
    numbers, runs = set(), {}
    for run in acknowledged["control"]:
        there, torn = files(f"{folder}/{run['run']}"), 0
        for name, path in there.items():
            with open(path, "rb") as file:
                data = file.read()
            torn += name in run["chunks"] and digest(data) != name
            numbers |= {int(row) for row in re.findall(rb"([0-9]{9}) \.{40}\n", data)}
        runs[run["run"]] = {"lost": len(set(run["chunks"]) - set(there)), "torn": torn}
        shutil.rmtree(f"{folder}/{run['run']}", ignore_errors=True)
    return {"runs": runs, "rows": sorted(numbers)}


def judge(data, control, acknowledged):
    nodes = {role: NodeJudge(role, f"{data}/{role}", acknowledged[role]) for role in ("vehicle", "topside")}
    rows = judge_rows(nodes["vehicle"], acknowledged)
    return {
        "sessions": rows,
        "lost": {role: node.lost for role, node in nodes.items()},
        "torn": {role: node.torn for role, node in nodes.items()},
        "lost_facts": {role: node.lost_facts for role, node in nodes.items()},
        "findings": [finding for node in nodes.values() for finding in node.findings],
        "chunks": {role: len(node.chunks) for role, node in nodes.items()},
        "quarantine": {role: len(files(f"{node.node}/quarantine")) for role, node in nodes.items()},
        "control": judge_control(control, acknowledged),
        "free": os.statvfs(data).f_bavail * os.statvfs(data).f_frsize,
    }
