/// Key-value pairs that travel beside the messages of a call: before them (initial) or with the status (trailing).
///
/// Keys are lower-case ASCII letters, digits, `-`, `_` and `.`; a key may occur more than once. Values are printable
/// ASCII, or any bytes where the key ends in `-bin`. Keys and values that gRPC does not allow are refused when the
/// metadata is sent, with `INVALID_ARGUMENT`. Keys that begin with `grpc-` are gRPC's own.
public struct Metadata: Sendable, Hashable {
    /// What a key stands for.
    public enum Value: Sendable, Hashable {
        /// Printable ASCII.
        case string(String)
        /// Any bytes, for a key that ends in `-bin`.
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

    /// Adds a value, after those that the key already has.
    public mutating func append(_ value: Value, forKey key: String) {
        entries.append(Entry(key: key, value: value))
    }

    /// The values of a key, in the order in which they were added or received.
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
    /// The entry at a position, in the order in which they were added or received.
    public subscript(position: Int) -> (key: String, value: Value) {
        (entries[position].key, entries[position].value)
    }

    mutating func reserveCapacity(_ count: Int) {
        entries.reserveCapacity(count)
    }
}

extension Metadata: ExpressibleByDictionaryLiteral {
    /// Entries in the order of the literal, in which a key may occur more than once.
    public init(dictionaryLiteral elements: (String, Value)...) {
        entries = elements.map { Entry(key: $0, value: $1) }
    }
}

extension Metadata.Value {
    /// Whether both are of one kind and have the same bytes.
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
