import Glibc

/// One direction of the tether: what it does to frames now, the frames on their way, and what became of all others.
struct TetherDirection: ~Copyable {
    var shape = TetherShape()
    /// Everything is lost and neither host is told.
    var isSilent = false
    private(set) var counts = Counts()
    private(set) var trace: DeliveryTrace

    private var pool = FramePool()
    private var queue = FrameQueue()
    private var numbers: SeededNumbers
    private var entered: Int64 = 0
    /// When the last frame that was admitted has passed the bottleneck.
    private var busyUntil: Int64 = 0
    private var lastDue: Int64 = 0

    /// Frames, and bytes as a host's interface sees them: from the destination address to the end of the payload.
    struct Counts {
        var takenFrames: Int64 = 0
        var takenBytes: Int64 = 0
        var deliveredFrames: Int64 = 0
        var deliveredBytes: Int64 = 0
        /// Drawn by the seed.
        var lostFrames: Int64 = 0
        /// Beyond the queue.
        var overflowFrames: Int64 = 0
        /// Came, or were on their way, while the tether was out or silent.
        var cutFrames: Int64 = 0
        var duplicatedFrames: Int64 = 0
        /// Not taken by the other host's interface, which is down.
        var refusedFrames: Int64 = 0
        /// More on their way than there is memory for.
        var unplacedFrames: Int64 = 0
    }

    init(seed: UInt64, now: Int64) {
        numbers = SeededNumbers(seed: seed)
        trace = DeliveryTrace(now: now)
    }

    mutating func seed(_ seed: UInt64) { numbers = SeededNumbers(seed: seed) }

    /// When the next frame comes out.
    var nextDue: Int64? { queue.first?.dueNanoseconds }

    /// Reads one frame of the host on this end; false where there is none.
    mutating func take(from tap: Int32, isCut: Bool, now: Int64) -> Bool {
        guard let place = pool.take() else { return discard(from: tap) }
        let length = read(tap, pool.address(place), FramePool.placeBytes)
        guard length > 0 else {
            pool.give(back: place)
            return false
        }
        counts.takenFrames += 1
        counts.takenBytes += Int64(length)
        if isCut || isSilent {
            counts.cutFrames += 1
            pool.give(back: place)
            return true
        }
        guard let passed = passBottleneck(Int64(length), now) else {
            counts.overflowFrames += 1
            pool.give(back: place)
            return true
        }
        if numbers.isHit(shape.lossFraction) {
            counts.lostFrames += 1
            pool.give(back: place)
            return true
        }
        if numbers.isHit(shape.duplicationFraction), let copy = pool.take() {
            memcpy(pool.address(copy), pool.address(place), length)
            counts.duplicatedFrames += 1
            send(copy, length, passed)
        }
        send(place, length, passed)
        return true
    }

    /// When the frame has passed the bottleneck, or nil where its queue has no room.
    private mutating func passBottleneck(_ length: Int64, _ now: Int64) -> Int64? {
        guard shape.bitsPerSecond > 0 else { return now }
        let start = max(now, busyUntil)
        let waiting = Double(start - now) * Double(shape.bitsPerSecond) / 8e9
        // One frame always has room: else a short queue at a high rate passes nothing.
        if waiting > 0, Int64(waiting) + length > shape.queueBytes { return nil }
        busyUntil = start + Int64(Double(length) * 8e9 / Double(shape.bitsPerSecond))
        return busyUntil
    }

    private mutating func send(_ place: Int32, _ length: Int, _ passed: Int64) {
        var due = passed + shape.delayNanoseconds + numbers.upTo(shape.jitterNanoseconds)
        if shape.keepsOrder { due = max(due, lastDue) }
        lastDue = max(due, lastDue)
        entered += 1
        queue.insert(Frame(dueNanoseconds: due, number: entered, place: place, length: Int32(length)))
    }

    private mutating func discard(from tap: Int32) -> Bool {
        var byte: UInt8 = 0
        // A TAP gives one frame a read, and drops what the buffer has no room for.
        guard read(tap, &byte, 1) > 0 else { return false }
        counts.takenFrames += 1
        counts.unplacedFrames += 1
        return true
    }

    /// Gives the other host what is due.
    mutating func deliver(to tap: Int32, now: Int64) {
        while let first = queue.first, first.dueNanoseconds <= now {
            let frame = queue.removeFirst()
            if write(tap, pool.address(frame.place), Int(frame.length)) == Int(frame.length) {
                counts.deliveredFrames += 1
                counts.deliveredBytes += Int64(frame.length)
                trace.add(Int64(frame.length), now)
            } else {
                counts.refusedFrames += 1
            }
            pool.give(back: frame.place)
        }
    }

    /// What is on its way is lost.
    mutating func cut() {
        while queue.first != nil {
            pool.give(back: queue.removeFirst().place)
            counts.cutFrames += 1
        }
        busyUntil = 0
        lastDue = 0
    }
}

/// Bytes delivered in each 10 ms of the monotonic clock.
struct DeliveryTrace {
    static let binNanoseconds: Int64 = 10_000_000
    /// Two hours; the older hour is forgotten then.
    static let mostBins = 720_000

    /// The number of the first bin: the clock's nanoseconds by those of a bin.
    private var first: Int64
    private var bins: [Int32] = []

    init(now: Int64) { first = now / Self.binNanoseconds }

    mutating func add(_ bytes: Int64, _ now: Int64) {
        let index = Int(now / Self.binNanoseconds - first)
        while bins.count <= index { bins.append(0) }
        bins[index] += Int32(bytes)
        guard bins.count > Self.mostBins else { return }
        bins.removeFirst(Self.mostBins / 2)
        first += Int64(Self.mostBins / 2)
    }

    /// Zero where nothing was delivered, or it is forgotten.
    func bytes(from bin: Int64, count: Int) -> [Int32] {
        (0..<Int64(count)).map { offset in
            let index = bin + offset - first
            return bins.indices.contains(Int(index)) ? bins[Int(index)] : 0
        }
    }
}
