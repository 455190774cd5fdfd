package import Model

/// All records heard of `_qnode._tcp`, and what follows from them: what else to ask, and which nodes are there.
///
/// Records are kept by question and link, so that two nodes of one name on two links stay two nodes, and one node on
/// several links is one sighting. Everything in here was said by anybody on the link.
package struct SightingTable: Sendable {
    /// Interfaces of this host, by index, as far as they matter to reading records.
    package struct Interface: Hashable, Sendable {
        package let name: String
        package let isLoopback: Bool

        package init(name: String, isLoopback: Bool) {
            self.name = name
            self.isLoopback = isLoopback
        }
    }

    package struct Counters: Hashable, Sendable {
        /// Records that are malformed, or claim an id that is none, or point out of `_qnode._tcp.local`.
        package var invalid: Int64 = 0
        /// Records beyond a limit.
        package var surplus: Int64 = 0
    }

    package private(set) var counters = Counters()
    private let root: Question
    private var records: [Question: [Link: [RecordContent]]] = [:]
    private var asked: Set<Question> = []
    /// Instances in the order they were heard: those that came first keep their place when there are too many.
    private var instances: [DomainName] = []

    package init() {
        guard let type = DomainName(labels: ["_qnode", "_tcp", "local"].map { Array($0.utf8) }) else {
            preconditionFailure("the service type is a valid name")
        }
        root = Question(type, .pointer)
    }

    package mutating func apply(_ change: RecordChange) {
        // What was on its way when the question was dropped.
        guard asked.contains(change.question) else { return }
        guard let content = RecordContent(change.question.kind, rdata: change.rdata), isOurs(content) else {
            // A TXT record of a node yet unknown may be of a later version: it is counted, and the node not listed.
            if change.appeared { counters.invalid += 1 }
            return
        }
        var heard = records[change.question, default: [:]][change.link, default: []]
        if !change.appeared {
            heard.removeAll { $0 == content }
        } else if !heard.contains(content) {
            guard heard.count < limit(of: change.question) else {
                counters.surplus += 1
                return
            }
            heard.append(content)
        }
        records[change.question, default: [:]][change.link] = heard.isEmpty ? nil : heard
        if case .pointer(let instance) = content { follow(instance) }
    }

    private func limit(of question: Question) -> Int {
        question == root ? Limits.serviceInstances : Limits.recordsPerQuestion
    }

    /// Whether a record points where a node's record may: nobody on the link shall make this node ask for other names.
    private func isOurs(_ content: RecordContent) -> Bool {
        switch content {
        case .pointer(let name): name.isChild(of: root.name) && String(validating: name.labels[0], as: UTF8.self) != nil
        case .service(let host, let port): host.isLocal && port != 0
        case .address(let address): address.reach != .none
        case .text: true
        }
    }

    private mutating func follow(_ instance: DomainName) {
        let present = records[root]?.values.contains { $0.contains(.pointer(instance)) } ?? false
        if !present {
            instances.removeAll { $0 == instance }
        } else if !instances.contains(instance) {
            guard instances.count < Limits.serviceInstances else {
                counters.surplus += 1
                return
            }
            instances.append(instance)
        }
    }

    /// What is to be asked from now on, and what no longer; answers to the latter are forgotten.
    package mutating func nextQuestions() -> (ask: [Question], drop: [Question]) {
        var wanted: [Question] = [root]
        var hosts: [DomainName] = []
        for instance in instances {
            wanted += [Question(instance, .service), Question(instance, .text)]
            for case .service(let host, _) in (records[Question(instance, .service)] ?? [:]).values.joined()
            where !hosts.contains(host) && hosts.count < Limits.serviceInstances {
                hosts.append(host)
            }
        }
        for host in hosts { wanted += [Question(host, .address4), Question(host, .address6)] }
        let ask = wanted.filter { !asked.contains($0) }
        let drop = asked.subtracting(wanted)
        for question in drop { records[question] = nil }
        asked = Set(wanted)
        return (ask, Array(drop))
    }

    /// Forgets everything that was heard and asked: another responder begins anew.
    package mutating func reset() {
        records = [:]
        asked = []
        instances = []
    }
}

extension SightingTable {
    /// The nodes that are there, without the one whose id starts with `own`; a stable order.
    package func sightings(except own: String, interfaces: [Int32: Interface]) -> [PeerSighting] {
        instances.flatMap { sightings(of: $0, except: own, interfaces: interfaces) }
            .sorted { ($0.instance, $0.idPrefix) < ($1.instance, $1.idPrefix) }
    }

    private func sightings(
        of instance: DomainName, except own: String, interfaces: [Int32: Interface]
    ) -> [PeerSighting] {
        let texts = byInterface(Question(instance, .text)) { if case .text(let text) = $0 { text } else { nil } }
        let services = byInterface(Question(instance, .service)) { content -> Service? in
            if case .service(let host, let port) = content { Service(host: host, port: port) } else { nil }
        }
        var places: [String: [Place]] = [:]
        var claims: [String: ServiceText] = [:]
        for (interface, found) in texts.sorted(by: { $0.key < $1.key }) {
            guard let text = found.first, text.idPrefix != own else { continue }
            claims[text.idPrefix] = claims[text.idPrefix] ?? text
            for service in services[interface] ?? [] {
                places[text.idPrefix, default: []] += addresses(of: service, on: interface, interfaces: interfaces)
            }
        }
        let name = String(decoding: instance.labels[0], as: UTF8.self)
        return claims.values.map { claim in
            let endpoints = Set(places[claim.idPrefix] ?? []).sorted().prefix(Limits.endpointsPerPeer).map(\.endpoint)
            return PeerSighting(
                instance: name, idPrefix: claim.idPrefix, role: claim.role, boot: claim.boot,
                endpoints: endpoints.uniqued())
        }.filter { !$0.endpoints.isEmpty }
    }

    private struct Service: Hashable {
        let host: DomainName
        let port: UInt16
    }

    /// An address of a node as seen through one interface.
    private struct Place: Hashable, Comparable {
        let address: IPAddress
        let interface: Int32
        let scope: String
        let port: UInt16

        var endpoint: Endpoint {
            let scoped = address.reach == .linkLocal6 ? "\(address.text)%\(scope)" : address.text
            return Endpoint(host: scoped, port: port)
        }

        static func < (lhs: Self, rhs: Self) -> Bool {
            if lhs.address != rhs.address { return lhs.address < rhs.address }
            return (lhs.interface, lhs.port) < (rhs.interface, rhs.port)
        }
    }

    private func byInterface<T: Hashable>(_ question: Question, _ pick: (RecordContent) -> T?) -> [Int32: [T]] {
        var found: [Int32: [T]] = [:]
        for (link, contents) in records[question] ?? [:] {
            for value in contents.compactMap(pick) where found[link.interface]?.contains(value) != true {
                found[link.interface, default: []].append(value)
            }
        }
        return found
    }

    private func addresses(of service: Service, on index: Int32, interfaces: [Int32: Interface]) -> [Place] {
        guard let interface = interfaces[index] else { return [] }
        return [RecordKind.address4, .address6].flatMap { kind in
            (byInterface(Question(service.host, kind)) {
                if case .address(let address) = $0 { address } else { nil }
            }[index] ?? [])
            // A loopback address heard from a network would make this node dial itself.
            .filter { interface.isLoopback || !$0.reach.isLoopback }
            .map { Place(address: $0, interface: index, scope: interface.name, port: service.port) }
        }
    }
}

extension Sequence where Element: Hashable {
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
