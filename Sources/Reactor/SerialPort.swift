internal import Glibc

/// A serial device as the system lists it: the path to open, and the name that stays when it is plugged in elsewhere.
package struct SerialPort: Hashable, Sendable {
    package let path: String
    /// Its entry in `/dev/serial/by-id`, which spells maker, product and serial number; nil where it has none.
    package let idName: String?

    package init(path: String, idName: String?) {
        self.path = path
        self.idName = idName
    }

    /// Makers of the chips in USB serial adapters, as they spell themselves: a modem or a GPS mouse does not come
    /// before these.
    private static let adapterMakers = ["FTDI", "Prolific", "Silicon_Labs", "QinHeng", "1a86", "067b", "0403", "10c4"]

    /// What an underwater vehicle has on USB beside its sensors; taking an autopilot's line would be taking its
    /// controls.
    private static let otherDevices = [
        "ArduPilot", "Pixhawk", "PX4", "CubePilot", "Hex_ProfiCNC", "Holybro", "u-blox", "Modem", "SimTech", "Quectel",
    ]

    /// What is plugged in, the likeliest sensor adapter first: `/dev/serial/by-id`, then `ttyUSB*`, then `ttyACM*`. A
    /// device that has an id is listed once, by its id.
    package static func available(devices: String = "/dev") -> [SerialPort] {
        let all = names(in: "\(devices)/serial/by-id").map { name in
            SerialPort(path: "\(devices)/serial/by-id/\(name)", idName: name)
        }
        let known = Set(all.compactMap { realPath($0.path) })
        let identified = all.filter { port in !otherDevices.contains { port.path.contains($0) } }
        let plain = names(in: devices).filter { $0.hasPrefix("ttyUSB") || $0.hasPrefix("ttyACM") }
            .map { SerialPort(path: "\(devices)/\($0)", idName: nil) }
            .filter { !known.contains(realPath($0.path) ?? $0.path) }
        return ranked(identified + plain)
    }

    static func ranked(_ ports: [SerialPort]) -> [SerialPort] {
        func rank(_ port: SerialPort) -> Int {
            if let name = port.idName { return adapterMakers.contains { name.contains($0) } ? 0 : 1 }
            return port.path.contains("ttyUSB") ? 2 : 3
        }
        func number(_ port: SerialPort) -> Int {
            Int(String(port.path.reversed().prefix { $0.isNumber }.reversed())) ?? 0
        }
        return ports.sorted { (rank($0), number($0), $0.path) < (rank($1), number($1), $1.path) }
    }

    /// The port that a path names, with its id where the system lists one for the same device.
    package static func named(_ path: String, devices: String = "/dev") -> SerialPort {
        let folder = "\(devices)/serial/by-id/"
        if path.hasPrefix(folder) { return SerialPort(path: path, idName: String(path.dropFirst(folder.count))) }
        guard let device = realPath(path) else { return SerialPort(path: path, idName: nil) }
        let name = names(in: folder).first { realPath(folder + $0) == device }
        return SerialPort(path: path, idName: name)
    }

    /// Lets an FTDI adapter hand over bytes within 1 ms instead of 16; whether it is so now. Without the permission, or
    /// with another chip, arrival times stay as coarse as they are.
    package static func lowerLatency(of path: String, system: String = "/sys") -> Bool {
        guard let device = realPath(path), let name = device.split(separator: "/").last,
            let directory = try? Directory.open("\(system)/bus/usb-serial/devices/\(name)")
        else { return false }
        if let now = try? directory.openFile("latency_timer", .read).read(count: 8, at: 0),
            String(decoding: now, as: UTF8.self).prefix(while: \.isNumber) == "1"
        {
            return true
        }
        do throws(SyscallError) {
            try directory.openFile("latency_timer", .readWrite).write(Array("1\n".utf8))
            return true
        } catch {
            return false
        }
    }

    private static func names(in folder: String) -> [String] {
        // No folder: nothing of the kind is plugged in.
        guard let directory = try? Directory.open(folder), let names = try? directory.names() else { return [] }
        return names
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
