internal import CGRPC

/// Metadata in the core's form, owned: what a send operation points to.
///
/// `@unchecked`: the memory is written in `init` only, and the core only reads it.
final class CoreMetadata: @unchecked Sendable {
    let entries: UnsafeMutablePointer<grpc_metadata>
    let count: Int

    /// The core's form of `metadata`; `nil` if that is empty, as it nearly always is.
    static func make(_ metadata: Metadata) throws(RPCError) -> CoreMetadata? {
        metadata.isEmpty ? nil : try CoreMetadata(metadata)
    }

    /// Throws `INVALID_ARGUMENT` for a key or value that gRPC does not allow.
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
        guard isLegal else {
            grpc_slice_unref(entry.key)
            grpc_slice_unref(entry.value)
            throw RPCError(code: .invalidArgument, message: "metadata not allowed by gRPC, key '\(key)'")
        }
        return entry
    }
}

extension cgrpc_batch {
    /// The batch sends initial metadata, which has to live until it has been sent.
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
