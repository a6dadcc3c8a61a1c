internal import CGRPC

/// Immutable bytes in one block, shared without a copy: the encoded form of a message.
///
/// A value can be sent on any number of calls at once; each send holds a reference to the same block.
public struct ByteBuffer: Sendable {
    private let storage: Storage

    /// Owns one reference to a slice.
    /// `@unchecked`: a slice's bytes do not change after `init`, and its reference count is atomic.
    private final class Storage: @unchecked Sendable {
        var slice: grpc_slice

        init(_ slice: grpc_slice) {
            self.slice = slice
        }

        deinit {
            grpc_slice_unref(slice)
        }
    }

    /// Takes over the caller's reference to `slice`.
    init(taking slice: grpc_slice) {
        storage = Storage(slice)
    }

    /// Makes a buffer in place: `body` writes up to `capacity` bytes, and what it has written is the buffer.
    public init<Failure: Error>(
        capacity: Int,
        initializingWith body: (inout OutputRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        var slice = grpc_slice_malloc(capacity)
        do {
            let count = try Self.fill(&slice, capacity: capacity, body)
            cgrpc_slice_set_length(&slice, count)
        } catch {
            grpc_slice_unref(slice)
            throw error
        }
        storage = Storage(slice)
    }

    private static func fill<Failure: Error>(
        _ slice: inout grpc_slice,
        capacity: Int,
        _ body: (inout OutputRawSpan) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        let memory = UnsafeMutableRawBufferPointer(start: cgrpc_slice_mutable_bytes(&slice), count: capacity)
        var span = unsafe OutputRawSpan(buffer: memory, initializedCount: 0)
        try body(&span)
        return unsafe span.finalize(for: memory)
    }

    public init(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        self.init(taking: grpc_slice_from_copied_buffer(bytes, bytes.count))
    }

    /// The number of bytes.
    public var count: Int { withUnsafeSlice { cgrpc_slice_length($0) } }

    /// Calls `body` with the bytes; they must not outlive the call.
    public func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The slice is copied (24 bytes, not its data) because an inlined slice holds its bytes itself.
        var slice = storage.slice
        defer { extendLifetime(storage) }
        let bytes = UnsafeRawBufferPointer(start: cgrpc_slice_bytes(&slice), count: cgrpc_slice_length(&slice))
        return try body(unsafe RawSpan(_unsafeBytes: bytes))
    }

    /// A core byte buffer that refers to these bytes; the caller destroys it. Starting a batch moves the reference out
    /// of it, so each send needs one of its own.
    func makeCoreBuffer() -> UnsafeMutablePointer<grpc_byte_buffer> {
        var slice = storage.slice
        // Never NULL: it allocates and aborts on failure.
        return grpc_raw_byte_buffer_create(&slice, 1)
    }

    private func withUnsafeSlice<Result>(_ body: (UnsafePointer<grpc_slice>) -> Result) -> Result {
        withUnsafePointer(to: storage.slice, body)
    }
}

extension ByteBuffer: Hashable {
    public static func == (left: ByteBuffer, right: ByteBuffer) -> Bool {
        left.withUnsafeSlice { left in right.withUnsafeSlice { grpc_slice_eq(left.pointee, $0.pointee) != 0 } }
    }

    public func hash(into hasher: inout Hasher) {
        withBytes { bytes in bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }
}
