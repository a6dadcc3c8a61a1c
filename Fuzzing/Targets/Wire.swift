import LibGRPC
import Messenger

// Any bytes, decoded as each message of messenger.proto.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    withTimeLimit { check(input(start, count)) }
}

private func check(_ bytes: [UInt8]) {
    compare(SendMessageRequest.self, bytes) { fields throws(ProtobufFields.Malformed) in
        try fields.text(1).flatMap { author throws(ProtobufFields.Malformed) in
            try fields.text(2).map { SendMessageRequest(author: author, text: $0) }
        }
    }
    compare(ReadMessagesRequest.self, bytes) { fields throws(ProtobufFields.Malformed) in
        guard let after = try fields.message(1) else { return ReadMessagesRequest() }
        return try after.time.map { ReadMessagesRequest(after: $0) }
    }
    compare(SendMessageResponse.self, bytes) { fields throws(ProtobufFields.Malformed) in
        try fields.message(1)?.time.map { SendMessageResponse(sendTime: $0) }
    }
    compare(Message.self, bytes) { fields throws(ProtobufFields.Malformed) in
        let author = try fields.text(1)
        let text = try fields.text(2)
        let time = try fields.message(3)?.time
        guard let author, let text, let time else { return nil }
        return Message(author: author, text: text, sendTime: time)
    }
}

/// Decodes the bytes in two ways, which must agree. Encodes the result and decodes it again.
private func compare<Value: WireMessage & Equatable>(
    _ type: Value.Type,
    _ bytes: [UInt8],
    reference: (ProtobufFields) throws(ProtobufFields.Malformed) -> Value?
) {
    let decoded = Value?(trying: { try Value(decoding: ByteBuffer(bytes)) })
    do throws(ProtobufFields.Malformed) {
        let expected = try reference(ProtobufFields(bytes[...]))
        expect(decoded == expected, "\(String(describing: decoded)) instead of \(String(describing: expected))")
    } catch {
        switch error {
        case .invalid: expect(decoded == nil, "\(type): \(String(describing: decoded)) from invalid bytes")
        case .unspecified: break
        }
    }
    if let decoded {
        let again = Value?(trying: { try Value(decoding: decoded.encoded()) })
        expect(again == decoded, "\(type): \(decoded) changes to \(String(describing: again))")
    }
}

extension ProtobufFields {
    /// The last value of a string field; `nil` if it is not UTF-8.
    fileprivate func text(_ number: UInt64) throws(Malformed) -> String? {
        String(validating: try bytes(number), as: UTF8.self)
    }

    /// The message as a timestamp; `nil` if it is out of range or before 1970.
    fileprivate var time: SendTime? {
        get throws(Malformed) {
            let seconds = Int64(bitPattern: try number(1))
            return seconds < 0 ? nil : SendTime(seconds: seconds, nanos: Int32(truncatingIfNeeded: try number(2)))
        }
    }
}
