internal import Model
internal import Reactor
internal import Storage

extension PeerFollower {
    /// Compares, then takes each fact as it enters the peer's log; starts over whenever the two do not join.
    func follow(
        _ connection: Connection, _ attachment: ChunkPuller.Attachment, _ greeting: PeerGreeting, _ scope: FollowScope
    ) async throws {
        let author = scope == .ownFacts ? store.node : nil
        while true {
            try check(connection)
            become(.comparing(connection))
            // An answer that takes a while is no silence; where one was taken for it, the next link is given its time.
            suspicion.expectsBeats = connection.hasBeats && !connection.isReplacement
            let began = venue.now()
            let (head, epoch) = try await compare(connection, attachment, greeting, author)
            // Not before: a peer that greets everybody and refuses all else has to be left in peace.
            schedule.connected(to: connection.endpoint)
            become(.live(connection))
            try await listen(connection, after: head, epoch: epoch, author: author)
            let pause = venue.now().duration(to: began.advanced(by: Limits.comparisonInterval))
            if pause > .zero { try await venue.sleep(pause) }
        }
    }

    // MARK: Comparing

    /// Fetches every fact that the peer holds and that was not heard of here. Answers the log position up to which that
    /// is everything.
    private func compare(
        _ connection: Connection, _ attachment: ChunkPuller.Attachment, _ greeting: PeerGreeting, _ author: NodeID?
    ) async throws -> (head: Int64, epoch: Incarnation) {
        let have = try await ask(connection, attachment, author)
        // What this very process wrote it has; a peer that says otherwise would be refused.
        let unheard = try await unknown(of: have.holdings)
            .removing(author: store.node, incarnation: store.incarnation)
        if !unheard.isEmpty {
            log.info("a peer has facts that are news here", ("peer", greeting.name), ("facts", unheard.count))
        }
        self.unheard = unheard.count
        for slice in unheard.slices(rangeLimit: Limits.rangesPerRequest) {
            guard await hasRoomToHear() else { return (have.head, have.epoch ?? greeting.epoch) }
            try await fetch(slice, connection, author)
            self.unheard -= slice.count
        }
        self.unheard = 0
        return (have.head, have.epoch ?? greeting.epoch)
    }

    private func ask(
        _ connection: Connection, _ attachment: ChunkPuller.Attachment, _ author: NodeID?
    ) async throws -> HaveAnswer {
        let have = try await within(Limits.answerTime, .question) { try await connection.link.have(author: author) }
        try check(connection)
        // What was not asked for does not count.
        let holdings = author.map { author in have.holdings.filtered { $0 == author } } ?? have.holdings
        await puller.setHoldings(holdings, of: attachment)
        return HaveAnswer(head: have.head, epoch: have.epoch, holdings: holdings)
    }

    /// Neither held nor heard of.
    private func unknown(of holdings: Holdings) async throws(StoreError) -> Holdings {
        // In this order: what is heard of becomes held, not the other way round.
        let heard = await store.heard()
        return holdings.subtracting(heard).subtracting(try await store.holdings().holdings)
    }

    private func hasRoomToHear() async -> Bool {
        guard await store.heard().count >= Limits.heardFacts else { return true }
        note(.refusedFact, "more chunks are heard of than may be remembered")
        return false
    }

    /// One request after another until the slice is here, or the peer has no more of it.
    private func fetch(_ slice: Holdings, _ connection: Connection, _ author: NodeID?) async throws {
        var rest = slice
        while !rest.isEmpty {
            let asked = rest
            let answer = try await within(Limits.factsAnswerTime, .facts) {
                try await connection.link.facts(in: asked)
            }
            try check(connection)
            try await receive(answer.facts, of: author, connection)
            await puller.wake()
            guard answer.hasMore else { return }
            rest = try await unknown(of: rest)
            guard rest == asked else { continue }
            // Nothing of it was taken: what the store refuses is not asked for again, and an answer of nothing is no
            // answer.
            for header in answer.facts.compactMap({ FactHeader($0) }) { rest.remove(header.name) }
            guard rest != asked else {
                throw PeerLinkError.malformed(
                    reason: "says that there are more facts, and sends none that were asked for")
            }
        }
    }

    /// To the store; of one author only, where no other's were asked for. Waits while the disk has no room for what
    /// peers have.
    private func receive(_ facts: [[UInt8]], of author: NodeID?, _ connection: Connection) async throws {
        let wanted = author.map { author in facts.filter { FactHeader($0)?.name.author == author } } ?? facts
        guard !wanted.isEmpty else { return }
        while !(await puller.hasRoom()) { try check(connection) }
        let report = try await store.receive(wanted)
        if report.refused > 0 {
            note(.refusedFact, times: Int64(report.refused), "facts that are none, or not its own")
        }
    }

    // MARK: Listening

    /// Takes the peer's events; returns where the comparison has to start over.
    private func listen(_ connection: Connection, after head: Int64, epoch: Incarnation, author: NodeID?) async throws {
        let events = try await within(Limits.answerTime, .events) {
            try await connection.link.events(after: head, author: author)
        }
        suspicion.expectsBeats = connection.hasBeats
        var cursor = EventCursor(epoch: epoch, position: head, isGapless: author == nil)
        while true {
            let event = try await within(Limits.heartbeatInterval * 3, .events) { try await events.next() }
            try check(connection)
            guard let event else { throw PeerLinkError.closed }
            heard(event)
            switch cursor.take(event) {
            case .pass: continue
            case .take(let bytes): try await put(bytes, connection)
            case .startOver(let isGap):
                if isGap { note(.eventGap, "a hole in the peer's events") }
                return
            case .malformed(let reason): throw PeerLinkError.malformed(reason: reason)
            }
        }
    }

    /// Into the inbox; waits where it is full, and so does the peer then.
    private func put(_ bytes: [UInt8], _ connection: Connection) async throws {
        while inbox.count >= Limits.factsPerGroup {
            try check(connection)
            await change()
        }
        inbox.append(bytes)
        wakeAll()
    }

    /// Takes what is in the inbox to the store, all that has gathered at once.
    func absorb(_ connection: Connection, _ attachment: ChunkPuller.Attachment, _ scope: FollowScope) async throws {
        let author = scope == .ownFacts ? store.node : nil
        while true {
            while inbox.isEmpty {
                try check(connection)
                await change()
            }
            let batch = inbox
            inbox = []
            absorbing = batch.count
            wakeAll()
            try await receive(batch, of: author, connection)
            let headers = batch.compactMap { FactHeader($0) }
            if headers.contains(where: { $0.changesHoldings && $0.name.author == attachment.peer }) {
                _ = try await ask(connection, attachment, author)
            }
            await puller.add(headers.map(\.name), to: attachment)
            absorbing = 0
        }
    }

    // MARK: Stating

    /// Tells the peer what is held here: all at first, then what changes.
    func stateHoldings(_ connection: Connection) async throws {
        var schedule = StatementSchedule()
        for await _ in store.growth() {
            var isTold = false
            while !isTold {
                try check(connection)
                let (holdings, head) = try await store.holdings()
                switch schedule.next(epoch: store.incarnation, head: head, holdings: holdings, now: venue.now()) {
                case .nothing: isTold = true
                case .wait(let until): try await venue.sleep(venue.now().duration(to: until))
                case .post(let statement):
                    do {
                        let needsWhole = try await within(Limits.answerTime, .statement) {
                            try await connection.link.postHave(statement)
                        }
                        schedule.arrived(holdings, now: venue.now())
                        if needsWhole { schedule.refused(now: venue.now()) }
                    } catch PeerLinkError.refused(let status, let reason) {
                        // A peer that takes no statements may still be followed.
                        note(.refused, "statement refused with \(status): \(reason)")
                        schedule.refused(now: venue.now())
                    }
                }
            }
        }
        try Task.checkCancellation()
    }
}
