internal import CAvahi
internal import Glibc
internal import Model
internal import Reactor

extension EmbeddedResponder {
    /// What the embedded responder announces, and Avahi's groups that carry it.
    struct Publication {
        var advertisement: Advertisement?
        /// Names in use: other than wished for after a collision.
        var instance = ""
        var hostName = "qnode"
        fileprivate var service: OpaquePointer?
        /// A group an address, so that one can come or go while the others stay announced.
        fileprivate var addresses: [PublishedAddress: OpaquePointer] = [:]

        /// What Avahi refused, and is asked again.
        fileprivate var serviceIsRefused = false

        /// Their server is about to be freed, and they with it.
        mutating func forgetGroups() {
            service = nil
            addresses = [:]
        }
    }

    struct PublishedAddress: Hashable {
        let interface: Int32
        let address: IPAddress
    }

    func publish(_ advertisement: Advertisement) {
        publication.advertisement = advertisement
        publication.instance = advertisement.name
        publication.hostName = advertisement.hostName
        guard let server else { return }
        // Answers with a change of state, which publishes all; unless the name is the same.
        if avahi_server_set_host_name(server, publication.hostName) != 0 { publishAll() }
    }

    func publishAll() {
        publishAddresses()
        publishService()
    }

    /// After Avahi refused: the service only where it was that, since announcing it anew takes it back first.
    func publishRefused() {
        publishAddresses()
        if publication.serviceIsRefused { publishService() }
    }

    private func publishService() {
        guard let server, let advertisement = publication.advertisement else { return }
        publication.serviceIsRefused = false
        if let group = publication.service { avahi_s_entry_group_free(group) }
        publication.service = avahi_s_entry_group_new(
            server,
            { _, group, state, context in
                guard let context else { return }
                Unmanaged<EmbeddedResponder>.fromOpaque(context).takeUnretainedValue().service(group, became: state)
            }, Unmanaged.passUnretained(self).toOpaque())
        guard let group = publication.service else { return serviceRefused(avahi_server_errno(server)) }
        let added = Avahi.withList(advertisement.text) { text in
            avahi_server_add_service_strlst(
                server, group, Avahi.everyInterface, Avahi.everyProtocol, Avahi.noPublishFlags, publication.instance,
                Advertisement.serviceType, nil, nil, advertisement.port, text)
        }
        guard added == 0 else { return serviceRefused(added) }
        let committed = avahi_s_entry_group_commit(group)
        if committed != 0 { serviceRefused(committed) }
    }

    private func serviceRefused(_ code: Int32) {
        publication.serviceIsRefused = true
        refused("service", code)
    }

    private func service(_ group: OpaquePointer?, became state: AvahiEntryGroupState) {
        // Groups that were freed, or are being made, do not speak for the service.
        guard group == publication.service else { return }
        switch state {
        case AVAHI_ENTRY_GROUP_ESTABLISHED: outbox.tell(.announced(instance: publication.instance))
        case AVAHI_ENTRY_GROUP_COLLISION:
            let taken = publication.instance
            publication.instance = Avahi.alternative(toService: taken)
            log.notice("another service has this name", ("name", taken), ("now", publication.instance))
            outbox.later { [unowned self] in publishService() }
        case AVAHI_ENTRY_GROUP_FAILURE: if let server { serviceRefused(avahi_server_errno(server)) }
        default: break
        }
    }

    /// Brings the published A and AAAA records in line with the host's addresses.
    func publishAddresses() {
        guard server != nil, publication.advertisement != nil else { return }
        let wanted = wantedAddresses()
        for (address, group) in publication.addresses where !wanted.contains(address) {
            avahi_s_entry_group_free(group)
            publication.addresses[address] = nil
        }
        for address in wanted where publication.addresses[address] == nil { publishAddress(address) }
    }

    private func wantedAddresses() -> Set<PublishedAddress> {
        var wanted: Set<PublishedAddress> = []
        for interface in network.chosen(by: choice) {
            let usable = interface.addresses.filter { address in
                address.reach != .none && address.reach.isLoopback == interface.isLoopback
                    && !(choice.namesLoopback && address.bytes.count == 16)
            }
            wanted.formUnion(
                usable.sorted().prefix(Limits.recordsPerQuestion).map {
                    PublishedAddress(interface: interface.index, address: $0)
                })
        }
        return wanted
    }

    private func publishAddress(_ published: PublishedAddress) {
        guard let server else { return }
        let group = avahi_s_entry_group_new(
            server,
            { _, _, state, context in
                guard let context, state == AVAHI_ENTRY_GROUP_COLLISION else { return }
                Unmanaged<EmbeddedResponder>.fromOpaque(context).takeUnretainedValue().hostCollided()
            }, Unmanaged.passUnretained(self).toOpaque())
        guard let group else { return refused("entry group", avahi_server_errno(server)) }
        var address = AvahiAddress()
        let bytes = published.address.bytes
        address.proto = bytes.count == 4 ? 0 : 1
        withUnsafeMutableBytes(of: &address.data) { $0.copyBytes(from: bytes) }
        // A reverse record would contend with the avahi-daemon's of this host for ever.
        let added = avahi_server_add_address(
            server, group, published.interface, Avahi.everyProtocol, AVAHI_PUBLISH_NO_REVERSE, nil, &address)
        guard added == 0, avahi_s_entry_group_commit(group) == 0 else {
            refused("address \(published.address.text)", avahi_server_errno(server))
            avahi_s_entry_group_free(group)
            return
        }
        publication.addresses[published] = group
    }

    /// Somebody else has our host name, or had: a node with the same id, most likely.
    func hostCollided() {
        // Each address tells of it.
        let name = publication.hostName
        outbox.later { [unowned self] in
            guard let server, name == publication.hostName else { return }
            publication.hostName = Avahi.alternative(toHost: name)
            log.warning("another node announces this node's id", ("host", name), ("now", publication.hostName))
            withdraw()
            // Answers with a change of state, which publishes all.
            let result = avahi_server_set_host_name(server, publication.hostName)
            if result != 0 { refused("host name", result) }
        }
    }

    private func withdraw() {
        if let group = publication.service { avahi_s_entry_group_free(group) }
        for group in publication.addresses.values { avahi_s_entry_group_free(group) }
        publication.forgetGroups()
    }

    private static let republishDelay = Duration.seconds(10)

    private func refused(_ what: String, _ code: Int32) {
        outbox.tell(.fault("\(what): \(Avahi.reason(code))"))
        republish.set(after: Self.republishDelay)
    }
}
