internal import Glibc

/// Key-value pairs of a call, sent before its messages (initial) or with its status (trailing).
///
/// Keys consist of lower-case ASCII letters, digits, `-`, `_` and `.`, and may repeat. Values are printable ASCII, or
/// any bytes if the key ends in `-bin`. Sending anything else fails with `INVALID_ARGUMENT`. Keys that begin with
/// `grpc-` are reserved for gRPC: those that it writes itself, such as `grpc-timeout`, fail too.
///
/// ```swift
/// var metadata: Metadata = ["locale": "fr", "trace-bin": .binary([1, 2])]
/// metadata.append("de", forKey: "locale")
/// print(metadata["locale"], metadata.first("locale") ?? "none", metadata.firstBinary("trace-bin") ?? [])
/// ```
public struct Metadata: Sendable, Hashable {
    /// The value of an entry.
    public enum Value: Sendable, Hashable {
        /// Printable ASCII.
        case string(String)
        /// Any bytes, if the key ends in `-bin`.
        case binary([UInt8])
    }

    private var entries: [Entry] = []

    private struct Entry: Sendable, Hashable {
        var key: String
        var value: Value

        static func == (left: Entry, right: Entry) -> Bool {
            left.key.hasBytes(of: right.key) && left.value == right.value
        }

        func hash(into hasher: inout Hasher) {
            key.hashBytes(into: &hasher)
            hasher.combine(value)
        }
    }

    /// No entries.
    public init() {}

    /// Adds a value after those that the key already has.
    public mutating func append(_ value: Value, forKey key: String) {
        entries.append(Entry(key: key, value: value))
    }

    /// Removes all values of a key.
    public mutating func removeAll(_ key: String) {
        entries.removeAll { $0.key.hasBytes(of: key) }
    }

    /// The values of a key, in the order of their addition or arrival.
    public subscript(key: String) -> [Value] {
        entries.lazy.filter { $0.key.hasBytes(of: key) }.map(\.value)
    }

    /// The first text value of a key.
    public func first(_ key: String) -> String? {
        for entry in entries where entry.key.hasBytes(of: key) {
            if case .string(let string) = entry.value { return string }
        }
        return nil
    }

    /// The first binary value of a key that ends in `-bin`.
    public func firstBinary(_ key: String) -> [UInt8]? {
        for entry in entries where entry.key.hasBytes(of: key) {
            if case .binary(let bytes) = entry.value { return bytes }
        }
        return nil
    }
}

extension Metadata: RandomAccessCollection {
    /// The position of the first entry.
    public var startIndex: Int { entries.startIndex }
    /// The position after the last entry.
    public var endIndex: Int { entries.endIndex }
    /// The entry at a position, in the order of their addition or arrival.
    public subscript(position: Int) -> (key: String, value: Value) {
        (entries[position].key, entries[position].value)
    }

    mutating func reserveCapacity(_ count: Int) {
        entries.reserveCapacity(count)
    }
}

extension Metadata: ExpressibleByDictionaryLiteral {
    /// Keeps the order of the literal. A key may repeat.
    public init(dictionaryLiteral elements: (String, Value)...) {
        entries = elements.map { Entry(key: $0, value: $1) }
    }
}

extension Metadata.Value {
    /// Whether both are of the same kind and have the same bytes.
    public static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.string(let left), .string(let right)): left.hasBytes(of: right)
        case (.binary(let left), .binary(let right)): left == right
        default: false
        }
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        switch self {
        case .string(let string): string.hashBytes(into: &hasher)
        case .binary(let bytes): hasher.combine(bytes)
        }
    }
}

extension Metadata.Value: ExpressibleByStringLiteral {
    /// A text value.
    public init(stringLiteral value: String) {
        self = .string(value)
    }
}

extension Metadata {
    func appending(_ other: Metadata) -> Metadata {
        guard !other.isEmpty else { return self }
        var result = self
        result.entries += other.entries
        return result
    }
}

// MARK: - Text compared as bytes

// Compare and hash text that a peer chose by its bytes. `String`'s own `==` and `hash(into:)` normalise both sides.
// That takes quadratic time for a run of combining marks, and makes different keys equal.

extension String {
    /// Whether both texts have the same UTF-8 bytes.
    package func hasBytes(of other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        // By the C library: the elements of `utf8`, one by one, take 70 instructions each.
        var (left, right) = (self, other)
        return left.withUTF8 { left in
            right.withUTF8 { right in
                // Without bytes there may be no address.
                guard let first = left.baseAddress, let second = right.baseAddress else { return true }
                return memcmp(first, second, left.count) == 0
            }
        }
    }

    /// Hashes the UTF-8 bytes, to go with ``hasBytes(of:)``.
    package func hashBytes(into hasher: inout Hasher) {
        var text = self
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
