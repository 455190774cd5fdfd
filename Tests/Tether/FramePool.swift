import CTap
import Glibc

/// Memory for frames that are on their way: places of one size, used again.
struct FramePool: ~Copyable {
    /// The largest frame of an interface with an MTU of 1500 has 1518 bytes.
    static let placeBytes = 2048
    /// 128 MiB: half a second at a gigabit. Who needs more is told by the counter of frames that found no room.
    static let mostPlaces = 65_536

    private var blocks: [UnsafeMutableRawPointer] = []
    private var free: [Int32] = []
    private static let blockPlaces = 1024

    deinit { for block in blocks { block.deallocate() } }

    /// A place that nobody uses, or nil where all are in use.
    mutating func take() -> Int32? {
        if free.isEmpty {
            guard blocks.count * Self.blockPlaces < Self.mostPlaces else { return nil }
            let first = Int32(blocks.count * Self.blockPlaces)
            blocks.append(.allocate(byteCount: Self.blockPlaces * Self.placeBytes, alignment: 16))
            free = (0..<Int32(Self.blockPlaces)).reversed().map { first + $0 }
        }
        return free.removeLast()
    }

    mutating func give(back place: Int32) { free.append(place) }

    func address(_ place: Int32) -> UnsafeMutableRawPointer {
        blocks[Int(place) / Self.blockPlaces] + Int(place) % Self.blockPlaces * Self.placeBytes
    }
}

/// A frame on its way: when it comes out, and where its bytes are.
struct Frame {
    let dueNanoseconds: Int64
    /// Frames that are due at once come out as they went in.
    let number: Int64
    let place: Int32
    let length: Int32

    func precedes(_ other: Frame) -> Bool {
        dueNanoseconds == other.dueNanoseconds
            ? number < other.number : dueNanoseconds < other.dueNanoseconds
    }
}

/// Frames by the time at which they come out: a binary heap.
struct FrameQueue {
    private var frames: [Frame] = []

    var first: Frame? { frames.first }

    mutating func insert(_ frame: Frame) {
        frames.append(frame)
        var child = frames.count - 1
        while child > 0, frames[child].precedes(frames[(child - 1) / 2]) {
            frames.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func removeFirst() -> Frame {
        frames.swapAt(0, frames.count - 1)
        let first = frames.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < frames.count && frames[child].precedes(frames[least]) {
                least = child
            }
            if least == parent { return first }
            frames.swapAt(parent, least)
            parent = least
        }
    }
}

/// Numbers from a seed (SplitMix64): the same frames are lost each time the same frames come.
struct SeededNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// True in this share of the calls.
    mutating func isHit(_ fraction: Double) -> Bool {
        fraction > 0 && Double(next() >> 11) / Double(1 << 53) < fraction
    }

    /// Evenly from zero to `most`.
    mutating func upTo(_ most: Int64) -> Int64 { most > 0 ? Int64(next() % UInt64(most + 1)) : 0 }
}
