package import Model
package import Reactor

/// A held chunk, open for reading. Reads block: make them on a disk lane.
package final class ChunkFile: Sendable {
    package let id: ChunkID
    package let length: Int64
    private let descriptor: Descriptor

    package init(id: ChunkID, length: Int64, descriptor: consuming Descriptor) {
        self.id = id
        self.length = length
        self.descriptor = descriptor
    }

    /// Up to `count` bytes at `offset`.
    package func read(count: Int, at offset: Int64) throws(SyscallError) -> [UInt8] {
        try descriptor.read(count: count, at: offset)
    }
}
