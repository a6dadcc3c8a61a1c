/// Text that takes quadratic time to normalise: one letter and combining marks in an order that is not the canonical one.
public enum CombiningMarks {
    /// Such a text of about so many bytes.
    public static func text(bytes: Int) -> String {
        "a" + String(repeating: "\u{345}\u{301}\u{316}\u{334}", count: bytes / 8)
    }
}
