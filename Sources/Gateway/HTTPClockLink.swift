package import HTTP
package import Model
package import Reactor
package import Timekeeping

/// Clock exchanges with one peer, on a connection that carries nothing else.
package actor HTTPClockLink: ClockLink {
    private let loop: EventLoop
    private let endpoint: Endpoint
    private let pacer: ReadPacer?
    private var connection: HTTPConnection?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(on loop: EventLoop, endpoint: Endpoint, pacer: ReadPacer? = nil) {
        self.loop = loop
        self.pacer = pacer
        self.endpoint = endpoint
    }

    package func exchange() async throws -> ClockExchange {
        let connection = try await open()
        do {
            let sent = ClockSample.now()
            let response = try await connection.send(
                HTTPClientRequest(.get, "/v1/clock", headTime: Limits.clockAnswerTime))
            let received = ClockSample.now()
            let body = try await response.body.collect(limit: Limits.smallAnswerBytes)
            guard response.status == .ok else { throw ClockLinkError.refused(status: response.status.code) }
            let answer = try WireJSON.decode(ClockForm.self, from: body).answer
            return ClockExchange(
                sent: sent.moved(to: response.sentRaw), answer: answer,
                received: received.moved(to: response.receivedRaw))
        } catch {
            // The next exchange opens another; an answer that comes late belongs to nobody.
            await close()
            throw error
        }
    }

    package func close() async {
        await connection?.close()
        connection = nil
    }

    private func open() async throws -> HTTPConnection {
        if let connection, await connection.isIdle { return connection }
        await close()
        let fresh = try await HTTPConnection.open(
            to: endpoint, on: loop, settings: HTTPConnection.Settings(pacer: pacer))
        connection = fresh
        return fresh
    }
}

/// Why a peer gave no time.
package enum ClockLinkError: Error, Hashable, Sendable {
    case refused(status: Int)
}

extension ClockSample {
    /// The same clocks at a reading of the raw one that the socket took, which is nearer to the wire.
    fileprivate func moved(to raw: Int64) -> ClockSample {
        let shift = raw - self.raw
        guard abs(shift) < 1_000_000_000 else { return self }
        // Over less than a second the clocks differ by their slew, at most 500 ppm.
        return ClockSample(
            raw: raw, realtime: realtime + shift, boottime: boottime + shift,
            uncertainty: uncertainty + abs(shift) / 2000)
    }
}
