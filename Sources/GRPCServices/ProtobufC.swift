internal import CGRPCServices
internal import LibGRPC

/// The name of a service, file or symbol. Clients choose it, so it is compared as bytes.
///
/// A name that is too long is truncated, but stays too long.
struct Name: Hashable, Sendable {
    /// The maximum length of a name.
    static let maxBytes = 256

    let bytes: [UInt8]

    init(_ bytes: some Collection<UInt8>) {
        self.bytes = Array(bytes.prefix(Self.maxBytes + 1))
    }

    var isTooLong: Bool { bytes.count > Self.maxBytes }
}

extension Name: ExpressibleByStringLiteral {
    init(_ text: String) {
        self.init(text.utf8)
    }

    init(stringLiteral text: String) {
        self.init(text)
    }
}

extension Name: CustomStringConvertible {
    /// Invalid UTF-8 is replaced.
    var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension ProtobufArena {
    func bytes(_ bytes: [UInt8]) -> ProtobufCBinaryData {
        ProtobufCBinaryData(len: bytes.count, data: array(bytes))
    }

    func string(_ string: String) -> ProtobufCBinaryData {
        bytes(Array(string.utf8))
    }

    func name(_ name: Name) -> ProtobufCBinaryData { bytes(name.bytes) }
}

extension ProtobufCBinaryData {
    var bytes: [UInt8] { Array(UnsafeBufferPointer(start: data, count: len)) }

    var name: Name { Name(UnsafeBufferPointer(start: data, count: len)) }
}
