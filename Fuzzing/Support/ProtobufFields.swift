/// The fields of a protobuf message as its definition reads, to be held against what protobuf-c makes of the same bytes.
///
/// Being instrumented, it also shows the fuzzer the way into messages: protobuf-c, which comes built, cannot.
struct ProtobufFields {
    enum Value {
        case varint(UInt64)
        case fixed
        case bytes(ArraySlice<UInt8>)
    }

    enum Malformed: Error {
        /// Nobody may take it.
        case broken
        /// It is left open, or commonly done in more than one way: groups, and longer forms of a number than any needs.
        case open
    }

    private(set) var fields: [(number: UInt64, value: Value)] = []
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) throws(Malformed) {
        rest = bytes
        var isOpen = false
        while !rest.isEmpty {
            do throws(Malformed) {
                fields.append(try readField())
            } catch .open {
                // What comes after it may be anything.
                isOpen = true
                break
            }
        }
        if isOpen { throw .open }
    }

    private mutating func readField() throws(Malformed) -> (UInt64, Value) {
        let tag = try readVarint(longest: 5)
        // No field has the number 0, but protobuf-c skips it like any field that it does not know.
        guard tag <= UInt64(UInt32.max), tag >> 3 != 0 else { throw .open }
        switch tag & 7 {
        case 0:
            return (tag >> 3, .varint(try readVarint(longest: 10)))
        case 1:
            _ = try read(8)
            return (tag >> 3, .fixed)
        case 2:
            let length = try readVarint(longest: 5)
            guard length <= UInt64(rest.count) else { throw .broken }
            return (tag >> 3, .bytes(try read(Int(length))))
        case 3, 4:
            throw .open
        case 5:
            _ = try read(4)
            return (tag >> 3, .fixed)
        default:
            throw .broken
        }
    }

    private mutating func read(_ count: Int) throws(Malformed) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw .broken }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func readVarint(longest: Int) throws(Malformed) -> UInt64 {
        var number: UInt64 = 0
        for index in 0..<10 {
            guard let byte = rest.popFirst() else { throw .broken }
            number |= UInt64(byte & 0x7F) << (7 * index)
            if byte < 0x80 {
                guard index < longest else { throw .open }
                return number
            }
        }
        throw .broken
    }
}

extension ProtobufFields {
    /// The last value of a field of type `string` or `bytes`; empty if there is none.
    func bytes(_ number: UInt64) throws(Malformed) -> ArraySlice<UInt8> {
        var last: ArraySlice<UInt8> = []
        for field in fields where field.number == number {
            // Of another type: an unknown field, or an error.
            guard case .bytes(let bytes) = field.value else { throw .open }
            last = bytes
        }
        return last
    }

    /// The last value of a field of an integer type; 0 if there is none.
    func number(_ number: UInt64) throws(Malformed) -> UInt64 {
        var last: UInt64 = 0
        for field in fields where field.number == number {
            guard case .varint(let value) = field.value else { throw .open }
            last = value
        }
        return last
    }

    /// A field of the type of a message; `nil` if it is not there.
    func message(_ number: UInt64) throws(Malformed) -> ProtobufFields? {
        var messages: [ProtobufFields] = []
        var isOpen = false
        for field in fields where field.number == number {
            guard case .bytes(let bytes) = field.value else { throw .open }
            do throws(Malformed) {
                messages.append(try ProtobufFields(bytes))
            } catch .open {
                isOpen = true
            }
        }
        // Several are merged; protobuf-c does not take a zero in a later one for more than no value.
        guard !isOpen, messages.count <= 1 else { throw .open }
        return messages.first
    }
}
