package import Model

/// Who is known and under which addresses: configured by a person, announced, remembered, met. Two addresses of one
/// node are one peer; what an address announces is hearsay until the node there has said who it is. Decides who is
/// followed, and how far.
package struct PeerDirectory: Sendable {
    private let own: NodeID
    private let policy: FollowPolicy
    private(set) var entries: [Token: Entry] = [:]
    private var tokenCount = 0
    /// Addresses where this node met itself.
    private var ownEndpoints: Set<Endpoint> = []
    /// Addresses where another node answered than was announced, and until when announcements of them are not believed.
    private var distrusted: [Endpoint: MonotonicTime] = [:]
    private var stopped: [Token] = []

    /// One known peer, however many addresses it has.
    package struct Token: Hashable, Sendable, Comparable {
        let number: Int
        package static func < (lhs: Self, rhs: Self) -> Bool { lhs.number < rhs.number }
    }

    struct Address: Hashable, Sendable {
        let endpoint: Endpoint
        var isConfigured = false
        /// The node was met here.
        var wasGood = false
        /// Announcements that name it.
        var instances: Set<String> = []

        var hasReason: Bool { isConfigured || wasGood || !instances.isEmpty }
        var rank: Int { isConfigured ? 0 : wasGood ? 1 : 2 }
    }

    struct Entry: Sendable {
        /// As the node itself said.
        var id: NodeID? { didSet { claim = id?.short ?? claim } }
        /// First 16 digits of the id: as announced, until the node itself said it.
        var claim: String?
        var role: Role?
        var name: String?
        var addresses: [Address] = []
        var isLive = false
        /// How far it is followed while it is live.
        var scope = FollowScope.nothing
        /// What the follower was last told; nil where there is none.
        var published: [Endpoint]?

        var isConfigured: Bool { addresses.contains(where: \.isConfigured) }
        var endpoints: [Endpoint] {
            addresses.enumerated().sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }
                .map(\.element.endpoint)
        }
    }

    package enum Change: Hashable, Sendable {
        case start(Token, [Endpoint])
        case setEndpoints(Token, [Endpoint])
        case stop(Token)
        /// It is to be met anew: how far it is followed has changed.
        case meetAnew(Token)
    }

    package enum Verdict: Hashable, Sendable {
        case follow(FollowScope)
        case yourself
        /// Another node was expected at this address.
        case wrongIdentity(expected: String)
        /// The node is connected already, or this entry was merged into another.
        case duplicate
        case unfollowed
    }

    package init(own: NodeID, policy: FollowPolicy) {
        self.own = own
        self.policy = policy
    }

    // MARK: What one hears

    /// The addresses that a person named; replaces those named before.
    package mutating func configure(_ endpoints: [Endpoint]) {
        for token in entries.keys.sorted() {
            updateAddresses(of: token) { $0.isConfigured = endpoints.contains($0.endpoint) }
        }
        for endpoint in endpoints where !ownEndpoints.contains(endpoint) && holder(of: endpoint) == nil {
            guard let token = makeEntry() else { return }
            entries[token]?.addresses = [Address(endpoint: endpoint, isConfigured: true)]
        }
    }

    /// An earlier process met this node there.
    package mutating func remember(_ id: NodeID, role: Role?, at endpoint: Endpoint) {
        guard id != own, let token = entry(of: id) ?? makeEntry() else { return }
        if entries[token]?.id == nil { entries[token]?.id = id }
        if entries[token]?.role == nil { entries[token]?.role = role }
        addAddress(endpoint, to: token) { $0.wasGood = true }
    }

    /// An announcement replaces what the same instance announced before.
    package mutating func sighted(_ sighting: PeerSighting, now: MonotonicTime) {
        guard sighting.idPrefix.utf8.count == 16, sighting.idPrefix != own.short else { return }
        distrusted = distrusted.filter { $0.value > now }
        let endpoints = sighting.endpoints.prefix(Limits.endpointsPerPeer).filter {
            !ownEndpoints.contains($0) && distrusted[$0] == nil
        }
        let existing = entry(of: sighting.idPrefix) ?? unclaimedHolder(of: endpoints)
        guard !endpoints.isEmpty || existing != nil, let token = existing ?? makeEntry() else { return }
        if entries[token]?.id == nil {
            entries[token]?.claim = sighting.idPrefix
            entries[token]?.role = sighting.role
        }
        updateAddresses(of: token) {
            if !endpoints.contains($0.endpoint) { $0.instances.remove(sighting.instance) }
        }
        for endpoint in endpoints { addAddress(endpoint, to: token) { $0.instances.insert(sighting.instance) } }
    }

    /// An announcement is gone; where the node was met is kept.
    package mutating func vanished(instance: String) {
        for token in entries.keys { updateAddresses(of: token) { $0.instances.remove(instance) } }
    }

    // MARK: What one meets

    /// A node was reached by the follower of `token` and said who it is.
    package mutating func met(
        _ token: Token, _ greeting: PeerGreeting, at endpoint: Endpoint, now: MonotonicTime
    ) -> Verdict {
        guard let entry = entries[token] else { return .duplicate }
        if greeting.id == own {
            ownEndpoints.insert(endpoint)
            take(endpoint, from: token)
            return .yourself
        }
        let isExpected = entry.id.map { $0 == greeting.id } ?? entry.claim.map { $0 == greeting.id.short } ?? true
        if !isExpected, let expected = entry.id?.description ?? entry.claim {
            move(endpoint, from: token, to: greeting, now: now)
            return .wrongIdentity(expected: expected)
        }
        if let other = self.entry(of: greeting.id, besides: token) {
            if entries[other]?.isLive == true {
                merge(token, into: other)
                return .duplicate
            }
            merge(other, into: token)
        }
        entries[token]?.id = greeting.id
        entries[token]?.role = greeting.role
        entries[token]?.name = greeting.name
        // The last good address is kept, not all that ever were.
        updateAddresses(of: token) { $0.wasGood = $0.endpoint == endpoint }
        addAddress(endpoint, to: token) { $0.wasGood = true }
        let scope = policy.scope(of: greeting.role, isConfigured: entries[token]?.isConfigured ?? false)
        guard scope != .nothing else { return .unfollowed }
        entries[token]?.isLive = true
        entries[token]?.scope = scope
        return .follow(scope)
    }

    package mutating func left(_ token: Token) { entries[token]?.isLive = false }

    private mutating func move(
        _ endpoint: Endpoint, from token: Token, to greeting: PeerGreeting, now: MonotonicTime
    ) {
        let wasConfigured = take(endpoint, from: token)?.isConfigured ?? false
        distrusted[endpoint] = now.advanced(by: Limits.distrustTime)
        guard let target = entry(of: greeting.id) ?? makeEntry() else { return }
        entries[target]?.id = greeting.id
        entries[target]?.role = greeting.role
        entries[target]?.name = greeting.name
        addAddress(endpoint, to: target) {
            $0.isConfigured = $0.isConfigured || wasConfigured
            $0.wasGood = true
        }
    }

    private mutating func merge(_ token: Token, into other: Token) {
        guard let entry = entries.removeValue(forKey: token) else { return }
        if entry.published != nil { stopped.append(token) }
        for address in entry.addresses {
            addAddress(address.endpoint, to: other) {
                $0.isConfigured = $0.isConfigured || address.isConfigured
                $0.wasGood = $0.wasGood || address.wasGood
                $0.instances.formUnion(address.instances)
            }
        }
    }

    // MARK: What follows from it

    /// What has to be done so that exactly those are dialled who should be, each at its addresses.
    package mutating func changes() -> [Change] {
        var changes = stopped.map { Change.stop($0) }
        stopped = []
        for token in entries.keys.sorted() {
            guard let entry = entries[token] else { continue }
            if let role = entry.role, entry.isLive {
                let scope = policy.scope(of: role, isConfigured: entry.isConfigured)
                if scope != entry.scope, scope != .nothing { changes.append(.meetAnew(token)) }
                entries[token]?.scope = scope
            }
            let isWanted = policy.mayFollow(claimedRole: entry.role, isConfigured: entry.isConfigured)
            let endpoints = entry.endpoints
            switch entry.published {
            case nil where isWanted && !endpoints.isEmpty: changes.append(.start(token, endpoints))
            case .some where !isWanted:
                changes.append(.stop(token))
                entries[token]?.published = nil
                entries[token]?.isLive = false
                continue
            case .some(let published) where published != endpoints: changes.append(.setEndpoints(token, endpoints))
            default: continue
            }
            entries[token]?.published = endpoints
        }
        return changes
    }

    // MARK: Entries

    /// By what it said, or else by what was announced.
    private func entry(of id: NodeID, besides token: Token? = nil) -> Token? {
        let others = entries.filter { $0.key != token }
        return others.first { $0.value.id == id }?.key
            ?? others.first { $0.value.id == nil && $0.value.claim == id.short }?.key
    }

    /// By announced digits.
    private func entry(of claim: String) -> Token? { entries.first { $0.value.claim == claim }?.key }

    private func holder(of endpoint: Endpoint) -> Token? {
        entries.first { $0.value.addresses.contains { $0.endpoint == endpoint } }?.key
    }

    private func unclaimedHolder(of endpoints: [Endpoint]) -> Token? {
        entries.first { _, entry in
            entry.claim == nil && entry.addresses.contains { endpoints.contains($0.endpoint) }
        }?.key
    }

    /// Nil where too many are known, none of which is dispensable.
    private mutating func makeEntry() -> Token? {
        if entries.count >= Limits.peers {
            let dispensable = entries.filter { _, entry in !entry.isLive && !entry.isConfigured }
            guard
                let oldest = dispensable.min(by: {
                    ($0.value.id == nil ? 0 : 1, $0.key) < ($1.value.id == nil ? 0 : 1, $1.key)
                })
            else { return nil }
            entries[oldest.key] = nil
            if oldest.value.published != nil { stopped.append(oldest.key) }
        }
        tokenCount += 1
        let token = Token(number: tokenCount)
        entries[token] = Entry()
        return token
    }

    private mutating func addAddress(_ endpoint: Endpoint, to token: Token, _ change: (inout Address) -> Void) {
        guard var addresses = entries[token]?.addresses else { return }
        if let position = addresses.firstIndex(where: { $0.endpoint == endpoint }) {
            change(&addresses[position])
        } else {
            if addresses.count >= Limits.endpointsPerPeer {
                // The one that is least sure makes room.
                guard let weakest = addresses.indices.max(by: { addresses[$0].rank < addresses[$1].rank }) else {
                    return
                }
                addresses.remove(at: weakest)
            }
            var address = Address(endpoint: endpoint)
            change(&address)
            addresses.append(address)
        }
        entries[token]?.addresses = addresses
    }

    private mutating func updateAddresses(of token: Token, _ change: (inout Address) -> Void) {
        guard var addresses = entries[token]?.addresses else { return }
        for position in addresses.indices { change(&addresses[position]) }
        entries[token]?.addresses = addresses.filter(\.hasReason)
    }

    @discardableResult
    private mutating func take(_ endpoint: Endpoint, from token: Token) -> Address? {
        let address = entries[token]?.addresses.first { $0.endpoint == endpoint }
        entries[token]?.addresses.removeAll { $0.endpoint == endpoint }
        return address
    }
}
