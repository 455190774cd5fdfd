/// A speaker of multicast DNS for one node: it announces the node's service and answers questions about others.
///
/// Lives on the event loop. Whatever it has to tell it tells through `Outbox`, in a later turn of the loop and never
/// from within a call of its owner's, since Avahi calls back at any time, from inside its own functions too.
protocol Responder: AnyObject {
    /// Begins, and begins again by itself after every failure, until `stop()`.
    func start()
    /// Says goodbye and frees everything; nothing is told afterwards.
    func stop()
    /// Announces the service from now on, also after the responder was lost and came back.
    func publish(_ advertisement: Advertisement)
    /// Tells of every record that answers `question` from now on. Only while `.present`; forgotten when the responder
    /// is lost.
    func ask(_ question: Question) throws(ResponderError)
    func drop(_ question: Question)
    /// The interfaces or addresses of this host changed.
    func networkChanged(to network: Network)
}

enum ResponderEvent: Sendable {
    /// Questions may be asked; what was asked before is forgotten.
    case present
    /// No responder for now, and why.
    case absent(String)
    case record(RecordChange)
    /// The service is announced under this name.
    case announced(instance: String)
    /// Something was refused that is tried again, or that an operator should know.
    case fault(String)
}

/// Avahi's refusal.
struct ResponderError: Error, CustomStringConvertible {
    let call: String
    let reason: String
    var description: String { "\(call): \(reason)" }
}
