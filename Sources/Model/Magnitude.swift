/// Amounts as people read them: three digits and a unit.
package enum Magnitude {
    /// `999 B`, `12.3 MB`; 1000 to the step, as disks and links are sold.
    package static func bytes(_ bytes: Int64) -> String {
        scaled(bytes, steps: ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
    }

    /// Three digits, rounded half up, in the first unit that keeps them below 1000; whole numbers in the smallest.
    package static func scaled(_ number: Int64, steps: [String]) -> String {
        let sign = number < 0 ? "-" : ""
        let value = number.magnitude
        if value < 1000 { return "\(sign)\(value) \(steps[0])" }
        var unit: UInt64 = 1000
        for (index, step) in steps.enumerated().dropFirst() {
            let last = index == steps.count - 1
            for (places, factor) in [(2, UInt64(100)), (1, 10), (0, 1)] {
                // unit / factor first: value × factor could overflow.
                let quantum = unit / factor
                let rounded = value / quantum + (value % quantum >= quantum / 2 + quantum % 2 ? 1 : 0)
                guard rounded < 1000 || (last && places == 0) else { continue }
                let (whole, fraction) = rounded.quotientAndRemainder(dividingBy: factor)
                let digits =
                    places == 0 ? "" : "." + String(repeating: "0", count: places - "\(fraction)".count) + "\(fraction)"
                return "\(sign)\(whole)\(digits) \(step)"
            }
            unit *= last ? 1 : 1000
        }
        preconditionFailure("the last step takes any number")
    }
}
