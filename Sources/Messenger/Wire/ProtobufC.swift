internal import CMessenger
internal import GRPC

// Where the structs of protobuf-c meet Swift values. A pointer into a string is used only during the call that lends it.

extension ProtobufCBinaryData {
    /// The text of a proto3 string field, which must be UTF-8. A U+0000 in it is carried like any other character.
    func validString(field: String) throws -> String {
        do {
            // Costs a fraction of String(validating:as:), which works out its generic types anew each time.
            return String(copying: try UTF8Span(validating: UnsafeBufferPointer(start: data, count: len).span))
        } catch {
            throw RPCError(code: .invalidArgument, message: "\(field) is not valid UTF-8")
        }
    }
}

extension String {
    /// Lends the text's UTF-8 to protobuf-c, which only reads it.
    func withBinaryData<Result>(_ body: (ProtobufCBinaryData) -> Result) -> Result {
        var text = self
        return text.withUTF8 { bytes in
            body(ProtobufCBinaryData(len: bytes.count, data: UnsafeMutablePointer(mutating: bytes.baseAddress)))
        }
    }
}

extension SendTime {
    /// - Throws: `INVALID_ARGUMENT` for no time at all, and for one that is out of range or before 1970, which is nobody's.
    init(wire: UnsafeMutablePointer<Google__Protobuf__Timestamp>?) throws {
        guard let wire, wire.pointee.seconds >= 0,
            let time = SendTime(seconds: wire.pointee.seconds, nanos: wire.pointee.nanos)
        else {
            throw RPCError(code: .invalidArgument, message: "a timestamp is missing or out of range")
        }
        self = time
    }

    func withWireForm<Result>(_ body: (UnsafeMutablePointer<Google__Protobuf__Timestamp>) -> Result) -> Result {
        var wire = Google__Protobuf__Timestamp()
        google__protobuf__timestamp__init(&wire)
        wire.seconds = seconds
        wire.nanos = nanos
        return withUnsafeMutablePointer(to: &wire, body)
    }
}
