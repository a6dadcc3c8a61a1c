internal import CGRPC

// The core's slices: reference-counted bytes, or up to 23 bytes held in the struct itself. So a pointer to a slice's
// bytes is good only as long as the struct stays where it is.

extension grpc_slice {
    /// A slice of its own, which the caller unrefs.
    init(copying bytes: some Collection<UInt8>) {
        let copy = bytes.withContiguousStorageIfAvailable { grpc_slice_from_copied_buffer($0.baseAddress, $0.count) }
        if let copy {
            self = copy
        } else {
            let bytes = Array(bytes)
            self = grpc_slice_from_copied_buffer(bytes, bytes.count)
        }
    }

    /// Lends the bytes during the call.
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
