internal import CGRPC

/// Immutable bytes in one block, shared without a copy: the encoded form of a message.
///
/// You can send a value on any number of calls at once. Each send holds a reference to the same block. A received
/// message may be part of a larger block and keeps all of it alive, so copy what you keep for long. Thread-safe.
public struct ByteBuffer: Sendable {
    private let storage: Storage

    /// Owns one reference to a slice.
    ///
    /// `@unchecked`: a slice's bytes do not change after `init`, and its reference count is atomic.
    private final class Storage: @unchecked Sendable {
        let slice: grpc_slice

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

    /// Makes a buffer in place: `body` writes up to `capacity` bytes, and these become the buffer.
    /// - Precondition: `capacity` is not negative.
    public init<Failure: Error>(
        capacity: Int,
        initializingWith body: (inout OutputRawSpan) throws(Failure) -> Void
    ) throws(Failure) {
        // Never a slice that holds its bytes in the struct: `body` writes through a pointer.
        var slice = grpc_slice_malloc_large(capacity)
        let memory = UnsafeMutableRawBufferPointer(start: slice.data.refcounted.bytes, count: capacity)
        do {
            var span = unsafe OutputRawSpan(buffer: memory, initializedCount: 0)
            try body(&span)
            slice.data.refcounted.length = unsafe span.finalize(for: memory)
        } catch {
            grpc_slice_unref(slice)
            throw error
        }
        storage = Storage(slice)
    }

    /// Copies the bytes.
    public init(_ bytes: some Collection<UInt8>) {
        self.init(taking: grpc_slice(copying: bytes))
    }

    /// The number of bytes.
    public var count: Int { withBytes { $0.byteCount } }

    /// Calls `body` with the bytes, which must not outlive the call.
    public func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The last use of `storage` comes before the last use of its bytes.
        defer { extendLifetime(storage) }
        return try storage.slice.withBytes { bytes throws(Failure) in try body(bytes.bytes) }
    }

    /// Calls `body` with the slice, which must not outlive the call.
    func withSlice(_ body: (grpc_slice) -> Void) {
        defer { extendLifetime(storage) }
        body(storage.slice)
    }
}

extension ByteBuffer: Hashable {
    /// Whether both hold the same bytes.
    public static func == (left: ByteBuffer, right: ByteBuffer) -> Bool {
        defer { extendLifetime((left.storage, right.storage)) }
        return grpc_slice_eq(left.storage.slice, right.storage.slice) != 0
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) {
        withBytes { bytes in bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }
}
