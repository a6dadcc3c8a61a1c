/// A second decoder of protobuf messages, written from the specification, to check protobuf-c's results.
///
/// It also guides the fuzzer, because it is instrumented. protobuf-c is a finished library.
struct ProtobufFields {
    enum Value {
        case varint(UInt64)
        case fixed
        case bytes(ArraySlice<UInt8>)
    }

    enum Malformed: Error {
        /// No decoder may accept it.
        case invalid
        /// Decoders differ: groups, and numbers with more bytes than necessary.
        case unspecified
    }

    private(set) var fields: [(number: UInt64, value: Value)] = []
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) throws(Malformed) {
        rest = bytes
        var isUnspecified = false
        while !rest.isEmpty {
            do throws(Malformed) {
                fields.append(try readField())
            } catch .unspecified {
                // The bytes after it have no defined meaning.
                isUnspecified = true
                break
            }
        }
        if isUnspecified { throw .unspecified }
    }

    private mutating func readField() throws(Malformed) -> (UInt64, Value) {
        let tag = try readVarint(maxBytes: 5)
        // No field has the number 0. protobuf-c skips it like an unknown field.
        guard tag <= UInt64(UInt32.max), tag >> 3 != 0 else { throw .unspecified }
        switch tag & 7 {
        case 0:
            return (tag >> 3, .varint(try readVarint(maxBytes: 10)))
        case 1:
            _ = try read(8)
            return (tag >> 3, .fixed)
        case 2:
            let length = try readVarint(maxBytes: 5)
            guard length <= UInt64(rest.count) else { throw .invalid }
            return (tag >> 3, .bytes(try read(Int(length))))
        case 3, 4:
            throw .unspecified
        case 5:
            _ = try read(4)
            return (tag >> 3, .fixed)
        default:
            throw .invalid
        }
    }

    private mutating func read(_ count: Int) throws(Malformed) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw .invalid }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func readVarint(maxBytes: Int) throws(Malformed) -> UInt64 {
        var number: UInt64 = 0
        for index in 0..<10 {
            guard let byte = rest.popFirst() else { throw .invalid }
            number |= UInt64(byte & 0x7F) << (7 * index)
            if byte < 0x80 {
                guard index < maxBytes else { throw .unspecified }
                return number
            }
        }
        throw .invalid
    }
}

extension ProtobufFields {
    /// The last value of a field of type `string` or `bytes`; empty if there is none.
    func bytes(_ number: UInt64) throws(Malformed) -> ArraySlice<UInt8> {
        var last: ArraySlice<UInt8> = []
        for field in fields where field.number == number {
            // A field with another type is unknown, or an error.
            guard case .bytes(let bytes) = field.value else { throw .unspecified }
            last = bytes
        }
        return last
    }

    /// The last value of a field of an integer type; 0 if there is none.
    func number(_ number: UInt64) throws(Malformed) -> UInt64 {
        var last: UInt64 = 0
        for field in fields where field.number == number {
            guard case .varint(let value) = field.value else { throw .unspecified }
            last = value
        }
        return last
    }

    /// A field of a message type; `nil` if there is none.
    func message(_ number: UInt64) throws(Malformed) -> ProtobufFields? {
        var messages: [ProtobufFields] = []
        var isUnspecified = false
        for field in fields where field.number == number {
            guard case .bytes(let bytes) = field.value else { throw .unspecified }
            do throws(Malformed) {
                messages.append(try ProtobufFields(bytes))
            } catch .unspecified {
                isUnspecified = true
            }
        }
        // Several are merged, but protobuf-c ignores a zero in a later one.
        guard !isUnspecified, messages.count <= 1 else { throw .unspecified }
        return messages.first
    }
}
