package import Model
package import Reactor
package import Storage

/// Everything a node was told before it started: validated, with nothing left to be decided by its text.
package struct NodeConfiguration: Hashable, Sendable {
    /// The port where nothing else is said.
    package static let defaultPort: UInt16 = 9150

    package var role: Role
    /// The data directory, absolute.
    package var data: String
    /// Where the node's key is, absolute.
    package var identity: String
    /// Bytes of the disk that are to be kept free.
    package var minFree: Int64
    package var listen: Endpoint
    /// Where to listen was chosen by somebody: only the default may fall back to IPv4 where IPv6 is off.
    package var listenIsExplicit: Bool
    /// For people and for mDNS.
    package var name: String
    package var instrument: InstrumentChoice
    /// What the rows call the sensor; nil: what the instrument or its port says.
    package var sensorID: String?
    package var mission: String
    /// The recording starts by itself with the first row.
    package var record: Bool
    package var format: StreamDescription.Format
    package var chunkInterval: Duration
    package var chunkBytes: Int64
    package var commitInterval: Duration
    package var peers: [Endpoint]
    package var discovery: DiscoveryChoice
    /// Where to announce and listen; empty: everywhere.
    package var interfaces: [String]
    package var pull: PullChoice
    /// On what arrives from all peers together.
    package var cap: ByteRate
    /// On what chunks send to everybody together.
    package var serveCap: ByteRate
    package var view: ViewMode
    package var logLevel: Log.Level
}

/// What is recorded.
package enum InstrumentChoice: Hashable, Sendable {
    case none
    case qSeries(QSeriesPort, sensor: SensorUse)
    case lines(LinesOrigin)
}

/// Where a Q-Series sensor is looked for.
package enum QSeriesPort: Hashable, Sendable {
    /// Whatever adapter there is, whenever it appears; nil: the usual baud rates are tried.
    case auto(baud: Int?)
    case device(SerialDevice)
    /// A double on a pty of this process.
    case simulated
}

/// How far a node may go with its sensor.
package enum SensorUse: Hashable, Sendable {
    /// It is recorded as it is, its settings untouched.
    case passive
    /// Its menu is entered before recording; what is nil stays as it is.
    case setup(SensorSettings)
}

/// What is set on a Q-Series sensor through its menu.
package struct SensorSettings: Hashable, Sendable {
    package var averaging: Int?
    package var adcRateHz: Int?
    package var mode: SensorMode?

    package init(averaging: Int? = nil, adcRateHz: Int? = nil, mode: SensorMode? = nil) {
        self.averaging = averaging
        self.adcRateHz = adcRateHz
        self.mode = mode
    }
}

/// Whether the sensor speaks by itself or when asked. A tag is one of A to F.
package enum SensorMode: Hashable, Sendable {
    case freeRun
    case polled(tag: Character)
}

/// A tty and how fast it is; nil: the instrument's usual rates.
package struct SerialDevice: Hashable, Sendable {
    package let path: String
    package let baud: Int?

    package init(path: String, baud: Int? = nil) {
        self.path = path
        self.baud = baud
    }
}

/// The value of `--serial`.
package enum SerialChoice: Hashable, Sendable {
    case off
    case auto(baud: Int?)
    case device(SerialDevice)
}

/// Where a sensor that prints lines is read from.
package enum LinesOrigin: Hashable, Sendable {
    case device(SerialDevice)
    /// Dialled.
    case tcp(Endpoint)
    /// Bound; each datagram is one or more lines.
    case udp(Endpoint)
}

/// Which mDNS responder is used.
package enum DiscoveryChoice: String, Hashable, Sendable, CaseIterable {
    /// The daemon where there is one, the embedded responder where there is none.
    case auto
    case daemon, embedded, off
}

/// The value of `--cap`. Prints as it is written.
package struct ByteRate: Hashable, Sendable, CustomStringConvertible {
    /// nil: none.
    package let bytesPerSecond: Int64?

    package init(bytesPerSecond: Int64?) { self.bytesPerSecond = bytesPerSecond }

    package var description: String { Quantity.text(rate: bytesPerSecond) }
}

/// Which peers' chunks are fetched.
package enum PullChoice: Hashable, Sendable, CustomStringConvertible {
    case all, none
    case mission(String)

    package var description: String {
        switch self {
        case .all: "all"
        case .none: "none"
        case .mission(let name): name
        }
    }
}
