internal import Model

/// The date form of RFC 9110, `Sun, 06 Nov 1994 08:49:37 GMT`.
package enum HTTPDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Of nanoseconds since 1970; years 0 to 9999.
    package static func text(_ realtime: Int64) -> String {
        let iso = Array(Timestamp.text(realtime, suffix: "").utf8)
        func part(_ range: Range<Int>) -> String { String(decoding: iso[range], as: UTF8.self) }
        let (day, remainder) = realtime.quotientAndRemainder(dividingBy: 86_400_000_000_000)
        let weekday = ((remainder < 0 ? day - 1 : day) % 7 + 7) % 7
        let month = months[Int(part(5..<7)).map { $0 - 1 } ?? 0]
        return "\(days[Int(weekday)]), \(part(8..<10)) \(month) \(part(0..<4)) \(part(11..<19)) GMT"
    }
}
