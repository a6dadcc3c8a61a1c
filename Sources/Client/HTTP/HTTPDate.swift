import Glibc

/// The time in the `Date` field of responses, such as `Sun, 12 Sep 2021 10:25:22 GMT`: its text is made once a second.
struct HTTPDate {
    private var second = time_t(-1)
    private var text = ""

    /// The time now.
    mutating func now() -> String {
        let now = time(nil)
        if now != self.second {
            self.second = now
            self.text = Self.text(of: now)
        }
        return self.text
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
