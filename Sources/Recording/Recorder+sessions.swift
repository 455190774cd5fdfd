package import Model
internal import Reactor
internal import Storage

extension Recorder {
    private static let intervalKey = "chunk_interval_s"

    // MARK: Starting

    /// Begins a recording that somebody asked for. An automatic one gives way to it; another of the kind does not.
    package func start(_ request: RecordingRequest = RecordingRequest()) async throws(RecorderError)
        -> RecorderStatus.Running
    {
        if let current, current.isExplicit { throw .alreadyRecording(current.id) }
        guard !isStarting else { throw .busy }
        isStarting = true
        defer { isStarting = false }
        var metadata = request.metadata
        if let interval = request.chunkInterval, metadata[Self.intervalKey] == nil {
            metadata[Self.intervalKey] = .number(interval.inSeconds)
        }
        let mission = request.mission ?? options.mission
        let wish = RecordingWish(
            mission: mission, explicit: true, recordingID: request.recordingID, metadata: metadata)
        let opening = opening(mission: mission, metadata: metadata, recordingID: request.recordingID, continues: nil)
        let running = try await open(opening, wish: wish, policy: policy(request.chunkInterval, request.chunkSize))
        return summary(running)
    }

    /// The first row came. Tried until it works, or until somebody else started or stopped one.
    func startByItself() async {
        var told: RecorderError?
        while current == nil, startsByItself {
            guard !isStarting else {
                guard (try? await loop.sleep(for: .milliseconds(20))) != nil else { return }
                continue
            }
            isStarting = true
            let taken = inherited
            let opening = opening(
                mission: taken?.mission ?? options.mission, metadata: taken?.metadata ?? [:],
                recordingID: taken?.recordingID, continues: taken?.continues)
            let wish = RecordingWish(
                mission: opening.mission, explicit: false, recordingID: opening.recordingID,
                metadata: opening.metadata)
            do throws(RecorderError) {
                _ = try await open(opening, wish: wish, policy: policy(interval(of: opening.metadata), nil))
                isStarting = false
                inherited = nil
            } catch {
                isStarting = false
                if told != error { log.error("no recording could be started: \(error)") }
                told = error
                guard (try? await loop.sleep(for: options.retryInterval)) != nil else { return }
            }
        }
    }

    /// The session's fact is written before rows are given to it, and the earlier session takes rows until then.
    private func open(
        _ opening: SessionOpening, wish: RecordingWish, policy: SealPolicy
    ) async throws(RecorderError) -> Running {
        let before = await store.recordingWish()
        do throws(StoreError) {
            try await store.setRecordingWish(wish)
        } catch {
            throw .store(error)
        }
        let id: SessionID
        do throws(StoreError) {
            id = try await store.startSession(opening, id: .random())
        } catch {
            do throws(StoreError) {
                try await store.setRecordingWish(before)
            } catch {
                log.error("the wish to record could not be taken back: \(error)")
            }
            throw .store(error)
        }
        if let old = current { queueEnd(of: old.id, reason: SessionEnd.Reason.superseded) }
        let running = Running(
            id: id, opening: opening, isExplicit: wish.explicit, startedAt: clock(), sealPolicy: policy,
            writer: writer(for: opening))
        let isFirst = current == nil
        current = running
        startsByItself = options.recordsByItself || startsByItself
        _ = steps.look(clock())
        log.notice("recording", ("session", id), ("mission", opening.mission), ("asked_for", wish.explicit))
        if isFirst {
            let lines = preface
            preface = []
            // Rows before the start are no part of the recording; what the sensor said of itself is.
            for line in lines where !line.isRow { append(line) }
        }
        ring()
        return running
    }

    private func opening(
        mission: String, metadata: [String: JSONValue], recordingID: UniqueID?, continues: SessionID?
    ) -> SessionOpening {
        let writer = RowWriter(format: options.format, isText: identity?.kind == "lines")
        let dump = identity?.details["text"]
        return SessionOpening(
            mission: mission, streams: [writer.dataStream, RowWriter.rawStream],
            instrument: identity?.description ?? [:],
            calibration: dump == nil ? .string("unknown") : calibration(), metadata: metadata,
            recordingID: recordingID, continues: continues)
    }

    /// What is known of how to recompute light from a reading.
    private func calibration() -> JSONValue {
        let names = ["calibration_mode", "cal_factor", "dark", "immersion", "units", "serial", "firmware"]
        let known = identity?.details.filter { names.contains($0.key) } ?? [:]
        return known["cal_factor"] == nil ? .string("unknown") : .object(known)
    }

    private func writer(for opening: SessionOpening) -> RowWriter {
        let data = opening.streams.first { $0.name == .data }
        return RowWriter(format: data?.format ?? options.format, isText: data?.columns.contains("line") ?? false)
    }

    private func policy(_ interval: Duration?, _ size: Int64?) -> SealPolicy {
        SealPolicy(interval: interval ?? options.sealPolicy.interval, size: size ?? options.sealPolicy.size)
    }

    private func interval(of metadata: [String: JSONValue]) -> Duration? {
        switch metadata[Self.intervalKey] {
        case .integer(let seconds): .seconds(min(max(seconds, 0), 1 << 32))
        case .number(let seconds) where (0...1e9).contains(seconds): .nanoseconds(Int64(seconds * 1e9))
        default: nil
        }
    }

    // MARK: Stopping

    /// Ends the recording, whoever began it. None begins by itself until the next start.
    package func stop(_ session: SessionID? = nil) async throws(RecorderError) -> RecordingSummary {
        // A start that is under way has its wish written already: a stop now would clear that and not the start.
        guard !isStarting else { throw .busy }
        guard let running = current else { throw .notRecording }
        if let session, session != running.id { throw .otherSession(running: running.id) }
        guard isRunning else { throw .store(.closed) }
        current = nil
        startsByItself = false
        inherited = nil
        var wishFailure: StoreError?
        do throws(StoreError) {
            try await store.setRecordingWish(nil)
        } catch {
            wishFailure = error
        }
        // Meanwhile the writers may have ended, and nobody would answer.
        guard isRunning else { throw .store(.closed) }
        let result = await withCheckedContinuation { continuation in
            queueEnd(of: running.id, reason: SessionEnd.Reason.stopped, waiter: continuation)
        }
        switch result {
        case .failure(let error): throw .store(error)
        case .success(let end):
            if let wishFailure { throw .store(wishFailure) }
            return RecordingSummary(
                session: running.id, end: end, startedAt: running.startedAt, stoppedAt: clock())
        }
    }

    private func queueEnd(
        of session: SessionID, reason: String,
        waiter: CheckedContinuation<Result<SessionEnd, StoreError>, Never>? = nil
    ) {
        ends.append(PendingEnd(session: session, reason: reason, waiter: waiter))
        ring()
    }

    /// Lets recordings begin by themselves again, or keeps them from it.
    package func setStartsByItself(_ isOn: Bool) { startsByItself = isOn }

    // MARK: After a restart

    /// Takes up what an earlier process left. Call once, before `run`.
    package func resume() async {
        let wish = await store.recordingWish()
        let decisions = ResumptionPolicy.decide(await store.openSessions(), wish: wish, now: clock())
        if wish != nil {
            startsByItself = true
        } else if await store.recordingStoppedInBoot() == clock().bootID {
            // A stop holds until somebody starts, or until the vehicle is switched on for its next dive.
            startsByItself = false
        }
        for decision in decisions {
            switch decision {
            case .resume(let session, let gap): goOn(session, isExplicit: wish?.explicit ?? false, gap: gap)
            case .end(let id, let reason): queueEnd(of: id, reason: reason)
            case .replace(let session, let atOnce):
                var opening = session.opening
                opening.continues = session.id
                inherited = opening
                if atOnce, let wish { await startAgain(opening, wish: wish) }
            }
        }
        // The wish was written, and the power went before the session was.
        if decisions.isEmpty, let wish, wish.explicit {
            let fresh = opening(
                mission: wish.mission, metadata: wish.metadata, recordingID: wish.recordingID, continues: nil)
            inherited = fresh
            await startAgain(fresh, wish: wish)
        }
    }

    private func goOn(_ session: OpenSession, isExplicit: Bool, gap: Gap) {
        let totals = session.totals[.data] ?? SessionEnd.Totals()
        current = Running(
            id: session.id, opening: session.opening, isExplicit: isExplicit, startedAt: session.startedAt,
            sealPolicy: policy(interval(of: session.opening.metadata), nil), writer: writer(for: session.opening),
            nextRow: totals.rows + (session.lostRows[.data] ?? 0), rows: totals.rows, bytes: totals.bytes,
            sealedChunks: totals.chunks,
            openChunks: Dictionary(session.openChunks.map { ($0.stream, $0) }, uniquingKeysWith: { $1 }))
        _ = steps.look(clock())
        log.notice("recording goes on", ("session", session.id), ("mission", session.opening.mission))
        current?.restart = gap
        note(.gap(Gap(reason: gap.reason, from: gap.from, to: nil)), in: session.id)
    }

    /// Where this fails, the first row tries again.
    private func startAgain(_ opening: SessionOpening, wish: RecordingWish) async {
        do throws(RecorderError) {
            _ = try await open(opening, wish: wish, policy: policy(interval(of: opening.metadata), nil))
            inherited = nil
        } catch {
            log.error("the recording could not be taken up: \(error)")
        }
    }

    // MARK: Markers and status

    /// Has something remembered at this moment; the number of the row that comes next is part of it.
    package func mark(id: String, type: String? = nil, text: String? = nil) async throws(RecorderError) -> RecordedFact
    {
        guard let running = current else { throw .notRecording }
        do throws(StoreError) {
            return try await store.record(
                .marker(Marker(id: id, type: type, text: text, row: running.nextRow)), in: running.id)
        } catch {
            throw .store(error)
        }
    }

    package func status() -> RecorderStatus {
        let recent = history.since(clock().boottime - 10_000_000_000).count
        return RecorderStatus(
            running: current.map(summary), queuedBytes: queue.byteCount, queuedRows: queue.rowCount,
            lastRowAt: history.latest?.at, rowsPerSecond: Double(recent) / 10, rowsLost: counts.lost,
            clockSteps: counts.steps, commits: counts.commits, failures: counts.failures,
            trouble: trouble, identity: identity)
    }

    private func summary(_ running: Running) -> RecorderStatus.Running {
        RecorderStatus.Running(
            session: running.id, opening: running.opening, isExplicit: running.isExplicit,
            startedAt: running.startedAt, sealPolicy: running.sealPolicy, rows: running.rows, bytes: running.bytes,
            sealedChunks: running.sealedChunks, openChunk: running.openChunks[.data])
    }
}
