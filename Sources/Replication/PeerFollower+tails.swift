internal import Model
internal import Reactor
internal import Storage

extension PeerFollower {
    /// Copies what the peer writes while it does, where it can serve that and all of it is wanted.
    func followTails(
        _ attachment: ChunkPuller.Attachment, _ greeting: PeerGreeting, _ scope: FollowScope
    ) async throws {
        if scope == .everything, greeting.capabilities.contains("tail") {
            let follower = TailFollower(peer: greeting.id, attachment: attachment, surroundings: surroundings) {
                await self.note($0, $1)
            }
            await follower.run()
        } else {
            surroundings.tails.forget(greeting.id)
        }
        while true { try await venue.sleep(.seconds(3600)) }
    }

    /// The bell of an open chunk: who has copies of whose.
    func heard(_ event: PeerEvent) {
        guard case .tail(let author?, let session, let stream, let index, let length) = event,
            let peer = greeting?.id
        else { return }
        let slot = ChunkSlot(author: author, session: session, stream: stream, index: index)
        surroundings.tails.heard(slot, length: length, from: peer, now: venue.now())
    }

    private func note(_ fault: PeerFault, _ reason: String) async { note(fault, times: 1, reason) }
}
