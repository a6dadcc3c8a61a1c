internal import CGRPC

/// A bound on the memory that the core takes for connections: for reading, for what waits to be written, for calls.
///
/// Near the bound connections read more slowly and idle ones are closed; beyond it calls are refused with
/// `RESOURCE_EXHAUSTED`. It is no hard limit: what a call needs to end is always granted. May be shared by servers and
/// channels, which then share the memory. Thread-safe.
///
/// `@unchecked`: the core's handle is thread-safe and counts its references.
public final class ResourceQuota: @unchecked Sendable {
    let handle: OpaquePointer

    /// - Parameter bytes: The bound, at least 1 MiB.
    public init(bytes: Int) {
        Library.initialize()
        handle = grpc_resource_quota_create("swift")
        grpc_resource_quota_resize(handle, max(bytes, 1 << 20))
    }

    deinit {
        grpc_resource_quota_unref(handle)
    }
}
