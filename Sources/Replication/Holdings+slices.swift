internal import Model

extension Holdings {
    /// What both hold.
    func intersection(_ other: Holdings) -> Holdings { subtracting(subtracting(other)) }

    func removing(author: NodeID, incarnation: Incarnation) -> Holdings {
        var rest = self
        rest[author, incarnation] = RangeSet64()
        return rest
    }

    /// The same facts in pieces of at most `rangeLimit` ranges: what one request names.
    func slices(rangeLimit: Int) -> [Holdings] {
        var slices: [Holdings] = []
        var current = Holdings()
        var room = rangeLimit
        for (author, incarnations) in authors {
            for (incarnation, ranges) in incarnations {
                var rest = ranges.ranges[...]
                while !rest.isEmpty {
                    current[author, incarnation] = RangeSet64(ascending: rest.prefix(room))
                    room -= min(room, rest.count)
                    rest = rest.dropFirst(current[author, incarnation].ranges.count)
                    if room == 0 {
                        slices.append(current)
                        current = Holdings()
                        room = rangeLimit
                    }
                }
            }
        }
        if !current.isEmpty { slices.append(current) }
        return slices
    }
}

extension RangeSet64 {
    fileprivate init(ascending ranges: some Sequence<ClosedRange<Int64>>) {
        self.init()
        for range in ranges { insert(range) }
    }
}
