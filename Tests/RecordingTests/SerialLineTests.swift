import Foundation
import Model
import Testing

@testable import Reactor

private func temporaryPath(_ name: String) -> String {
    FileManager.default.temporaryDirectory.appending(path: "\(name)-\(UUID())").path()
}

@Suite(.timeLimit(.minutes(1))) struct SerialLineTests {
    /// The events of an open line, awaited one by one.
    private struct Tap {
        let line: SerialLine
        var events: AsyncStream<SerialLine.Event>.Iterator

        init(_ path: String, baud: Int = 9600, on loop: EventLoop) throws {
            let (stream, feed) = AsyncStream.makeStream(of: SerialLine.Event.self, bufferingPolicy: .unbounded)
            line = try SerialLine.open(path, baud: baud, on: loop) { feed.yield($0) }
            events = stream.makeAsyncIterator()
        }

        mutating func text(_ count: Int) async -> String {
            var bytes: [UInt8] = []
            while bytes.count < count, case .received(let more, _)? = await events.next(isolation: #isolation) {
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        mutating func hangUp() async -> SerialLineError? {
            while let event = await events.next(isolation: #isolation) {
                if case .hungUp(let error) = event { return error }
            }
            return nil
        }
    }

    private func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) throws {
        let loop = EventLoop(name: "serial")
        defer { loop.stop() }
        try loop.runBlocking { try await body(loop) }
    }

    /// A terminal with somebody on its tty; a listener is seen within milliseconds.
    private static func listened(_ terminal: PseudoTerminal, on loop: EventLoop) async throws {
        while !terminal.hasListener { try await loop.sleep(for: .milliseconds(1)) }
    }

    @Test(
        "bytes pass unchanged in both directions at any usual rate",
        arguments: [1200, 4800, 9600, 19200, 38400, 57600, 115_200, 230_400, 460_800, 921_600])
    func roundTrip(_ baud: Int) throws {
        try onLoop { loop in
            let (heard, feed) = AsyncStream.makeStream(of: [UInt8].self, bufferingPolicy: .unbounded)
            let terminal = try PseudoTerminal(on: loop) { feed.yield($0) }
            var tap = try Tap(terminal.path, baud: baud, on: loop)
            try await Self.listened(terminal, on: loop)
            let all = (0...255).map { UInt8($0) }
            #expect(terminal.send(all) == 256)
            var got: [UInt8] = []
            while got.count < 256, case .received(let bytes, let at)? = await tap.events.next(isolation: #isolation) {
                got += bytes
                #expect(at.boottime > 0 && at.bootID == SystemClock.bootID)
            }
            #expect(got == all)
            try tap.line.send(all)
            var answers = heard.makeAsyncIterator()
            var back: [UInt8] = []
            while back.count < 256, let bytes = await answers.next() { back += bytes }
            #expect(back == all)
        }
    }

    @Test("each way of failing has its own sentence")
    func errors() throws {
        try onLoop { loop in
            let absent = temporaryPath("absent")
            #expect(throws: SerialLineError.absent(path: absent)) { _ = try Tap(absent, on: loop) }
            #expect(throws: SerialLineError.notATerminal(path: "/dev/null")) { _ = try Tap("/dev/null", on: loop) }
            #expect(throws: SerialLineError.notATerminal(path: "/tmp")) { _ = try Tap("/tmp", on: loop) }
            let terminal = try PseudoTerminal(on: loop) { _ in }
            let path = terminal.path
            #expect(throws: SerialLineError.unsupportedBaud(path: path, baud: 12345)) {
                _ = try Tap(path, baud: 12345, on: loop)
            }
            #expect(throws: SerialLineError.unsupportedBaud(path: path, baud: .max)) {
                _ = try Tap(path, baud: .max, on: loop)
            }
            let tap = try Tap(path, on: loop)
            #expect(throws: SerialLineError.busy(path: path)) { _ = try Tap(path, on: loop) }
            tap.line.close()
            #expect(throws: SerialLineError.closed(path: path)) { try tap.line.send([1]) }
            _ = try Tap(path, on: loop)
        }
        let denied = SerialLineError(opening: "/dev/ttyS999", SyscallError("open", code: EACCES))
        #expect(denied == .notPermitted(path: "/dev/ttyS999", group: nil))
        let text = "\(SerialLineError.notPermitted(path: "/dev/ttyUSB0", group: "dialout"))"
        #expect(text.contains("belongs to group dialout, add the user to it"))
        #expect(SerialLineError(opening: "/dev/x", SyscallError("open", code: EBUSY)) == .busy(path: "/dev/x"))
    }

    @Test("a removed adapter is a hang-up, and its path can be opened when it is back")
    func hangUp() throws {
        let link = temporaryPath("link")
        try onLoop { loop in
            for _ in 0..<3 {
                let terminal = try PseudoTerminal(link: link, on: loop) { _ in }
                var tap = try Tap(link, on: loop)
                try await Self.listened(terminal, on: loop)
                _ = terminal.send(Array("last".utf8))
                #expect(await tap.text(4) == "last")
                terminal.unplug()
                #expect(await tap.hangUp() != nil)
                #expect(throws: SerialLineError.absent(path: link)) { _ = try Tap(link, on: loop) }
            }
        }
    }

    @Test("a terminal whose master just goes away is a hang-up as well")
    func masterGone() throws {
        try onLoop { loop in
            var terminal: PseudoTerminal? = try PseudoTerminal(on: loop) { _ in }
            var tap = try Tap(terminal?.path ?? "", on: loop)
            terminal = nil
            #expect(await tap.hangUp() != nil)
        }
    }

    @Test("what is sent while nobody listens is lost, as on a wire")
    func nobodyListens() throws {
        try onLoop { loop in
            let terminal = try PseudoTerminal(on: loop) { _ in }
            #expect(terminal.send(Array("lost".utf8)) == 0)
            var tap: Tap? = try Tap(terminal.path, on: loop)
            try await Self.listened(terminal, on: loop)
            #expect(terminal.send(Array("heard".utf8)) == 5)
            #expect(await tap?.text(5) == "heard")
            tap = nil
            while terminal.hasListener { try await loop.sleep(for: .milliseconds(1)) }
            #expect(terminal.send(Array("lost".utf8)) == 0)
        }
    }

    @Test("a device that reads nothing stalls the sender at a limit, not the loop")
    func stalled() throws {
        try onLoop { loop in
            // A pty of which nobody reads the master: the kernel's buffer, then ours, fill up.
            let terminal = try PseudoTerminal(on: loop) { _ in }
            let tap = try Tap(terminal.path, on: loop)
            #expect(throws: SerialLineError.stalled(path: terminal.path)) {
                for _ in 0..<1000 { try tap.line.send([UInt8](repeating: 65, count: 1024)) }
            }
        }
    }

    @Test("a link takes the place of an older link, and never that of a file")
    func links() throws {
        let link = temporaryPath("link")
        defer { unlink(link) }
        try onLoop { loop in
            let first = try PseudoTerminal(link: link, on: loop) { _ in }
            let second = try PseudoTerminal(link: link, on: loop) { _ in }
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == second.path)
            first.unplug()
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == second.path)
            second.unplug()
            #expect(!FileManager.default.fileExists(atPath: link))
            #expect(FileManager.default.createFile(atPath: link, contents: Data("mine".utf8)))
            #expect(throws: SyscallError.self) { _ = try PseudoTerminal(link: link, on: loop) { _ in } }
            #expect(FileManager.default.contents(atPath: link) == Data("mine".utf8))
        }
    }
}

@Suite struct SerialPortTests {
    @Test("the likeliest adapter comes first, an autopilot never, and each device once")
    func available() throws {
        let devices = temporaryPath("dev")
        defer { try? FileManager.default.removeItem(atPath: devices) }
        let files = FileManager.default
        try files.createDirectory(atPath: "\(devices)/serial/by-id", withIntermediateDirectories: true)
        for name in ["ttyUSB0", "ttyUSB1", "ttyUSB10", "ttyUSB9", "ttyACM0", "ttyACM1", "ttyS0"] {
            #expect(files.createFile(atPath: "\(devices)/\(name)", contents: nil))
        }
        let ids = [
            "usb-Acme_Thing-if00": "ttyUSB9", "usb-FTDI_FT232R_USB_UART_A1-if00-port0": "ttyUSB1",
            "usb-ArduPilot_Pixhawk6X_1-if00": "ttyACM0",
        ]
        for (name, device) in ids {
            try files.createSymbolicLink(
                atPath: "\(devices)/serial/by-id/\(name)", withDestinationPath: "../../\(device)")
        }
        let ports = SerialPort.available(devices: devices)
        #expect(
            ports.map { $0.path.dropFirst(devices.count + 1) } == [
                "serial/by-id/usb-FTDI_FT232R_USB_UART_A1-if00-port0", "serial/by-id/usb-Acme_Thing-if00", "ttyUSB0",
                "ttyUSB10", "ttyACM1",
            ])
        #expect(
            SerialPort.named("\(devices)/ttyUSB1", devices: devices).idName == ids.keys.first { $0.contains("FTDI") })
        #expect(SerialPort.named("\(devices)/ttyUSB0", devices: devices).idName == nil)
        #expect(SerialPort.available(devices: "\(devices)/nowhere").isEmpty)
    }

    @Test("the latency timer is lowered where there is one")
    func latency() throws {
        let root = temporaryPath("sys")
        defer { try? FileManager.default.removeItem(atPath: root) }
        let folder = "\(root)/bus/usb-serial/devices/ttyUSB0"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        #expect(FileManager.default.createFile(atPath: "\(root)/ttyUSB0", contents: nil))
        #expect(!SerialPort.lowerLatency(of: "\(root)/ttyUSB0", system: root))
        try "16\n".write(toFile: "\(folder)/latency_timer", atomically: false, encoding: .utf8)
        #expect(SerialPort.lowerLatency(of: "\(root)/ttyUSB0", system: root))
        #expect(try String(contentsOfFile: "\(folder)/latency_timer", encoding: .utf8).hasPrefix("1\n"))
    }
}
