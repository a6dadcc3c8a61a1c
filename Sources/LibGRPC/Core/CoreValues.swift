internal import CGRPC

// Swift's values in the core's form, and back: bytes, deadlines, metadata.

// MARK: - Slices

// A slice is reference-counted bytes, or up to 23 bytes in the struct itself. So a pointer to a slice's bytes is valid
// only as long as the struct stays in its place.

extension grpc_slice {
    /// A new slice. The caller releases it.
    init(copying bytes: some Collection<UInt8>) {
        let copy = bytes.withContiguousStorageIfAvailable { grpc_slice_from_copied_buffer($0.baseAddress, $0.count) }
        if let copy {
            self = copy
        } else {
            let bytes = Array(bytes)
            self = grpc_slice_from_copied_buffer(bytes, bytes.count)
        }
    }

    /// Calls `body` with the bytes, which must not outlive the call.
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafePointer(to: self) { slice throws(Failure) in
            try body(UnsafeRawBufferPointer(start: cgrpc_slice_bytes(slice), count: cgrpc_slice_length(slice)))
        }
    }
}

extension String {
    /// Bytes that are not UTF-8 are replaced.
    init(copying slice: grpc_slice) {
        self = slice.withBytes { String(decoding: $0, as: UTF8.self) }
    }
}

extension [UInt8] {
    init(copying slice: grpc_slice) {
        self = slice.withBytes { [UInt8]($0) }
    }
}

// MARK: - Deadlines

enum Deadline {
    /// The moment when `timeout` will have passed; never for `nil`.
    static func after(_ timeout: Duration?) -> gpr_timespec {
        guard let timeout else { return gpr_inf_future(GPR_CLOCK_MONOTONIC) }
        // The core accepts no negative span, and would round zero up.
        guard timeout > .zero else { return gpr_inf_past(GPR_CLOCK_MONOTONIC) }
        let (seconds, attoseconds) = timeout.components
        let span = gpr_timespec(
            tv_sec: seconds,
            tv_nsec: Int32(truncatingIfNeeded: attoseconds / 1_000_000_000),
            clock_type: GPR_TIMESPAN
        )
        return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span)
    }

    /// The time until a deadline, negative if it has passed; `nil` for never.
    static func remaining(_ deadline: gpr_timespec) -> Duration? {
        guard gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0 else { return nil }
        let left = gpr_time_sub(deadline, gpr_now(deadline.clock_type))
        return .seconds(left.tv_sec) + .nanoseconds(Int64(left.tv_nsec))
    }
}

// MARK: - Metadata

/// Metadata for the core to send. It owns its memory, which a send operation points to.
///
/// `@unchecked`: only `init` writes the memory, and the core only reads it.
final class CoreMetadata: @unchecked Sendable {
    let entries: UnsafeMutablePointer<grpc_metadata>
    let count: Int

    /// The core's form of `metadata`; `nil` if that is empty, as it nearly always is.
    static func make(_ metadata: Metadata) throws(RPCError) -> CoreMetadata? {
        metadata.isEmpty ? nil : try CoreMetadata(metadata)
    }

    /// - Throws: `INVALID_ARGUMENT` for a key or value that gRPC does not allow.
    private init(_ metadata: Metadata) throws(RPCError) {
        entries = .allocate(capacity: metadata.count)
        var count = 0
        do {
            for (key, value) in metadata {
                entries[count] = try Self.entry(key, value)
                count += 1
            }
        } catch {
            Self.free(entries, count)
            throw error
        }
        self.count = count
    }

    deinit {
        Self.free(entries, count)
    }

    private static func free(_ entries: UnsafeMutablePointer<grpc_metadata>, _ count: Int) {
        for index in 0..<count {
            grpc_slice_unref(entries[index].key)
            grpc_slice_unref(entries[index].value)
        }
        entries.deallocate()
    }

    /// What the core writes itself. It does not expect it from a program: some of these would abort the process, others
    /// would change the outcome of the call.
    private static let reserved: Set = [
        "grpc-accept-encoding", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout", "grpclb_client_stats",
    ]

    private static func entry(_ key: String, _ value: Metadata.Value) throws(RPCError) -> grpc_metadata {
        var entry = grpc_metadata()
        entry.key = grpc_slice(copying: key.utf8)
        let isBinary = grpc_is_binary_header(entry.key) != 0
        var isLegal = grpc_header_key_is_legal(entry.key) != 0
        switch value {
        case .string(let string):
            entry.value = grpc_slice(copying: string.utf8)
            isLegal = isLegal && !isBinary && grpc_header_nonbin_value_is_legal(entry.value) != 0
        case .binary(let bytes):
            entry.value = grpc_slice(copying: bytes)
            isLegal = isLegal && isBinary
        }
        // What is legal is ASCII, so a comparison is cheap.
        if isLegal, key.utf8.starts(with: "grpc".utf8) { isLegal = !reserved.contains(key) }
        guard isLegal else {
            grpc_slice_unref(entry.key)
            grpc_slice_unref(entry.value)
            throw RPCError(code: .invalidArgument, message: "metadata not allowed by gRPC, key '\(key)'")
        }
        return entry
    }
}

extension cgrpc_batch {
    /// Adds initial metadata, which must live until it has been sent.
    mutating func sendInitialMetadata(_ metadata: CoreMetadata?, flags: UInt32 = 0) {
        cgrpc_batch_send_initial_metadata(&self, metadata?.entries, metadata?.count ?? 0, flags)
    }
}

extension Metadata {
    /// Copies received metadata, which belongs to its call.
    init(copying array: grpc_metadata_array) {
        self.init()
        reserveCapacity(array.count)
        for index in 0..<array.count {
            let entry = array.metadata[index]
            let key = String(copying: entry.key)
            if grpc_is_binary_header(entry.key) != 0 {
                append(.binary([UInt8](copying: entry.value)), forKey: key)
            } else {
                append(.string(String(copying: entry.value)), forKey: key)
            }
        }
    }
}
