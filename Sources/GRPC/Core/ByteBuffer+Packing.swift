extension ByteBuffer {
    /// Reads the bytes with a C function such as protobuf-c generates, and frees what it made when `body` has read it.
    ///
    /// - Throws: `INVALID_ARGUMENT` where `unpack` finds no such message in the bytes.
    @inlinable
    package func unpacked<CMessage, Result>(
        _ unpack: (Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<CMessage>?,
        free: (UnsafeMutablePointer<CMessage>?) -> Void,
        _ body: (CMessage) throws -> Result
    ) throws -> Result {
        let message = withBytes { bytes in
            bytes.withUnsafeBytes { unpack($0.count, $0.assumingMemoryBound(to: UInt8.self).baseAddress) }
        }
        guard let message else {
            throw RPCError(code: .invalidArgument, message: "the bytes are not a message of this type")
        }
        defer { free(message) }
        return try body(message.pointee)
    }

    /// Writes the bytes with a C function such as protobuf-c generates. The pointers in `message` must be alive.
    @inlinable
    package init<CMessage>(
        packing message: inout CMessage,
        size: (UnsafePointer<CMessage>?) -> Int,
        _ pack: (UnsafePointer<CMessage>?, UnsafeMutablePointer<UInt8>?) -> Int
    ) {
        self = withUnsafePointer(to: &message) { message in
            ByteBuffer(capacity: size(message)) { span in
                span.withUnsafeMutableBytes { bytes, count in
                    count = pack(message, bytes.assumingMemoryBound(to: UInt8.self).baseAddress)
                }
            }
        }
    }
}
