internal import Model
internal import Reactor

extension ServerConnection {
    /// Runs the handler and sends its response; whether the connection goes on. The handler is cancelled when its
    /// client goes.
    func answer(_ request: HTTPRequest, _ head: MessageHead) async -> Bool {
        await channel.beginExchange()
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.serveExchange(request, head) }
            switch await channel.exchangeEnd() {
            case .done: break
            case .gone:
                channel.cut(.closed)
                group.cancelAll()
            case .unwanted: group.cancelAll()
            }
            return await group.next() ?? false
        }
    }

    private func serveExchange(_ request: HTTPRequest, _ head: MessageHead) async -> Bool {
        let goesOn = await serve(request, head)
        await channel.endExchange(.done)
        return goesOn
    }

    private func serve(_ request: HTTPRequest, _ head: MessageHead) async -> Bool {
        let response = await handler(request)
        let keepsAlive = head.keepsAlive && !isDraining && !response.headers.lists("close", in: "Connection")
        let writer = ResponseWriter(response, to: request, keepsAlive: keepsAlive)
        do {
            try await send(writer)
            try await channel.drained(below: settings.sendQueueBytes)
            // The server may have begun to stop while this was sent.
            guard writer.keepsAlive, !isDraining else {
                try await channel.finish(by: SystemClock.monotonic().advanced(by: Limits.lingerTime))
                return false
            }
            return true
        } catch {
            log.info(
                "response cut short", ("peer", origin), ("path", request.path), ("reason", "\(error)"))
            if writer.endsWithConnection { await channel.reset() } else { await channel.close() }
            return false
        }
    }

    private func send(_ writer: ResponseWriter) async throws {
        switch writer.body {
        case .whole(let bytes):
            if bytes.count <= Limits.inlineBodyBytes {
                try await channel.write(writer.headBytes + bytes)
            } else {
                try await channel.write(writer.headBytes)
                try await channel.write(bytes)
            }
        case .stream(let length, let next):
            try await channel.write(writer.headBytes)
            try await stream(length: length, next, writer, below: settings.sendQueueBytes / 2)
        case .events(let next):
            phase = .responding(isEvents: true)
            if isDraining { await channel.endExchange(.unwanted) }
            try await channel.write(writer.headBytes)
            // Who is slow gets what is newest then, in larger pieces, instead of what was when it was queued.
            await channel.limitUnsent(to: Limits.liveUnsentBytes)
            do {
                try await stream(length: nil, next, writer, below: Limits.liveUnsentBytes)
                await channel.limitUnsent(to: nil)
            } catch  where isDraining && !(error is ChannelFailure) {
                // The server stops: the reader is told in good order.
                try await channel.write(writer.lastChunk)
            }
        }
    }

    /// Sends pieces as the client takes them: the next is asked for only while little is queued.
    private func stream(
        length: Int64?, _ next: @Sendable () async throws -> [UInt8]?, _ writer: ResponseWriter, below: Int
    ) async throws {
        var sent: Int64 = 0
        while true {
            try await channel.drained(below: below)
            if let length, sent == length { return }
            try Task.checkCancellation()
            guard let piece = try await next() else { break }
            guard !piece.isEmpty else { continue }
            sent += Int64(piece.count)
            if let length, sent > length { throw ProducerFault.tooLong(declared: length) }
            try await channel.write(writer.framed(piece))
        }
        if let length { throw ProducerFault.tooShort(declared: length, given: sent) }
        try await channel.write(writer.lastChunk)
    }
}

/// A producer that does not keep to the length it has declared.
enum ProducerFault: Error, Hashable, Sendable {
    case tooShort(declared: Int64, given: Int64)
    case tooLong(declared: Int64)
}
