/// What the bytes of a connection or a request are for: the order in which they come where there is a cap.
package enum TrafficClass: Hashable, Sendable {
    /// Questions, statements, events, clocks: never waits, but counts.
    case control
    /// Rows as they are written: first in line. Waits only while more has come than the cap allows.
    case live
    /// Chunks, and facts by the list: the greater priority first. What waits for long has a turn in between.
    case data(priority: Int64)

    /// What one connection may be used for in turn; each class has its own connections.
    package enum Kind: Hashable, Sendable { case control, live, data }

    package var kind: Kind {
        switch self {
        case .control: .control
        case .live: .live
        case .data: .data
        }
    }
}
