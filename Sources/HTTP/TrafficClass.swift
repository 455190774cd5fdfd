/// What the bytes of a connection or a request are for: the order in which they come where there is a cap.
package enum TrafficClass: Hashable, Sendable {
    /// Questions, statements, events, clocks: never waits, but counts.
    case control
    /// Facts by the list, some at a time: their request waits while more has come than the cap allows, before all
    /// others and never for long; their answer comes at once.
    case facts
    /// Rows as they are written: first in line. Waits only while more has come than the cap allows.
    case live
    /// Chunks: the greater priority first. What waits for long has a turn in between, be it of a small share.
    case data(priority: Int64)

    /// What one connection may be used for in turn; each class has its own connections.
    package enum Kind: Hashable, Sendable { case control, live, data }

    package var kind: Kind {
        switch self {
        case .control, .facts: .control
        case .live: .live
        case .data: .data
        }
    }
}
