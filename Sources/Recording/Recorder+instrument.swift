internal import Model
internal import Reactor
internal import Storage

extension Recorder {
    /// What an instrument gave. Waits where a session has to be opened first: then the instrument's own queue holds
    /// what comes meanwhile.
    func accept(_ events: [InstrumentEvent]) async {
        for event in events {
            switch event {
            case .identified(let found): identity = found
            case .line(let line):
                if line.isRow, current == nil, startsByItself { await startByItself() }
                take(line)
            case .gapBegan(let reason, let from):
                noteGap(reason, from: from, to: nil)
            case .gapEnded(let reason, let from, let to):
                noteGap(reason, from: from, to: to)
            case .configuration(let change, _):
                if let current { note(.config(change), in: current.id) }
            case .overflow(_, let rows, let from, let to):
                counts.lost += rows
                store.incidents.report(.rowsLost, "\(rows) rows were lost: they came faster than they were taken")
                noteGap(Gap.Reason.overflow, from: from, to: to, rowsLost: rows)
            case .connected, .disconnected, .sensorReset: break
            }
        }
        guard !queue.isEmpty else { return }
        let now = SystemClock.monotonic()
        // Rows that come seldom wait for nobody: only those that follow a commit closely share the next.
        let due = commitDue ?? max(now, lastCommit.map { $0.advanced(by: options.commitInterval) } ?? now)
        commitDue = due
        if due <= now { ringRows.yield() } else { setTimer() }
    }

    /// A gap is told of when it begins, and again with both its ends: the second takes the place of the first.
    private func noteGap(_ reason: String, from: ClockReading, to: ClockReading?, rowsLost: Int64? = nil) {
        guard let current else { return }
        let gap = Gap(reason: reason, from: ClockPair(from), to: to.map { ClockPair($0) }, rowsLost: rowsLost)
        note(.gap(gap), in: current.id)
    }

    private func take(_ line: ReceivedLine) {
        if line.isRow {
            history.append(line, sensorID: identity?.sensorID ?? "unknown")
            for reader in readers.values { reader.yield() }
        }
        guard current != nil else {
            preface.append(line)
            if preface.count > Limits.prefaceLines { preface.removeFirst() }
            return
        }
        append(line)
    }

    func append(_ line: ReceivedLine) {
        guard let running = current else { return }
        if line.isRow, let gap = running.restart {
            // A sensor that was silent or unplugged when the process came back is part of the gap: it ends with a row.
            current?.restart = nil
            note(.gap(Gap(reason: gap.reason, from: gap.from, to: ClockPair(line.at))), in: running.id)
        }
        let losses = queue.losses.count
        let fits = queue.append(
            line, row: line.isRow ? running.nextRow : nil, sensorID: identity?.sensorID ?? "unknown",
            session: running.id, writer: running.writer)
        if fits, line.isRow { current?.nextRow += 1 }
        if queue.losses.count > losses, let loss = queue.losses.last { noteLossBegan(loss) }
    }

    // MARK: Those who look on

    package func latest() -> Reading? { history.latest }

    /// Readings of the last `seconds`, the oldest first.
    package func recent(seconds: Int) -> [Reading] {
        history.since(clock().boottime - Int64(seconds) * 1_000_000_000)
    }

    /// Readings behind a cursor; the number of the last is the next cursor.
    package func readings(after number: Int64, limit: Int) -> [Reading] { history.after(number, limit: limit) }
    package func readingCount() -> Int64 { history.count }

    /// Rings when there are new readings; at most one ring waits.
    package func readingBell() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = nextReader
        nextReader += 1
        readers[number] = continuation
        continuation.onTermination = { [weak self, loop] _ in
            loop.spawn { [weak self] in await self?.forgetReader(number) }
        }
        return stream
    }

    private func forgetReader(_ number: Int) { readers[number] = nil }
}
