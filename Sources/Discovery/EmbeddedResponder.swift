internal import CAvahi
internal import Glibc
internal import Model
internal import Reactor

/// A responder within this process: libavahi-core, for hosts without an avahi-daemon, and for the loopback.
///
/// It publishes no host records of Avahi's own making, whose reverse records would contend with a daemon's on this host
/// for ever, but A and AAAA records of a host name of its own; so these follow the host's addresses here.
final class EmbeddedResponder: Responder {
    let choice: InterfaceChoice
    let log: Log
    private let avahi: AvahiLoop
    let outbox: Outbox
    private let retry: LoopTimer
    private let retryAction: Action
    /// Runs after something was refused that is to be announced.
    let republish: LoopTimer
    private let republishAction: Action
    private var state = State.idle
    private var backoff = Backoff(from: .seconds(1), to: .seconds(30))
    private var inquiries: [Question: Inquiry] = [:]
    var network: Network
    var publication = Publication()

    private enum State {
        case idle
        /// avahi_server_new failed; the retry timer runs.
        case waiting
        /// Within avahi_server_new, which already calls back.
        case starting
        case up(OpaquePointer)
        case stopped
    }

    /// A question that is asked: what Avahi's callback is handed.
    final class Inquiry {
        let question: Question
        let outbox: Outbox
        var browser: OpaquePointer?
        init(_ question: Question, _ outbox: Outbox) {
            self.question = question
            self.outbox = outbox
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
        let outbox = Outbox(on: loop, deliver)
        self.outbox = outbox
        let action = Action()
        retryAction = action
        retry = LoopTimer(on: loop) { action.body() }
        let againAction = Action()
        republishAction = againAction
        republish = LoopTimer(on: loop) { againAction.body() }
        let stepped = Action()
        avahi = AvahiLoop(on: loop) { step in
            // Set forward, Avahi's events are due at once, and all is well; set back, they would wait: see
            // WallClockGauge.
            if step < .zero { stepped.body() }
        }
        AvahiLog.install(log.named("mdns"))
        Self.seedRandom
        action.body = { [unowned self] in open() }
        againAction.body = { [unowned self] in publishRefused() }
        stepped.body = { [unowned self] in outbox.later { [unowned self] in reopen("the clock was set back") } }
    }

    /// Avahi draws its jitter from rand(3), which unseeded is the same on every node: all would speak at the same
    /// moments.
    private static let seedRandom: Void = srand(UInt32.random(in: 0 ... .max))

    func start() { open() }

    func stop() {
        close()
        state = .stopped
        retry.cancel()
        republish.cancel()
        outbox.close()
    }

    private func open() {
        switch state {
        case .idle, .waiting: break
        case .starting, .up, .stopped: return
        }
        state = .starting
        var failure: Int32 = 0
        guard let server = makeServer(&failure) else {
            state = .waiting
            let delay = backoff.next()
            outbox.tell(.absent("libavahi-core: \(Avahi.reason(failure))"))
            retry.set(after: delay)
            return
        }
        backoff.reset()
        state = .up(server)
        outbox.tell(.present)
        changed(to: avahi_server_get_state(server))
    }

    private func makeServer(_ failure: inout Int32) -> OpaquePointer? {
        var configuration = AvahiServerConfig()
        avahi_server_config_init(&configuration)
        defer { avahi_server_config_free(&configuration) }
        configuration.host_name = avahi_strdup(publication.hostName)
        configuration.publish_addresses = 0
        configuration.publish_hinfo = 0
        configuration.publish_workstation = 0
        configuration.publish_domain = 0
        configuration.enable_wide_area = 0
        configuration.use_iff_running = 1
        // The kernel has no route for IPv6 multicast on the loopback: every packet would be an error.
        configuration.use_ipv6 = choice.namesLoopback ? 0 : 1
        // As avahi-daemon.conf has them: more comes from no honest link.
        configuration.ratelimit_interval = 1_000_000
        configuration.ratelimit_burst = 1000
        if choice.names.isEmpty {
            let loopbacks = Set(network.interfaces.values.filter(\.isLoopback).map(\.name)).union(["lo"])
            configuration.deny_interfaces = Avahi.list(loopbacks.sorted())
        } else {
            configuration.allow_interfaces = Avahi.list(choice.names.sorted())
            // Whoever names a tunnel means it.
            configuration.allow_point_to_point = 1
        }
        return avahi_server_new(
            avahi.poll, &configuration,
            { _, state, context in
                guard let context else { return }
                Unmanaged<EmbeddedResponder>.fromOpaque(context).takeUnretainedValue().changed(to: state)
            }, Unmanaged.passUnretained(self).toOpaque(), &failure)
    }

    /// The server, where there is one.
    var server: OpaquePointer? { if case .up(let server) = state { server } else { nil } }

    private func changed(to serverState: AvahiServerState) {
        guard let server else { return }
        switch serverState {
        case AVAHI_SERVER_RUNNING: publishAll()
        case AVAHI_SERVER_COLLISION: hostCollided()
        case AVAHI_SERVER_FAILURE:
            let reason = Avahi.reason(avahi_server_errno(server))
            outbox.later { [unowned self] in reopen(reason) }
        default: break
        }
    }

    private func reopen(_ reason: String) {
        guard case .up = state else { return }
        log.notice("the embedded mDNS responder begins anew", ("reason", reason))
        close()
        state = .idle
        open()
    }

    private func close() {
        guard case .up(let server) = state else { return }
        state = .idle
        publication.forgetGroups()
        // Frees browsers and groups with it, and says goodbye for what was announced.
        avahi_server_free(server)
        inquiries = [:]
    }

    func networkChanged(to network: Network) {
        self.network = network
        publishAddresses()
    }
}

// MARK: - Questions

extension EmbeddedResponder {
    func ask(_ question: Question) throws(ResponderError) {
        guard let server else { throw ResponderError(call: "record browser", reason: "the responder is not there") }
        guard inquiries[question] == nil else { return }
        guard let key = avahi_key_new(question.name.description, Avahi.classIN, question.kind.rawValue) else {
            throw ResponderError(call: "avahi_key_new", reason: "no such name")
        }
        defer { avahi_key_unref(key) }
        let inquiry = Inquiry(question, outbox)
        inquiry.browser = avahi_s_record_browser_new(
            server, Avahi.everyInterface, Avahi.everyProtocol, key, Avahi.onLink,
            { _, interface, proto, event, record, _, context in
                guard let context, let record else { return }
                let inquiry = Unmanaged<Inquiry>.fromOpaque(context).takeUnretainedValue()
                inquiry.heard(event, record, Avahi.link(interface, proto))
            }, Unmanaged.passUnretained(inquiry).toOpaque())
        guard inquiry.browser != nil else {
            throw ResponderError(call: "record browser", reason: Avahi.reason(avahi_server_errno(server)))
        }
        inquiries[question] = inquiry
    }

    func drop(_ question: Question) {
        guard let inquiry = inquiries.removeValue(forKey: question) else { return }
        if let browser = inquiry.browser { avahi_s_record_browser_free(browser) }
    }
}

extension EmbeddedResponder.Inquiry {
    /// The longest rdata of a multicast DNS packet.
    private static let rdataBytes = 9000

    fileprivate func heard(_ event: AvahiBrowserEvent, _ record: UnsafeMutablePointer<AvahiRecord>, _ link: Link) {
        guard event == AVAHI_BROWSER_NEW || event == AVAHI_BROWSER_REMOVE else { return }
        let rdata = withUnsafeTemporaryAllocation(byteCount: Self.rdataBytes, alignment: 1) { buffer -> [UInt8]? in
            let length = avahi_rdata_serialize(record, buffer.baseAddress, buffer.count)
            return length <= buffer.count ? Array(buffer.prefix(length)) : nil
        }
        guard let rdata else { return }
        outbox.tell(
            .record(
                RecordChange(question: question, link: link, rdata: rdata, appeared: event == AVAHI_BROWSER_NEW)))
    }
}
