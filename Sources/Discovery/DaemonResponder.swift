internal import CAvahi
internal import Model
internal import Reactor

/// The avahi-daemon of this host, spoken to over the system bus: libavahi-client.
///
/// Every call waits for the daemon's answer, which libdbus bounds at 25 s.
final class DaemonResponder: Responder {
    private let choice: InterfaceChoice
    private let log: Log
    private let avahi: AvahiLoop
    private let outbox: Outbox
    private let retry: LoopTimer
    private let retryAction: Action
    /// Runs after the daemon refused to announce the service.
    private let republish: LoopTimer
    private let republishAction: Action
    private var backoff = Backoff(from: .seconds(1), to: .seconds(10))
    private var state = State.idle
    private var inquiries: [Question: Inquiry] = [:]
    private var network: Network
    private var advertisement: Advertisement?
    /// Other than the one wished for after a collision.
    private var instance = ""
    private var group: OpaquePointer?
    /// The interfaces that the group names: -1 alone means all.
    private var publishedOn: [Int32] = []

    private enum State {
        case idle
        /// No system bus; the retry timer runs.
        case waiting
        /// Within avahi_client_new, which already calls back.
        case connecting
        case connected(OpaquePointer, isPresent: Bool)
        case stopped
    }

    private final class Inquiry {
        let question: Question
        let outbox: Outbox
        var browser: OpaquePointer?
        init(_ question: Question, _ outbox: Outbox) {
            self.question = question
            self.outbox = outbox
        }

        func heard(_ event: AvahiBrowserEvent, _ rdata: UnsafeRawBufferPointer, _ link: Link) {
            guard event == AVAHI_BROWSER_NEW || event == AVAHI_BROWSER_REMOVE else { return }
            outbox.tell(
                .record(
                    RecordChange(
                        question: question, link: link, rdata: Array(rdata), appeared: event == AVAHI_BROWSER_NEW)))
        }
    }

    /// Call on the loop.
    init(
        on loop: EventLoop, choice: InterfaceChoice, network: Network, log: Log,
        _ deliver: @escaping ([ResponderEvent]) -> Void
    ) {
        self.choice = choice
        self.network = network
        self.log = log
        outbox = Outbox(on: loop, deliver)
        let action = Action()
        retryAction = action
        retry = LoopTimer(on: loop) { action.body() }
        let againAction = Action()
        republishAction = againAction
        republish = LoopTimer(on: loop) { againAction.body() }
        // The client's time-outs are D-Bus's own, each a delay: a stepped clock does them no harm.
        avahi = AvahiLoop(on: loop) { _ in }
        action.body = { [unowned self] in connect() }
        againAction.body = { [unowned self] in publishService() }
    }

    func start() { connect() }

    func stop() {
        disconnect()
        state = .stopped
        retry.cancel()
        republish.cancel()
        outbox.close()
    }

    private func connect() {
        switch state {
        case .idle, .waiting: break
        case .connecting, .connected, .stopped: return
        }
        state = .connecting
        let begun = SystemClock.monotonic()
        var failure: Int32 = 0
        let client = avahi_client_new(
            avahi.poll, AVAHI_CLIENT_NO_FAIL,
            { _, state, context in
                guard let context else { return }
                Unmanaged<DaemonResponder>.fromOpaque(context).takeUnretainedValue().changed(to: state)
            }, Unmanaged.passUnretained(self).toOpaque(), &failure)
        guard let client else {
            state = .waiting
            outbox.tell(.absent("no system bus: \(Avahi.reason(failure))"))
            // A bus or daemon that hangs is waited for within that call: at most a twentieth of the time.
            let took = begun.duration(to: SystemClock.monotonic())
            retry.set(after: max(backoff.next(), took * 20))
            return
        }
        backoff.reset()
        state = .connected(client, isPresent: false)
        changed(to: avahi_client_get_state(client))
    }

    private func disconnect() {
        guard case .connected(let client, _) = state else { return }
        state = .idle
        forget()
        // Closes the connection first; the daemon then withdraws what was published by it.
        avahi_client_free(client)
    }

    /// What hung on a client or a daemon that is gone.
    private func forget() {
        inquiries = [:]
        group = nil
        publishedOn = []
    }

    private func changed(to clientState: AvahiClientState) {
        guard case .connected(let client, let wasPresent) = state else { return }
        switch clientState {
        case AVAHI_CLIENT_CONNECTING:
            outbox.tell(.absent("no avahi-daemon on the system bus"))
        case AVAHI_CLIENT_S_RUNNING, AVAHI_CLIENT_S_REGISTERING, AVAHI_CLIENT_S_COLLISION:
            state = .connected(client, isPresent: true)
            if !wasPresent { outbox.tell(.present) }
            // While the daemon sets up its host name nothing of ours may be announced.
            if clientState == AVAHI_CLIENT_S_RUNNING { publishService() } else { withdrawService() }
        case AVAHI_CLIENT_FAILURE:
            let reason = Avahi.reason(avahi_client_errno(client))
            state = .connected(client, isPresent: false)
            outbox.tell(.absent("the avahi-daemon is gone: \(reason)"))
            // Not from within its own callback.
            outbox.later { [unowned self] in
                guard case .connected(client, _) = state else { return }
                disconnect()
                connect()
            }
        default: break
        }
    }

    private var client: OpaquePointer? {
        if case .connected(let client, isPresent: true) = state { client } else { nil }
    }

    func networkChanged(to network: Network) {
        self.network = network
        if wantedInterfaces() != publishedOn { publishService() }
    }
}

// MARK: - Publishing

extension DaemonResponder {
    func publish(_ advertisement: Advertisement) {
        self.advertisement = advertisement
        instance = advertisement.name
        publishService()
    }

    private func wantedInterfaces() -> [Int32] {
        choice.names.isEmpty ? [Avahi.everyInterface] : network.chosen(by: choice).map(\.index)
    }

    private func publishService() {
        guard let client, advertisement != nil, avahi_client_get_state(client) == AVAHI_CLIENT_S_RUNNING else { return }
        withdrawService()
        publishedOn = wantedInterfaces()
        guard !publishedOn.isEmpty else { return }
        if group == nil {
            group = avahi_entry_group_new(
                client,
                { group, state, context in
                    guard let context else { return }
                    Unmanaged<DaemonResponder>.fromOpaque(context).takeUnretainedValue().service(group, became: state)
                }, Unmanaged.passUnretained(self).toOpaque())
        }
        guard let group else { return refused("entry group", avahi_client_errno(client)) }
        // Names that other clients of this daemon have are refused at once; those of other hosts by a collision later.
        for _ in 0..<Self.namesTried {
            switch fill(group) {
            case 0:
                let committed = avahi_entry_group_commit(group)
                if committed != 0 { refused("service", committed) }
                return
            case Int32(AVAHI_ERR_COLLISION): rename()
            case let code: return refused("service", code)
            }
        }
        refused("service", Int32(AVAHI_ERR_COLLISION))
    }

    private static let namesTried = 16

    private func fill(_ group: OpaquePointer) -> Int32 {
        guard let advertisement else { return 0 }
        return Avahi.withList(advertisement.text) { text in
            for interface in publishedOn {
                let added = avahi_entry_group_add_service_strlst(
                    group, interface, Avahi.everyProtocol, Avahi.noPublishFlags, instance, Advertisement.serviceType,
                    nil, nil, advertisement.port, text)
                if added != 0 {
                    avahi_entry_group_reset(group)
                    return added
                }
            }
            return 0
        }
    }

    private func rename() {
        let taken = instance
        instance = Avahi.alternative(toService: taken)
        log.notice("another service has this name", ("name", taken), ("now", instance))
    }

    private func withdrawService() {
        publishedOn = []
        guard let group, avahi_entry_group_is_empty(group) == 0 else { return }
        avahi_entry_group_reset(group)
    }

    private func service(_ group: OpaquePointer?, became state: AvahiEntryGroupState) {
        guard group == self.group else { return }
        switch state {
        case AVAHI_ENTRY_GROUP_ESTABLISHED: outbox.tell(.announced(instance: instance))
        case AVAHI_ENTRY_GROUP_COLLISION:
            outbox.later { [unowned self] in
                rename()
                publishService()
            }
        case AVAHI_ENTRY_GROUP_FAILURE: if let client { refused("service", avahi_client_errno(client)) }
        default: break
        }
    }

    private func refused(_ what: String, _ code: Int32) {
        outbox.tell(.fault("\(what): \(Avahi.reason(code))"))
        republish.set(after: Self.republishDelay)
    }

    private static let republishDelay = Duration.seconds(10)
}

// MARK: - Questions

extension DaemonResponder {
    func ask(_ question: Question) throws(ResponderError) {
        guard let client else { throw ResponderError(call: "record browser", reason: "the avahi-daemon is not there") }
        guard inquiries[question] == nil else { return }
        let inquiry = Inquiry(question, outbox)
        inquiry.browser = avahi_record_browser_new(
            client, Avahi.everyInterface, Avahi.everyProtocol, question.name.description, Avahi.classIN,
            question.kind.rawValue, Avahi.onLink,
            { _, interface, proto, event, _, _, _, rdata, size, _, context in
                guard let context else { return }
                let bytes = UnsafeRawBufferPointer(start: rdata, count: rdata == nil ? 0 : size)
                Unmanaged<Inquiry>.fromOpaque(context).takeUnretainedValue()
                    .heard(event, bytes, Avahi.link(interface, proto))
            }, Unmanaged.passUnretained(inquiry).toOpaque())
        guard inquiry.browser != nil else {
            throw ResponderError(call: "record browser", reason: Avahi.reason(avahi_client_errno(client)))
        }
        inquiries[question] = inquiry
    }

    func drop(_ question: Question) {
        guard let inquiry = inquiries.removeValue(forKey: question), let browser = inquiry.browser else { return }
        avahi_record_browser_free(browser)
    }
}
