internal import Model
internal import Reactor
internal import Storage

extension Recorder {
    /// Does what is due, one thing after another: commits first, since rows do not wait.
    func writeDue() async {
        lookAtClock()
        while retryAt.map({ $0 <= SystemClock.monotonic() }) ?? true {
            retryAt = nil
            if await commitRows() { continue }
            if await writeFact() { continue }
            if await sealDue() { continue }
            if await endSession() { continue }
            break
        }
        setTimer()
    }

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
        do throws(StoreError) {
            let states = try await store.commit(rows.batches)
            queue.committed(rows)
            counts.commits += 1
            committed(rows, states)
            worked()
        } catch {
            queue.putBack(rows)
            failed(error, doing: "commit rows")
        }
        return true
    }

    private func committed(_ rows: RowQueue.PendingRows, _ states: [OpenChunkState]) {
        if let loss = queue.takeLoss() {
            counts.lost += loss.rows
            log.error("rows were lost: the disk was too slow", ("rows", loss.rows))
            let gap = Gap(reason: Gap.Reason.overflow, from: loss.from, to: loss.to, rowsLost: loss.rows)
            note(.gap(gap), in: loss.session)
        }
        guard current?.id == rows.session else { return }
        current?.rows += rows.rowCount
        current?.bytes += Int64(rows.data?.bytes.count ?? 0)
        for state in states { current?.openChunks[state.stream] = state }
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
            log.error("a fact was dropped: too many wait for the disk", ("kind", body.kind))
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
        do throws(StoreError) {
            let sealed = try await store.seal(session, stream)
            if current?.id == session {
                if let stream { current?.openChunks[stream] = nil } else { current?.openChunks = [:] }
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
                queue.isEmpty(for: end.session) && !facts.contains { $0.session == end.session }
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

    private func worked() {
        if trouble != nil { log.notice("the disk takes rows again", ("queued", queue.rowCount)) }
        trouble = nil
    }

    /// Nothing is given up: the same is tried again, but not at once.
    private func failed(_ error: StoreError, doing what: String) {
        counts.failures += 1
        if trouble != error { log.error("could not \(what): \(error)") }
        trouble = error
        retryAt = SystemClock.monotonic().advanced(by: options.retryInterval)
    }
}
