internal import Model
internal import Reactor
internal import Storage

extension Recorder {
    /// Commits the rows that are due, one session after another.
    func writeDueRows() async {
        lookAtClock()
        while isDue(rowsRetryAt), await commitRows() {}
        setTimer()
    }

    /// Does what else is due, one thing after another. A disk that takes no rows may still take the facts that tell of
    /// it.
    func writeDueFacts() async {
        isWritingFacts = true
        while isDue(retryAt) {
            retryAt = nil
            if await writeFact() { continue }
            if await sealDue() { continue }
            if await endSession() { continue }
            break
        }
        isWritingFacts = false
        setTimer()
    }

    private func isDue(_ retry: MonotonicTime?) -> Bool { retry.map { $0 <= SystemClock.monotonic() } ?? true }

    private func lookAtClock() {
        guard let session = current?.id, let step = steps.look(clock()) else { return }
        counts.steps += 1
        log.warning("the clock was set", ("step_ns", step.size.value))
        note(.clock(step), in: session)
    }

    /// Rows that have waited for their interval, or whose session is ending.
    private func commitRows() async -> Bool {
        guard !queue.isEmpty, !ends.isEmpty || commitDue.map({ $0 <= SystemClock.monotonic() }) ?? true,
            let rows = queue.takeFirst()
        else { return false }
        if queue.isEmpty { commitDue = nil }
        rowsRetryAt = nil
        committing = rows.session
        let began = SystemClock.monotonic()
        lastCommit = began
        watchCommit(since: began)
        defer {
            watchCommit(since: nil)
            committing = nil
            // A chunk may be full now, and a session may have its last rows.
            ringFacts.yield()
        }
        do throws(StoreError) {
            let states = try await store.commit(rows.batches)
            queue.committed(rows)
            counts.commits += 1
            committed(rows, states)
            rowTrouble = nil
            store.incidents.end(
                .rows, .rowsTaken, "the disk takes rows again; \(counts.lost) were lost since the start")
        } catch {
            if case .unknownSession = error, let loss = queue.drop(rows) {
                // Its end is in the log: nothing can be added, and what comes after must not wait for that.
                counts.lost += loss.rows
                store.incidents.report(.rowsLost, "\(loss.rows) rows are lost: their session is over")
                return true
            }
            queue.putBack(rows)
            counts.failures += 1
            if let before = rowTrouble, before != error { log.error("could not commit rows: \(error)") }
            rowTrouble = error
            rowsRetryAt = SystemClock.monotonic().advanced(by: options.retryInterval)
            store.incidents.begin(.rows, .rowsWaiting, "the disk takes no rows, they wait in memory: \(error)")
            answer(rows.session, error)
        }
        return true
    }

    /// The disk has not answered for a while. No row is lost by that as long as the queue has room.
    func noteStall() {
        guard commitBegan != nil else { return }
        store.incidents.begin(
            .rows, .rowsWaiting, "the disk does not answer; rows wait in memory. Is it failing, or another's load?")
    }

    private func committed(_ rows: RowQueue.PendingRows, _ states: [OpenChunkState]) {
        for loss in queue.takeLosses() {
            counts.lost += loss.rows
            store.incidents.report(.rowsLost, "\(loss.rows) rows were lost: more came than may wait for the disk")
            note(.gap(loss.gap), in: loss.session)
        }
        guard current?.id == rows.session else { return }
        current?.rows += rows.rowCount
        current?.bytes += Int64(rows.data?.bytes.count ?? 0)
        for state in states { current?.openChunks[state.stream] = state }
    }

    /// The first row that had no room: told at once, and again with its end and number when the disk takes rows. The
    /// reserve of a full disk pays for it.
    func noteLossBegan(_ loss: RowQueue.Loss) {
        store.incidents.report(.rowsLost, "rows are being lost: more came than may wait for the disk")
        note(.gap(Gap(reason: Gap.Reason.overflow, from: loss.from, to: nil)), in: loss.session)
    }

    /// At the end of the process: rows that no disk took.
    func tell(_ loss: RowQueue.Loss) async {
        counts.lost += loss.rows
        store.incidents.report(.rowsLost, "\(loss.rows) rows are lost: the node stops and the disk takes none")
        do throws(StoreError) {
            try await store.record(.gap(loss.gap), in: loss.session)
        } catch {
            log.error("the gap could not be written either: \(error)")
        }
    }

    /// Whoever waits for the end of a session whose rows cannot be written is told; the attempt is repeated without
    /// them.
    private func answer(_ session: SessionID, _ error: StoreError) {
        for position in ends.indices where ends[position].session == session {
            ends[position].waiter.take()?.resume(returning: .failure(error))
        }
    }

    /// Facts are not ordered with rows, but with each other.
    private func writeFact() async -> Bool {
        guard let fact = facts.first else { return false }
        do throws(StoreError) {
            try await store.record(fact.body, in: fact.session)
            facts.removeFirst()
            worked()
        } catch {
            if case .limit = error {
                // It will never fit: what it told of is in this log instead.
                facts.removeFirst()
                log.error("a fact was dropped: \(error)", ("kind", fact.body.kind))
            } else {
                failed(error, doing: "write a fact")
            }
        }
        return true
    }

    func note(_ body: Fact.Body, in session: SessionID) {
        guard facts.count < Limits.queuedFacts else {
            store.incidents.report(.factDropped, "a fact was dropped, too many wait for the disk: \(body.kind)")
            return
        }
        facts.append((body, session))
        ring()
    }

    private func sealDue() async -> Bool {
        guard let current else { return false }
        let now = clock()
        let due = current.openChunks.values.filter { current.sealPolicy.isDue($0, at: now) }.map(\.stream)
        guard let stream = due.min() else { return false }
        return await seal(current.id, stream)
    }

    /// nil seals all streams.
    func seal(_ session: SessionID, _ stream: StreamName?) async -> Bool {
        let closing = current?.openChunks.filter { stream == nil || $0.key == stream } ?? [:]
        do throws(StoreError) {
            let sealed = try await store.seal(session, stream)
            if current?.id == session {
                // Rows that were committed meanwhile may have begun the next chunk.
                let open = current?.openChunks.filter { closing[$0.key]?.index != $0.value.index }
                current?.openChunks = open ?? [:]
                current?.sealedChunks += Int64(sealed.count { $0.fact.stream == .data })
            }
            worked()
        } catch {
            failed(error, doing: "seal a chunk")
        }
        return true
    }

    /// A session ends when its rows and its facts are written.
    private func endSession() async -> Bool {
        guard
            let end = ends.first(where: { end in
                queue.isEmpty(for: end.session) && committing != end.session
                    && !facts.contains { $0.session == end.session }
            })
        else { return false }
        let result: Result<SessionEnd, StoreError>
        do throws(StoreError) {
            result = .success(try await store.endSession(end.session, reason: end.reason))
            worked()
            log.notice("recording ended", ("session", end.session), ("reason", end.reason))
        } catch {
            result = .failure(error)
            failed(error, doing: "end a session")
        }
        guard let position = ends.firstIndex(where: { $0.session == end.session }) else { return true }
        // Whoever waits is told at once; the attempt is repeated without them.
        ends[position].waiter.take()?.resume(returning: result)
        if case .success = result { ends.remove(at: position) }
        if case .failure(.unknownSession) = result { ends.remove(at: position) }
        return true
    }

    private func worked() { factTrouble = nil }

    /// Nothing is given up: the same is tried again, but not at once.
    private func failed(_ error: StoreError, doing what: String) {
        counts.failures += 1
        if factTrouble != error { log.error("could not \(what): \(error)") }
        factTrouble = error
        retryAt = SystemClock.monotonic().advanced(by: options.retryInterval)
    }

    /// What keeps the disk from taking rows or facts, and what that means; nil where nothing does.
    var trouble: String? {
        let stall = commitBegan.map { $0.duration(to: SystemClock.monotonic()) } ?? .zero
        let reason: String? =
            if let error = rowTrouble ?? factTrouble { "\(error)" } else if stall >= options.stallNotice {
                "the disk has not answered for \(stall.components.seconds) s"
            } else { nil }
        guard let reason, queue.rowCount > 0 else { return reason }
        let room = Magnitude.bytes(Int64(options.queueBytes))
        return
            "\(reason); \(queue.rowCount) rows, \(Magnitude.bytes(Int64(queue.byteCount))) of \(room), wait in memory"
    }
}

extension RowQueue.Loss {
    fileprivate var gap: Gap { Gap(reason: Gap.Reason.overflow, from: from, to: to, rowsLost: rows) }
}
