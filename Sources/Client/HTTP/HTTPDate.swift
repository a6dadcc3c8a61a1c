import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The time in the `Date` field of a response, such as `Sun, 12 Sep 2021 10:25:22 GMT`.
enum HTTPDate {
    private static let latest = Mutex((second: time_t(-1), text: ""))

    /// The time now. Made once a second. Thread-safe.
    static var now: String {
        let second = time(nil)
        return self.latest.withLock { latest in
            if latest.second != second { latest = (second, self.text(of: second)) }
            return latest.text
        }
    }

    /// Names of days and months are English: the program never leaves the C locale.
    static func text(of second: time_t) -> String {
        var second = second
        var date = tm()
        guard gmtime_r(&second, &date) != nil else { return "" }
        var text = [CChar](repeating: 0, count: 40)
        let length = strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &date)
        return String(decoding: text[..<length].lazy.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
