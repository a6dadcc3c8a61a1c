// Messages that protobuf-c has generated: C structs, with functions to pack and unpack them. A codec for one is, for
// example:
//
//     MessageCodec<String>(encode: { text in
//         let arena = ProtobufArena()
//         defer { extendLifetime(arena) }
//         var message = Hello__Line()
//         hello__line__init(&message)
//         message.text = arena.array(text.utf8CString)
//         return ByteBuffer(packing: &message, size: hello__line__get_packed_size, hello__line__pack)
//     }, decode: { bytes in
//         try bytes.unpacked { hello__line__unpack(nil, $0, $1) } free: { hello__line__free_unpacked($0, nil) } _: {
//             String(cString: $0.text)
//         }
//     })

extension ByteBuffer {
    /// Decodes the bytes with a C function that protobuf-c has generated, and frees its result after `body`.
    ///
    /// - Throws: `INVALID_ARGUMENT` if `unpack` fails, and what `body` throws.
    @inlinable
    public func unpacked<CMessage, Result>(
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

    /// Encodes a message with the C functions that protobuf-c has generated. The pointers in `message` must be alive.
    @inlinable
    public init<CMessage>(
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

/// Memory for the C structs of a message while it is packed, freed with the arena. For one thread.
public final class ProtobufArena {
    private var allocations: [UnsafeMutableRawPointer] = []

    /// An empty arena.
    public init() {}

    deinit {
        for allocation in allocations { allocation.deallocate() }
    }

    /// Copies C values into contiguous memory. They are trivial, but Swift does not treat structs with unions as
    /// BitwiseCopyable.
    public func array<Element>(_ elements: some Collection<Element>) -> UnsafeMutablePointer<Element> {
        let copy = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        _ = UnsafeMutableBufferPointer(start: copy, count: elements.count).initialize(from: elements)
        allocations.append(UnsafeMutableRawPointer(copy))
        return copy
    }

    /// Copies one value.
    public func one<Value>(_ value: Value) -> UnsafeMutablePointer<Value> {
        array([value])
    }
}
